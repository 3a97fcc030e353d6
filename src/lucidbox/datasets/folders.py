"""Writing a whole new folder, or nothing."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import output_error


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
        temporary = Path(tempfile.mkdtemp(prefix=".lucidbox-", dir=target.parent))
    except OSError as error:
        raise output_error(target, error) from error
    try:
        inner = temporary / "new"  # mkdtemp's own folder is closed to others; this one has the usual mode
        inner.mkdir()
        yield inner
        _refuse_existing(target)
        if target.exists():
            target.rmdir()
        inner.rename(target)
    except OSError as error:
        raise output_error(target, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _refuse_existing(target: Path) -> None:
    try:
        taken = target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir())))
    except OSError as error:
        raise output_error(target, error) from error
    if taken:
        raise OutputError(f"{target}: exists already and is never overwritten; choose a new folder")
