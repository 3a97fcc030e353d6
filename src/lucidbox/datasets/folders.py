"""Writing a whole new folder, or nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import output_error
from lucidbox.core.temporary import temporary_folder


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder to fill, which becomes ``path`` when the block ends well.

    On any exception, Ctrl-C included, nothing is left.

    Raises:
        OutputError: ``path`` exists and is not an empty folder, or cannot be written.
    """
    target = Path(path)
    _refuse_existing(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(target.parent) as temporary:
            inner = temporary / "new"  # the temporary folder is closed to others; this one has the usual mode
            inner.mkdir()
            yield inner
            _refuse_existing(target)
            if target.exists():
                target.rmdir()
            inner.rename(target)
    except OSError as error:
        raise output_error(target, error) from error


def _refuse_existing(target: Path) -> None:
    try:
        taken = target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir())))
    except OSError as error:
        raise output_error(target, error) from error
    if taken:
        raise OutputError(f"{target}: exists already and is never overwritten; choose a new folder")
