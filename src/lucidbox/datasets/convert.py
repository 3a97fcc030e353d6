"""COCO JSON to YOLO text and back; what the new format cannot hold is counted."""

import os
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.boxes import xywh_to_cxcywh
from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.file_names import UniqueNames, safe_name
from lucidbox.core.progress import Progress, no_progress
from lucidbox.datasets.folders import new_folder
from lucidbox.datasets.reading import read_dataset
from lucidbox.formats.dataset import DataSet, Form, Reading
from lucidbox.formats.writing import coco_document, json_text, toml_text, yaml_text
from lucidbox.formats.yolo.description import PARTS
from lucidbox.formats.yolo.reading import picture_numbers
from lucidbox.images.headers import read_headers
from lucidbox.sources.files import find_in_folder, name_below

Placing = Literal["link", "copy"]

# A ten-millionth of a pixel in the largest image: boxes with up to six decimals come back as they were.
_SHARE_DECIMALS = 12


@dataclass(frozen=True, eq=False)
class Conversion:
    """What was written, and what could not be.

    Attributes:
        folder: the new folder.
        file: in it, what to give to other commands: ``data.toml`` or ``data.yaml``.
        pictures: how many.
        objects: how many.
        losses: what the new format does not hold, in words, and how often it occurred.
        missing: annotated images that do not exist.
        reading: the source, with its problems.
    """

    folder: Path
    file: Path
    pictures: int
    objects: int
    losses: tuple[tuple[str, int], ...]
    missing: tuple[Path, ...]
    reading: Reading


def convert(
    path: str | Path,
    folder: str | Path,
    form: Form,
    *,
    images: str | Path | None = None,
    placing: Placing = "link",
    name: str | None = None,
    progress: Progress = no_progress,
) -> Conversion:
    """Write a data set in the other format, all splits of it.

    To COCO: one JSON a split and a ``data.toml`` that says where its images are. To YOLO: ``data.yaml``,
    ``labels/PART`` and ``images/PART`` with a link to, or a copy of, each image.

    Args:
        path: see :func:`~lucidbox.datasets.read_dataset`.
        folder: a new one.
        form: to write.
        images: folder of the images of a COCO JSON.
        placing: of images in a YOLO data set.
        name: of the split that a single COCO JSON becomes; "train" if its file name contains no split's name.
        progress: shows the images.

    Raises:
        OptionError: there is no data set, or it has this format already.
        DataError: it cannot be understood, or its images are needed and not found.
        OutputError: the folder holds something already, or cannot be written.
    """
    reading = read_dataset(path, images, progress)
    if reading.form == form:
        raise OptionError(f"{path}: is in the form {form} already; --to takes the other one")
    parts = _named([part for part in reading.parts if len(part)], name)
    if form == "coco":
        return _to_coco(parts, Path(folder), reading)
    return _to_yolo(parts, Path(folder), reading, placing, progress)


def _named(parts: list[DataSet], name: str | None) -> list[DataSet]:
    """Splits with common names: "train2017" becomes "train" if no other split does; see :func:`convert`."""
    if name is not None:
        if len(parts) > 1:
            raise OptionError(f"--part {name}: the data set has {len(parts)} parts, which keep their names")
        return [replace(parts[0], name=safe_name(name))]
    short = [next((common for common in PARTS if part.name.startswith(common)), part.name) for part in parts]
    if len(parts) == 1 and short == ["all"]:
        short = ["train"]
    names = short if len(set(short)) == len(short) else [part.name for part in parts]
    return [replace(part, name=safe_name(new)) for part, new in zip(parts, names, strict=True)]


def _to_coco(parts: list[DataSet], folder: Path, reading: Reading) -> Conversion:
    with new_folder(folder) as temporary:
        for part in parts:
            document = coco_document(part, f"converted by lucidbox from {Path(part.source).name}")
            (temporary / f"{part.name}.json").write_text(json_text(document), encoding="utf-8")
        tables = [(part.name, f"{part.name}.json", part.root) for part in parts]
        (temporary / "data.toml").write_text(toml_text(tables), encoding="utf-8")
    objects = sum(len(part.classes) for part in parts)
    return Conversion(folder, folder / "data.toml", sum(map(len, parts)), objects, (), (), reading)


def _to_yolo(
    parts: list[DataSet], folder: Path, reading: Reading, placing: Placing, progress: Progress
) -> Conversion:
    names, ids = parts[0].names, parts[0].category_ids.tolist()
    for part in parts:
        if (part.names, part.category_ids.tolist()) != (names, ids):
            raise DataError(
                f"{part.source}: its categories are not those of {parts[0].source}; convert one by one"
            )
    losses: Counter[str] = Counter()
    missing: list[Path] = []
    entries: dict[str, str] = {}
    pictures = objects = 0
    with new_folder(folder) as temporary:
        for part in parts:
            usable = _with_pictures(part, missing, progress)
            kept = _what_yolo_holds(usable, losses)
            _write_yolo(temporary, kept, placing, progress)
            pictures, objects = pictures + len(kept), objects + len(kept.classes)
            entries[part.name] = _entry(temporary, part.name)
        text = yaml_text(entries, names, {"category_ids": ids})
        (temporary / "data.yaml").write_text(text, encoding="utf-8")
    file = folder / "data.yaml"
    return Conversion(folder, file, pictures, objects, tuple(losses.items()), tuple(missing), reading)


def _entry(folder: Path, name: str) -> str:
    """A split's entry in ``data.yaml``: its folder; for names other than YOLO's, a list of its images."""
    if name in PARTS:
        return f"images/{name}"
    pictures = find_in_folder(folder / "images" / name, recursive=True).pictures
    lines = [f"./{picture.relative_to(folder).as_posix()}\n" for picture in pictures]
    (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    return f"{name}.txt"


def _with_pictures(part: DataSet, missing: list[Path], progress: Progress) -> DataSet:
    """The images that exist, with sizes."""
    paths = [part.path(index) for index in range(len(part))]
    there = np.array([path.is_file() for path in paths], bool)
    missing += [path for path, found in zip(paths, there, strict=True) if not found]
    sizes = part.sizes.copy()
    unknown = np.flatnonzero(there & (sizes == 0).any(axis=1)).tolist()
    for index, header in zip(unknown, read_headers([paths[index] for index in unknown], progress), strict=True):
        if header.error:
            raise DataError(
                f"{paths[index]}: {header.error}; its size is needed, and {part.source} does not have it"
            )
        sizes[index] = header.width, header.height
    return replace(part, sizes=sizes).keep_pictures(np.flatnonzero(there))


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


def _write_yolo(folder: Path, part: DataSet, placing: Placing, progress: Progress) -> None:
    lines = _label_lines(part)
    stems: dict[PurePosixPath, UniqueNames] = {}
    for index in progress(range(len(part)), len(part)):
        source = part.path(index)
        name = PurePosixPath(name_below(Path(), Path(part.file_names[index])))
        # Images that differ only in suffix would share one label file.
        stem = stems.setdefault(name.parent, UniqueNames()).claim(name.stem)
        picture = folder / "images" / part.name / name.parent / f"{stem}{name.suffix}"
        label = folder / "labels" / part.name / name.parent / f"{stem}.txt"
        for file in (picture, label):
            file.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("".join(lines[part.objects(index)]), encoding="utf-8")
        _place(source, picture, placing)


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
