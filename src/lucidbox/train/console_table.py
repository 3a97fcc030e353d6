"""A CSV file of numbers that grows, survives crashes, and can be cut where a resumed training goes on."""

import os
from collections.abc import Mapping
from pathlib import Path

from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import atomic_write, output_error


class Table:
    """A growing CSV file of numbers, which holds whole lines only and rises by its first column.

    Floats are written so that they read back bit for bit.

    Args:
        path: of the file; its columns are the names of the first row.
        keep_until: None for a new file. Otherwise lines are kept that are whole and not beyond this in the first
            column, and further ones must have the same columns.

    Raises:
        OutputError: the file cannot be written, or there is one though it should be new.
    """

    def __init__(self, path: Path, keep_until: int | None = None) -> None:
        self._path = path
        self._columns: list[str] = []
        self._waiting: list[str] = []
        try:
            if keep_until is not None and path.exists():
                kept = _whole_lines(path.read_bytes(), keep_until)
                atomic_write(path, kept)  # not truncated in place: a full disk must not cost lines
                self._columns = kept.decode(errors="replace").partition("\n")[0].split(",") if kept else []
            else:
                path.touch(exist_ok=False)
            self._stream = path.open("ab", buffering=0)
        except OSError as error:
            raise output_error(path, error) from error

    def add(self, row: Mapping[str, float]) -> None:
        """Take a row; it reaches the file with the next :meth:`flush`.

        Raises:
            OutputError: its names are not those of the rows before.
        """
        if not self._columns:
            self._columns = list(row)
            self._waiting.append(",".join(self._columns))
        if list(row) != self._columns:
            there, new = ", ".join(self._columns), ", ".join(row)
            raise OutputError(f"{self._path}: has the columns {there}, not {new}; move the file away to go on")
        self._waiting.append(",".join(_number(value) for value in row.values()))

    def flush(self) -> None:
        """Write all rows taken so far, to the disk itself.

        Raises:
            OutputError: not all can be written; then none is, and they wait on.
        """
        content = "".join(f"{line}\n" for line in self._waiting).encode()
        try:
            whole = os.fstat(self._stream.fileno()).st_size
            try:
                self._write(content)
            except BaseException:  # a part may be there already, from a full disk or Ctrl-C
                self._stream.truncate(whole)
                raise
        except OSError as error:
            raise output_error(self._path, error) from error
        self._waiting.clear()

    def close(self) -> None:
        """Write what waits, and let the file go.

        Raises:
            OutputError: as for :meth:`flush`.
        """
        with self._stream:
            self.flush()

    def _write(self, content: bytes) -> None:
        while content:
            content = content[self._stream.write(content) or 0 :]
        os.fsync(self._stream.fileno())


def _number(value: float) -> str:
    # NumPy's floats are floats too, but have a repr of their own.
    return repr(float(value)) if isinstance(value, float) else str(value)


def _whole_lines(content: bytes, keep_until: int) -> bytes:
    """The header and the lines up to this number, before any that is not whole: a crash may leave anything."""
    lines = content.splitlines(keepends=True)
    cells = lines[0].count(b",") if lines else 0
    kept = lines[:1] if lines and lines[0].endswith(b"\n") else []
    for line in lines[1:]:
        first = line.partition(b",")[0]
        whole = line.endswith(b"\n") and line.count(b",") == cells and first.isdigit()
        if not kept or not whole or int(first) > keep_until:
            break
        kept.append(line)
    return b"".join(kept)
