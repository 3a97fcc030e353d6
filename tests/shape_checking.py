"""The checker of types and shapes while tests run: beartype, taking whole numbers for floats as Python does.

``checked`` takes the place of jaxtyping's own decorator, which binds every call's arguments and checks them twice:
a fifth of the time of all tests. What is checked is the same.
"""

import dataclasses
import functools
import inspect
import types
import typing

import jaxtyping
from beartype import BeartypeConf, beartype

_made = beartype(conf=BeartypeConf(is_pep484_tower=True))
_of_jaxtyping = jaxtyping.jaxtyped
_axes = jaxtyping.jaxtyped("context")
"""Within it, an axis letter has one size: entered once a call, and each call has letters of its own."""


def install(modules):
    """Check all functions and dataclasses of modules that are imported from now on."""
    jaxtyping.install_import_hook(modules, None)
    jaxtyping.jaxtyped = checked  # what the hook writes above each of them


def checked(function=None, **_):
    """A function whose calls are checked, or a dataclass whose making is."""
    if function is None:
        return checked
    if inspect.isclass(function):
        made = vars(function).get("__init__")
        if dataclasses.is_dataclass(function) and made and not hasattr(made, "__wrapped__"):
            function.__init__ = _checked(made)
        return function
    return _checked(function)


def _checked(function):
    """The check is made at the first call, since most are never called."""
    if inspect.isgeneratorfunction(function):
        return _of_jaxtyping(function, typechecker=_made)  # what it yields is not checked
    made = None

    @functools.wraps(function)
    def call(*arguments, **named):
        nonlocal made
        if jaxtyping.config.jaxtyping_disable:
            return function(*arguments, **named)
        if made is None:
            made = _made(_with_types(function))
        with _axes:
            return made(*arguments, **named)

    return call


def _with_types(function):
    """A copy of a function whose annotations are types, not names; a name unknown here is any type."""
    copy = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    functools.update_wrapper(copy, function)
    del copy.__wrapped__
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__annotations__ = {name: _type_of(hint, function) for name, hint in function.__annotations__.items()}
    return copy


def _type_of(hint, function):
    """What an annotation of a function stands for."""
    holder = types.SimpleNamespace(__annotations__={"hint": hint})
    try:
        return typing.get_type_hints(holder, function.__globals__, include_extras=True)["hint"]
    except Exception:
        return typing.Any
