"""Videos that lost a part: what can be decoded comes, as FFmpeg gives it, and the rest is counted and told.

Each number of frames is what ``ffmpeg -i FILE -fps_mode passthrough -f null -`` 5.1.9 counts.
"""

import os
import struct
import sys

import numpy as np
import pytest

from lucidbox.core.errors import SourceError
from lucidbox.save.video import VideoSaver
from lucidbox.sources import Failure, Picture, Video, open_sources
from lucidbox.sources.containers import is_cut_short, stated_codec, stated_frames


def places(content, mark):
    """Where a mark stands, each time."""
    found = [content.find(mark)]
    while found[-1] >= 0:
        found.append(content.find(mark, found[-1] + 1))
    return found[:-1]


def overwritten(path, spans):
    """The file with zeros in some spans: start, length."""
    content = bytearray(path.read_bytes())
    for start, length in spans:
        content[start : start + length] = bytes(length)
    path.write_bytes(content)
    return path


def frames_of_avi(path):
    """Start and length of each frame's content."""
    content = path.read_bytes()
    chunks = [
        place for place in places(content, b"00dc") if content.index(b"movi") < place < content.index(b"idx1")
    ]
    return [(place + 8, *struct.unpack_from("<I", content, place + 4)) for place in chunks]


def frames_of_mp4(path):
    """Start and length of each frame, of a file whose frames are in one chunk."""
    content = path.read_bytes()
    sizes = content.index(b"stsz") + 12
    lengths = struct.unpack_from(f">{struct.unpack_from('>I', content, sizes)[0]}I", content, sizes + 4)
    (start,) = struct.unpack_from(">I", content, content.index(b"stco") + 12)
    return [(start + sum(lengths[:index]), length) for index, length in enumerate(lengths)]


def read(path, **options):
    """Number of frames, and the failures."""
    items = list(Video(path, **options))
    failures = [item for item in items if isinstance(item, Failure)]
    assert items[len(items) - len(failures) :] == failures
    assert all(isinstance(failure.error, SourceError) and "\n" not in str(failure.error) for failure in failures)
    return len(items) - len(failures), failures


@pytest.mark.parametrize(
    ("damaged", "whole"),
    [([4], 29), ([4, 5, 6, 20], 26), (range(3, 28), 5), ([28, 29], 28), ([0], 29)],
    ids=["one", "some", "most", "the last", "the first"],
)
def test_frames_after_undecodable_ones_come_and_the_lost_ones_are_counted(film, damaged, whole):
    path = film("road.avi")
    frames = frames_of_avi(path)
    overwritten(path, [frames[index] for index in damaged])
    came, (failure,) = read(path)
    assert came == whole
    assert f"{30 - whole} of 30 frames are lost: " in str(failure.error)
    assert failure.counts == {"frames": whole, "lost": 30 - whole}
    assert failure.source == str(path)


def test_the_reason_is_told(film):
    path = film("road.avi")
    overwritten(path, frames_of_avi(path)[4:7])
    assert str(read(path)[1][0].error) == f"{path}: 3 of 30 frames are lost: 3 cannot be decoded"


def test_an_mp4_goes_on_after_a_bad_packet(film):
    path = film("road.mp4", "mp4v")
    overwritten(path, frames_of_mp4(path)[7:9])
    came, (failure,) = read(path)
    assert came == 28
    assert failure.counts == {"frames": 28, "lost": 2}


def test_times_stay_those_of_the_file_where_frames_are_lost(film):
    path = film("road.avi")
    overwritten(path, frames_of_avi(path)[4:7])
    pictures = [item for item in Video(path) if isinstance(item, Picture)]
    assert [picture.frame for picture in pictures] == list(range(27))
    assert [picture.time for picture in pictures[3:6]] == pytest.approx([3 / 25, 7 / 25, 8 / 25])


def test_a_stride_counts_the_frames_of_the_file(film):
    path = film("road.avi")
    overwritten(path, frames_of_avi(path)[4:7])
    came, (failure,) = read(path, stride=5)
    assert came == 6
    assert failure.counts == {"frames": 27, "lost": 3}


