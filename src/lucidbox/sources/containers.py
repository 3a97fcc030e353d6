"""What a video file's container states: whether it lost its end, how many frames it has, which codec they need.

A decoder cannot tell: at a missing end it just stops, often after a last frame that is partly grey, and it leaves
out frames that it cannot decode.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_MATROSKA, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_RIFF_UNKNOWN = frozenset({0, 0xFFFFFFFF})  # writers that cannot go back, or past 4 GiB, leave these
_ISO_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"})
_ISO_FRAMES = frozenset({b"moov", b"moof", b"mdat"})
_ISO_PICTURES = frozenset({b"avif", b"avis", b"heic", b"heix", b"heif", b"mif1", b"msf1", b"jp2 ", b"jpx "})
_FIRST_BYTES = re.compile(
    rb"RIFF....(?:AVI |AVIX)|\x1a\x45\xdf\xa3|FLV\x01|OggS|\x30\x26\xb2\x75|\0\0\0?\x01[\xb3\xba\x67\x40]"
    rb"|\x47.{187}\x47|.{4}\x47.{191}\x47",
    re.DOTALL,
)
_MOST_BOXES = 1_000_000  # that are looked at, so that no file can take minutes
_CODECS = {"av01": "AV1", "V_AV1": "AV1", "vvc1": "VVC (H.266)", "vvi1": "VVC (H.266)", "encv": "encrypted"}

Box = tuple[bytes, int, int]
"""A box of an MP4 or MOV file, or a chunk of an AVI file: its type, where its content starts, where it ends."""


def begins_like_video(start: bytes) -> bool:
    """Whether the first 400 bytes of a file are those of a video of a common kind."""
    if start[4:8] in _ISO_FIRST_BOXES:
        return start[4:8] != b"ftyp" or start[8:12] not in _ISO_PICTURES
    return _FIRST_BYTES.match(start) is not None


def is_cut_short(path: Path) -> bool:
    """True if the container of an AVI, MP4, MOV, MKV, WebM or WMV states more bytes than the file has.

    False for a whole file, also where other bytes follow its end, or where an AVI counts its first eight bytes
    twice; and for containers that state no size (transport streams, live recordings).

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        if start.startswith(b"RIFF"):
            length = int.from_bytes(start[4:], "little")
            return length not in _RIFF_UNKNOWN and length > size
        if start.startswith(_MATROSKA):
            return _end_of_segment(file) > size
        if start == _ASF[:8]:
            header = file.read(4096)
            place = header.find(_ASF_FILE) + len(_ASF_FILE) + 24  # behind the object's length and the file's id
            return place > 40 and int.from_bytes(header[place : place + 8], "little") > size
        if start[4:] not in _ISO_FIRST_BOXES:
            return False
        return any(kind in _ISO_FRAMES and end > size for kind, _, end in _boxes(file, 0, size))


def stated_frames(path: Path) -> int | None:
    """Number of frames that the tables of an MP4, MOV or AVI file list, all of them to be shown; None if unknown.

    Unknown are files of other kinds, fragmented ones, ones whose edit list leaves out frames, and AVI above 1 GiB.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start.startswith(b"RIFF"):
            return _indexed_frames(file, size)
        if start[4:8] not in _ISO_FIRST_BOXES:
            return None
        movie = _inner(file, (b"", 0, size), b"moov")
        track = _video_track(file, movie)
        if movie is None or track is None or _inner(file, movie, b"mvex"):
            return None
        samples = _inner(file, track, b"mdia", b"minf", b"stbl", b"stsz")
        count = _number(file, samples, 8) if samples else 0
        return count if count and not _leaves_out(file, movie, track, count) else None


def stated_codec(path: Path) -> str | None:
    """The codec of an MP4, MOV, MKV or WebM file's video: its name or else its code there; None if unknown.

    Raises:
        OSError: the file cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(2**16)
        code = ""
        if start.startswith(_MATROSKA) and (found := re.search(rb"V_[A-Z0-9_/]+", start)):
            code = found[0].decode()
        elif start[4:8] in _ISO_FIRST_BOXES:
            track = _video_track(file, _inner(file, (b"", 0, size), b"moov"))
            kinds = track and _inner(file, track, b"mdia", b"minf", b"stbl", b"stsd")
            code = _bytes(file, kinds, 12, 4).decode("latin-1") if kinds else ""
    return _CODECS.get(code, code) or None


