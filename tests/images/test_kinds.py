"""Kinds of image file: unusual depths, files without an end, and whole files that are not read."""

import struct
from contextlib import suppress
from io import BytesIO

import cv2
import numpy as np
import pytest
from PIL import Image

from lucidbox.core.errors import ImageError
from lucidbox.images.headers import read_header
from lucidbox.images.pixels import from_pillow
from lucidbox.images.reading import read_image


def packed_tiff(values, bits, order="<", photometric=None, orientation=1):
    """A TIFF of one strip whose samples are packed bit by bit, most significant first."""
    height, width, samples = values.shape
    rows = ["".join(f"{value:0{bits}b}" for value in row.reshape(-1)) for row in values]
    data = b"".join(int(row + "0" * (-len(row) % 8), 2).to_bytes(-(-len(row) // 8), "big") for row in rows)
    if bits == 16:  # whole bytes follow the file's byte order, packed bits do not
        data = values.astype(f"{order}u2").tobytes()
    photometric = (2 if samples == 3 else 1) if photometric is None else photometric
    entries = [
        (256, "I", [width]), (257, "I", [height]), (258, "H", [bits] * samples), (259, "H", [1]),
        (262, "H", [photometric]), (273, "I", [0]), (274, "H", [orientation]), (277, "H", [samples]),
        (278, "I", [height]), (279, "I", [len(data)]),
    ]  # fmt: skip
    behind = 8 + 2 + 12 * len(entries) + 4
    bits_at, data_at = behind, behind + 2 * samples
    directory = struct.pack(order + "H", len(entries))
    for tag, kind, value in entries:
        value = [data_at] if tag == 273 else value
        content = struct.pack(order + kind * len(value), *value)
        content = struct.pack(order + "I", bits_at) if len(content) > 4 else content.ljust(4, b"\0")
        directory += struct.pack(order + "HHI", tag, 3 if kind == "H" else 4, len(value)) + content
    start = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    return start + directory + bytes(4) + struct.pack(order + "H" * samples, *[bits] * samples) + data


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_every_depth_of_tiff_uses_its_whole_range(bits, samples, order):
    most = 2**bits - 1
    values = np.linspace(0, most, 2 * 9 * samples).astype(int).reshape(2, 9, samples)
    expected = np.broadcast_to(values >> (bits - 8), (2, 9, 3))
    data = packed_tiff(values, bits, order)
    assert np.array_equal(read_image(data), expected)
    header = read_header(BytesIO(data))
    assert (header.width, header.height, header.error) == (9, 2, "")


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_tiffs_whose_zero_is_white(bits):
    values = np.array([[[0], [2**bits - 1]]])
    assert read_image(packed_tiff(values, bits, photometric=0))[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize(
    ("orientation", "shape", "place"), [(1, (1, 2), (0, 1)), (6, (2, 1), (1, 0)), (8, (2, 1), (0, 0))]
)
def test_packed_tiffs_stand_upright(orientation, shape, place):
    data = packed_tiff(np.array([[[0], [1023]]]), 10, orientation=orientation)
    pixels, header = read_image(data), read_header(BytesIO(data))
    assert pixels.shape[:2] == shape == (header.height, header.width)
    assert pixels[place].tolist() == [255] * 3


def test_a_pillow_image_of_12_bits_is_not_black():
    image = Image.open(BytesIO(packed_tiff(np.array([[[0], [2048], [4095]]]), 12)))
    assert from_pillow(image)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("cut", [1, 3, 50])
def test_truncated_packed_tiffs_are_refused(cut):
    data = packed_tiff(np.full((20, 20, 1), 700), 10)
    with pytest.raises(ImageError, match="damaged or truncated"):
        read_image(data[:-cut])


# --- JPEGs without an end -------------------------------------------------------------------------------------


def jpegs():
    noise = np.random.default_rng(1).integers(0, 256, (45, 61, 3), dtype=np.uint8)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    for name, options in {
        "baseline": [],
        "progressive": [cv2.IMWRITE_JPEG_PROGRESSIVE, 1],
        "restarts": [cv2.IMWRITE_JPEG_RST_INTERVAL, 2],
    }.items():
        for image in (soft, soft[:, :, 0], noise):
            yield name, cv2.imencode(".jpg", image, options)[1].tobytes()


@pytest.mark.parametrize(("kind", "data"), list(jpegs()))
def test_a_jpeg_that_lacks_only_its_end_marker_is_read(kind, data):
    expected = read_image(data)
    for cut in (1, 2):
        assert np.array_equal(read_image(data[:-cut]), expected), cut


@pytest.mark.parametrize(("kind", "data"), list(jpegs()))
def test_a_jpeg_that_lacks_more_is_refused(kind, data):
    expected = read_image(data)
    for cut in [*range(3, 40), *range(40, len(data), 97)]:
        with suppress(ImageError):
            # Where a last byte holds nothing but padding, no pixel is lost.
            assert np.array_equal(read_image(data[:-cut]), expected)
            assert cut <= 4


def test_a_progressive_jpeg_that_lacks_whole_scans_is_refused():
    data = next(data for kind, data in jpegs() if kind == "progressive")
    last = data.rindex(b"\xff\xda")
    start = data[:last].rindex(b"\xff\xc4") if b"\xff\xc4" in data[:last] else last
    with pytest.raises(ImageError, match="truncated JPEG"):
        read_image(data[:start])


# --- other kinds ----------------------------------------------------------------------------------------------


def encoded(image, form, **options):
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("form", "suffix"), [("AVIF", ".avif"), ("JPEG2000", ".jp2"), ("PPM", ".ppm"), ("MPO", ".mpo")]
)
def test_further_kinds_are_read_by_content(form, suffix, tmp_path):
    image = Image.new("RGB", (24, 16), (200, 100, 50))
    file = tmp_path / f"picture{suffix}"
    file.write_bytes(encoded(image, form))
    pixels, header = read_image(file), read_header(file)
    assert pixels.shape[:2] == (16, 24) == (header.height, header.width)
    assert np.abs(pixels.astype(int) - (200, 100, 50)).max() <= 4


def test_of_an_mpo_the_first_image_is_read():
    first, second = Image.new("RGB", (16, 16), (255, 255, 255)), Image.new("RGB", (16, 16), (0, 0, 0))
    assert read_image(encoded(first, "MPO", save_all=True, append_images=[second])).min() == 255


def test_16_bit_pgm_and_jpeg_2000_keep_their_high_byte():
    assert read_image(b"P5 3 1 4095\n" + struct.pack(">HHH", 0, 2048, 4095))[0, :, 0].tolist() == [0, 128, 255]
    deep = Image.fromarray(np.array([[0, 0x8000, 0xFFFF]] * 8, np.uint16))
    assert read_image(encoded(deep, "JPEG2000"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom", "a video"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        (b"BM" + struct.pack("<IHHIIiiHHIIiiII", 60, 0, 0, 54, 40, 2, 2, 1, 7, 0, 0, 0, 0, 0, 0), "BMP of a kind"),
    ],
)
def test_a_whole_file_of_a_kind_that_is_not_read_is_not_called_damaged(content, word):
    with pytest.raises(ImageError, match=f"not read: it looks like {word}") as caught:
        read_image(content)
    assert "damaged" not in str(caught.value)
    assert "\n" not in str(caught.value)


# --- forms of a source ----------------------------------------------------------------------------------------


def test_everything_that_holds_the_bytes_of_a_file_is_read(tmp_path):
    data = encoded(Image.new("RGB", (5, 4), (1, 2, 3)), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    with (tmp_path / "a.png").open("rb", buffering=0) as raw:
        for source in (bytearray(data), memoryview(data), BytesIO(data), raw):
            assert read_image(source).shape == (4, 5, 3)


def test_files_that_give_no_bytes_are_refused_by_name(tmp_path):
    (tmp_path / "a.png").write_text("words")
    with (tmp_path / "a.png").open() as text, pytest.raises(ImageError, match="open as text"):
        read_image(text)
    read = BytesIO(b"abc")
    read.read()
    with pytest.raises(ImageError, match=r"is empty, or was read before; try seek\(0\)"):
        read_image(read)
