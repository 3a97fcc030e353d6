"""Whether a video file lost its end, told from the sizes that its container states.

A decoder cannot tell: at a missing end it just stops, often after a last frame that is partly grey.
"""

from pathlib import Path
from typing import BinaryIO

_MATROSKA, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_RIFF_UNKNOWN = frozenset({0, 0xFFFFFFFF})  # writers that cannot go back, or past 4 GiB, leave these
_ISO_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"})


def is_cut_short(path: Path) -> bool:
    """True if the container of an AVI, MP4, MOV, MKV or WebM states more bytes than the file has.

    False for a whole file, and for containers that state no size (transport streams, live recordings).

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start.startswith(b"RIFF"):
            length = int.from_bytes(start[4:], "little")
            return length not in _RIFF_UNKNOWN and 8 + length > size
        if start.startswith(_MATROSKA):
            return _end_of_segment(file) > size
        return start[4:] in _ISO_FIRST_BOXES and _end_of_boxes(file, size) > size


def _end_of_boxes(file: BinaryIO, size: int) -> int:
    """Where the last top-level box ends. A box is a 32-bit length, a type, and for length 1 a 64-bit length."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if length < 8:  # 0: up to the end of the file, however long; others: no box
            return position
        position += length
    return position


def _end_of_segment(file: BinaryIO) -> int:
    """Where the one segment of a Matroska file ends; 0 if it does not say (EBML, RFC 8794)."""
    file.seek(len(_MATROSKA))
    file.seek(_read_size(file), 1)
    if file.read(len(_SEGMENT)) != _SEGMENT:
        return 0
    length = _read_size(file)
    return file.tell() + length if length else 0


def _read_size(file: BinaryIO) -> int:
    """A variable-length integer: as many leading zero bits as bytes follow. All ones, "unknown", gives 0."""
    first = file.read(1)
    if not first or not first[0]:
        return 0
    more = 8 - first[0].bit_length()
    value = int.from_bytes(bytes([first[0] & (0x7F >> more)]) + file.read(more), "big")
    return 0 if value == (1 << 7 * (more + 1)) - 1 else value
