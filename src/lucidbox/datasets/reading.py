"""Reading a whole data set, of either format."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path

from lucidbox.core.progress import Progress, no_progress
from lucidbox.datasets.layout import CocoPart, YoloFile, find_data, image_root
from lucidbox.datasets.locate import locate
from lucidbox.formats.coco.annotations import scan_coco
from lucidbox.formats.dataset import DatasetFormat, Reading, Scan
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.formats.yolo.description import read_description
from lucidbox.formats.yolo.reading import scan_yolo


def read_dataset(path: str | Path, images: str | Path | None = None, progress: Progress = no_progress) -> Reading:
    """Read a data set: its usable images and objects, and everything that is wrong with the others.

    Args:
        path: COCO JSON, YOLO ``data.yaml``, TOML that names splits, or a folder that holds one of them; see
            :func:`~lucidbox.datasets.layout.find_data`.
        images: folder of the images of a COCO JSON; by default looked for in the usual places.
        progress: shows the images whose size must be read, which YOLO's format needs.

    Raises:
        OptionError: there is no data set.
        DataError: a file of it cannot be understood at all, or no image is usable.
    """
    return scan(path, images, progress).refuse_malformed()


def scan(path: str | Path, images: str | Path | None = None, progress: Progress = no_progress) -> Reading:
    """Like :func:`read_dataset`, but a split whose annotations cannot be parsed is empty and has a problem.

    Raises:
        OptionError: there is no data set.
        DataError: the ``data.yaml`` or the TOML cannot be understood.
    """
    found = find_data(Path(path), None if images is None else Path(images))
    if isinstance(found, YoloFile):
        description = read_description(found.path)
        scans = [scan_yolo(description, part, progress) for part in description.parts]
        return _reading("yolo", scans, description.problems, description.notes)
    return _reading("coco", [_scan_part(part) for part in found])


def _scan_part(part: CocoPart) -> Scan:
    scanned = scan_coco(part.annotations, part.images, part.name)
    names = scanned.dataset.file_names
    root = image_root(part, names)
    if root is not None:
        found = locate(root, names)
        dataset, notes = replace(scanned.dataset, root=root, file_names=found), list(scanned.notes)
        others = [pair for pair in zip(names, found, strict=True) if pair[0] != pair[1]]
        if others:
            what = f"found by the end of their names, {' as '.join(others[0])}"
            notes.append(f"{part.annotations}: {len(others)} of {len(names)} pictures are {what}")
        return replace(scanned, dataset=dataset, notes=tuple(notes))
    reason = f"not in {part.images}: no such folder"
    if part.images is None:
        reason = "not found in the usual places; name their folder with --images"
    # Not left out: statistics, for example, need no images.
    problem = Problem(ProblemKind.FOLDER, str(part.annotations), "", f"its pictures are {reason}", left_out=False)
    problems = (*scanned.problems, problem) if names else scanned.problems
    return replace(scanned, dataset=replace(scanned.dataset, root=None), problems=problems)


def _reading(
    file_format: DatasetFormat,
    scans: Iterable[Scan],
    problems: tuple[Problem, ...] = (),
    notes: tuple[str, ...] = (),
) -> Reading:
    scans = tuple(scans)
    # Splits that share a folder share its problems: each is listed once.
    all_problems = tuple(dict.fromkeys(chain(problems, *(scan.problems for scan in scans))))
    all_notes = tuple(dict.fromkeys(chain(notes, *(scan.notes for scan in scans))))
    return Reading(file_format, tuple(scan.dataset for scan in scans), all_problems, all_notes)
