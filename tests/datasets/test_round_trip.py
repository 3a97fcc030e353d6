"""COCO to YOLO and back: the same images and boxes, whatever their names, and labels where other tools look."""

import json
import tempfile
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from lucidbox.core.errors import DataError
from lucidbox.datasets import check, convert, read_back, read_dataset

FOLDERS = ["images", "labels", "Images", "JPEGImages", "train", "a b", "größe", "v1.2", ".hidden", "картинки"]
STEMS = ["a", "b c", "é", "x.y.z", "images", "0012", ".dot", "A", "scan.2024.05.01"]
FORMATS = {
    ".jpg": "JPEG",
    ".JPG": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    "": "JPEG",
    ".dat": "PNG",
}
SIZES = [(64, 48), (33, 57), (120, 10), (50, 50)]
# Where a corner of the stored image lies in the shown one, by EXIF orientation.
CORNERS = {
    1: lambda x, y, w, h: (x, y),
    2: lambda x, y, w, h: (w - x, y),
    3: lambda x, y, w, h: (w - x, h - y),
    4: lambda x, y, w, h: (x, h - y),
    5: lambda x, y, w, h: (y, x),
    6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x),
    8: lambda x, y, w, h: (y, w - x),
}


@cache
def content(size, orientation, form):
    tags, buffer = Image.Exif(), BytesIO()
    tags[0x0112] = orientation
    Image.new("RGB", size, (90, 60, 30)).save(buffer, form, exif=tags)
    return buffer.getvalue()


def corners_of(box, size, orientation):
    """A box on the stored image as left, top, width, height on the shown one."""
    x, y, w, h = box
    ends = [CORNERS[orientation](*corner, *size) for corner in ((x, y), (x + w, y + h))]
    (left, top), (right, bottom) = np.min(ends, axis=0), np.max(ends, axis=0)
    return [left, top, right - left, bottom - top]


@st.composite
def boxes(draw, size):
    sides = [draw(st.lists(st.integers(0, side * 1000), min_size=2, max_size=2, unique=True)) for side in size]
    (left, right), (top, bottom) = map(sorted, sides)
    return [left / 1000, top / 1000, (right - left) / 1000, (bottom - top) / 1000]


@st.composite
def pictures(draw, as_stored):
    size = draw(st.sampled_from(SIZES[:3] if as_stored else SIZES))
    orientation = draw(st.sampled_from([1, 5, 6, 7, 8] if as_stored else range(1, 9)))
    shown = size[::-1] if orientation >= 5 else size
    stated = size if as_stored else shown
    found = draw(st.lists(st.tuples(boxes(stated), st.sampled_from([1, 3])), max_size=3, unique_by=str))
    wanted = [(corners_of(box, size, orientation) if as_stored else box, category) for box, category in found]
    return size, orientation, stated, found, wanted


NAMES = st.builds(
    lambda folders, stem, suffix: "/".join([*folders, stem + suffix]),
    st.lists(st.sampled_from(FOLDERS), max_size=3), st.sampled_from(STEMS), st.sampled_from(list(FORMATS)),
)  # fmt: skip


@st.composite
def data_sets(draw):
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    folders = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
    as_stored = draw(st.booleans())
    return [(name, draw(pictures(as_stored))) for name in names if name not in folders]


def write(folder, entries):
    images, annotations = [], []
    for number, (name, (size, orientation, (width, height), found, _)) in enumerate(entries, 1):
        file = folder / "pool" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        suffix = Path(name).suffix
        file.write_bytes(content(size, orientation, FORMATS.get(suffix, "JPEG")))
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        annotations += [
            {"id": len(annotations) + index, "image_id": number, "category_id": category, "bbox": box}
            | {"area": box[2] * box[3], "iscrowd": 0}
            for index, (box, category) in enumerate(found, 1)
        ]
    categories = [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document))
    return folder / "instances.json"


def rows(part):
    """Images by the file that a link leads to, each with its objects in order."""
    return {
        part.path(index).resolve(): [
            (part.category_ids[number].item(), pytest.approx(box, abs=2e-6))
            for number, box in zip(
                part.classes[part.objects(index)].tolist(),
                part.boxes_xywh[part.objects(index)].tolist(),
                strict=True,
            )
        ]
        for index in range(len(part))
    }


def labels_of(picture):
    """The label file by the rule of other YOLO tools: the last /images/ of the path becomes /labels/."""
    head, _, tail = str(picture).rpartition("/images/")
    return Path(f"{head}/labels/{tail}").with_suffix(".txt")


