"""The clock of a finished video: OpenCV encodes frames at one rate, here each gets its own time."""

import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from lucidbox.core.array_types import Float, Int

_HOLDERS = frozenset({b"moov", b"trak", b"edts", b"mdia", b"minf", b"stbl"})  # boxes that hold boxes
_MOST = 2**32 - 1
_AS_STORED = [cv2.CAP_PROP_FORMAT, -1]  # frames are read as they are stored, not decoded
_FINEST = 90_000  # units in a second

Change = Callable[[bytes], bytes]


def retime_mp4(path: Path, times: Float[np.ndarray, "n"], last: float) -> None:
    """Give every frame of an MP4 file that OpenCV wrote its time, by writing its last box, ``moov``, anew.

    Args:
        path: the file. Its frames are shown in the order in which they are stored.
        times: seconds from the video's start to each frame; one that is not later than the one before is made so.
        last: seconds that the last frame is shown.

    Raises:
        OSError: the file cannot be read or written.
    """
    units = int(max(1, min(_FINEST, _MOST / 2 / (times.max() + last + 1))))
    ticks = _ticks(times, units)
    durations = [*np.diff(ticks).tolist(), min(2**31, max(1, round(last * units)))]
    begin, shown = int(ticks[0]), sum(durations)
    # The movie has its own units, mostly milliseconds. Before a late first frame, an edit (-1) shows nothing.
    coarse = 1000 if begin + shown < units * _MOST // 2000 else 1
    wait, length = (-(-value * coarse // units) for value in (begin, shown))
    edits = [(wait, -1, 1 << 16)] * (wait > 0) + [(length, 0, 1 << 16)]
    runs = [(len(list(run)), duration) for duration, run in groupby(durations)]
    changes: Mapping[bytes, Change] = {
        b"mvhd": lambda old: old[:12] + struct.pack(">2I", coarse, min(_MOST, wait + length)) + old[20:],
        b"tkhd": lambda old: old[:20] + struct.pack(">I", min(_MOST, wait + length)) + old[24:],
        b"mdhd": lambda old: old[:12] + struct.pack(">2I", units, min(_MOST, shown)) + old[20:],
        b"elst": lambda old: old[:4] + _table(">IiI", edits),
        b"stts": lambda old: old[:4] + _table(">2I", runs),
    }
    with path.open("rb+") as file:
        place = 0
        while (header := file.read(16))[4:8] != b"moov":
            size = int.from_bytes(header[:4], "big")
            place += int.from_bytes(header[8:], "big") if size == 1 else size
            if size == 0 or len(header) < 8:  # no such box: then it is no whole file, which its reader will say
                return
            file.seek(place)
        file.seek(place)
        movie = file.read()
        file.seek(place)
        file.write(_changed(movie, changes))
        file.truncate()


def retime_webm(encoded: Path, timed: Path, times: Float[np.ndarray, "n"]) -> int:
    """Copy the frames of a Matroska file that OpenCV wrote to a new WebM file, each with its time in milliseconds.

    Args:
        encoded: the file to read, VP8.
        timed: the file to write. Its name ends in ".mkv": OpenCV complains on standard error about VP8 in ".webm".
        times: seconds from the video's start to each frame; one that is not later than the one before is made so.

    Returns:
        Number of frames that the new file holds.

    Raises:
        OSError: the new file cannot be written.
    """
    reader = cv2.VideoCapture(str(encoded), cv2.CAP_FFMPEG, _AS_STORED)
    size = (int(reader.get(cv2.CAP_PROP_FRAME_WIDTH)), int(reader.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    code, raw = cv2.VideoWriter.fourcc(*"VP80"), [cv2.VIDEOWRITER_PROP_RAW_VIDEO, 1]
    writer = cv2.VideoWriter(str(timed), cv2.CAP_FFMPEG, code, 1000, size, raw)
    for tick in _ticks(times, 1000).tolist():
        there, frame = reader.read()
        if not there:
            break
        writer.set(cv2.VIDEOWRITER_PROP_KEY_FLAG, reader.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME))
        writer.set(cv2.VIDEOWRITER_PROP_PTS, tick)
        writer.write(frame)
    writer.release()
    reader.release()
    _make_webm(timed)
    check = cv2.VideoCapture(str(timed), cv2.CAP_FFMPEG, _AS_STORED)
    found = 0
    while check.grab():
        found += 1
    check.release()
    return found


def _make_webm(path: Path) -> None:
    """State in a Matroska file that it is WebM, and not that a frame lasts 1 ms; void elements fill the gaps."""
    with path.open("rb+") as file:
        header = file.read(4096)
        file.seek(0)
        header = header.replace(b"\x42\x82\x88matroska", b"\x42\x82\x84webm\xec\x82\0\0", 1)
        file.write(header.replace(b"\x23\xe3\x83\x83\x0f\x42\x40", b"\xec\x85\0\0\0\0\0", 1))


def _ticks(times: Float[np.ndarray, "n"], units: int) -> Int[np.ndarray, "n"]:
    """Times as whole numbers that rise by one at least."""
    order = np.arange(len(times))
    ticks = np.rint(np.clip(times * units, 0, 2**31 - 1 - len(times))).astype(np.int64)
    return np.maximum.accumulate(ticks - order) + order


def _table(layout: str, rows: Sequence[tuple[int, ...]]) -> bytes:
    return struct.pack(">I", len(rows)) + b"".join(struct.pack(layout, *row) for row in rows)


def _changed(boxes: bytes, changes: Mapping[bytes, Change]) -> bytes:
    """Boxes, one after the other, some with changed content, and those that hold them with their new length."""
    parts: list[bytes] = []
    place = 0
    while place + 8 <= len(boxes):
        length, kind = struct.unpack_from(">I4s", boxes, place)
        content = boxes[place + 8 : place + length]
        if kind in _HOLDERS:
            content = _changed(content, changes)
        elif kind in changes:
            content = changes[kind](content)
        parts.append(struct.pack(">I4s", 8 + len(content), kind) + content)
        place += max(8, length)
    return b"".join(parts)
