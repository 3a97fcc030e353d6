"""Where label files are, for the images of a YOLO data set."""

import os
from collections.abc import Iterator
from pathlib import Path

_IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img", "jpegimages"})
_LABEL_FOLDERS = ("labels", "Labels", "LABELS")


def label_path(picture: Path) -> Path:
    """Where the labels of an image belong.

    The last folder called ``images`` becomes ``labels``, the suffix ``.txt``. Where no folder is called so, the
    labels are beside the image.
    """
    return next(label_folders(picture.parent)) / f"{picture.stem}.txt"


def label_folders(folder: Path) -> Iterator[Path]:
    """Where labels of a folder's images may be: the usual place first, beside them, and where a link leads."""
    parts = folder.parts
    places = [index for index, part in enumerate(parts) if part.casefold() in _IMAGE_FOLDERS]
    for index in sorted(places, key=lambda index: (parts[index] != "images", -index)):
        yield from (Path(*parts[:index], name, *parts[index + 1 :]) for name in _LABEL_FOLDERS)
    yield folder
    real = folder.resolve()
    if real != folder:
        yield from label_folders(real)


class LabelFiles:
    """Finds label files; each folder is listed once."""

    def __init__(self) -> None:
        self._folders: dict[Path, tuple[Path, ...]] = {}
        self._listed: dict[Path, dict[str, Path]] = {}

    def of(self, picture: Path) -> Path | None:
        """The label file of an image, by its absolute path; None if there is none."""
        for folder in self.folders(picture.parent):
            file = self.listed(folder).get(picture.stem)
            if file is not None:
                return file
        return None

    def folders(self, folder: Path) -> tuple[Path, ...]:
        """The folders with label files, of those where labels of a folder's images may be."""
        if folder not in self._folders:
            self._folders[folder] = tuple(filter(self.listed, dict.fromkeys(label_folders(folder))))
        return self._folders[folder]

    def listed(self, folder: Path) -> dict[str, Path]:
        """The text files of a folder, by their names without suffix."""
        if folder not in self._listed:
            files = [(*os.path.splitext(name), name) for name in files_in(folder)]  # noqa: PTH122  # of every file
            files = sorted(file for file in files if file[1].lower() == ".txt")
            self._listed[folder] = {
                stem: folder / name for stem, _, name in files
            }  # of a.TXT and a.txt, the latter
        return self._listed[folder]


def files_in(folder: Path) -> list[str]:
    """Names of the files in a folder; none if it is no folder."""
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_file()]
    except OSError:
        return []
