"""Pictures and boxes, scaled as the network will see them."""

import pickle
import subprocess
import sys

import cv2
import numpy as np
import pytest
from data_sets import annotation, coco, image, picture
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.core.boxes import xywh_to_xyxy
from lucidbox.core.errors import DataError, ImageError
from lucidbox.datasets import read_dataset
from lucidbox.datasets.training.images import FilePictures, PictureSamples
from lucidbox.detect.letterbox import fit_validation, loaded_size
from lucidbox.images.reading import read_image
from lucidbox.save.encode import save_image

OBJECTS = [
    annotation(1),
    annotation(2, box=(0, 0, 64, 48), category=18),
    annotation(3, 3, box=(1.5, 2.5, 3.25, 4)),
]


@pytest.fixture
def dataset(tmp_path):
    """Three pictures of 64×48, the second without objects."""
    return read_dataset(coco(tmp_path, [image(1), image(2), image(3)], OBJECTS)).part()


def test_scaled_pixels_and_boxes(dataset):
    samples = PictureSamples(dataset, 32)
    assert len(samples) == 3
    sample = samples[0]
    original = read_image(dataset.path(0))
    assert np.array_equal(sample.image, cv2.resize(original, (32, 24), interpolation=cv2.INTER_LINEAR))
    assert sample.boxes.tolist() == [[2, 2, 7, 12], [0, 0, 32, 24]]
    assert sample.classes.tolist() == [0, 2]
    assert (sample.boxes.dtype, sample.classes.dtype) == (np.float32, np.int64)
    assert samples[1].boxes.shape == (0, 4)
    assert samples[2].boxes.tolist() == [[0.75, 1.25, 2.375, 3.25]]


def test_at_the_pictures_own_size_nothing_is_resized(dataset):
    sample = PictureSamples(dataset, 64)[2]
    assert np.array_equal(sample.image, read_image(dataset.path(2)))
    assert sample.boxes.tolist() == [[1.5, 2.5, 4.75, 6.5]]


def test_pixels_are_those_of_the_validation_letterbox(dataset):
    image = read_image(dataset.path(0))
    frame = fit_validation((48, 64), 96, (96, 96))
    inside = frame.apply(image)[frame.top : 96 - frame.bottom, frame.left : 96 - frame.right]
    assert np.array_equal(PictureSamples(dataset, 96)[0].image, inside)


@settings(max_examples=50, deadline=None)
@given(width=st.integers(1, 700), height=st.integers(1, 700), size=st.sampled_from([32, 320, 640]))
def test_boxes_stay_on_their_objects_and_inside(tmp_path_factory, width, height, size):
    """Each axis has a gain of its own, since the shorter side is rounded up."""
    folder = tmp_path_factory.mktemp("set")
    save_image(folder / "images" / "001.png", np.zeros((height, width, 3), np.uint8))
    box = (width / 4, height / 8, width / 2, height / 2)
    annotations = [annotation(1, box=box), annotation(2, box=(0, 0, width, height))]
    document = coco(folder, [image(1, width, height)], annotations)
    save_image(folder / "images" / "001.png", np.zeros((height, width, 3), np.uint8))
    sample = PictureSamples(read_dataset(document).part(), size)[0]
    tall, wide = loaded_size((height, width), size)
    assert sample.image.shape == (tall, wide, 3)
    assert max(tall, wide) == size
    part, whole = sample.boxes
    assert part.tolist() == pytest.approx([wide / 4, tall / 8, wide * 3 / 4, tall * 5 / 8], rel=1e-6)
    assert whole.tolist() == [0, 0, wide, tall]


def test_boxes_of_a_part_that_were_not_clipped_are_inside_all_the_same(tmp_path):
    part = read_dataset(coco(tmp_path, annotations=[annotation(1, box=(-5, 40, 90, 20))])).part()
    assert PictureSamples(part, 64)[0].boxes.tolist() == [[0, 40, 64, 48]]


def test_numbers_that_are_no_pictures(dataset):
    samples = PictureSamples(dataset, 32)
    for index in (-1, 3):
        with pytest.raises(IndexError):
            samples[index]
    assert len(list(samples)) == 3


def test_a_picture_that_went_meanwhile(dataset):
    samples = PictureSamples(dataset, 32)
    dataset.path(1).unlink()
    with pytest.raises(ImageError, match=r"002\.png: no such file"):
        samples[1]


def test_a_picture_that_was_replaced_by_one_of_another_size(dataset):
    samples = PictureSamples(dataset, 32)
    picture(dataset.path(1), 48, 64)
    with pytest.raises(ImageError, match=r"002\.png: is 48×64, annotated as 64×48; its boxes do not fit"):
        samples[1]


def test_a_cut_picture(dataset):
    content = dataset.path(1).read_bytes()
    dataset.path(1).write_bytes(content[: len(content) // 2])
    with pytest.raises(ImageError, match=r"002\.png: damaged or truncated"):
        PictureSamples(dataset, 32)[1]


def test_sizes_must_be_known(tmp_path):
    one = {key: value for key, value in image(1).items() if key not in ("width", "height")}
    with pytest.raises(DataError, match=r"001\.png: its size is not stated; open the data with open_data"):
        PictureSamples(read_dataset(coco(tmp_path, [one])).part(), 32)


def test_there_must_be_as_many_pictures_as_annotated_ones(dataset):
    with pytest.raises(DataError, match="2 pictures for 3 annotated ones"):
        PictureSamples(dataset, 32, FilePictures(FilePictures.of(dataset).paths[:2]))


def test_what_is_given_out_cannot_be_spoilt(dataset):
    samples = PictureSamples(dataset, 32)
    first = samples[0]
    first.boxes[:] = 7
    first.classes[:] = 7
    with pytest.raises(ValueError, match="read-only"):
        first.image[:] = 7
    assert samples[0].boxes.tolist() == [[2, 2, 7, 12], [0, 0, 32, 24]]
    assert samples[0].classes.tolist() == [0, 2]


def test_a_copy_for_a_worker_has_no_pixels(dataset):
    samples = PictureSamples(dataset, 640)
    before = len(pickle.dumps(samples))
    sample = samples[0]
    copied = pickle.dumps(samples)
    assert len(copied) == before < 10_000
    assert np.array_equal(pickle.loads(copied)[0].image, sample.image)


def test_pictures_in_memory_stay_as_they_are(dataset):
    class Held:
        images = [np.zeros((48, 64, 3), np.uint8)] * 3

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return self.images[index]

        def name(self, index):
            return str(index)

        stamp = name

    assert not PictureSamples(dataset, 64, Held())[0].image.flags.writeable
    assert Held.images[0].flags.writeable


def test_boxes_equal_those_of_the_columns(coco_folder):
    part = read_dataset(coco_folder).part()
    samples = PictureSamples(part, 320)
    corners = xywh_to_xyxy(part.boxes_xywh)
    for index in range(0, len(part), 10):
        sample, rows = samples[index], part.objects(index)
        width, height = part.sizes[index].tolist()
        gains = np.array([sample.image.shape[1] / width, sample.image.shape[0] / height])
        assert np.allclose(sample.boxes, corners[rows] * np.tile(gains, 2), atol=0.02)
        assert sample.classes.tolist() == part.classes[rows].tolist()


@pytest.mark.thorough
def test_no_file_of_these_imports_torch():
    script = """
import sys
import lucidbox.datasets.training, lucidbox.datasets.augment, lucidbox.formats.hub.reading
print({"torch", "datasets", "matplotlib", "safetensors"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr
