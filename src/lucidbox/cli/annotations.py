"""What ``--annotations`` names: a COCO file, or a data set in any format that ``lucidbox data`` reads."""

from pathlib import Path

from lucidbox.cli.console import say_note
from lucidbox.core.errors import OptionError
from lucidbox.evaluate import Truth, load_truth

_DATA_SETS = (".yaml", ".yml", ".toml", ".data", ".names", ".txt")
"""Suffixes of files that describe a data set; all others are read as COCO JSON."""


def read_annotations(path: str, part: str | None = None) -> tuple[Truth, Path | None]:
    """The annotations, and the folder of their images if they name it.

    Args:
        path: of a COCO JSON file, of a data set's file, or of a folder that holds one.
        part: of the data set; by default the only one, or ``val``. If there are several, the choice is reported.

    Raises:
        OptionError: there is no such data set or part.
        DataError: it cannot be read.
    """
    if not Path(path).is_dir() and Path(path).suffix.lower() not in _DATA_SETS:
        if part is not None:
            raise OptionError(f"--part {part}: {path} has no parts; name a data.yaml, a data.toml or a folder")
        return load_truth(path), None
    from lucidbox.datasets import read_truth

    found = read_truth(path, part)
    if len(found.names) > 1:
        say_note(f"evaluated on the part {found.name} of {', '.join(found.names)}; --part chooses another")
    return found.truth, found.root
