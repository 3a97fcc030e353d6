"""A file that lost its end is told from a whole one by the sizes its container states."""

import cv2
import numpy as np
import pytest

from lucidbox.sources.containers import is_cut_short


def box(kind, content=b"", length=None):
    return (8 + len(content) if length is None else length).to_bytes(4, "big") + kind + content


FTYP = box(b"ftyp", b"isom0000")
MATROSKA = b"\x1a\x45\xdf\xa3\x84abcd" + b"\x18\x53\x80\x67"
CASES = {
    "mp4": (FTYP + box(b"mdat", b"12345") + box(b"moov", b"123"), False),
    "mp4 cut": (FTYP + box(b"mdat", b"12345", length=99), True),
    "mp4 up to its end": (FTYP + box(b"mdat", b"12345", length=0), False),
    "mp4 of 64 bits": (FTYP + box(b"mdat", (21).to_bytes(8, "big") + b"12345", length=1), False),
    "mp4 of 64 bits cut": (FTYP + box(b"mdat", (99).to_bytes(8, "big") + b"12345", length=1), True),
    "mp4 with a senseless length": (FTYP + box(b"mdat", b"12345", length=3), False),
    "mp4 with bytes behind": (FTYP + box(b"mdat", b"12345") + b"xyz", False),
    "mov": (box(b"wide") + box(b"mdat", b"12345"), False),
    "mov cut": (box(b"wide") + box(b"mdat", b"1", length=99), True),
    "avi": (b"RIFF" + (9).to_bytes(4, "little") + b"AVI 12345", False),
    "avi cut": (b"RIFF" + (99).to_bytes(4, "little") + b"AVI 12345", True),
    "avi never finished": (b"RIFF\0\0\0\0AVI 12345", False),
    "avi never finished, short": (b"RIFF\0\0\0\0"[:6], False),
    "avi of unknown size": (b"RIFF\xff\xff\xff\xffAVI 12345", False),
    "avi one byte short of unknown": (b"RIFF\xfe\xff\xff\xffAVI 12345", True),
    "mkv": (MATROSKA + b"\x85" + b"12345", False),
    "mkv cut": (MATROSKA + b"\x86" + b"12345", True),
    "mkv in eight bytes": (MATROSKA + b"\x01\0\0\0\0\0\0\x05" + b"12345", False),
    "mkv in eight bytes cut": (MATROSKA + b"\x01\0\0\0\0\0\0\x06" + b"12345", True),
    "mkv of unknown size": (MATROSKA + b"\x01\xff\xff\xff\xff\xff\xff\xff" + b"12345", False),
    "mkv of unknown size, short": (MATROSKA + b"\xff" + b"12345", False),
    "mkv without a segment": (b"\x1a\x45\xdf\xa3\x84abcd", False),
    "mkv header alone": (b"\x1a\x45\xdf\xa3", False),
    "transport stream": (b"\x47\x40\x00\x10" + bytes(184), False),
    "empty": (b"", False),
    "short": (b"RI", False),
}


@pytest.mark.parametrize("name", CASES)
def test_by_hand(name, tmp_path):
    content, expected = CASES[name]
    (tmp_path / "video").write_bytes(content)
    assert is_cut_short(tmp_path / "video") is expected


@pytest.mark.parametrize(
    ("extension", "code"), [("avi", "MJPG"), ("mp4", "mp4v"), ("mov", "mp4v"), ("mkv", "mp4v")]
)
def test_files_that_ffmpeg_wrote(extension, code, tmp_path):
    file = tmp_path / f"video.{extension}"
    writer = cv2.VideoWriter(str(file), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), 10, (64, 48))
    for shade in range(10):
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()
    assert not is_cut_short(file)
    content = file.read_bytes()
    for part in (0.5, 0.8, 0.99):
        file.write_bytes(content[: int(len(content) * part)])
        assert is_cut_short(file), part
