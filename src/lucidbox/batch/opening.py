"""From what a user named to a manifest."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from lucidbox.batch.manifest import Manifest, NamedImages, counted
from lucidbox.batch.parquet_manifest import tabled_images
from lucidbox.batch.text_manifest import listed_images
from lucidbox.core.errors import OptionError, SourceError
from lucidbox.core.file_names import PICTURE_EXTENSIONS
from lucidbox.core.storage import exists, is_address, is_folder, local_path, matching, stored_files
from lucidbox.sources.folders import Found, find_by_pattern, find_in_folder


def open_manifest(source: str, *, column: str | None = None) -> Manifest:
    """Number the images that a name stands for. Their files are not looked at.

    Args:
        source: a folder, a pattern with ``*`` or ``?``, a text file (``.txt``) with one path or address a line, a
            Parquet file (or folder, or pattern of such) or one image; by path or address. Relative names in a
            manifest begin at its own folder. Folders of object storage are looked into to the end, those of this
            machine are not.
        column: of Parquet, the column of names or of encoded images; by default ``bytes``, else ``uri``.

    Raises:
        SourceError: it cannot be read.
        DataError: it names no image, or has no such column.
    """
    if not source:
        raise SourceError("an empty name is no manifest")
    here = local_path(source)
    if glob.has_magic(source) and not (here and here.exists()):
        return _of_files(source, *_matched(source), column)
    if is_folder(source):
        return _of_files(source, *_held(source), column)
    if source.lower().endswith(".txt"):
        _no_column(column, source)
        return listed_images(source)
    if not exists(source):
        raise SourceError(f"{source}: does not exist")
    return _of_files(source, [source], (), column)


def _of_files(source: str, names: Sequence[str], notes: tuple[str, ...], column: str | None) -> Manifest:
    """A manifest of files: Parquet is read as manifests, other files are the images themselves."""
    if _are_tables(names):
        return tabled_images(source, names, column)
    _no_column(column, source)
    base = "" if is_address(source) else str(Path.cwd())
    count, digest = counted(source, map(os.fsencode, names))
    return NamedImages(source, count, digest, base, tuple(names), notes=notes)


def _no_column(column: str | None, source: str) -> None:
    if column is not None:
        raise OptionError(f"--column {column}: {source} is no Parquet file")


def _are_tables(names: Sequence[str]) -> bool:
    return bool(names) and all(name.lower().endswith((".parquet", ".pq")) for name in names)


def _held(folder: str) -> tuple[list[str], tuple[str, ...]]:
    """Images in a folder, or, if there are only such, its Parquet files; and what is passed over."""
    here = local_path(folder)
    files = [one.uri for one in stored_files(folder, deep=here is None)]
    if here is None or _are_tables(files):
        return _images_among(folder, files)
    return _told(find_in_folder(here, recursive=False))


def _matched(pattern: str) -> tuple[list[str], tuple[str, ...]]:
    """Images or Parquet files that a pattern matches, and what is passed over."""
    here = local_path(pattern)
    # Path.glob takes no absolute pattern.
    found = matching(pattern) if here is None else sorted(glob.glob(str(here), recursive=True))  # noqa: PTH207
    if here is None or _are_tables(found):
        return _images_among(pattern, found)
    return _told(find_by_pattern(str(here)))


def _images_among(source: str, names: list[str]) -> tuple[list[str], tuple[str, ...]]:
    """Of the files in object storage those that are images, by their extension."""
    if _are_tables(names):
        return names, ()
    images = [name for name in names if Path(name).suffix.lower() in PICTURE_EXTENSIONS]
    others = len(names) - len(images)
    return images, (f"{source}: {others} files of other kinds passed over",) if others else ()


def _told(found: Found) -> tuple[list[str], tuple[str, ...]]:
    """Images that were found on this machine, and what else."""
    videos = len(found.videos)
    name = found.passed_over.name
    notes = [*map(str, found.errors), *found.passed_over.lines()]
    notes += [f"{name}: {videos} videos passed over; lucidbox predict takes them"] if videos else []
    return [str(path) for path in found.pictures], tuple(notes)
