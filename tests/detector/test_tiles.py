"""Tiles on the path, with an engine that finds red rectangles: in calls, in streams, of cameras."""

import threading

import numpy as np
import pytest
from PIL import Image

from lucidbox import Detector
from lucidbox.core.errors import OptionError
from lucidbox.detect.stream import MANY
from lucidbox.engines import Prediction
from lucidbox.sources import Picture, Sources, open_sources
from models import RedFinder, picture

BOX = (300, 130, 340, 170)
"""In an image of 400x200 it is whole in one tile of 120 pixels, and cut by others."""


class ManyRedFinder(RedFinder):
    """One that several threads may call at once with profit."""

    def for_many(self):
        return self


class Noise:
    """An engine whose answer depends on every pixel: many boxes, all over the input."""

    name, precision = "noise", "fp32"

    def __call__(self, images):
        sums = [int(image.astype(np.int64).sum()) for image in images]
        height, width = images.shape[1:3]
        boxes, scores = [], []
        for total in sums:
            random = np.random.default_rng(total)
            ends = random.random((2, 50, 2), np.float32) * np.array([width, height], np.float32)
            boxes.append(np.concatenate([ends.min(axis=0), ends.max(axis=0)], axis=1))
            scores.append(random.random((50, 2), np.float32))
        return Prediction(np.stack(boxes), np.stack(scores))


def detector_of(engine=RedFinder, **options):
    return Detector(engine(), ("blue", "red"), size=(128, 128), **options)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_an_object_that_borders_cut_is_found_once_and_whole():
    detector = detector_of()
    found = detector(picture(200, 400, BOX), tiles=120)
    # Four columns and two rows, and the whole; tiles of 120 are enlarged to the network's size.
    assert len(detector.engine.shapes) == 1 + 4 * 2
    assert len(found) == 1
    assert found.boxes[0] == pytest.approx(BOX, abs=1.5)


def test_whole_comes_from_the_tile_also_where_the_image_shrinks():
    # In the whole image, at a quarter of its size, the box can only be a multiple of 4 pixels wide.
    found = detector_of()(picture(512, 512, (101, 203, 110, 209)), tiles=128, tile_overlap=0.25)
    assert (101, 203, 110, 209) in [tuple(box) for box in found.boxes.tolist()]


@pytest.mark.parametrize("image", [noise(100, 90), noise(128, 300), noise(129, 40)])
def test_one_tile_that_covers_the_image_answers_as_no_tiles_bit_for_bit(image):
    for engine in (Noise, RedFinder):
        detector = detector_of(engine, limits=None)
        assert detector(image, tiles=(300, 300)) == detector(image)
        assert len(detector(image)) > 3 or engine is RedFinder


def test_auto_leaves_small_images_alone_and_divides_large_ones():
    detector = detector_of()
    detector(noise(190, 180), tiles="auto")
    assert len(detector.engine.shapes) == 1
    detector(noise(300, 128), tiles="auto")
    assert len(detector.engine.shapes) == 1 + 1 + 3


def test_the_limits_hold_for_all_views_together():
    detector = detector_of(Noise)
    everything = detector(noise(300, 300), tiles=128, max_det=1000)
    assert len(everything) > 100
    assert detector(noise(300, 300), tiles=128, max_det=7) == everything[:7]
    assert (np.diff(everything.scores) <= 0).all()
    assert set(detector(noise(300, 300), tiles=128, classes="red").classes) == {1}


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("engine", [Noise, RedFinder, ManyRedFinder])
def test_a_stream_answers_as_a_call_and_in_order_whatever_the_threads(engine, batch, tmp_path):
    for index in range(8):
        size = (60, 50) if index % 3 else (300, 260)
        path = tmp_path / f"{index}.png"
        if index == 4:
            path.write_bytes(b"not a picture")
        else:
            Image.fromarray(
                picture(*size, (1, 1, 20 + index, 30)) if engine is not Noise else noise(*size, index)
            ).save(path)

    def everything(workers):
        told = []
        detector = detector_of(engine, batch=batch, workers=workers)
        options = {"on_failure": lambda failure: told.append(failure.source), "tiles": "auto"}
        for result in detector.stream(tmp_path, **options):
            told.append((result.picture.name, result.detections))
        return told

    alone = everything(1)
    assert [one if isinstance(one, str) else one[0] for one in alone] == [
        str(tmp_path / "4.png") if index == 4 else f"{index}.png" for index in range(8)
    ]
    assert everything(4) == alone
    plain = detector_of(engine)
    for one in alone:
        if not isinstance(one, str):
            assert plain(tmp_path / one[0], tiles="auto") == one[1]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lucidbox")]


