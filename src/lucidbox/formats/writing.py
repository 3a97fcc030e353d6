"""The text of the files that describe a data set: TOML for COCO splits, YAML for YOLO, COCO's JSON."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.formats.dataset import DataSet

# A box's numbers come back from shares with errors far below this many decimals of a pixel.
_PIXEL_DECIMALS = 6
_BARE = re.compile("[A-Za-z0-9_-]+")


def toml_text(parts: Sequence[tuple[str, str, Path | None]]) -> str:
    """A ``data.toml``: for each split its name, its JSON and the folder of its images."""
    tables = []
    for name, annotations, images in parts:
        lines = [f"[{name if _BARE.fullmatch(name) else _quoted(name)}]", f"annotations = {_quoted(annotations)}"]
        tables.append("\n".join(lines + [f"images = {_quoted(str(images))}"] * (images is not None)))
    return "\n\n".join(tables) + "\n"


def yaml_text(parts: Mapping[str, str], names: Sequence[str], others: Mapping[str, Any]) -> str:
    """A ``data.yaml``: what each split consists of, the class names, and other keys."""
    import yaml

    described = {**parts, "nc": len(names), "names": dict(enumerate(names))}
    text: str = yaml.safe_dump(described, sort_keys=False, allow_unicode=True)
    if others:
        # Lists of numbers are easier to read past in lines than one number a line.
        text += yaml.safe_dump(dict(others), sort_keys=False, width=110, default_flow_style=None)
    return text


def coco_document(dataset: DataSet, description: str) -> dict[str, Any]:
    """A data set in the format of COCO's annotation files."""
    images = [
        {"id": number, "file_name": name, "width": width, "height": height}
        for number, name, (width, height) in zip(
            dataset.image_ids.tolist(), dataset.file_names, dataset.sizes.tolist(), strict=True
        )
    ]
    columns = (
        dataset.annotation_ids.tolist(),
        dataset.image_ids[dataset.pictures].tolist(),
        dataset.category_ids[dataset.classes].tolist(),
        _rounded(dataset).tolist(),
        np.maximum(dataset.areas.round(_PIXEL_DECIMALS), 10.0**-_PIXEL_DECIMALS).tolist(),
        dataset.crowds.astype(int).tolist(),
    )
    fields = ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    return {
        "info": {"description": description},
        "images": images,
        "annotations": [dict(zip(fields, row, strict=True)) for row in zip(*columns, strict=True)],
        "categories": [
            {"id": number, "name": name}
            for number, name in zip(dataset.category_ids.tolist(), dataset.names, strict=True)
        ],
    }


def _rounded(dataset: DataSet) -> Float[np.ndarray, "n 4"]:
    """Boxes in pixels; those that rounding would make equal or empty keep all decimals."""
    boxes = dataset.boxes_xywh.round(_PIXEL_DECIMALS)
    keys = np.column_stack([dataset.pictures, dataset.classes, boxes])
    _, first, counts = np.unique(keys, axis=0, return_inverse=True, return_counts=True)
    exact = (counts[first.reshape(-1)] > 1) | (boxes[:, 2:] <= 0).any(axis=1)
    return np.where(exact[:, None], dataset.boxes_xywh, boxes)


def json_text(document: Any) -> str:
    """Compact JSON in readable letters."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _quoted(text: str) -> str:
    """A TOML string: JSON's rules of escaping are TOML's, too."""
    return json.dumps(text, ensure_ascii=False)
