"""Results as JSON Lines: the record of one image, and a file of records that holds whole lines only."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from lucidbox.core.errors import LucidboxError, OutputError
from lucidbox.core.filesystem import PendingFile, output_error
from lucidbox.detect.stream import Result
from lucidbox.save.writers import Saved
from lucidbox.sources import Failure

_File = TypeVar("_File", bound="LineFile")


def json_record(result: Result, saved: Saved | None = None, error: object = None) -> dict[str, Any]:
    """The record of one image: source, width, height, detections, milliseconds, and where it was saved.

    A frame of a video also has its number from 0, ``frame``, and ``time``, seconds from the video's start; they
    follow ``height``. Boxes are in pixels of the image as a viewer shows it.
    ``docs/reference/predict.schema.json`` is the schema of this and all other records.

    Args:
        result: the image and what was found.
        saved: the files that it was saved in: ``saved``, ``text`` and ``crops``, as far as they were asked for.
        error: why it could not be saved.
    """
    picture = result.picture
    height, width = picture.size
    place = {"frame": picture.frame, "time": picture.time}
    image, text, crops = saved or Saved()
    files = {
        "saved": image and str(image),
        "text": text and str(text),
        "crops": None if crops is None else [*map(str, crops)],
    }
    return {
        "source": picture.source,
        "width": width,
        "height": height,
        **{key: round(value, 3) for key, value in place.items() if value is not None},
        "detections": result.detections.to_dicts(),
        "milliseconds": round(result.milliseconds, 2),
        **{key: value for key, value in files.items() if value is not None},
        **({} if error is None else {"error": str(error)}),
    }


def failure_record(failure: Failure) -> dict[str, Any]:
    """The record of what could not be read; of a video that lost a part, also how many ``frames`` and ``lost``."""
    return {"source": failure.source, "error": str(failure.error), **failure.counts}


def json_line(record: dict[str, Any] | list[Any]) -> str:
    """One line of JSON Lines, without its line end.

    What UTF-8 cannot hold, such as the stray bytes of a broken file name, becomes "?".
    """
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode(errors="replace").decode()


class LineFile:
    """Writes a new text file line by line; never replaces a file that exists.

    The file gets its name when the block ends, normally, by Ctrl-C or by a ``LucidboxError``; after any other
    error it is removed. After a line that could not be written (a full disk) the file holds the lines before it,
    and no more are taken: ``write_line`` raises once, later calls do nothing, so that a caller may report the
    error and go on with other work. A file without a line is kept only if nothing failed.

    Example:
        >>> with LineFile("tracks.txt") as lines:
        ...     lines.write_line("1,1,10,20,30,40,0.9,-1,-1,-1")

    Raises:
        OutputError: on entering: the file exists; or, then or on writing or leaving, it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path

    def __enter__(self: _File) -> _File:
        """Open the file under its temporary name."""
        # isfile is False, never an error, for what cannot be looked at; the pending file reports that.
        if os.path.isfile(self._path):  # noqa: PTH113
            raise OutputError(f"{self._path}: exists already; choose another name")
        self._pending = PendingFile(self._path)
        self._whole_bytes = 0
        self._failed = False
        try:
            with self._reported():
                self._stream = self._pending.temporary.open("wb", buffering=0)
        except OutputError:
            self._pending.discard()
            raise
        return self

    def write_line(self, text: str) -> None:
        """Add one line; does nothing after a call that raised ``OutputError``."""
        if self._failed:
            return
        line = f"{text}\n".encode()
        try:
            with self._reported():
                written = 0
                while written < len(line):  # a disk that fills up takes a part first, then raises
                    written += self._stream.write(line[written:])
        except OutputError:
            self._failed = True
            raise
        self._whole_bytes += len(line)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the file its name, with the whole lines; remove it after an unforeseen error."""
        foreseen = kind is None or issubclass(kind, (KeyboardInterrupt, LucidboxError))
        ended_well = kind is None and not self._failed
        try:
            with self._reported(), self._stream:
                self._stream.truncate(self._whole_bytes)  # part of a line, from a failure or Ctrl-C
            if ended_well or (foreseen and self._whole_bytes):
                self._pending.commit()
        finally:
            self._pending.discard()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise output_error(self._pending.path, error) from error


class JsonLines(LineFile):
    """A :class:`LineFile` of JSON Lines.

    Example:
        >>> with JsonLines("found.jsonl") as lines:
        ...     lines.write({"source": "street.jpg"})
    """

    def write(self, record: dict[str, Any]) -> None:
        """Add one record; does nothing after a call that raised ``OutputError``."""
        self.write_line(json_line(record))
