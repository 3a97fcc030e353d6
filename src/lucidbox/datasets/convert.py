"""COCO JSON to YOLO text and back; what the new format cannot hold is counted."""

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from lucidbox.core.detection_tables import is_table
from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.file_names import UniqueNames, safe_name
from lucidbox.core.progress import Progress, no_progress
from lucidbox.datasets.detected import read_detections
from lucidbox.datasets.folders import new_folder
from lucidbox.datasets.read_back import compare_with_written, image_keys
from lucidbox.datasets.reading import read_dataset
from lucidbox.datasets.to_yolo import Placing, YoloPartPlan, plan_yolo, write_yolo_part
from lucidbox.formats.dataset import PARTS, DataSet, DatasetFormat, Reading
from lucidbox.formats.problems import Problem, ProblemKind
from lucidbox.formats.writing import coco_document, json_text, toml_text, yaml_text
from lucidbox.formats.yolo.description import NOT_PARTS


@dataclass(frozen=True, eq=False)
class Conversion:
    """What was written, and what could not be.

    Attributes:
        folder: the new folder.
        file: in it, what to give to other commands: ``data.toml`` or ``data.yaml``.
        parts: the splits as written, and read back.
        losses: what the new format does not hold, or what was changed, in words, and how often it occurred.
        problems: images that do not exist or cannot be read; they are left out.
        reading: the source, with its problems.
    """

    folder: Path
    file: Path
    parts: tuple[DataSet, ...]
    losses: tuple[tuple[str, int], ...]
    problems: tuple[Problem, ...]
    reading: Reading

    @property
    def pictures(self) -> int:
        """How many were written."""
        return sum(map(len, self.parts))

    @property
    def objects(self) -> int:
        """How many were written."""
        return sum(len(part.classes) for part in self.parts)

    @property
    def missing(self) -> tuple[Path, ...]:
        """Annotated images that do not exist."""
        return tuple(Path(one.place) for one in self.problems if one.kind is ProblemKind.MISSING_PICTURE)


def convert(
    path: str | Path,
    folder: str | Path,
    target: DatasetFormat,
    *,
    images: str | Path | None = None,
    placing: Placing = "link",
    name: str | None = None,
    progress: Progress = no_progress,
) -> Conversion:
    """Write a data set in the other format, all splits of it, read it back and compare.

    To COCO: one JSON a split and a ``data.toml`` that says where its images are. To YOLO: ``data.yaml``,
    ``labels/PART`` and ``images/PART`` with a link to, or a copy of, each image.

    Args:
        path: see :func:`~lucidbox.datasets.read_dataset`; or path or address of results of ``lucidbox batch``.
        folder: a new one.
        target: the format to write.
        images: folder of the images of a COCO JSON.
        placing: of images in a YOLO data set.
        name: of the split that a single COCO JSON becomes; "train" if its file name contains no split's name.
        progress: shows the images.

    Raises:
        OptionError: there is no data set, or it has this format already.
        DataError: it cannot be understood, its images are needed and not found, or what was written is not read
            back as it was meant.
        OutputError: the folder holds something already, or cannot be written.
    """
    detected = is_table(str(path))
    reading = read_detections(str(path), images, progress) if detected else read_dataset(path, images, progress)
    if reading.format == target:
        raise OptionError(f"{path}: has the format {target} already; --to takes the other one")
    parts = _named([part for part in reading.parts if len(part)], name)
    if target == "coco":
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
    unique = UniqueNames()
    for key in NOT_PARTS:
        unique.claim(key)  # what a data.yaml has other keys for
    return [replace(part, name=unique.claim(safe_name(new))) for part, new in zip(parts, names, strict=True)]


def _to_coco(parts: list[DataSet], folder: Path, reading: Reading) -> Conversion:
    with new_folder(folder) as temporary:
        for part in parts:
            document = coco_document(part, f"converted by lucidbox from {Path(part.source).name}")
            # A name of bytes that are no text is written as JSON's escapes.
            text = json_text(document).encode("utf-8", "backslashreplace")
            (temporary / f"{part.name}.json").write_bytes(text)
        tables = [(part.name, f"{part.name}.json", part.root) for part in parts]
        (temporary / "data.toml").write_text(toml_text(tables), encoding="utf-8")
        compare_with_written(temporary / "data.toml", parts, {part.name: image_keys(part) for part in parts})
    losses = tuple(field for part in parts for field in part.unread_fields)
    return Conversion(folder, folder / "data.toml", tuple(parts), losses, (), reading)


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
    problems: list[Problem] = []
    plans = [plan_yolo(part, losses, problems, progress) for part in parts]
    plans = [plan for plan in plans if len(plan.part)]
    if not plans:
        raise DataError(f"{parts[0].source}: no usable pictures: {problems[0]}")
    written = [plan.part for plan in plans]
    with new_folder(folder) as temporary:
        for plan in plans:
            write_yolo_part(temporary, plan, placing, progress)
        entries = {plan.part.name: _entry(temporary, plan) for plan in plans}
        text = yaml_text(entries, names, {"category_ids": ids})
        (temporary / "data.yaml").write_text(text, encoding="utf-8")
        keys = {plan.part.name: [os.path.abspath(path) for path in plan.paths(temporary)] for plan in plans}  # noqa: PTH100
        compare_with_written(temporary / "data.yaml", written, keys)
    file = folder / "data.yaml"
    return Conversion(folder, file, tuple(written), tuple(losses.items()), tuple(problems), reading)


def _entry(folder: Path, plan: YoloPartPlan) -> str:
    """A split's entry in ``data.yaml``: its folder; for names other than YOLO's, a list of its images."""
    name = plan.part.name
    if name in PARTS:
        return f"images/{name}"
    lines = [f"./{path.relative_to(folder).as_posix()}\n" for path in plan.paths(folder)]
    (folder / f"{name}.txt").write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
    return f"{name}.txt"
