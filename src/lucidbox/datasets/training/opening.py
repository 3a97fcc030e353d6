"""Opening the two splits of a data set, for training and validation, from files or the hub."""

from dataclasses import dataclass
from pathlib import Path

from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.progress import Progress
from lucidbox.datasets.reading import read_dataset
from lucidbox.datasets.training.cleaning import check_files
from lucidbox.datasets.training.images import FilePictures, Pictures
from lucidbox.formats.dataset import DataSet, Reading
from lucidbox.formats.problems import Problem


@dataclass(frozen=True, eq=False)
class Opened:
    """Both splits as they are, their problems, and what was decided in reading them."""

    train: DataSet
    val: DataSet
    train_pictures: Pictures
    val_pictures: Pictures
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def open_files(path: str | Path, progress: Progress) -> Opened:
    """The splits of a data set in files.

    Raises:
        OptionError: there is no such data set, or no split for training or validation.
        DataError: a file cannot be understood, or the folder of images was not found.
    """
    reading = read_dataset(path, progress=progress)
    parts, problems = [], list(reading.problems)
    for role in ("train", "val"):
        part = _find_part(reading, role, path)
        if len(part) and part.root is None:
            raise DataError(
                f"{part.source}: the folder of its pictures was not found; name it in a TOML: "
                f'[{role}] annotations = "{Path(part.source).name}" images = "FOLDER"'
            )
        # Sizes of YOLO's images come from the images, and unreadable ones are left out already.
        if reading.format == "coco":
            checked = check_files(part, progress)
            problems += checked.problems
            part = checked.dataset
        parts.append(part)
    train, val = parts
    return Opened(train, val, FilePictures.of(train), FilePictures.of(val), tuple(problems), reading.notes)


def open_hub_data(argument: str, boxes: str, progress: Progress) -> Opened:
    """The splits of a Hugging Face data set; raises what :func:`~lucidbox.formats.hub.reading.open_hub` raises."""
    from lucidbox.formats.hub import reading

    found = reading.open_hub(argument, boxes, progress)
    train, val = found.train, found.val
    return Opened(train.dataset, val.dataset, train.pictures, val.pictures, found.problems, found.notes)


def _find_part(reading: Reading, role: str, path: str | Path) -> DataSet:
    """The part called ``role``, or else the only one whose name begins so: train2017, valid, validation."""
    alike = [part for part in reading.parts if part.name.lower().startswith(role)]
    found = [part for part in alike if part.name == role] or alike
    names = ", ".join(part.name for part in reading.parts)
    if len(found) > 1:
        raise OptionError(f"{path}: several parts could be meant for {role} ({names}); name one of them {role}")
    if not found:
        suffix = "toml" if reading.format == "coco" else "yaml"
        raise OptionError(
            f"{path}: has no part {role} (it has: {names}); make one with "
            f"lucidbox data split {path} NEW --parts train=0.9,val=0.1 and give NEW/data.{suffix}"
        )
    return found[0]
