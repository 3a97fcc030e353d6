"""Images as files, by hand."""

import numpy as np
import pytest

from lucidbox.core.errors import OutputError
from lucidbox.images.reading import read_image
from lucidbox.save.encode import encode_image, save_image, suffix_for


def gradient(height=40, width=60):
    """RGB that differs at every pixel: red from left to right, green downwards, blue none."""
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0] = np.arange(width) * 4
    image[..., 1] = np.arange(height)[:, None] * 6
    return image


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
def test_lossless_formats_keep_every_pixel(suffix):
    assert np.array_equal(read_image(encode_image(gradient(), suffix)), gradient())


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp", ".JPG"])
def test_lossy_formats_keep_colours_in_their_channels(suffix):
    difference = read_image(encode_image(gradient(), suffix)).astype(int) - gradient()
    assert np.abs(difference).mean() < 4


@pytest.mark.parametrize(
    ("suffix", "size", "written"),
    [
        (".jpg", (40, 60), ".jpg"),
        (".JPEG", (40, 60), ".jpeg"),
        (".webp", (40, 60), ".webp"),
        (".gif", (40, 60), ".png"),
        (".heic", (40, 60), ".jpg"),
        ("", (40, 60), ".jpg"),
        (".jpg", (1, 65_501), ".png"),
        (".webp", (16_384, 1), ".png"),
        (".webp", (16_383, 1), ".webp"),
        (".tif", (1, 70_000), ".tif"),
    ],
)
def test_suffix_that_a_picture_is_written_under(suffix, size, written):
    assert suffix_for(suffix, *size) == written


@pytest.mark.parametrize(
    ("suffix", "size"), [(".jpg", (1, 65_500)), (".webp", (1, 16_383)), (".png", (1, 65_501))]
)
def test_the_longest_sides_can_be_encoded(suffix, size):
    assert read_image(encode_image(np.zeros((*size, 3), np.uint8), suffix)).shape == (*size, 3)


@pytest.mark.parametrize(("suffix", "size"), [(".heic", (4, 4)), ("", (4, 4)), (".webp", (1, 16_384))])
def test_format_that_cannot_be_written_is_refused(suffix, size):
    with pytest.raises(OutputError, match=r"not a format that can be written.*use \.png"):
        encode_image(np.zeros((*size, 3), np.uint8), suffix)


def test_saved_picture_is_there_and_nothing_beside_it(tmp_path):
    save_image(tmp_path / "结果" / "street.png", gradient())
    assert np.array_equal(read_image(tmp_path / "结果" / "street.png"), gradient())
    assert [path.name for path in (tmp_path / "结果").iterdir()] == ["street.png"]


def test_picture_that_cannot_be_saved(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another path"):
        save_image(tmp_path / "file" / "street.png", gradient())
