"""The checker of types and shapes while tests run: beartype, taking whole numbers for floats as Python does."""

import functools

from beartype import BeartypeConf, beartype

_made = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(function):
    """A function whose calls are checked; the check is made at the first one, since most are never called."""
    made = None

    @functools.wraps(function)
    def call(*arguments, **named):
        nonlocal made
        if made is None:
            made = _made(function)
        return made(*arguments, **named)

    return call
