"""Images of several requests in one inference."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers import BOX, red_detector

from lucidbox.core.errors import EngineError
from lucidbox.serve import batching
from lucidbox.serve.batching import Batcher
from models import RedFinder, picture


@pytest.fixture
def patient(monkeypatch):
    """Batches wait long enough for every thread of a test."""
    monkeypatch.setattr(batching, "GATHER", 0.5)


def boxes_of(batcher, images):
    together = threading.Barrier(len(images))

    def ask(image):
        together.wait()
        return batcher(image)

    with ThreadPoolExecutor(len(images)) as threads:
        return [raw.letterbox.restore(raw.boxes).tolist() for raw in threads.map(ask, images)]


def test_images_of_one_shape_share_an_inference_and_get_the_answers_they_get_alone(patient):
    engine = RedFinder()
    predictor = red_detector(engine).predictor
    images = [picture(120, 160, [left, 20, left + 30, 60]) for left in (10, 40, 70)] + [picture(160, 120, BOX)]
    alone = [predictor.finish(predictor.infer([image])[0]).boxes.tolist() for image in images]
    engine.shapes.clear()
    batcher = Batcher(predictor, 8)
    together = boxes_of(batcher, images)
    assert sorted(shape[0] for shape in engine.shapes) == [1, 3]
    assert [boxes[1:] for boxes in together] == alone


def test_a_full_batch_does_not_wait(monkeypatch):
    monkeypatch.setattr(batching, "GATHER", 30)
    engine = RedFinder()
    boxes_of(Batcher(red_detector(engine).predictor, 2), [picture(120, 160, BOX)] * 4)
    assert [shape[0] for shape in engine.shapes] == [2, 2]


def test_an_error_reaches_every_one(patient):
    class Broken(RedFinder):
        def __call__(self, images):
            raise EngineError("broken")

    batcher = Batcher(red_detector(Broken()).predictor, 8)

    def ask(image):
        with pytest.raises(EngineError):
            batcher(image)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(ask, [picture(120, 160, BOX)] * 2))
    assert not batcher._open


def test_a_detector_with_batches_serves_in_batches(serving, red):
    detector = red_detector()
    detector.batch = 4
    client = serving({"red": detector})
    assert len(client.post("/v1/detect", content=red).json()["detections"]) == 1
    assert client.app.service.models["red"].batcher is not None