def test_a_hole_in_an_even_clock_is_told(film):
    """Matroska lists no frames: blocks that became void elements are missed by their times alone."""
    path = film("road.mkv", frames=60)
    content = bytearray(path.read_bytes())
    blocks = [place - 5 for place in places(bytes(content), b"\xff\xd8\xff")]
    for block in blocks[20:23]:
        start = content.rindex(b"\xa3", 0, block + 5)  # a block's mark, then its length
        content[start] = 0xEC
    path.write_bytes(content)
    came, (failure,) = read(path)
    assert came == 57
    assert str(failure.error).endswith("3 of 60 frames are lost: 3 are missing or depend on others that are")


def test_a_whole_video_of_uneven_clock_lost_nothing(tmp_path):
    for name in ("a.webm", "a.mp4"):
        with VideoSaver(tmp_path / name, 25, (64, 48)) as video:
            for index, step in enumerate(np.random.default_rng(0).integers(20, 400, 40).cumsum()):
                video.write(np.full((48, 64, 3), 6 * index, np.uint8), step / 1000)
        assert read(tmp_path / name) == (40, [])


def avi_with_sound(jpegs, between):
    """An AVI of MJPEG whose frames have so many chunks of sound between them."""

    def chunk(kind, content):
        return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)

    def stream(kind, code, scale, rate, length, form):
        header = struct.pack(
            "<4s4sIHHIIIIIIII4H", kind, code, 0, 0, 0, 0, scale, rate, 0, length, 0, 0, 1, 0, 0, 64, 48
        )
        return chunk(b"LIST", b"strl" + chunk(b"strh", header) + chunk(b"strf", form))

    bitmap = struct.pack("<IiiHH4sIiiII", 40, 64, 48, 1, 24, b"MJPG", 64 * 48 * 3, 0, 0, 0, 0)
    sound = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    count = len(jpegs)
    main = struct.pack("<14I", 40_000, 0, 0, 16, count, 0, 2, 0, 64, 48, 0, 0, 0, 0)
    streams = stream(b"vids", b"MJPG", 1, 25, count, bitmap) + stream(b"auds", b"\0\0\0\0", 1, 8000, 8000, sound)
    movie = b"".join(chunk(b"00dc", jpeg) + chunk(b"01wb", b"\x80\x80") * between for jpeg in jpegs)
    header = chunk(b"LIST", b"hdrl" + chunk(b"avih", main) + streams)
    return chunk(b"RIFF", b"AVI " + header + chunk(b"LIST", b"movi" + movie))


def test_long_stretches_without_a_frame_do_not_end_a_video(film, tmp_path):
    path = film("road.avi", frames=4)
    content = path.read_bytes()
    jpegs = [content[start : start + length] for start, length in frames_of_avi(path)]
    path.write_bytes(avi_with_sound(jpegs, 5000))
    assert read(path) == (4, [])


@pytest.mark.parametrize("rest", [b"\0" * 64, b"SEFT" * 20, b"\xff" * 7, b"moved on", bytes(range(64, 200)), b"#"])
@pytest.mark.parametrize("name", ["road.mp4", "road.mov", "road.avi", "road.mkv"])
def test_bytes_behind_the_end_of_a_whole_video_do_no_harm(film, name, rest):
    path = film(name, "MJPG" if name == "road.avi" else "mp4v", frames=5)
    path.write_bytes(path.read_bytes() + rest)
    assert not is_cut_short(path)
    assert read(path) == (5, [])


@pytest.mark.parametrize("more", [-8, 8])
def test_an_avi_whose_length_is_wrong_by_its_first_eight_bytes(film, more):
    path = film("road.avi", frames=5)
    content = path.read_bytes()
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8 + more) + content[8:])
    assert read(path) == (5, [])


def test_an_mp4_that_is_cut_within_its_frames_is_cut_short(film):
    path = film("road.mp4", "mp4v")
    content = path.read_bytes()
    movie = content.index(b"moov") - 4
    frames = content.index(b"mdat") - 4
    whole = content[:frames] + content[movie:] + content[frames:movie]  # the description first
    offset = whole.index(b"stco") + 12
    shifted = struct.pack(">I", struct.unpack_from(">I", whole, offset)[0] + len(content) - movie)
    path.write_bytes(whole[:offset] + shifted + whole[offset + 4 :])
    assert read(path) == (30, [])
    path.write_bytes((whole[:offset] + shifted + whole[offset + 4 :])[:-200])
    came, (failure,) = read(path)
    assert f"the video is cut short; {came} whole frames of 30 were read" in str(failure.error)
    assert failure.counts == {"frames": came, "lost": 30 - came}


