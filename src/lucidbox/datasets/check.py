"""Everything that is wrong with a data set; nothing is changed."""

from dataclasses import dataclass
from pathlib import Path

from lucidbox.core.errors import DataError
from lucidbox.core.progress import Progress, no_progress
from lucidbox.datasets.images import check_copies, check_pictures, unlisted
from lucidbox.datasets.reading import scan
from lucidbox.formats.problems import Problem, ProblemKind, count_by_kind


@dataclass(frozen=True)
class CheckReport:
    """What a check found.

    Attributes:
        parts: name of each split, its images and its usable objects.
        problems: all of them, in the order they were found.
        notes: facts that are no problems, in sentences with counts.
    """

    parts: tuple[tuple[str, int, int], ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]

    @property
    def counts(self) -> dict[ProblemKind, int]:
        """How many problems there are of each kind."""
        return count_by_kind(self.problems)


def check(
    path: str | Path, images: str | Path | None = None, *, decode: bool = True, progress: Progress = no_progress
) -> CheckReport:
    """Check all annotations and all images of a data set.

    Args:
        path: see :func:`~lucidbox.datasets.read_dataset`.
        images: folder of the images of a COCO JSON; by default looked for in the usual places.
        decode: decode every image, which finds damaged ones; else read only their first bytes.
        progress: shows the images.

    Raises:
        OptionError: there is no data set to check.
    """
    try:
        reading = scan(path, images, progress)
    except DataError as error:
        place, _, message = str(error).partition(": ")
        return CheckReport((), (Problem(ProblemKind.STRUCTURE, place, "", message),), ())
    problems, notes = list(reading.problems), list(reading.notes)
    located = [part for part in reading.parts if part.root is not None]
    # Sizes of YOLO's images come from the images themselves: only decoding can find more problems.
    if decode or reading.format == "coco":
        for part in located:
            problems += check_pictures(part, decode=decode, progress=progress)
    problems += check_copies(located)
    if reading.format == "coco":
        notes += [f"{root}: {count} pictures have no entry" for root, count in unlisted(located).items()]
    parts = tuple((part.name, len(part), len(part.classes)) for part in reading.parts)
    return CheckReport(parts, tuple(dict.fromkeys(problems)), tuple(notes))
