"""Everything that is wrong with a data set; nothing is changed."""

from dataclasses import dataclass
from pathlib import Path

from lucidbox.data.pictures import check_copies, check_pictures, unlisted
from lucidbox.data.problems import Kind, Problem, count_by_kind
from lucidbox.data.reading import scan
from lucidbox.errors import DataError
from lucidbox.watch import Watch, unwatched


@dataclass(frozen=True)
class Report:
    """What a check found.

    Attributes:
        parts: name of each part, its pictures and its usable objects.
        problems: all of them, in the order they were found.
        notes: what is not wrong but good to know, in sentences with counts.
    """

    parts: tuple[tuple[str, int, int], ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def counts(self) -> dict[Kind, int]:
        """How many problems there are of each kind."""
        return count_by_kind(self.problems)


def check(
    path: str | Path, images: str | Path | None = None, *, decode: bool = True, watch: Watch = unwatched
) -> Report:
    """Look at all annotations and all pictures of a data set.

    Args:
        path: see :func:`~lucidbox.data.read`.
        images: folder of the pictures of a COCO JSON; by default looked for in the usual places.
        decode: decode every picture, which finds damaged ones; else read only their first bytes.
        watch: sees pictures pass.

    Raises:
        OptionError: there is no data set to check.
    """
    try:
        reading = scan(path, images, watch)
    except DataError as error:
        place, _, message = str(error).partition(": ")
        return Report((), (Problem(Kind.STRUCTURE, place, "", message),), ())
    problems, notes = list(reading.problems), list(reading.notes)
    located = [part for part in reading.parts if part.root is not None]
    # The sizes of YOLO's pictures were read from the pictures: without decoding there is nothing new to see.
    if decode or reading.form == "coco":
        for part in located:
            problems += check_pictures(part, decode=decode, watch=watch)
    problems += check_copies(located)
    if reading.form == "coco":
        notes += [f"{root}: {count} pictures have no entry" for root, count in unlisted(located).items()]
    parts = tuple((part.name, len(part), len(part.classes)) for part in reading.parts)
    return Report(parts, tuple(dict.fromkeys(problems)), tuple(notes))
