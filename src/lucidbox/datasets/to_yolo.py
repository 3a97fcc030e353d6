"""Writing a data set as YOLO text, such that this package and other YOLO tools find every image's labels."""

import os
import re
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from lucidbox.core.array_types import Bool, Float
from lucidbox.core.boxes import xywh_to_cxcywh
from lucidbox.core.errors import DataError
from lucidbox.core.file_names import PICTURE_EXTENSIONS, UniqueNames
from lucidbox.core.progress import Progress
from lucidbox.datasets.upright import as_shown
from lucidbox.formats.dataset import DataSet
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.formats.yolo.label_files import label_path
from lucidbox.formats.yolo.reading import picture_numbers
from lucidbox.images.headers import Header, read_headers
from lucidbox.sources.files import name_below

Placing = Literal["link", "copy"]

# A ten-millionth of a pixel in the largest image: boxes with up to six decimals come back as they were.
_SHARE_DECIMALS = 12
_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif"}
# Lists of images have one a line, whatever a program takes for a line's end.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, eq=False)
class YoloPartPlan:
    """What is to be written of a split.

    Attributes:
        part: the objects as YOLO holds them.
        names: of each image, below the split's folder of images.
        lines: of the label files, one an object.
    """

    part: DataSet
    names: tuple[PurePosixPath, ...]
    lines: tuple[str, ...]

    def paths(self, folder: Path) -> list[Path]:
        """Where the images are to be in the data set's folder."""
        return [folder / "images" / self.part.name / name for name in self.names]


def plan_yolo(part: DataSet, losses: Counter[str], problems: list[Problem], progress: Progress) -> YoloPartPlan:
    """What YOLO can hold of a split; the rest is counted in ``losses``, unusable images are ``problems``."""
    usable, headers = _usable(part, problems, progress)
    shown = as_shown(usable, headers)
    fits = np.flatnonzero(shown.fits)
    for index in np.flatnonzero(~shown.fits).tolist():
        (width, height), header = usable.sizes[index].tolist(), headers[index]
        message = f"is {header.width}×{header.height}, annotated as {width}×{height}; left out"
        problems.append(Problem(ProblemKind.PICTURE_SIZE, str(usable.path(index)), "", message))
    headers = [headers[index] for index in fits.tolist()]
    kept = _what_yolo_holds(shown.part.keep_pictures(fits), losses)
    lines = _label_lines(kept)
    fresh = _writable(kept, lines, losses)
    kept = kept.keep_objects(fresh)
    names = _target_names(kept, headers)
    stated = [name_below(Path(), Path(name)) for name in kept.file_names]
    renamed = sum(str(name) != before for name, before in zip(names, stated, strict=True))
    losses.update(
        shown.changes | ({"pictures renamed (each needs a label file of its own)": renamed} if renamed else {})
    )
    return YoloPartPlan(kept, names, tuple(line for line, one in zip(lines, fresh.tolist(), strict=True) if one))


def write_yolo_part(folder: Path, plan: YoloPartPlan, placing: Placing, progress: Progress) -> None:
    """Write label files, and links to images or copies of them."""
    part = plan.part
    for index, picture in enumerate(progress(plan.paths(folder), len(part))):
        label = folder / label_path(picture.relative_to(folder))
        for file in (picture, label):
            file.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(plan.lines[part.objects(index)]), encoding="utf-8")
        _place(part.path(index), picture, placing)


def _usable(part: DataSet, problems: list[Problem], progress: Progress) -> tuple[DataSet, list[Header]]:
    """The images that can be read, and what their first bytes say."""
    paths = [part.path(index) for index in range(len(part))]
    headers = read_headers(paths, progress)
    for path, header in zip(paths, headers, strict=True):
        if header.error and path.is_file():
            message = f"{header.error}; left out"
            problems.append(Problem(ProblemKind.UNREADABLE_PICTURE, str(path), "", message))
        elif header.error:
            problems.append(Problem(ProblemKind.MISSING_PICTURE, str(path), "", "no such picture; left out"))
    kept = np.flatnonzero([not header.error for header in headers])
    return part.keep_pictures(kept), [headers[index] for index in kept.tolist()]


