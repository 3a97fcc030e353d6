"""The lines and zones of ``lucidbox track``: from what was typed to values."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from lucidbox.core.errors import OptionError
from lucidbox.track.scene import Line, Zone

_Place = TypeVar("_Place", Line, Zone)


def parse_lines(texts: Sequence[str]) -> list[Line]:
    """The values of ``--count-line NAME=x1,y1,x2,y2``.

    Raises:
        OptionError: one cannot be used; names the option and the value.
    """

    def line(name: str, numbers: list[float]) -> Line:
        if len(numbers) != 4:
            raise OptionError(f"{len(numbers)} numbers; a line has four, as in NAME=x1,y1,x2,y2")
        return Line(name, (numbers[0], numbers[1]), (numbers[2], numbers[3]))

    return [_parsed("--count-line", text, "NAME=x1,y1,x2,y2", line) for text in texts]


def parse_zones(texts: Sequence[str]) -> list[Zone]:
    """The values of ``--zone NAME=x,y,x,y,...``.

    Raises:
        OptionError: one cannot be used; names the option and the value.
    """

    def zone(name: str, numbers: list[float]) -> Zone:
        if len(numbers) % 2:
            raise OptionError(f"{len(numbers)} numbers; corners are pairs of them")
        return Zone(name, tuple(zip(numbers[::2], numbers[1::2], strict=True)))

    return [_parsed("--zone", text, "NAME=x,y,x,y,x,y", zone) for text in texts]


def _parsed(option: str, text: str, form: str, made: Callable[[str, list[float]], _Place]) -> _Place:
    name, equals, rest = text.partition("=")
    if not equals or not name.strip():
        raise OptionError(f"{option} {text}: expected {form}")
    try:
        numbers = [float(number) for number in rest.split(",")]
    except ValueError:
        raise OptionError(f"{option} {text}: expected numbers with commas between, as in {form}") from None
    try:
        return made(name.strip(), numbers)
    except OptionError as error:
        raise OptionError(f"{option} {text}: {error}") from None
