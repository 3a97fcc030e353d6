"""A CSV file of numbers that grows, survives crashes, and is cut where a resumed training continues."""

import os
from collections.abc import Mapping
from pathlib import Path

from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import atomic_write, output_error


class CsvTable:
    """A growing CSV file of numbers. It always holds whole lines only; the first column counts upwards.

    Floats are written so that they read back bit for bit.

    Args:
        path: the file; its columns are the names of the first row.
        keep_until: None for a new file. Otherwise whole lines with at most this number in the first column are
            kept, and further rows must have the same columns.
        rows_at_once: rows are written to the disk when so many wait.

    Raises:
        OutputError: the file cannot be written, or there is one though it should be new.

    Example:
        >>> table = CsvTable(Path("metrics.csv"))
        >>> table.add({"epoch": 1, "loss": 0.5})
        >>> table.close()
    """

    def __init__(self, path: Path, keep_until: int | None = None, rows_at_once: int = 1) -> None:
        self._path = path
        self._rows_at_once = rows_at_once
        self._columns: list[str] = []
        self._waiting: list[str] = []
        try:
            if keep_until is not None and path.exists():
                content = _whole_lines(path.read_bytes(), keep_until)
                atomic_write(path, content)  # not truncated in place: a full disk must not cost lines
                self._columns = content.decode(errors="replace").partition("\n")[0].split(",") if content else []
            else:
                path.touch(exist_ok=False)
            self._stream = path.open("ab", buffering=0)
        except OSError as error:
            raise output_error(path, error) from error

    def add(self, row: Mapping[str, float]) -> None:
        """Add a row, and write the waiting rows if they are enough.

        Raises:
            OutputError: its names are not those of the rows before, or the rows cannot be written.
        """
        line = ",".join(_number(value) for value in row.values())
        if not self._columns:
            self._columns = list(row)
            line = f"{','.join(self._columns)}\n{line}"
        if list(row) != self._columns:
            there, new = ", ".join(self._columns), ", ".join(row)
            raise OutputError(f"{self._path}: has the columns {there}, not {new}; move the file away to go on")
        self._waiting.append(line)
        if len(self._waiting) >= self._rows_at_once:
            self.flush()

    def flush(self) -> None:
        """Write all waiting rows to the disk.

        Raises:
            OutputError: not all can be written; then none is, and they keep waiting.
        """
        content = "".join(f"{line}\n" for line in self._waiting).encode()
        try:
            whole = os.fstat(self._stream.fileno()).st_size
            try:
                while content:
                    content = content[self._stream.write(content) or 0 :]
                os.fsync(self._stream.fileno())
            except BaseException:  # a part may be there already, from a full disk or Ctrl-C
                self._stream.truncate(whole)
                raise
        except OSError as error:
            raise output_error(self._path, error) from error
        self._waiting.clear()

    def close(self) -> None:
        """Write the waiting rows and close the file; raises OutputError like :meth:`flush`."""
        with self._stream:
            self.flush()


def _number(value: float) -> str:
    # NumPy's floats are floats too, but have a repr of their own.
    return repr(float(value)) if isinstance(value, float) else str(value)


def _whole_lines(content: bytes, keep_until: int) -> bytes:
    """The header and the lines up to this number, before any that is not whole: a crash may leave anything."""
    header, *lines = content.splitlines(keepends=True) or [b""]
    if not header.endswith(b"\n"):
        return b""
    whole = [header]
    for line in lines:
        first = line.partition(b",")[0]
        if not line.endswith(b"\n") or line.count(b",") != header.count(b",") or not first.isdigit():
            break
        if int(first) > keep_until:
            break
        whole.append(line)
    return b"".join(whole)