def test_frames_that_an_edit_list_leaves_out_are_not_missed(film):
    path = film("road.mp4", "mp4v")
    assert stated_frames(path) == 30
    content = bytearray(path.read_bytes())
    edit = content.index(b"elst") + 12
    struct.pack_into(">I", content, edit, 800)  # of 1200 ms
    path.write_bytes(content)
    assert stated_frames(path) is None
    assert read(path) == (20, [])


def test_the_index_of_an_avi_counts_frames_that_hold_something(film):
    path = film("road.avi")
    assert stated_frames(path) == 30
    content = bytearray(path.read_bytes())
    index = content.index(b"idx1")
    struct.pack_into("<I", content, index + 8 + 16 * 5 + 12, 0)  # the sixth repeats the frame before
    path.write_bytes(content)
    assert stated_frames(path) == 29


def test_containers_that_list_no_frames(film, tmp_path):
    assert stated_frames(film("road.mkv", "mp4v")) is None
    for content in (
        b"",
        b"RIFF",
        b"RIFF\0\0\0\0AVI idx1\xff\0\0\0",
        b"\0\0\0\x08ftyp",
        b"\0\0\0\x10moov\0\0\0\x08trak",
    ):
        (tmp_path / "a").write_bytes(content)
        assert stated_frames(tmp_path / "a") is None
        assert stated_codec(tmp_path / "a") is None


@pytest.mark.parametrize(("name", "old", "new", "called"), [
    ("a.mov", b"jpeg", b"av01", "AV1"),
    ("a.mov", b"jpeg", b"vvc1", "VVC (H.266)"),
    ("a.mov", b"jpeg", b"abcd", "abcd"),
    ("a.mkv", b"V_MJPEG", b"V_AV1\0\0", "AV1"),
    ("a.mkv", b"V_MJPEG", b"V_NEWER", "V_NEWER"),
])  # fmt: skip
def test_a_codec_that_cannot_be_decoded_is_named_with_the_remedy(film, name, old, new, called):
    path = film(name, "MJPG", frames=5)
    assert old in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old, new))
    came, (failure,) = read(path)
    assert came == 0
    assert f", {called};" in str(failure.error)
    assert f"ffmpeg -i {name} -c:v libx264 a-h264.mp4" in str(failure.error)


@pytest.mark.parametrize(("name", "code"), [
    ("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "mp4v"), ("a.flv", "FLV1"), ("a.ts", "mp4v"),
    ("a.mpg", "PIM1"), ("a.wmv", "WMV2"), ("a.3gp", "mp4v"),
])  # fmt: skip
@pytest.mark.parametrize("called", ["clip", "clip.part", "clip.2024-05-01"])
def test_a_named_file_is_a_video_by_its_first_bytes_where_its_name_does_not_tell(film, name, code, called):
    path = film(name, code)
    (video,) = open_sources(path.rename(path.with_name(called))).parts
    assert video.kind == "video"
    assert len(list(video)) == 30


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are UTF-16, or UTF-8, there")
@pytest.mark.parametrize("name", [b"caf\xe9.mp4", b"a\xff\xfe.mp4", b"d\xffir/a.mp4"])
def test_names_that_are_not_utf8(film, tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    path.parent.mkdir(exist_ok=True)
    film("plain.mp4", "mp4v", frames=3).rename(path)
    items = list(open_sources(path))
    assert [type(item) for item in items] == [Picture] * 3
    assert items[0].source == str(path)


def test_an_address_that_is_not_utf8():
    (failure,) = open_sources(["rtsp://127.0.0.1:9/\udcff"])
    assert "printable letters only" in str(failure.error)


def test_the_videos_of_practice(shared):
    folder = shared("faults/videos")
    for name, frames, lost in (
        ("c_zero.mp4", 25, 5),
        ("v_gap.mp4", 8, 0),
        ("t_trail.mp4", 30, 0),
        ("v_slomo.mov", 30, 0),
        ("v_vfr.mp4", 25, 0),
    ):
        came, failures = read(folder / name)
        assert came == frames, name
        assert [failure.counts["lost"] for failure in failures] == ([lost] if lost else []), name
