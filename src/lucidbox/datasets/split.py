"""Dividing a data set into splits with the same share of every class; only new files are written."""

import math
import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import Int
from lucidbox.core.errors import OptionError
from lucidbox.datasets.folders import new_folder
from lucidbox.datasets.layout import YoloFile, find_data
from lucidbox.datasets.read_back import compare_with_written, image_keys
from lucidbox.datasets.reading import read_dataset
from lucidbox.datasets.stratify import stratify
from lucidbox.formats.coco.annotations import usable_categories, usable_images
from lucidbox.formats.coco.columns import CocoAnnotations, CocoLists
from lucidbox.formats.dataset import DataSet, Reading
from lucidbox.formats.json_text import collector_off, parse_json, read_bytes
from lucidbox.formats.writing import json_text, toml_text, yaml_text
from lucidbox.formats.yolo.description import NOT_PARTS, read_description


@dataclass(frozen=True, eq=False)
class Split:
    """What was written.

    Attributes:
        folder: the new folder.
        file: in it, what to give to other commands: ``data.toml`` or ``data.yaml``.
        whole: what was split.
        parts: what each split got.
        reading: the source, with its problems.
    """

    folder: Path
    file: Path
    whole: DataSet
    parts: tuple[DataSet, ...]
    reading: Reading


def parse_shares(text: str) -> dict[str, float]:
    """Names and shares from ``train=0.8,val=0.2``.

    Raises:
        OptionError: not of that format, a name twice or unfit, or the shares' sum is not 1.
    """
    shares: dict[str, float] = {}
    for item in text.split(","):
        name, _, number = item.partition("=")
        name = name.strip()
        try:
            share = float(number)
        except ValueError:
            raise OptionError(f"--parts {text}: expected NAME=SHARE,… as in train=0.8,val=0.2") from None
        if not re.fullmatch(r"[A-Za-z0-9_-]+", name) or name in NOT_PARTS:
            raise OptionError(f"--parts {text}: {name!r} cannot be a part's name; take letters, digits, - and _")
        if name in shares or not 0 < share <= 1:
            reason = "is named twice" if name in shares else "must have a share above 0, up to 1"
            raise OptionError(f"--parts {text}: {name} {reason}")
        shares[name] = share
    if not math.isclose(total := sum(shares.values()), 1, abs_tol=1e-6):
        raise OptionError(f"--parts {text}: the shares add up to {total:g}, not to 1")
    return shares


def split(
    path: str | Path,
    folder: str | Path,
    shares: Mapping[str, float],
    *,
    seed: int = 0,
    images: str | Path | None = None,
    part: str | None = None,
) -> Split:
    """Divide a data set, or one split of it, into stratified splits; see :func:`stratify`.

    From COCO JSON, each new split is a JSON with its usable entries and all their fields, and ``data.toml`` names
    the splits. From YOLO, each new split is a list of its usable images, which stay where they are with their
    labels, and a ``data.yaml`` names the lists; unusable lines stay in the label files.

    Args:
        path: see :func:`~lucidbox.datasets.read_dataset`.
        folder: a new one.
        shares: of each split's images, by its name; their sum is 1.
        seed: another one gives another split.
        images: folder of the images of a COCO JSON.
        part: which split to divide, if there are several.

    Raises:
        OptionError: there is no data set, or several splits and none chosen, or fewer images than splits.
        DataError: the data set cannot be understood.
        OutputError: the folder holds something already, or cannot be written.
    """
    reading = read_dataset(path, images)
    whole = reading.part(part)
    if len(whole) < len(shares):
        raise OptionError(f"{whole.source}: {len(whole)} pictures cannot make {len(shares)} parts")
    owners = stratify(whole.presence(), list(shares.values()), whole.file_names, seed)
    parts = tuple(
        replace(whole.keep_pictures(np.flatnonzero(owners == index)), name=name)
        for index, name in enumerate(shares)
    )
    with new_folder(folder) as temporary:
        if reading.format == "coco":
            _write_coco(temporary, whole, parts, owners)
        else:
            _write_yolo(temporary, Path(path), parts)
        name, keys_of = ("data.toml", _numbers) if reading.format == "coco" else ("data.yaml", image_keys)
        compare_with_written(temporary / name, parts, {part.name: keys_of(part) for part in parts}, keys_of)
    return Split(Path(folder), Path(folder, name), whole, parts, reading)


def _numbers(part: DataSet) -> list[Hashable]:
    """The ids of a split's images."""
    return list(part.image_ids.tolist())


def _write_coco(folder: Path, whole: DataSet, parts: tuple[DataSet, ...], owners: Int[np.ndarray, " i"]) -> None:
    with collector_off():
        document = parse_json(read_bytes(whole.source), whole.source)
        lists = CocoLists.of(document, whole.source)
        columns = CocoAnnotations.of(lists.annotations)
        categories, images = usable_categories(lists.categories, columns), usable_images(lists.images)
        # Of several annotations of one id, the first good one is in the data set.
        numbered = zip(columns.ids.values.tolist(), columns.ids.good.tolist(), strict=True)
        rows = {number: row for row, (number, good) in reversed(list(enumerate(numbered))) if good}
        for index, part in enumerate(parts):
            objects = sorted(rows[number] for number in part.annotation_ids.tolist())
            entries = {
                "images": lists.images.rows(compress(images.rows, (owners == index).tolist())),
                "annotations": lists.annotations.rows(objects),
                "categories": lists.categories.rows(sorted(categories.rows)),
            }
            (folder / f"{part.name}.json").write_text(json_text(document | entries), encoding="utf-8")
    root = None if whole.root is None else whole.root.resolve()
    (folder / "data.toml").write_text(
        toml_text([(part.name, f"{part.name}.json", root) for part in parts]), encoding="utf-8"
    )


def _write_yolo(folder: Path, source: Path, parts: tuple[DataSet, ...]) -> None:
    found = find_data(source)
    assert isinstance(found, YoloFile)
    for part in parts:
        lines = [f"{part.path(picture)}\n" for picture in range(len(part))]
        (folder / f"{part.name}.txt").write_text("".join(lines), encoding="utf-8", errors="surrogateescape")
    lists = {part.name: f"{part.name}.txt" for part in parts}
    others = dict(read_description(found.path).row_keys)
    (folder / "data.yaml").write_text(yaml_text(lists, parts[0].names, others), encoding="utf-8")