def test_a_network_answers_with_the_same_bits_whatever_the_threads_and_the_stream(small_onnx, tmp_path):
    for index in range(3):
        Image.fromarray(noise(400, 450, index)).save(tmp_path / f"{index}.png")
    detector = Detector.load(small_onnx, size=160, conf=0.3)
    results = list(detector.stream(tmp_path, tiles="auto"))
    assert MANY < 3 * 12  # so the engine for many is used
    assert [one.detections for one in results] == [detector(one.picture.source, tiles=160) for one in results]
    assert sum(len(one.detections) for one in results) > 20


def test_tiles_share_inferences():
    detector = detector_of(batch=4)
    detector([picture(300, 300, BOX)], tiles=128)
    # Three by three and the whole one, which has the tiles' shape here.
    assert [shape[0] for shape in detector.engine.shapes] == [4, 4, 2]


def test_an_image_with_too_many_tiles_fails_and_the_others_are_answered():
    pictures = [Picture(noise(size, size), f"{size}", "made") for size in (130, 3000, 131)]
    failed = []
    stream = detector_of(workers=2).stream(pictures, tiles=32, tile_overlap=0.3, on_failure=failed.append)
    assert [result.picture.source for result in stream] == ["130", "131"]
    assert [failure.source for failure in failed] == ["3000"]
    assert str(failed[0].error).startswith("3000: 18496 tiles of 32,32 pixels")
    with pytest.raises(OptionError, match="18496 tiles"):
        detector_of()(noise(3000, 3000), tiles=32, tile_overlap=0.3)


def test_a_reduced_copy_has_no_pixels_for_tiles(tmp_path):
    Image.fromarray(picture(1600, 1600, BOX)).save(tmp_path / "large.jpg")
    with pytest.raises(OptionError, match=r"large\.jpg: decoded at a reduced size"):
        list(detector_of().stream(open_sources(tmp_path, reduced_within=(128, 128)), tiles=640))


def test_frames_of_a_camera_are_taken_one_by_one_and_their_tiles_answered_at_once(monkeypatch):
    taken = []

    def frames():
        for index in range(5):
            taken.append(index)
            yield Picture(picture(300, 300, (10 + index, 10, 40 + index, 40)), "camera", "frame.png", index)

    sources = Sources(())
    monkeypatch.setattr(type(sources), "live", True)
    monkeypatch.setattr(type(sources), "lazy_items", lambda self: ((lambda one=one: one) for one in frames()))
    detector = detector_of(ManyRedFinder, workers=3)
    for index, result in enumerate(detector.stream(sources, tiles=128)):
        assert taken == list(range(index + 1))
        assert result.detections.boxes[0] == pytest.approx((10 + index, 10, 40 + index, 40), abs=2)
    assert len(taken) == 5
    assert len(detector.engine.shapes) == 5 * 10
    assert MANY < 50


@pytest.mark.parametrize("options", [{"tiles": "all"}, {"tiles": 640, "tile_overlap": 1.0}, {"tile_overlap": 0.1}])
def test_what_cannot_be_is_refused_before_anything_is_read(options):
    with pytest.raises(OptionError):
        detector_of()("nothing.jpg", **options)
    with pytest.raises(OptionError):
        list(detector_of().stream("nothing.jpg", **options))
