"""Reading one picture: every format and mode by hand, OpenCV as the peer, and every kind of damage."""

import struct
import subprocess
import sys
import threading
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lucidbox.core.errors import ImageError
from lucidbox.images.reading import MAX_PIXELS, read_image

RGB = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]], [[0, 0, 0], [128, 64, 32], [255, 255, 255]]], np.uint8)
LOSSLESS = [
    ("PNG", {}),
    ("BMP", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "tiff_adobe_deflate"}),
    ("TIFF", {"compression": "packbits"}),
]


def encoded(image, form, **options):
    """The bytes of a picture file."""
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def blurred_noise(height=40, width=56, seed=0):
    """Something with texture that also JPEG can carry."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 2)


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


# --- plain pictures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "options"), LOSSLESS)
def test_lossless_rgb_pixel_for_pixel(form, options):
    assert np.array_equal(read_image(encoded(Image.fromarray(RGB), form, **options)), RGB)


def test_plain_pictures_equal_opencv_exactly(coco_folder):
    files = sorted(coco_folder.rglob("*.jpg"))
    assert len(files) >= 4
    for file in files:
        assert np.array_equal(read_image(file), cv2.imread(str(file))[:, :, ::-1]), file.name


@pytest.mark.parametrize("form", ["PNG", "BMP", "WEBP", "TIFF", "JPEG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_plain_format_equals_opencv_exactly(form, mode, tmp_path):
    file = tmp_path / "picture"
    file.write_bytes(encoded(Image.fromarray(blurred_noise()).convert(mode), form))
    assert np.array_equal(read_image(file), cv2.imread(str(file))[:, :, ::-1])


@pytest.mark.parametrize(
    "options", [{"progressive": True}, {"subsampling": 0}, {"optimize": True}, {"quality": 20}]
)
def test_kinds_of_jpeg_equal_opencv_exactly(options):
    data = encoded(Image.fromarray(blurred_noise()), "JPEG", **options)
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.array_equal(read_image(data), expected)


def test_jpeg_with_restart_markers_and_fill_bytes():
    data = cv2.imencode(".jpg", blurred_noise(), [cv2.IMWRITE_JPEG_RST_INTERVAL, 1])[1].tobytes()
    assert b"\xff\xd1" in data
    filled = data[:2] + b"\xff\xff" + data[2:-2] + b"\xff\xff" + data[-2:]
    assert np.array_equal(read_image(data), read_image(filled))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 4000), (4000, 1)])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF"])
def test_smallest_and_thinnest(width, height, form):
    assert read_image(encoded(Image.new("RGB", (width, height), (255, 255, 255)), form)).shape == (
        height,
        width,
        3,
    )


def test_path_string_bytes_and_open_file_give_the_same(tmp_path):
    file = tmp_path / "bild ü 图.png"
    file.write_bytes(encoded(Image.fromarray(RGB), "PNG"))
    with file.open("rb") as opened:
        for source in (file, str(file), file.read_bytes(), opened):
            assert np.array_equal(read_image(source), RGB)


def test_content_decides_not_the_name(tmp_path):
    file = tmp_path / "picture.jpg"
    file.write_bytes(encoded(Image.fromarray(RGB), "PNG"))
    assert np.array_equal(read_image(file), RGB)


# --- modes ------------------------------------------------------------------------------------------------------


def palette_image():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1])
    return image


@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF", "BMP"])
def test_palette(form):
    assert read_image(encoded(palette_image(), form)).tolist() == [[[10, 20, 30], [40, 50, 60]]]


@pytest.mark.parametrize("form", ["PNG", "GIF"])
def test_transparent_palette_entry_is_white(form):
    assert read_image(encoded(palette_image(), form, transparency=0)).tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_partly_transparent_palette_entries():
    data = encoded(palette_image(), "PNG", transparency=bytes([51, 255]))
    assert read_image(data).tolist() == [[[206, 208, 210], [40, 50, 60]]]  # (10 + 4 · 255) / 5 = 206


@pytest.mark.parametrize("form", ["PNG", "WEBP", "TIFF"])
def test_alpha_over_white(form):
    image = Image.new("RGBA", (2, 1), (100, 0, 255, 51))
    image.putpixel((1, 0), (1, 2, 3, 255))
    options = {"lossless": True, "exact": True} if form == "WEBP" else {}
    assert read_image(encoded(image, form, **options)).tolist() == [[[224, 204, 255], [1, 2, 3]]]


def test_grey_with_alpha():
    image = Image.new("LA", (2, 1), (100, 51))
    image.putpixel((1, 0), (7, 255))
    assert read_image(encoded(image, "PNG")).tolist() == [[[224, 224, 224], [7, 7, 7]]]


def test_transparent_colour_of_plain_png_is_white():
    image = Image.new("RGB", (2, 1), (7, 8, 9))
    image.putpixel((1, 0), (7, 8, 10))
    assert read_image(encoded(image, "PNG", transparency=(7, 8, 9))).tolist() == [[[255, 255, 255], [7, 8, 10]]]


@pytest.mark.parametrize("form", ["PNG", "TIFF", "BMP"])
def test_one_bit(form):
    image = Image.new("1", (9, 1))
    image.putpixel((8, 0), 1)
    assert read_image(encoded(image, form))[0, :, 0].tolist() == [0] * 8 + [255]


@pytest.mark.parametrize("extension", [".png", ".tiff"])
def test_16_bit_grey_equals_opencv(extension):
    deep = np.array([[0, 255, 256, 40000, 65535]], np.uint16)
    data = cv2.imencode(extension, deep)[1].tobytes()
    assert read_image(data)[0, :, 0].tolist() == [0, 0, 1, 156, 255]
    assert np.array_equal(read_image(data), cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB))


@pytest.mark.parametrize("extension", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_colour_gives_high_bytes(extension, channels):
    deep = np.array([[[0x0102, 0x80FF, 0xFF00, 0xFFFF]]], np.uint16)[:, :, :channels]  # blue, green, red, alpha
    data = cv2.imencode(extension, np.ascontiguousarray(deep))[1].tobytes()
    assert read_image(data).tolist() == [[[0xFF, 0x80, 0x01]]]


def test_big_endian_16_bit_tiff():
    image = Image.frombytes("I;16B", (2, 1), b"\x12\x34\xff\x00")
    assert read_image(encoded(image, "TIFF"))[0, :, 0].tolist() == [0x12, 0xFF]


def test_cmyk():
    image = Image.new("CMYK", (16, 16), (255, 0, 51, 0))
    expected = np.full((16, 16, 3), (0, 255, 204))
    assert np.array_equal(read_image(encoded(image, "TIFF")), expected)
    jpeg = encoded(image, "JPEG", quality=100, subsampling=0)
    assert np.abs(read_image(jpeg).astype(int) - expected).max() <= 2
    start = jpeg.index(b"\xff\xee\x00\x0eAdobe")
    assert np.array_equal(read_image(jpeg[:start] + jpeg[start + 16 :]), read_image(jpeg))


def test_black_ink_in_jpeg_darkens():
    jpeg = encoded(Image.new("CMYK", (16, 16), (0, 0, 0, 204)), "JPEG", quality=100)
    assert np.abs(read_image(jpeg).astype(int) - 51).max() <= 2


def test_floating_point_tiff():
    image = Image.fromarray(np.array([[0, 0.5, 1]], np.float32))
    assert read_image(encoded(image, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image.new("F", (2, 2), 300.0), "scale them to 0..1"),
        (Image.new("F", (2, 2), float("nan")), "nan"),
        (Image.new("I", (2, 2), 70000), "convert the picture to 8-bit RGB"),
        (Image.new("LAB", (2, 2)), "convert the picture to 8-bit RGB"),
    ],
)
def test_modes_without_a_rule_are_refused(image, message, tmp_path):
    file = tmp_path / "odd.tiff"
    file.write_bytes(encoded(image, "TIFF"))
    with pytest.raises(ImageError, match=r"odd\.tiff: ") as caught:
        read_image(file)
    assert message in one_line(caught)


# --- orientation ------------------------------------------------------------------------------------------------

# How the upright picture must be stored for a viewer that follows the orientation (EXIF 2.32, table 6).
STORED = {
    1: lambda upright: upright,
    2: np.fliplr,
    3: lambda upright: np.rot90(upright, 2),
    4: np.flipud,
    5: lambda upright: upright.swapaxes(0, 1),
    6: lambda upright: np.rot90(upright, 1),  # a viewer turns it clockwise, so it lies turned counter-clockwise
    7: lambda upright: np.rot90(upright, 2).swapaxes(0, 1),
    8: lambda upright: np.rot90(upright, -1),
}


def exif_with(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("form", "options"), LOSSLESS[:1] + LOSSLESS[2:5])
def test_every_orientation_gives_the_same_upright_picture(orientation, form, options):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](RGB)))
    assert np.array_equal(read_image(encoded(stored, form, exif=exif_with(orientation), **options)), RGB)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_every_orientation_in_jpeg(orientation, mode):
    # Blocks of 16 pixels survive JPEG nearly unchanged.
    upright = np.kron(RGB, np.ones((16, 16, 1), np.uint8))
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright))).convert(mode)
    expected = np.asarray(Image.fromarray(upright).convert(mode).convert("RGB")).astype(int)
    data = encoded(stored, "JPEG", quality=100, subsampling=0, exif=exif_with(orientation))
    assert read_image(data).shape == expected.shape
    assert np.abs(read_image(data) - expected).max() <= 4


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("before", [b"", b"\xff\xe1\x00\x22http://ns.adobe.com/xap/1.0/\x00<x/>"])
def test_jpeg_orientation_in_both_byte_orders_also_behind_xmp(order, before):
    tiff = (b"II" if order == "<" else b"MM") + struct.pack(order + "HIHHHIHHI", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
    segment = b"\xff\xe1" + struct.pack(">H", len(tiff) + 8) + b"Exif\0\0" + tiff
    data = encoded(Image.fromarray(RGB), "JPEG")
    assert read_image(data[:2] + before + segment + data[2:]).shape == (3, 2, 3)


@pytest.mark.parametrize("orientation", [0, 9, 255])
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_orientations_that_do_not_exist_are_upright(orientation, form):
    assert read_image(encoded(Image.fromarray(RGB), form, exif=exif_with(orientation))).shape == RGB.shape


# --- several pictures in one file -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "extension", "tool"),
    [
        ("GIF", "gif", "ffmpeg -i"),
        ("PNG", "png", "ffmpeg -i"),
        ("AVIF", "avif", "ffmpeg -i"),
        ("WebP", "webp", "magick"),
    ],
)
def test_animations_are_refused_with_a_remedy(form, extension, tool, tmp_path):
    file = tmp_path / f"moving.{extension}"
    frames = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 100, 200)]
    frames[0].save(file, form, save_all=True, append_images=frames[1:])
    with pytest.raises(
        ImageError, match=rf"moving.{extension}: an animated {form}.*{tool} moving.{extension}"
    ) as e:
        read_image(file)
    one_line(e)


def test_gif_of_one_frame_is_a_picture():
    assert (
        read_image(encoded(Image.new("RGB", (4, 3), (0, 128, 255)), "GIF")).tolist() == [[[0, 128, 255]] * 4] * 3
    )


def test_tiff_of_several_pages_is_refused():
    pages = [Image.new("RGB", (8, 8), (shade, 0, 0)) for shade in (0, 100)]
    with pytest.raises(ImageError, match="several pages"):
        read_image(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))


def test_tiff_with_reduced_copies_is_one_picture():
    small = Image.new("RGB", (4, 4), (9, 9, 9))
    small.encoderinfo = {"tiffinfo": {254: 1}}
    large = Image.new("RGB", (8, 8), (1, 2, 3))
    data = encoded(large, "TIFF", save_all=True, append_images=[small])
    assert Image.open(BytesIO(data)).n_frames == 2
    assert np.array_equal(read_image(data), np.full((8, 8, 3), (1, 2, 3)))


# --- what is no picture -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.jpg", b"", "is empty"),
        ("notes.jpg", b"these are words, not pixels", "not a picture"),
        ("short.png", b"\x89PNG", "not a picture"),
        ("phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0", "looks like HEIC"),
        ("start.jpg", b"\xff\xd8\xff", "truncated JPEG"),
        ("start.png", b"\x89PNG\r\n\x1a\n", "damaged or truncated"),
    ],
)
def test_what_is_no_picture_is_refused_by_name(name, content, message, tmp_path):
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(ImageError, match=name) as caught:
        read_image(file)
    assert message in one_line(caught)


def test_files_that_cannot_be_opened(tmp_path):
    (tmp_path / "file").touch()
    cases = {
        tmp_path / "missing.jpg": "no such file",
        tmp_path: "is a folder",
        tmp_path / "file" / "x.jpg": "not a directory",
        tmp_path / ("x" * 300): "file name too long",
        "null\0.jpg": "null",
    }
    for path, message in cases.items():
        with pytest.raises(ImageError) as caught:
            read_image(path)
        assert message in one_line(caught)
        assert one_line(caught).startswith(str(path))


def test_permission_denied(monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ImageError, match=r"^secret\.jpg: permission denied$"):
        read_image("secret.jpg")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no endless file on this system")
def test_an_endless_file_is_refused_at_its_start():
    with pytest.raises(ImageError, match="not a picture"):
        read_image("/dev/zero")


def test_12_bit_jpeg_is_refused():
    data = bytearray(encoded(Image.fromarray(RGB), "JPEG"))
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(ImageError, match="12 bits"):
        read_image(bytes(data))


# --- too many pixels --------------------------------------------------------------------------------------------


def png_header(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(10_000_000))) + chunk(b"IEND", b"")


def jpeg_header(width, height):
    data = bytearray(encoded(Image.fromarray(RGB), "JPEG"))
    start = data.index(b"\xff\xc0") + 5
    data[start : start + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp_header(width, height):
    data = bytearray(encoded(Image.fromarray(RGB), "BMP"))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


@pytest.mark.parametrize("bomb", [png_header, jpeg_header, bmp_header])
def test_bombs_are_refused_from_the_header_alone(bomb):
    data = bomb(20_000, 20_000)
    read_image(encoded(Image.fromarray(RGB), "PNG"))  # imports do not count
    tracemalloc.start()
    try:
        with pytest.raises(
            ImageError, match=r"big: 20000×20000 pixels exceed the limit of \d+; raise --max-pixels"
        ):
            read_image(data, name="big")
        assert tracemalloc.get_traced_memory()[1] < len(data) + 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "WEBP", "TIFF", "GIF"])
def test_the_limit_is_exact(form):
    data = encoded(Image.fromarray(RGB), form)
    assert read_image(data, max_pixels=6).shape == (2, 3, 3)
    with pytest.raises(ImageError, match="3×2 pixels exceed the limit of 5; raise --max-pixels"):
        read_image(data, max_pixels=5)


def test_a_raised_limit_is_above_pillows_own(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1)
    data = encoded(Image.fromarray(RGB), "PNG")
    assert np.array_equal(read_image(data), RGB)
    assert MAX_PIXELS == 178_956_970


# --- damage -----------------------------------------------------------------------------------------------------

PICTURE = blurred_noise(24, 40)
WHOLE = {
    "jpeg": encoded(Image.fromarray(PICTURE), "JPEG"),
    "jpeg with thumbnail": None,
    "jpeg progressive": encoded(Image.fromarray(PICTURE), "JPEG", progressive=True),
    "jpeg grey": encoded(Image.fromarray(PICTURE).convert("L"), "JPEG"),
    "jpeg cmyk": encoded(Image.fromarray(PICTURE).convert("CMYK"), "JPEG"),
    "png": encoded(Image.fromarray(PICTURE), "PNG"),
    "png grey alpha": encoded(Image.fromarray(PICTURE).convert("LA"), "PNG"),
    "webp": encoded(Image.fromarray(PICTURE), "WEBP"),
    "webp lossless": encoded(Image.fromarray(PICTURE), "WEBP", lossless=True),
    "bmp": encoded(Image.fromarray(PICTURE), "BMP"),
    "bmp palette": encoded(Image.fromarray(PICTURE).convert("P"), "BMP"),
    "tiff": encoded(Image.fromarray(PICTURE), "TIFF"),
    "tiff lzw": encoded(Image.fromarray(PICTURE), "TIFF", compression="tiff_lzw"),
    "tiff jpeg": encoded(Image.fromarray(PICTURE), "TIFF", compression="jpeg"),
    "gif": encoded(Image.fromarray(PICTURE), "GIF"),
}


def read_or_refusal(data):
    """The pixels, or the one line that says why there are none; any other error passes."""
    try:
        return read_image(data, max_pixels=100_000, name="damaged")
    except ImageError as error:
        return str(error)


def with_thumbnail(data):
    """A JPEG whose APP1 segment holds another whole JPEG, end marker included."""
    thumbnail = encoded(Image.fromarray(RGB), "JPEG")
    content = b"Exif\0\0" + thumbnail
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + data[2:]


WHOLE["jpeg with thumbnail"] = with_thumbnail(WHOLE["jpeg"])


@pytest.mark.parametrize("kind", WHOLE)
def test_a_truncated_file_is_refused_or_complete_never_partly_grey(kind):
    whole = WHOLE[kind]
    expected = read_image(whole)
    refused = 0
    for length in sorted({*range(0, len(whole), max(1, len(whole) // 150)), *range(len(whole) - 20, len(whole))}):
        outcome = read_or_refusal(whole[:length])
        if isinstance(outcome, str):
            refused += 1
        else:
            assert np.array_equal(outcome, expected), length
    assert refused > 100


@pytest.mark.parametrize("kind", ["jpeg", "jpeg progressive", "png"])
def test_bytes_after_the_end_do_not_matter(kind):
    assert np.array_equal(read_image(WHOLE[kind] + b"trailing\xff\xd8\xff"), read_image(WHOLE[kind]))


@settings(max_examples=250, deadline=None)
@given(
    kind=st.sampled_from(sorted(WHOLE)),
    flips=st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=6),
    keep=st.floats(0.1, 1),
)
def test_damaged_bytes_never_raise_anything_but_image_error(kind, flips, keep):
    data = bytearray(WHOLE[kind])
    for place, change in flips:
        data[int(place * (len(data) - 1))] ^= change
    outcome = read_or_refusal(bytes(data[: int(len(data) * keep)]))
    if isinstance(outcome, str):
        assert "\n" not in outcome
        assert outcome.startswith("damaged: ")
    else:
        assert outcome.ndim == 3
        assert outcome.shape[2] == 3
        assert outcome.dtype == np.uint8
        assert outcome.flags.c_contiguous
        assert outcome.flags.writeable


@settings(max_examples=100, deadline=None)
@given(
    start=st.sampled_from(
        [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*", b"GIF89a", b"RIFF0000WEBP"]
    ),
    rest=st.binary(max_size=300),
)
def test_random_bytes_behind_a_signature_never_raise_anything_but_image_error(start, rest):
    outcome = read_or_refusal(start + rest)
    assert not isinstance(outcome, str) or "\n" not in outcome


# --- behaviour in a process -------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_jpeg_needs_no_pillow_and_refusals_are_silent(tmp_path):
    (tmp_path / "good.jpg").write_bytes(WHOLE["jpeg"])
    for kind in ("jpeg", "png", "webp", "bmp", "tiff", "tiff lzw", "gif"):
        (tmp_path / f"cut {kind}").write_bytes(WHOLE[kind][: len(WHOLE[kind]) * 2 // 3])
    script = """
