"""Errors a user can act on: one line that names the value and the remedy.

The command line prints such a message without a traceback. Anything that is not a
``LucidboxError`` is a defect of ours and keeps its traceback.
"""

import operator


class LucidboxError(Exception):
    """Base of every error that is the input's or the environment's, not ours."""


class OptionError(LucidboxError, ValueError):
    """An option or argument has a value that cannot be used."""


def check_whole_number(name: str, value: object, least: int = 1) -> None:
    """Refuse what is no whole number, or a smaller one than ``least``.

    Raises:
        OptionError: names the option and the value.
    """
    try:
        if operator.index(value) < least:  # type: ignore[arg-type]
            raise OptionError(f"{name} {value} is less than {least}")
    except TypeError:
        raise OptionError(f"{name} {value!r} is not a whole number") from None


class ImageError(LucidboxError):
    """A picture cannot be read; the rest of a batch goes on."""


class ImageFormatError(ImageError):
    """What should be a picture is none, or of a format that is not read."""


class ImageSizeError(ImageError):
    """A picture has more pixels than are allowed, or none."""


class ImageMemoryError(ImageError):
    """There is not enough memory to decode a picture; another machine may read it."""


class SourceError(LucidboxError):
    """A source (folder, video, camera, URL) cannot be opened or read."""


class WeightsError(LucidboxError):
    """A weights file is refused: unsafe, truncated, or not of the stated network."""


class EngineError(LucidboxError):
    """An inference engine is missing, or cannot run the given model."""


class DataError(LucidboxError, ValueError):
    """A data set, annotation or result file is malformed; names file, entry and field."""


class OutputError(LucidboxError):
    """A result cannot be written."""
