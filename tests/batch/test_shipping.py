"""A detector sent to other machines is loaded there as it was here, once a process, or not at all."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from conftest import EXAMPLES
from lucidbox import Detector
from lucidbox.batch import ImageItem, Settings, shipping
from lucidbox.core.detection_tables import pyarrow
from lucidbox.core.errors import DataError, EngineError, OptionError
from lucidbox.images.reading import MAX_PIXELS


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A process that has loaded nothing, on a machine whose cache is empty; its cache."""
    monkeypatch.setattr(shipping, "_loaded", {})
    monkeypatch.setenv("LUCIDBOX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_the_same_detector_is_loaded_from_bytes(elsewhere):
    detector = Detector.load(size=64, conf=0.1, precision="fp32", classes="person")
    shipped, contents = shipping.ship(detector, MAX_PIXELS)
    shipped = pickle.loads(pickle.dumps(shipped))
    # Ray gives arrays, Spark bytes.
    arrays = [np.frombuffer(content, np.uint8) for content in contents]
    loaded = shipped.load(arrays, threads=1)
    assert Settings.of(loaded, MAX_PIXELS) == Settings.of(detector, MAX_PIXELS)
    assert loaded.weights.parent == elsewhere / "shipped" / shipped.settings.model
    assert loaded(EXAMPLES / "street.jpg") == detector(EXAMPLES / "street.jpg")
    assert shipped.load([], threads=1) is loaded


def test_what_is_found_automatically_here_is_asked_for_there():
    detector = Detector.load(size=64)
    shipped, _ = shipping.ship(detector, MAX_PIXELS)
    assert shipped.arguments["precision"] == detector.engine.precision != "auto"
    assert shipped.info.names == detector.names


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"precision": "int8"},
            "a worker has precision fp32 where the job has int8; name --engine and --precision",
        ),
        ({"model": "0" * 64}, "a worker's copy of the model differs; remove 'shipped' in its cache folder"),
    ],
)
def test_a_worker_that_would_find_other_boxes_is_refused(changes, words, elsewhere):
    shipped, contents = shipping.ship(Detector.load(size=64, precision="fp32"), MAX_PIXELS)
    other = replace(shipped, settings=replace(shipped.settings, **changes))
    with pytest.raises(EngineError, match=words):
        other.load(contents, threads=1)


def test_a_detector_without_a_file_cannot_be_sent(detector):
    with pytest.raises(OptionError, match=r"only a detector made by Detector.load can be pickled"):
        shipping.ship(detector, MAX_PIXELS)


def items(**columns):
    return list(shipping.items_in(pyarrow().table(columns)))


def test_columns_of_images():
    assert items(uri=["a", None]) == [ImageItem("a"), ImageItem("")]
    assert items(path=["a"], bytes=[b"1"]) == [ImageItem("a", b"1")]
    assert items(path=["a"], content=[None], length=[0]) == [ImageItem("a", b"")]
    assert items(bytes=[b"1", b"2"]) == [ImageItem("image-0", b"1"), ImageItem("image-1", b"2")]
    with pytest.raises(DataError, match="no column of images: uri, path, bytes or content; there are name, size"):
        items(name=["a"], size=[1])