import sys, pathlib
from lucidbox.core.errors import ImageError
from lucidbox.images.reading import read_image
folder = pathlib.Path(sys.argv[1])
read_image(folder / "good.jpg")
assert "PIL" not in sys.modules and "torch" not in sys.modules
for file in sorted(folder.glob("cut *")):
    try:
        read_image(file)
    except ImageError:
        print("refused")
"""
    done = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout == "refused\n" * 7


def test_many_threads_read_their_own_picture():
    pictures = [blurred_noise(seed=seed) for seed in range(8)]
    files = [encoded(Image.fromarray(picture), form) for picture in pictures for form in ("PNG", "TIFF")]
    expected = [picture for picture in pictures for _ in range(2)]
    wrong = []

    def work(offset):
        for step in range(30):
            index = (offset + step) % len(files)
            if not np.array_equal(read_image(files[index]), expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_damage_inside_a_jpeg_is_read_and_libjpeg_says_so(capfd):
    """As docs/reference/pictures.md says; if this fails since OpenCV tells its callers, refuse such a file."""
    data = bytearray(encoded(Image.fromarray(blurred_noise(200, 200)), "JPEG"))
    middle = len(data) // 2
    data[middle : middle + 40] = bytes(range(1, 41))
    assert read_image(bytes(data)).shape == (200, 200, 3)
    assert "Corrupt JPEG data" in capfd.readouterr().err