@settings(max_examples=12, deadline=None)
@given(data_sets())
def test_any_tree_there_and_back(entries):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        file = write(folder, entries)
        yolo = convert(file, folder / "yolo", "yolo", images=folder / "pool")
        part = read_dataset(yolo.file).part()
        wanted = {
            folder / "pool" / name: [(category, pytest.approx(box, abs=2e-6)) for box, category in wanted]
            for name, (*_, wanted) in entries
        }
        for again in (part, read_dataset(convert(yolo.file, folder / "coco", "coco").file).part()):
            found = rows(again)
            assert found.keys() == wanted.keys()
            for path, objects in wanted.items():
                assert [category for category, _ in found[path]] == [category for category, _ in objects]
                assert [box.expected for _, box in found[path]] == [box for _, box in objects]
        lines = [len(labels_of(part.path(index)).read_text().splitlines()) for index in range(len(part))]
        assert sum(lines) == len(part.classes)
        assert {str(one.kind) for one in check(yolo.file).problems} <= {"same picture twice", "box below a pixel"}


def test_names_that_need_no_change_are_kept(tmp_path):
    entries = [
        (name, ((64, 48), 1, (64, 48), [([1, 2, 3, 4], 1)], None))
        for name in ("images/a.jpg", "images/v1/patch8/b.jpg", "c d.v2.png", "größe/e.webp")
    ]
    done = convert(write(tmp_path, entries), tmp_path / "out", "yolo", images=tmp_path / "pool")
    assert (done.pictures, done.objects) == (4, 4)
    assert not any("renamed" in what for what, _ in done.losses)
    back = read_dataset(convert(done.file, tmp_path / "back", "coco").file).part()
    assert sorted(back.file_names) == sorted(name for name, _ in entries)


def test_pictures_that_fit_no_orientation_are_refused_by_name(tmp_path):
    entries = [
        ("a.jpg", ((64, 48), 6, (64, 48), [([0, 0, 8, 4], 1)], None)),  # as stored
        ("b.jpg", ((64, 48), 6, (32, 24), [([0, 0, 4, 2], 1)], None)),  # as stored, scaled
        ("c.jpg", ((64, 48), 3, (64, 48), [([0, 0, 8, 4], 1)], None)),  # as the others
        ("d.jpg", ((64, 48), 1, (50, 50), [([0, 0, 8, 4], 1)], None)),
    ]
    done = convert(write(tmp_path, entries), tmp_path / "out", "yolo", images=tmp_path / "pool")
    (problem,) = done.problems
    assert str(problem) == f"{tmp_path}/pool/d.jpg: is 64×48, annotated as 50×50; left out"
    part = read_dataset(done.file).part()
    np.testing.assert_allclose(part.boxes_xywh, [[44, 0, 4, 8], [44, 0, 4, 8], [56, 44, 8, 4]], atol=1e-6)
    assert dict(done.losses)["pictures annotated as stored (boxes turned as EXIF says)"] == 3


@pytest.mark.parametrize("form", ["yolo", "coco"])
def test_what_is_not_read_back_is_an_error_and_nothing_is_kept(tmp_path, monkeypatch, form):
    source = write(tmp_path, [("a.jpg", ((64, 48), 1, (64, 48), [([0, 0, 8, 4], 1)], None))])
    if form == "coco":
        source = convert(source, tmp_path / "source", "yolo", images=tmp_path / "pool").file
    real = read_back.scan

    def lossy(file):
        reading = real(file)
        object.__setattr__(reading, "parts", tuple(part.keep_objects(part.classes < 0) for part in reading.parts))
        return reading

    monkeypatch.setattr(read_back, "scan", lossy)
    with pytest.raises(DataError, match="not what is read back: 1 pictures of 1, 0 objects of 1"):
        convert(source, tmp_path / "out", form, images=None if form == "coco" else tmp_path / "pool")
    assert not (tmp_path / "out").exists()


def test_boxes_that_become_equal_or_vanish_are_counted(tmp_path):
    objects = [([-4, 0, 14, 10], 1), ([-5, 0, 15, 10], 1), ([5, 5, 1e-13, 5], 1), ([1, 1, 2, 2], 3)]
    done = convert(
        write(tmp_path, [("a.jpg", ((64, 48), 1, (64, 48), objects, None))]), tmp_path / "out", "yolo",
        images=tmp_path / "pool",
    )  # fmt: skip
    assert done.objects == 2
    assert dict(done.losses)["boxes that are the same once cut or rounded (left out)"] == 1
    assert dict(done.losses)["boxes of which nothing is in the picture (left out)"] == 1