def _what_yolo_holds(part: DataSet, losses: Counter[str]) -> DataSet:
    """The objects without crowds, boxes clipped to the images; what is lost is counted."""
    single = part.keep_objects(~part.crowds)
    boxes = single.boxes_xywh
    sizes = single.sizes[single.pictures]
    ends = boxes[:, :2] + boxes[:, 2:]
    first, last = np.clip(boxes[:, :2], 0, sizes), np.clip(ends, 0, sizes)
    clipped = (first != boxes[:, :2]).any(axis=1) | (ends - last > 1e-6).any(axis=1)
    masked = ~np.isclose(single.areas, boxes[:, 2:].prod(axis=1), rtol=1e-4, atol=0.01)
    paths = [Path(name) for name in part.file_names]
    counts = {
        "crowds (left out)": int(part.crowds.sum()),
        "areas other than width × height": int(masked.sum()),
        "box edges beyond the picture (cut there)": int(clipped.sum()),
        "picture ids (pictures are known by name)": int((picture_numbers(paths) != part.image_ids).sum()),
        "annotation ids": len(single.classes),
        **dict(part.unread_fields),
    }
    losses.update({what: count for what, count in counts.items() if count})
    exact = np.where(clipped[:, None], np.concatenate([first, last - first], axis=1), boxes)
    return replace(single, boxes_xywh=exact)


def _writable(part: DataSet, lines: Sequence[str], losses: Counter[str]) -> Bool[np.ndarray, " n"]:
    """Which objects have an area in the text, and a line that no other of their image has; others are counted."""
    sides: Float[np.ndarray, "n 2"] = _shares(part)[:, 2:].round(_SHARE_DECIMALS)
    some: Bool[np.ndarray, " n"] = sides.min(axis=1) > 0
    seen: set[tuple[int, str]] = set()
    fresh = some.copy()
    for row, key in enumerate(zip(part.pictures.tolist(), lines, strict=True)):
        fresh[row] &= key not in seen
        seen.add(key)
    counts = {
        "boxes of which nothing is in the picture (left out)": int((~some).sum()),
        "boxes that are the same once cut or rounded (left out)": int((some & ~fresh).sum()),
    }
    losses.update({what: count for what, count in counts.items() if count})
    return fresh


def _target_names(part: DataSet, headers: Sequence[Header]) -> tuple[PurePosixPath, ...]:
    """Names of images that readers do not pass over, each with a label file of its own."""
    stems: dict[Path, UniqueNames] = {}
    names = []
    for stated, header in zip(part.file_names, headers, strict=True):
        inner = _UNFIT.sub("_", name_below(Path(), Path(stated)))
        # Readers pass hidden files and folders over.
        name = PurePosixPath(*("_" + one.lstrip(".") if one.startswith(".") else one for one in inner.split("/")))
        stem, suffix = name.stem, name.suffix
        if suffix.lower() not in PICTURE_EXTENSIONS:
            stem, suffix = name.name, _SUFFIXES.get(header.format, f".{header.format.lower()}")
        # Images that differ only in suffix would share one label file; "images" in names leads to other folders.
        label = label_path(Path("images", part.name, name))
        unique = stems.setdefault(label.parent, UniqueNames()).claim(stem)
        names.append(name.parent / f"{unique}{suffix}")
    return tuple(names)


def _place(source: Path, target: Path, placing: Placing) -> None:
    if placing == "link":
        os.symlink(os.path.abspath(source), target)  # noqa: PTH100, PTH211  # absolute, not resolved
        return
    try:
        content = source.read_bytes()
    except OSError as error:
        raise DataError(f"{source}: cannot be copied: {error.strerror or error}") from error
    target.write_bytes(content)
    shutil.copystat(source, target)


def _label_lines(part: DataSet) -> list[str]:
    """``class cx cy w h`` of each object."""
    shares = _shares(part).tolist()
    return [
        " ".join([str(number), *map(_decimal, row)]) + "\n"
        for number, row in zip(part.classes.tolist(), shares, strict=True)
    ]


def _shares(part: DataSet) -> Float[np.ndarray, "n 4"]:
    """Centre and size of each box as shares of its image's sides."""
    sizes = np.tile(part.sizes[part.pictures], 2)
    shares: Float[np.ndarray, "n 4"] = xywh_to_cxcywh(part.boxes_xywh) / sizes
    return shares


def _decimal(share: float) -> str:
    text = f"{share:.{_SHARE_DECIMALS}f}".rstrip("0")
    return text + "0" if text.endswith(".") else text
