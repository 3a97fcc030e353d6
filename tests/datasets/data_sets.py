"""Small data sets for tests, written to a folder."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from lucidbox.save.encode import save_image

NAMES = ("person", "car", "dog")
CATEGORIES = [{"id": number, "name": name} for number, name in zip((1, 3, 18), NAMES, strict=True)]


def picture(path: Path, width: int = 64, height: int = 48, seed: int = 0) -> Path:
    """A picture of noise; the seed tells pictures apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    save_image(path, pixels)
    return path


def turned(path: Path, width: int, height: int) -> Path:
    """A JPEG whose EXIF says that it is to be turned by a quarter: width and height are as stored."""
    content = picture(path, width, height).read_bytes()
    tags = struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tags
    path.write_bytes(content[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + content[2:])
    return path


def image(number: int, width: int = 64, height: int = 48, **changes: Any) -> dict[str, Any]:
    return {"id": number, "file_name": f"{number:03d}.png", "width": width, "height": height} | changes


def annotation(
    number: int, image_id: int = 1, box: Any = (4, 4, 10, 20), category: int = 1, **changes: Any
) -> Any:
    fields = {"id": number, "image_id": image_id, "category_id": category, "bbox": list(box)}
    return fields | {"area": 10, "iscrowd": 0} | changes


def coco(folder: Path, images: Any = None, annotations: Any = None, **changes: Any) -> Path:
    """A JSON, by default of one picture and one object, and the pictures it names; fields can be changed."""
    images = [image(1)] if images is None else images
    annotations = [annotation(1)] if annotations is None else annotations
    document = {"images": images, "annotations": annotations, "categories": CATEGORIES} | changes
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "instances.json"
    file.write_text(json.dumps({key: value for key, value in document.items() if value is not ...}))
    for seed, one in enumerate(images if isinstance(images, list) else []):
        if isinstance(one, dict) and isinstance(one.get("file_name"), str) and one["file_name"]:
            picture(folder / "images" / one["file_name"], 64, 48, seed)
    return file


def yolo(folder: Path, labels: dict[str, str | None], yaml: str | None = None) -> Path:
    """A data.yaml with one part, train, and its pictures; None means no label file."""
    for seed, (stem, text) in enumerate(labels.items()):
        picture(folder / "images" / "train" / f"{stem}.png", seed=seed)
        if text is not None:
            file = folder / "labels" / "train" / f"{stem}.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    file = folder / "data.yaml"
    file.write_text(yaml or f"train: images/train\nnc: 3\nnames: [{', '.join(NAMES)}]\n")
    return file


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder and what is in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
