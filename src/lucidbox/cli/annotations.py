"""What ``--annotations`` names: a COCO file, or a data set in any format that ``lucidbox data`` reads."""

from pathlib import Path

from lucidbox.cli.console import say_note
from lucidbox.core.errors import OptionError
from lucidbox.evaluate import Truth, load_truth


def read_annotations(path: str, part: str | None = None) -> tuple[Truth, Path | None]:
    """The annotations, and the folder of their images if they name it.

    Args:
        path: of a COCO JSON file, of a data set's file, or of a folder that holds one.
        part: of the data set; by default the only one, or ``val``. If there are several, the choice is reported.

    Raises:
        OptionError: there is no such data set or part.
        DataError: it cannot be read.
    """
    if not Path(path).is_dir() and Path(path).suffix.lower() not in (".yaml", ".yml", ".toml"):
        if part is not None:
            raise OptionError(f"--part {part}: {path} has no parts; name a data.yaml, a data.toml or a folder")
        return load_truth(path), None
    from lucidbox.datasets import read_dataset, to_truth

    reading = read_dataset(path)
    names = [dataset.name for dataset in reading.parts]
    if part is None and len(names) > 1 and "val" not in names:
        raise OptionError(f"{path}: there are several parts; choose with --part one of: {', '.join(names)}")
    dataset = reading.part(part or ("val" if "val" in names else None))
    if len(names) > 1:
        say_note(f"evaluated on the part {dataset.name} of {', '.join(names)}; --part chooses another")
    if reading.form == "coco":
        # Read by the reader of COCO files: the same file gives the same numbers, whether it is named or found.
        return load_truth(dataset.source), dataset.root
    left_out = tuple(f"{one.place}: {one.message}; left out" for one in reading.problems if one.left_out)
    return to_truth(dataset, notes=reading.notes + left_out), dataset.root
