"""MOT text: what is read, what is refused, and that what is written is read back."""

import numpy as np
import pytest

from lucidbox.core.errors import DataError
from lucidbox.formats.mot import mot_line, read_mot


def read(tmp_path, text, **options):
    path = tmp_path / "tracks.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_mot(path, **options)


def test_a_written_line_is_read_back(tmp_path):
    rows = read(tmp_path, mot_line(3, 7, [1.25, 2, 11.5, 22], 0.875))
    assert (rows.frames.tolist(), rows.ids.tolist(), rows.scores.tolist()) == ([3], [7], [0.875])
    assert rows.boxes.tolist() == [[1.25, 2, 11.5, 22]]


@pytest.mark.parametrize(
    "line", ["2,1,3,4,5,6,1", "2, 1, 3, 4, 5, 6, 1,", "2 1 3 4 5 6 1", "2\t1\t3\t4\t5\t6\t1", "2;1;3;4;5;6;1"]
)
def test_separators(tmp_path, line):
    rows = read(tmp_path, "\ufeff# frame,id,…\r\n\r\n" + line + "\r\n")
    assert rows.boxes.tolist() == [[3, 4, 8, 10]]


def test_frames_in_any_order_with_gaps(tmp_path):
    rows = read(tmp_path, "9,1,0,0,1,1\n2,1,5,0,1,1\n9,2,1,0,1,1\n")
    assert (rows.frames.tolist(), rows.ids.tolist()) == ([2, 9, 9], [1, 1, 2])
    assert (rows.scores.tolist(), rows.classes.tolist()) == ([1, 1, 1], [-1, -1, -1])


def test_detections_share_the_id_below_zero(tmp_path):
    assert read(tmp_path, "1,-1,0,0,1,1,.5\n1,-1,3,0,1,1,.4\n").ids.tolist() == [-1, -1]


def test_boxes_without_area_are_told(tmp_path):
    assert "1 boxes have no area" in read(tmp_path, "1,1,0,0,0,5\n").notes[0]


def test_an_empty_file_is_of_a_tracker_that_found_nothing(tmp_path):
    assert read(tmp_path, "", empty=True).boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no boxes"),
        ("1,2,3\n", "line 1: 3 columns"),
        ("1,1,0,0,5,5\nframe,id,x,y,w,h\n", "line 2: 'frame' is not a number"),
        ("0,1,0,0,5,5\n", "line 1: frame 0"),
        ("1.5,1,0,0,5,5\n", "frame 1.5 is not a whole number"),
        ("1,1.5,0,0,5,5\n", "id 1.5 is not a whole number"),
        ("1,1,nan,0,5,5\n", "nan is not a finite number"),
        ("1,1,1e12,0,5,5\n", "1e12 is not a finite number up to 1e+09"),
        ("1,1,0,0,-5,5\n", "a side is negative"),
        ("1,4,0,0,5,5\n2,4,0,0,5,5\n1,4,9,0,5,5\n", "line 3: track 4 is in frame 1 already"),
        (b"\x89PNG\r\n\x1a\n\xff\xff", "is not text"),
    ],
)
def test_refused(tmp_path, text, told):
    with pytest.raises(DataError, match="tracks") as caught:
        read(tmp_path, text)
    assert told in str(caught.value)


def test_a_file_that_is_not_there():
    with pytest.raises(DataError, match="cannot be read"):
        read_mot("nowhere.txt")


def test_many_rows_keep_their_order_in_a_frame(tmp_path):
    random = np.random.default_rng(0)
    frames = random.integers(1, 9, 100)
    rows = read(tmp_path, "".join(f"{frame},{number},0,0,1,1\n" for number, frame in enumerate(frames)))
    assert rows.ids.tolist() == np.argsort(frames, kind="stable").tolist()
