"""Which files of a folder or pattern are read, in which order, under which names."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from lucidbox.sources import Failure, StillPictures, Video, open_sources
from lucidbox.sources.files import name_below
from lucidbox.sources.folders import find_by_pattern, find_in_folder, natural_order


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_of(argument, **options):
    """Names, below the argument, of the files found there."""
    parts = open_sources([argument], **options).parts
    paths = [path for part in parts if isinstance(part, StillPictures) for path in part.paths]
    return [path.relative_to(argument).as_posix() for path in paths]


def failure(argument, **options):
    (item,) = open_sources([argument], **options)
    assert isinstance(item, Failure)
    return str(item.error)


def test_numbers_in_names_count_as_numbers(tmp_path):
    touch(tmp_path, "img10.jpg", "img2.jpg", "img1.jpg", "Img3.jpg", "a.jpg", "b1c20.png", "b1c3.png")
    assert names_of(tmp_path) == [
        "a.jpg",
        "b1c3.png",
        "b1c20.png",
        "img1.jpg",
        "img2.jpg",
        "Img3.jpg",
        "img10.jpg",
    ]


@given(
    st.lists(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=8), unique=True)
)
def test_the_order_does_not_depend_on_the_order_found(names):
    paths = [Path(name) for name in names]
    backwards = paths[::-1]
    assert sorted(paths, key=natural_order) == sorted(backwards, key=natural_order)


def test_extensions_in_any_case_hidden_files_and_others_are_left_out(tmp_path):
    touch(
        tmp_path, "a.JPG", "b.Jpeg", "c.webp", ".hidden.jpg", "._c.jpg", "notes.txt", "labels.json", "deep/d.jpg"
    )
    sources = open_sources([tmp_path])
    (part,), (others,) = sources.parts, sources.passed_over
    assert names_of(tmp_path) == ["a.JPG", "b.Jpeg", "c.webp"]
    assert (part.kind, part.count) == ("folder", 3)
    assert others.lines() == [
        f"{tmp_path}: 2 files of other kinds passed over (.json 1, .txt 1)",
        f"{tmp_path}: 1 folder in it not looked into; --recursive looks into its subfolders",
    ]


def test_images_of_kinds_that_are_not_read_are_counted_with_a_remedy(tmp_path):
    touch(tmp_path, "a.jpg", "b.HEIC", "c.heic", "d.dng", "e.csv", "Makefile")
    (others,) = open_sources([tmp_path]).passed_over
    assert others.images == 3
    (line,) = others.lines()
    assert line.startswith(
        f"{tmp_path}: 5 files of other kinds passed over (.csv 1, .dng 1, .heic 2, no suffix 1); "
    )
    assert line.endswith("magick mogrify -format jpg '*.dng' '*.heic'")
    assert others.to_dict()["passed_over"] == {".heic": 2, ".dng": 1, ".csv": 1, "no suffix": 1}


def test_every_kind_that_is_read_is_found_in_a_folder(tmp_path):
    touch(tmp_path, "a.avif", "b.jp2", "c.mpo", "d.3gp", "e.flv", "f.M2TS", "g.h264", "h.pgm")
    assert [Path(part.name).name for part in open_sources([tmp_path]).parts[1:]] == [
        "d.3gp", "e.flv", "f.M2TS", "g.h264"
    ]  # fmt: skip
    assert names_of(tmp_path)[:4] == ["a.avif", "b.jp2", "c.mpo", "h.pgm"]


def test_results_of_earlier_runs_are_not_entered(tmp_path, monkeypatch):
    touch(
        tmp_path,
        "a.jpg",
        "runs/predict/a.jpg",
        "runs/predict-2/a.jpg",
        "runs/track/a.jpg",
        "runs/mine/b.jpg",
        "out/c.jpg",
        "out-2/c.jpg",
    )
    monkeypatch.chdir(tmp_path)
    for source in (".", "**/*.jpg"):
        sources = open_sources(source, recursive=True, results=Path("out"))
        assert [path.name for path in sources.parts[0].paths] == ["a.jpg", "b.jpg"]
        assert sources.passed_over[0].lines() == [
            f"{source}: 5 folders in it passed over: results of lucidbox; name one to read it"
        ]
    assert names_of("runs/predict") == ["a.jpg"]
    assert open_sources("runs/predict-2/*.jpg").count == 1


def test_a_text_file_lists_sources_beside_it_or_by_their_own_paths(tmp_path, monkeypatch):
    touch(tmp_path, "set/images/a b.jpg", "set/images/c.png", "other/d.jpg")
    listed = "\ufeff# a comment\r\nimages/a b.jpg\r\n\r\n./images/*.png\r\nother/d.jpg\r\ngone.jpg\r\nlist.txt\r\n"
    (tmp_path / "set" / "list.txt").write_text(listed, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    parts = open_sources("set/list.txt").parts
    assert [path.name for part in parts[:3] for path in part.paths] == ["a b.jpg", "c.png", "d.jpg"]
    assert [str(part.error) for part in parts[3:]] == [
        "gone.jpg: no such file or folder",
        "list.txt: a list within a list is not read",
    ]


@pytest.mark.parametrize("text", ["", "0 0.5 0.5 0.1 0.1\n1 0.2 0.2 0.1 0.1\n"])
def test_a_text_file_that_lists_nothing_is_one_failure(text, tmp_path):
    (tmp_path / "label.txt").write_text(text)
    (part,) = open_sources(tmp_path / "label.txt").parts
    assert "label.txt: no list of pictures: not one of its" in str(part.error)


def test_recursive_looks_into_subfolders_but_not_hidden_ones(tmp_path):
    touch(tmp_path, "z.jpg", "day10/a.jpg", "day2/a.jpg", "day2/deep/b.png", ".cache/c.jpg")
    assert names_of(tmp_path) == ["z.jpg"]
    assert names_of(tmp_path, recursive=True) == ["day2/a.jpg", "day2/deep/b.png", "day10/a.jpg", "z.jpg"]


def test_videos_of_a_folder_follow_its_pictures(tmp_path):
    touch(tmp_path, "b.mp4", "c.jpg", "a.MOV")
    parts = open_sources([tmp_path], video_stride=3).parts
    assert [type(part) for part in parts] == [StillPictures, Video, Video]
    assert [part.path.name for part in parts[1:]] == ["a.MOV", "b.mp4"]
    assert [part.stride for part in parts[1:]] == [3, 3]


def test_an_empty_folder_names_itself_and_what_was_looked_for(tmp_path):
    assert failure(tmp_path).startswith(f"{tmp_path}: no pictures or videos in this folder (looked for .264 .265")
    touch(tmp_path, "notes.txt", "deep/a.jpg")
    assert failure(tmp_path).endswith("; --recursive looks into its subfolders")
    (tmp_path / "deep" / "a.jpg").unlink()  # now there is nothing deeper either, and nothing to advise
    assert failure(tmp_path, recursive=True).endswith("; 1 file of another kind passed over (.txt 1)")


def test_a_folder_that_cannot_be_listed_is_told_and_the_rest_is_read(tmp_path, monkeypatch):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    touch(tmp_path, "locked/b.jpg")
    scandir = os.scandir

    def guarded(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    picture, refused = open_sources([tmp_path], recursive=True)
    assert picture.name == "a.png"
    assert str(refused.error) == f"{tmp_path / 'locked'}: the folder cannot be listed (Permission denied)"
    assert failure(tmp_path / "locked").endswith("cannot be listed (Permission denied)")


def test_patterns(tmp_path, monkeypatch):
    touch(tmp_path, "a1.jpg", "a2.png", "b.jpg", "notes.txt", "day1/c.jpg", "day2/deep/d.jpg", "day2/.hidden.jpg")
    monkeypatch.chdir(tmp_path)

    def found(pattern):
        return [path.as_posix() for part in open_sources([pattern]).parts for path in part.paths]

    assert found("*.jpg") == ["a1.jpg", "b.jpg"]
    assert found("a?.*") == ["a1.jpg", "a2.png"]
    assert found("[ab]*.jpg") == ["a1.jpg", "b.jpg"]
    assert found("*") == ["a1.jpg", "a2.png", "b.jpg"]
    assert found("day*/*.jpg") == ["day1/c.jpg"]
    assert found("**/*.jpg") == ["a1.jpg", "b.jpg", "day1/c.jpg", "day2/deep/d.jpg"]
    assert found("day2/**") == ["day2/deep/d.jpg"]
    assert found(str(tmp_path / "day1" / "*")) == [(tmp_path / "day1" / "c.jpg").as_posix()]


def test_names_keep_the_folders_below_what_was_named(tmp_path):
    for name in ("day1/a.png", "day2/a.png"):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    assert [item.name for item in open_sources([tmp_path], recursive=True)] == ["day1/a.png", "day2/a.png"]
    assert [item.name for item in open_sources([tmp_path / "*/a.png"])] == ["day1/a.png", "day2/a.png"]
    assert [item.name for item in open_sources([tmp_path / "day1" / "*"])] == ["a.png"]
    assert [item.name for item in open_sources([tmp_path / "day1" / "a.png"])] == ["a.png"]


@pytest.mark.parametrize(
    ("root", "path", "name"),
    [
        ("photos", "photos/x.jpg", "x.jpg"),
        ("photos", "photos/a/../../../x.jpg", "a/x.jpg"),
        ("photos", "elsewhere/x.jpg", "x.jpg"),
        (".", "x.jpg", "x.jpg"),
    ],
)
def test_names_never_lead_out_of_a_folder(root, path, name):
    assert name_below(Path(root), Path(path)) == name


def test_unicode_and_odd_file_names(tmp_path):
    for name in ("图片.png", "Ünïcode ß.png", "with space.png", "-.png", "%d.png", "a\nb.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    items = list(open_sources([tmp_path]))
    assert len(items) == 6
    assert not any(isinstance(item, Failure) for item in items)


def test_links_to_files_are_followed_and_circles_do_no_harm(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "broken.png").symlink_to(tmp_path / "nothing")
    items = list(open_sources([tmp_path], recursive=True))
    assert [Path(item.source).name for item in items] == ["a.png", "b.png", "broken.png"]
    assert str(items[2].error).endswith("broken.png: no such file or directory")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are POSIX")
@pytest.mark.parametrize("pattern", [False, True])
def test_pipes_in_folders_are_passed_over(tmp_path, pattern):
    """Opening one for reading would wait for a writer that never comes."""
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    for name in ("b.jpg", "c.mp4"):
        os.mkfifo(tmp_path / name)
    found = find_by_pattern(str(tmp_path / "*")) if pattern else find_in_folder(tmp_path, recursive=False)
    assert [path.name for path in (*found.pictures, *found.videos)] == ["a.png"]
    assert found.passed_over.files == {"pipe or device": 2}


def test_links_that_lead_nowhere_are_failures_of_a_pattern_too(tmp_path):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nothing")
    (tmp_path / "folder.png").mkdir()
    picture, broken = open_sources([tmp_path / "*.png"])
    assert picture.name == "a.png"
    assert str(broken.error).endswith("broken.png: no such file or directory")