def _boxes(file: BinaryIO, position: int, end: int) -> Iterator[Box]:
    """Boxes from one place to another. A box is a 32-bit length, a type, and for length 1 a 64-bit length."""
    for _ in range(_MOST_BOXES):
        file.seek(position)
        header = file.read(16) if position + 8 <= end else b""
        length, content = int.from_bytes(header[:4], "big"), position + 8
        if length == 1:
            length, content = int.from_bytes(header[8:], "big"), position + 16
        if length == 0:  # up to the end of the file, however long
            length = end - position
        if length < 8 or not header:  # no box
            return
        yield header[4:8], content, position + length
        position += length


def _inner(file: BinaryIO, outer: Box | None, *kinds: bytes) -> Box | None:
    """The first box of a type within another, and in that the first of the next type, and so on."""
    for kind in kinds:
        if outer is None:
            return None
        outer = next((box for box in _boxes(file, *outer[1:]) if box[0] == kind), None)
    return outer


def _video_track(file: BinaryIO, movie: Box | None) -> Box | None:
    for track in _boxes(file, *movie[1:]) if movie else ():
        handler = _inner(file, track, b"mdia", b"hdlr") if track[0] == b"trak" else None
        if handler and _bytes(file, handler, 8, 4) == b"vide":
            return track
    return None


def _leaves_out(file: BinaryIO, movie: Box, track: Box, frames: int) -> bool:
    """Whether a track's edit list shows less than its frames last (ISO 14496-12, 8.6.6)."""
    edits = _inner(file, track, b"edts", b"elst")
    movie_units, _ = _units(file, _inner(file, movie, b"mvhd"))
    units, duration = _units(file, _inner(file, track, b"mdia", b"mdhd"))
    if edits is None or not movie_units or not units:
        return False
    wide = _number(file, edits, 0) >> 24 == 1  # version 1: durations and times of 64 bits
    width = 8 if wide else 4
    shown = 0
    for index in range(min(_number(file, edits, 4), 1000)):
        place = 8 + index * (2 * width + 4)
        from_start = _number(file, edits, place + width, width)
        shown += _number(file, edits, place, width) if from_start != 2 ** (8 * width) - 1 else 0  # -1: nothing
    missing = duration / units - shown / movie_units
    return shown > 0 and missing * units * frames >= duration * 0.5  # half a frame or more


def _units(file: BinaryIO, header: Box | None) -> tuple[int, int]:
    """Units in a second, and duration in them, of an ``mvhd`` or ``mdhd`` box."""
    if header is None:
        return 0, 0
    place, width = (20, 8) if _number(file, header, 0) >> 24 == 1 else (12, 4)
    return _number(file, header, place), _number(file, header, place + 4, width)


def _indexed_frames(file: BinaryIO, size: int) -> int | None:
    """Entries of an AVI's index that hold a frame: an empty one repeats the frame before."""
    chunks = list(_chunks(file, 12, size))
    if any(kind == b"RIFF" for kind, _, _ in chunks):
        return None
    for kind, begin, end in chunks:
        if kind == b"idx1" and end <= size:
            entries = _bytes(file, (kind, begin, end), 0, min(end - begin, 16 * _MOST_BOXES * 10))
            rows = [entries[place : place + 16] for place in range(0, len(entries) - 15, 16)]
            streams = [row[:2] for row in rows if row[2:4] in (b"dc", b"db") and row[12:] != b"\0\0\0\0"]
            return streams.count(streams[0]) if streams else None
    return None


def _chunks(file: BinaryIO, position: int, end: int) -> Iterator[Box]:
    """Chunks of an AVI: a type and a 32-bit length; each begins at an even place."""
    for _ in range(_MOST_BOXES):
        file.seek(position)
        header = file.read(8) if position + 8 <= end else b""
        if not header:
            return
        length = int.from_bytes(header[4:], "little")
        yield header[:4], position + 8, position + 8 + length
        position += 8 + length + length % 2


def _bytes(file: BinaryIO, box: Box, place: int, count: int) -> bytes:
    """Some bytes of a box's content; fewer where the box ends."""
    file.seek(box[1] + place)
    return file.read(max(0, min(count, box[2] - box[1] - place)))


def _number(file: BinaryIO, box: Box, place: int, width: int = 4) -> int:
    return int.from_bytes(_bytes(file, box, place, width), "big")


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
