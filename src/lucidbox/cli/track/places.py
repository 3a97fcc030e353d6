"""The lines and zones of ``lucidbox track``: from what was typed to values."""

from collections.abc import Sequence

from lucidbox.core.errors import OptionError
from lucidbox.track.scene import Line, Zone


def parse_lines(texts: Sequence[str]) -> list[Line]:
    """The values of ``--count-line NAME=x1,y1,x2,y2``.

    Raises:
        OptionError: one cannot be used; names the option and the value.
    """
    lines = []
    for text in texts:
        name, numbers = _name_and_numbers("--count-line", text, "NAME=x1,y1,x2,y2")
        if len(numbers) != 4:
            raise OptionError(
                f"--count-line {text}: {len(numbers)} numbers; a line has four, as in NAME=x1,y1,x2,y2"
            )
        try:
            lines.append(Line(name, (numbers[0], numbers[1]), (numbers[2], numbers[3])))
        except OptionError as error:
            raise OptionError(f"--count-line {text}: {error}") from None
    return lines


def parse_zones(texts: Sequence[str]) -> list[Zone]:
    """The values of ``--zone NAME=x,y,x,y,...``.

    Raises:
        OptionError: one cannot be used; names the option and the value.
    """
    zones = []
    for text in texts:
        name, numbers = _name_and_numbers("--zone", text, "NAME=x,y,x,y,x,y")
        if len(numbers) % 2:
            raise OptionError(f"--zone {text}: {len(numbers)} numbers; corners are pairs of them")
        try:
            zones.append(Zone(name, tuple(zip(numbers[::2], numbers[1::2], strict=True))))
        except OptionError as error:
            raise OptionError(f"--zone {text}: {error}") from None
    return zones


def _name_and_numbers(option: str, text: str, form: str) -> tuple[str, list[float]]:
    name, equals, rest = text.partition("=")
    if not equals or not name.strip():
        raise OptionError(f"{option} {text}: expected {form}")
    try:
        return name.strip(), [float(number) for number in rest.split(",")]
    except ValueError:
        raise OptionError(f"{option} {text}: expected numbers with commas between, as in {form}") from None
