"""What a path holds: COCO JSON files, a YOLO ``data.yaml``, or a TOML that names splits."""

import re
import tomllib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from lucidbox.core.errors import DataError, OptionError
from lucidbox.datasets.locate import count_found
from lucidbox.formats.yolo.without_yaml import CLASS_LISTS, is_described_so

COCO_LAYOUTS = ("instances.json", "*.json", "annotations/instances_*.json", "*/_annotations.coco.json")
_TABLE_KEYS = {"annotations", "images"}
_NAMES_TRIED = 32


@dataclass(frozen=True)
class CocoPart:
    """One annotation file.

    Attributes:
        name: of the split.
        annotations: the JSON.
        images: folder of its images; None to look for it, see :func:`image_folder`.
    """

    name: str
    annotations: Path
    images: Path | None = None


@dataclass(frozen=True)
class YoloFile:
    """A ``data.yaml``, or the file that stands for it, not yet read."""

    path: Path


def find_data(path: Path, images: Path | None = None) -> tuple[CocoPart, ...] | YoloFile:
    """What a data set consists of.

    Args:
        path: a ``.json``, ``.yaml``, ``.toml`` or ``.data`` file, a ``classes.txt`` or ``obj.names``, or a folder
            that holds one. In a folder, COCO files are looked for as ``instances.json`` or the only JSON, as
            ``annotations/instances_NAME.json``, and as ``NAME/_annotations.coco.json``.
        images: folder of the images of a COCO JSON.

    Raises:
        OptionError: there is nothing of the kind, or too much to choose from.
        DataError: a TOML file is malformed.
    """
    if images is not None and not images.is_dir():
        raise OptionError(f"--images {images}: no such folder")
    found = _in_folder(path) if path.is_dir() else [path]
    suffix = found[0].suffix.lower()
    if not found[0].is_file():
        raise OptionError(f"{path}: no such file or folder")
    if images is not None and (len(found) > 1 or suffix != ".json"):
        raise OptionError(f"--images {images}: goes with one COCO JSON file; {path} says where its pictures are")
    if suffix in (".yaml", ".yml") or is_described_so(found[0]):
        return YoloFile(found[0])
    if suffix == ".toml":
        return _read_toml(found[0])
    return tuple(CocoPart(_part_name(file, path), file, images) for file in found)


def _in_folder(folder: Path) -> list[Path]:
    yamls = sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")])
    described = [file for file in (folder / "data.yaml", folder / "data.yml") if file in yamls] or yamls
    tables = sorted(folder.glob("data.toml"))
    layouts = (sorted(folder.glob(layout)) for layout in COCO_LAYOUTS)
    jsons: list[Path] = next(filter(None, layouts), [])
    plain = [*folder.glob("obj.data"), *(folder / name for name in CLASS_LISTS if (folder / name).is_file())][:1]
    # Label Studio puts notes.json beside its classes.txt.
    jsons = [file for file in jsons if not (plain and file.name == "notes.json")]
    if plain and not (described or tables or jsons):
        return plain
    one_each = len(jsons) == 1 or (bool(jsons) and jsons[0].parent != folder)
    kinds = [kind for kind in (described, tables, jsons) if kind]
    # The TOML that "data split" writes is beside the JSON files that it names.
    if tables and not described:
        return tables
    if len(kinds) > 1 or len(described) > 1 or (jsons and not one_each):
        names = ", ".join(file.name for kind in kinds for file in kind[:3])
        raise OptionError(f"{folder}: several files could be meant ({names}); name one of them")
    if not kinds:
        looked = f"data.yaml, data.toml, obj.data, {', '.join((*CLASS_LISTS, *COCO_LAYOUTS))}"
        raise OptionError(f"{folder}: no data set in this folder; looked for {looked}")
    return kinds[0]


def _part_name(file: Path, path: Path) -> str:
    """A split's name: what follows ``instances_``, its folder's name, or the split named in the file's name."""
    if file.name == "_annotations.coco.json":
        return file.parent.name
    if file.stem.startswith("instances_") and path.is_dir():
        return file.stem.removeprefix("instances_")
    named = re.search(r"train|val|test", file.stem)
    return named[0] if named else "all"


def _read_toml(file: Path) -> tuple[CocoPart, ...]:
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise DataError(f"{file}: cannot be read as TOML: {error}") from error
    if not document:
        raise DataError(f'{file}: names no parts; write [train] with annotations = "…" and images = "…"')
    return tuple(_table_part(file, name, table) for name, table in document.items())


def _table_part(file: Path, name: str, table: Any) -> CocoPart:
    if not isinstance(table, dict):
        raise DataError(f"{file}: {name}: must be a table [{name}] with annotations and images")
    unknown = sorted(table.keys() - _TABLE_KEYS)
    if unknown:
        raise DataError(f"{file}: [{name}]: unknown key {unknown[0]}; known are annotations and images")
    for key in sorted(_TABLE_KEYS):
        if not isinstance(table.get(key, ""), str) or (key == "annotations" and key not in table):
            raise DataError(f"{file}: [{name}]: {key} must be a path in quotes")
    images = file.parent / table["images"] if "images" in table else None
    return CocoPart(name, file.parent / table["annotations"], images)


def image_root(part: CocoPart, file_names: tuple[str, ...]) -> Path | None:
    """The folder that a JSON's file names are relative to; None if it was not found."""
    root = image_folder(part.annotations, file_names) if part.images is None else part.images
    return root if root is not None and root.is_dir() else None


def image_folder(annotations: Path, file_names: tuple[str, ...]) -> Path | None:
    """The folder of a JSON's images, if it is in one of the usual places.

    These are the JSON's folder, ``images`` and the split's name beside it and one above, the latter also within
    ``images``. The one that holds most of the first images is taken, the earlier of equals; if none holds any, the
    one with most files of the same base names or longer ends. Absolute names that exist can be found from any
    folder, so they do not count; if all are so, the folder is the JSON's own.
    """
    beside, part = annotations.parent, annotations.stem.removeprefix("instances_")
    candidates = [beside]
    for base in (beside, beside.parent):
        candidates += [base / "images" / part, base / "images", base / part]
    elsewhere = (name for name in file_names if not (Path(name).is_absolute() and Path(name).is_file()))
    tried = list(islice(elsewhere, _NAMES_TRIED))
    if file_names and not tried:
        return beside
    for by_end in (False, True):
        hits = [count_found(folder, tried, by_end=by_end) for folder in candidates]
        if any(hits):
            return candidates[hits.index(max(hits))]
    return None
