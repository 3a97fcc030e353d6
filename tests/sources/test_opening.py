"""What each argument is taken for, and that one bad argument does not end the rest."""

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from lucidbox.core.errors import ImageFormatError, OptionError, SourceError
from lucidbox.sources import (
    Camera,
    FailedSource,
    Failure,
    HubDataset,
    Picture,
    StandardInput,
    StillPictures,
    Url,
    Video,
    open_sources,
)


def save(path, shade=0, size=(4, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (shade, shade, shade)).save(path)
    return path


def only_part(argument, **options):
    parts = open_sources([argument], **options).parts
    assert len(parts) == 1
    return parts[0]


def refusal(argument, **options):
    """The one line for an argument that cannot be opened."""
    items = list(open_sources([argument], **options))
    assert len(items) == 1
    assert isinstance(items[0], Failure)
    assert isinstance(items[0].error, SourceError)
    assert "\n" not in str(items[0].error)
    return str(items[0].error)


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("-", StandardInput(7)),
        ("hf:detection-datasets/coco", HubDataset("detection-datasets/coco", None, 7)),
        ("hf:detection-datasets/coco:val", HubDataset("detection-datasets/coco", "val", 7)),
        ("camera:0", Camera(0, 7)),
        ("12", Camera(12, 7)),
        ("rtsp://10.0.0.1/stream", Camera("rtsp://10.0.0.1/stream", 7)),
        ("http://example.org/a.jpg", Url("http://example.org/a.jpg", 7)),
        ("HTTPS://example.org/a.jpg", Url("HTTPS://example.org/a.jpg", 7)),
    ],
)
def test_arguments_with_a_form_of_their_own(argument, part):
    assert only_part(argument, max_pixels=7) == part


def test_a_file_is_a_video_by_its_extension_and_a_picture_otherwise(tmp_path):
    for name in ("road.mp4", "ROAD.AVI", "photo.jpg", "photo"):
        (tmp_path / name).touch()
    assert isinstance(only_part(tmp_path / "road.mp4"), Video)
    assert isinstance(only_part(tmp_path / "ROAD.AVI"), Video)
    for name in ("photo.jpg", "photo"):
        part = only_part(tmp_path / name)
        assert isinstance(part, StillPictures)
        assert (part.kind, part.count, part.name) == ("image", 1, str(tmp_path / name))


def test_an_existing_file_comes_before_camera_and_pattern(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("0", "photo[1].jpg"):
        Image.new("RGB", (4, 3)).save(tmp_path / name, "PNG")
        (picture,) = open_sources([name])
        assert isinstance(picture, Picture)
        assert picture.source == name


def test_bad_arguments_do_not_end_the_rest(tmp_path):
    good = save(tmp_path / "good.png", 9)
    (tmp_path / "notes.jpg").write_text("words")
    sources = open_sources([tmp_path / "missing.jpg", good, tmp_path / "notes.jpg", "gopher://x", good])
    assert sources.count == 5
    assert [type(item).__name__ for item in sources] == ["Failure", "Picture", "Failure", "Failure", "Picture"]
    failures = [item for item in sources if isinstance(item, Failure)]
    assert [type(failure.error) for failure in failures] == [SourceError, ImageFormatError, SourceError]
    assert [failure.source for failure in failures] == [
        str(tmp_path / "missing.jpg"),
        str(tmp_path / "notes.jpg"),
        "gopher://x",
    ]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("no/such/file.jpg", "no/such/file.jpg: no such file or folder"),
        ("", "empty name"),
        ("camera:front", "camera:front: a camera has a number; the first is camera:0"),
        ("camera:", "a camera has a number"),
        ("hf:", "names no data set"),
        ("ftp://example.org/a.jpg", "ftp addresses are not read; http, https and rtsp are"),
        ("file:///etc/passwd", "file addresses are not read"),
        ("nothing/here/*.jpg", "nothing/here/*.jpg: no picture or video matches this pattern"),
        ("x" * 5000, "cannot be opened"),
        ("null\0*", "null"),
    ],
)
def test_what_cannot_be_opened_says_why_in_one_line(argument, message):
    assert message in refusal(argument)
    assert isinstance(only_part(argument), FailedSource)


@pytest.mark.parametrize("options", [{"video_stride": 0}, {"max_pixels": 0}])
def test_impossible_options(options):
    with pytest.raises(OptionError, match="0 is less than 1"):
        open_sources([], **options)


def test_one_argument_may_stand_without_a_list(tmp_path):
    file = save(tmp_path / "a.png")
    assert open_sources(file) == open_sources(str(file)) == open_sources([file])


def test_no_arguments_give_nothing():
    assert list(open_sources([])) == []
    assert open_sources([]).count == 0


def test_the_count_is_unknown_if_a_part_does_not_know(tmp_path):
    assert open_sources([save(tmp_path / "a.png"), "camera:0"]).count is None
    assert open_sources([save(tmp_path / "a.png"), "camera:0"]).live
    assert not open_sources([save(tmp_path / "a.png")]).live


def test_the_pixel_limit_reaches_the_pictures(tmp_path):
    (item,) = open_sources([save(tmp_path / "a.png", size=(5, 4))], max_pixels=19)
    assert isinstance(item, Failure)
    assert "5×4 pixels exceed the limit of 19" in str(item.error)


def test_sources_can_be_read_twice(tmp_path):
    sources = open_sources([save(tmp_path / "a.png", 5)])
    assert [item.pixels[0, 0, 0] for item in sources] == [5]
    assert [item.pixels[0, 0, 0] for item in sources] == [5]


def test_pictures_are_decoded_only_when_asked_for(tmp_path):
    first, second = save(tmp_path / "1.png", 1), save(tmp_path / "2.png", 2)
    items = iter(open_sources([tmp_path]))
    assert np.array_equal(next(items).pixels, np.full((3, 4, 3), 1))
    second.unlink()
    first.unlink()
    assert isinstance(next(items), Failure)


@pytest.mark.thorough
def test_importing_sources_loads_neither_pillow_nor_torch_nor_datasets():
    heavy = "{'PIL', 'torch', 'datasets', 'urllib.request', 'http.client'}"
    script = f"import lucidbox.sources, sys; print({heavy} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=os.environ, timeout=60
    )
    assert done.stdout.strip() == "set()", done.stderr


def test_every_public_name_exists():
    import lucidbox.sources

    assert all(getattr(lucidbox.sources, name) for name in lucidbox.sources.__all__)
    with pytest.raises(AttributeError, match="Kamera"):
        _ = lucidbox.sources.Kamera
