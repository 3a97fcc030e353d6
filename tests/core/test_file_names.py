"""Names that every file system takes, given out once each."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.core.file_names import UniqueNames, UniquePaths, safe_name, without_extension


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("person", "person"),
        ("traffic light", "traffic light"),
        ("交通灯", "交通灯"),
        ("cafe\u0301", "café"),
        ("a/b\\c:d", "a_b_c_d"),
        ("../../etc/passwd", "__.._etc_passwd"),
        ("", "_"),
        (".", "_"),
        ("..", "_"),
        (" . ", "_"),
        (".hidden", "_hidden"),
        ("end. ", "end"),
        ("con", "_con"),
        ("NUL.txt", "_NUL.txt"),
        ("com1", "_com1"),
        ("console", "console"),
        ("a\x00b\ud83dc\n", "a_b_c_"),
    ],
)
def test_safe_name(text, name):
    assert safe_name(text) == name


@given(st.text(alphabet=st.characters(), max_size=300))
def test_every_text_gives_a_name_that_can_be_used(tmp_path_factory, text):
    name = safe_name(text)
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(b"")
    assert path.parent == tmp_path_factory.getbasetemp()
    assert name in {found.name for found in path.parent.iterdir()}
    path.unlink()
    assert len(name.encode()) <= 121


def test_same_names_are_numbered_in_turn():
    names = UniqueNames()
    assert [names.claim(stem) for stem in ("1", "2", "1", "1")] == ["1", "2", "1-2", "1-3"]


def test_names_that_look_numbered_stay_unique():
    names = UniqueNames()
    assert [names.claim(stem) for stem in ("1-2", "1", "1", "1-2")] == ["1-2", "1", "1-3", "1-2-2"]


def test_case_and_encoding_of_accents_make_no_difference():
    names = UniqueNames()
    assert [names.claim(stem) for stem in ("IMG", "img", "café", "CAFE\u0301")] == [
        "IMG",
        "img-2",
        "café",
        "CAFE\u0301-2",
    ]


def test_what_a_folder_holds_is_taken(tmp_path):
    (tmp_path / "Street.jpg").write_text("the user's own picture")
    names = UniqueNames(tmp_path)
    assert [names.claim("street"), names.claim("road")] == ["street-2", "road"]
    assert UniqueNames(tmp_path / "missing").claim("street") == "street"


def test_long_and_broken_names_leave_room_for_numbers():
    names = UniqueNames()
    assert len(names.claim("人" * 80).encode()) <= 200
    assert names.claim("\udcff") == "\udcff"  # one byte that is no UTF-8, as Python reads such a file name


@given(st.lists(st.sampled_from(["a", "A", "a-2", "a-2-2", "a-3", "b"]), max_size=30))
def test_no_name_is_given_twice(stems):
    given_out = [name.casefold() for name in map(UniqueNames().claim, stems)]
    assert len(set(given_out)) == len(given_out)
    assert given_out == [name.casefold() for name in map(UniqueNames().claim, stems)]


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("day1/street.JPG", "day1/street"),
        ("rtsp-192.168.1.10", "rtsp-192.168.1.10"),
        ("scan.2024.05.01", "scan.2024.05.01"),
        ("scan.2024.05.01.tif", "scan.2024.05.01"),
        ("show.php", "show.php"),
        ("a.b/c", "a.b/c"),
    ],
)
def test_only_the_extension_of_an_image_or_video_is_no_part_of_a_name(name, stem):
    assert without_extension(name) == stem


def test_paths_are_unique_in_each_folder():
    paths = UniquePaths()
    wanted = ["a", "crops/red/a-0", "A", "Crops/Red/a-0", "b/a"]
    assert [str(paths.claim(PurePosixPath(path))) for path in wanted] == [
        "a", "crops/red/a-0", "A-2", "Crops/Red/a-0-2", "b/a"
    ]  # fmt: skip
