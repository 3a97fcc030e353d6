"""The path, with an engine whose answers are known: it finds red rectangles."""

import gc
import io
import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from lucidbox import Detector, Limits
from lucidbox.core.detections import Detections
from lucidbox.core.errors import EngineError, ImageError, OptionError, SourceError
from lucidbox.detect.stream import MANY
from lucidbox.detector.inputs import lazy_items
from lucidbox.engines import Prediction
from lucidbox.images.kinds import READ
from lucidbox.sources import Failure, Picture, open_sources
from models import RedFinder, picture, unchecked_shapes


@pytest.fixture
def detector():
    return Detector(RedFinder(), ("blue", "red"), size=(640, 640))


def test_the_box_is_in_the_pictures_own_pixels(detector):
    found = detector(picture(960, 1280, (200, 100, 600, 500)))
    assert detector.engine.shapes == [(1, 480, 640, 3)]
    assert isinstance(found, Detections)
    assert found.labels == ["red"]
    assert found.boxes[0] == pytest.approx([200, 100, 600, 500], abs=2)
    assert found.boxes.dtype == np.float32


def test_a_bgr_array_says_so(detector):
    image = picture(64, 64, (8, 8, 40, 40))
    assert len(detector(image[..., ::-1])) == 0
    assert len(detector(image[..., ::-1], color="bgr")) == 1


def test_a_file_an_array_bytes_and_a_pil_image_answer_alike(detector, tmp_path):
    image = picture(120, 200, (10, 20, 50, 70))
    path = tmp_path / "red.png"
    Image.fromarray(image).save(path)
    expected = detector(image)
    assert len(expected) == 1
    for form in (path, str(path), path.read_bytes(), Image.fromarray(image)):
        assert detector(form) == expected


def test_a_list_comes_back_in_order_and_only_equal_shapes_share_a_batch():
    detector = Detector(RedFinder(), ("blue", "red"), batch=2)
    wide, tall = picture(100, 200, (10, 10, 30, 30)), picture(200, 100, (5, 5, 95, 195))
    none = np.zeros((100, 200, 3), np.uint8)
    found = detector([wide, tall, none, wide, tall])
    assert [len(one) for one in found] == [1, 1, 0, 1, 1]
    assert sorted(detector.engine.shapes) == [(1, 320, 640, 3), (2, 320, 640, 3), (2, 640, 320, 3)]
    assert found[0] == found[3] == detector(wide)
    assert found[1] == found[4] == detector(tall)
    assert detector([]) == []


def test_limits_of_a_call_do_not_stay(detector):
    image = picture(64, 64, (8, 8, 40, 40))
    assert len(detector(image, conf=0.8)) == 0
    assert len(detector(image, classes=["blue"])) == 0
    assert len(detector(image, classes="red")) == 1
    assert len(detector(image, classes=[1])) == 1
    assert len(detector(image)) == 1


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"conf": 7.0}, "conf 7.0 is not between 0 and 1"),
        ({"classes": ["unicorn"]}, "unicorn"),
        ({"max_det": 0}, "max_det 0 is less than 1"),
        ({"treshold": 0.5}, "unknown limit 'treshold'"),
    ],
)
def test_bad_limits_are_named(detector, limits, message):
    with pytest.raises(OptionError, match=message):
        detector(picture(8, 8, (0, 0, 4, 4)), **limits)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_det": "5"}, "max_det '5' is not a whole number"),
        ({"max_det": 2.5}, "max_det 2.5 is not a whole number"),
        ({"conf": "0.5"}, "conf '0.5' is not a number"),
    ],
)
def test_limits_of_another_type_are_named(detector, limits, message):
    with unchecked_shapes(), pytest.raises(OptionError, match=message):
        detector(picture(8, 8, (0, 0, 4, 4)), **limits)


def test_an_answer_that_is_no_number_is_refused(detector):
    class Broken(RedFinder):
        def __call__(self, images):
            boxes, scores = super().__call__(images)
            return Prediction(boxes, scores * np.float32("nan"))

    with pytest.raises(EngineError, match="NaN"):
        Detector(Broken(), ("blue", "red"))(picture(8, 8, (0, 0, 4, 4)))


def test_names_that_do_not_fit_the_network_are_refused():
    with pytest.raises(EngineError, match="2 classes, its metadata names 3"):
        Detector(RedFinder(), ("a", "b", "c"))(picture(8, 8, (0, 0, 4, 4)))


def test_stream_holds_order_and_reports_failures(detector, tmp_path):
    for index in range(5):
        Image.fromarray(picture(40 + index, 60, (1, 1, 20 + index, 20))).save(tmp_path / f"{index}.png")
    (tmp_path / "2.png").write_bytes(b"not a picture")
    failed = []
    results = list(detector.stream(tmp_path, on_failure=failed.append))
    assert [result.picture.source.rsplit("/", 1)[-1] for result in results] == ["0.png", "1.png", "3.png", "4.png"]
    assert len(failed) == 1
    assert "2.png" in str(failed[0].error)
    assert all(len(result.detections) == 1 and result.milliseconds > 0 for result in results)
    with pytest.raises(ImageError, match=r"2\.png"):
        list(detector.stream(tmp_path))


@pytest.mark.parametrize("live", [False, True])
def test_answers_are_one_for_each_item(detector, live):
    good = Picture(picture(48, 64, (8, 8, 24, 24)), "good", "good")
    bad = Failure("bad", ImageError("bad: no"))
    items = [good, bad, good, good, bad]
    answers = list(detector.answers([lambda item=item: item for item in items], live=live, conf=0.7))
    assert [answer is bad for answer in answers] == [item is bad for item in items]
    assert {len(answer.detections) for answer in answers if answer is not bad} == {1}


def test_a_folder_in_batches_answers_as_each_picture_alone(tmp_path):
    for index in range(7):
        Image.fromarray(picture(40 + 40 * (index % 2), 80, (1, 1, 20 + index, 20))).save(tmp_path / f"{index}.png")
    detector = Detector(RedFinder(), ("blue", "red"), batch=3)
    together = list(detector.stream(tmp_path))
    assert [result.detections for result in together] == [detector(result.picture.source) for result in together]


def test_many_threads_each_get_their_own_answer(detector):
    pictures = [picture(64 + 8 * index, 64, (4, 4, 8 + 4 * index, 40)) for index in range(8)]
    alone = [detector(image) for image in pictures]
    wrong = []

    def work(index):
        wrong.extend(index for _ in range(30) if detector(pictures[index]) != alone[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_torch_runs_weights_as_they_are_without_the_door(small_weights, monkeypatch):
    monkeypatch.setattr("lucidbox.detector.loading.graph_of", lambda *_: pytest.fail("converted for nothing"))
    detector = Detector.load(small_weights, engine="torch")
    assert detector.names == ("red", "green", "blue")
    assert len(detector(np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8))) > 0


def test_square_pads_to_the_whole_size():
    detector = Detector(RedFinder(), ("blue", "red"), square=True, limits=Limits(conf=0.5))
    found = detector(picture(100, 200, (10, 20, 50, 70)))
    assert detector.engine.shapes == [(1, 640, 640, 3)]
    assert found.boxes[0] == pytest.approx([10, 20, 50, 70], abs=1)


def test_bytes_and_open_files_are_images_of_a_call_and_of_a_stream(detector, tmp_path):
    Image.fromarray(picture(40, 60, (1, 1, 20, 20))).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    for image in (data, bytearray(data), io.BytesIO(data)):
        assert len(detector(image)) == 1
    with (tmp_path / "a.png").open("rb") as file:
        results = list(detector.stream([bytearray(data), file, io.BytesIO(data), tmp_path / "a.png"]))
    named = [str(tmp_path / "a.png")] * 2
    assert [result.picture.source for result in results] == ["image-0", named[0], "image-2", named[1]]
    failed = []
    assert list(detector.stream([b"words", b""], on_failure=failed.append)) == []
    assert [str(one.error) for one in failed] == [
        f"image-0: not a picture; {READ} are read", "image-1: is empty"
    ]  # fmt: skip


def test_a_detector_is_pickled_by_what_it_was_loaded_with(small_onnx, monkeypatch):
    monkeypatch.chdir(small_onnx.parent)
    one = Detector.load(small_onnx.name, precision="fp32", conf=0.4, classes=["red"], size=320)
    monkeypatch.chdir("/")
    other = pickle.loads(pickle.dumps(one))
    assert (other.limits, other.size, other.names) == (one.limits, one.size, one.names)
    with pytest.raises(OptionError, match="only a detector made by"):
        pickle.dumps(Detector(RedFinder(), ("blue", "red")))


FORKED = """
import os, signal, sys
import numpy as np
from lucidbox import Detector
from lucidbox.sources import Picture

detector = Detector.load(sys.argv[1], precision="fp32", engine=sys.argv[2])
noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64, 3), dtype=np.uint8)
images = [Picture(pixels, str(number), str(number)) for number, pixels in enumerate(noise)]
found = [detector(noise[0]), *(result.detections for result in detector.stream(images))]
if os.fork() == 0:
    signal.alarm(60)
    again = [detector(noise[0]), *(result.detections for result in detector.stream(images))]
    os._exit(0 if again == found else 3)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are not forked here")
@pytest.mark.parametrize("engine", ["openvino", pytest.param("onnxruntime", marks=pytest.mark.extended)])
def test_a_forked_process_answers_as_its_parent_did(engine, small_onnx):
    command = [sys.executable, "-W", "ignore", "-c", FORKED, str(small_onnx), engine]
    assert subprocess.run(command).returncode == 0


def test_streams_take_pictures_and_refuse_what_is_none(detector, tmp_path):
    Image.fromarray(picture(40, 60, (1, 1, 20, 20))).save(tmp_path / "a.png")
    pictures = list(open_sources(tmp_path))
    assert [len(result.detections) for result in detector.stream(pictures)] == [1]
    assert [len(result.detections) for result in detector.stream([tmp_path / "a.png", *pictures])] == [1, 1]
    with pytest.raises(OptionError, match="not ndarray; for arrays call the detector"):
        list(lazy_items([pictures[0].pixels]))


def test_nan_at_one_level_only_is_found(detector):
    class PartlyBroken(RedFinder):
        def __call__(self, images):
            boxes, scores = super().__call__(images)
            scores[:, -1] = np.nan
            return Prediction(boxes, scores)

    with pytest.raises(EngineError, match="NaN"):
        Detector(PartlyBroken(), ("blue", "red"))(picture(8, 8, (0, 0, 4, 4)))


@pytest.mark.parametrize("limits", [{"conf": 2.0}, {"size": 100}, {"batch": 0}])
def test_wrong_numbers_are_refused_before_a_model_is_converted(limits, monkeypatch):
    monkeypatch.setattr("lucidbox.detector.loading.graph_of", lambda *_: pytest.fail("converted first"))
    with pytest.raises(OptionError):
        Detector.load("any.pt", **limits)


class ManyRedFinder(RedFinder):
    """One that several threads may call at once with profit."""

    def for_many(self):
        return self


def threads_of_streams():
    return [thread for thread in threading.enumerate() if thread.name.startswith("lucidbox")]


def reds(folder, count):
    """Pictures of two shapes, each with another box; every seventh cannot be read."""
    for index in range(count):
        path = folder / f"{index}.png"
        if index % 7 == 3:
            path.write_bytes(b"not a picture")
        else:
            Image.fromarray(picture(40 + 40 * (index % 2), 80, (1, 1, 5 + index, 20))).save(path)
    return folder


@pytest.mark.parametrize(("workers", "batch"), [(2, 1), (5, 3)])
def test_several_at_once_answer_as_one_by_one(batch, workers, tmp_path):
    def everything(count, engine=RedFinder):
        """Pictures and failures in the order in which they were told."""
        told = []
        detector = Detector(engine(), ("blue", "red"), batch=batch, workers=count, size=(160, 160))
        for result in detector.stream(reds(tmp_path, 45), on_failure=lambda failure: told.append(failure.source)):
            told.append((result.picture.source, result.detections))
        return told

    alone = everything(1)
    assert len(alone) == 45
    assert [one if isinstance(one, str) else one[0] for one in alone] == [
        str(tmp_path / f"{index}.png") for index in range(45)
    ]
    assert everything(workers) == alone
    assert everything(workers, ManyRedFinder) == alone
    assert threads_of_streams() == []


def test_a_stream_holds_few_pictures_and_waits_for_who_takes_them():
    handed, held = 0, []

    def pictures():
        nonlocal handed
        for index in range(200):
            handed += 1
            yield Picture(picture(40, 60, (1, 1, 20, 20)), f"{index}", "made")

    detector = Detector(RedFinder(), ("blue", "red"), workers=3, size=(160, 160))
    for taken, _ in enumerate(detector.stream(pictures()), start=1):
        held.append(handed - taken)
    # Three being read, four being answered, and the one between.
    assert max(held) <= 8
    assert handed == 200


def test_an_engine_that_fails_is_told_in_its_place_and_leaves_no_thread(tmp_path):
    class Failing(RedFinder):
        def __call__(self, images):
            if images[0, ..., 0].max() > 250:
                raise EngineError("red is too much")
            return super().__call__(images)

    pictures = [Picture(np.full((40, 60, 3), shade, np.uint8), "made", "made") for shade in (9, 8, 255, 7, 6)]
    results = Detector(Failing(), ("blue", "red"), workers=3).stream(pictures)
    assert [int(next(results).picture.pixels[0, 0, 0]) for _ in range(2)] == [9, 8]
    with pytest.raises(EngineError, match="red is too much"):
        next(results)
    assert threads_of_streams() == []


def test_leaving_a_stream_early_ends_its_threads_and_closes_its_source():
    closed = []

    def pictures():
        try:
            while True:
                yield Picture(picture(40, 60, (1, 1, 20, 20)), "made", "made")
        finally:
            closed.append(True)

    results = Detector(RedFinder(), ("blue", "red"), workers=3).stream(pictures())
    next(results)
    assert threads_of_streams()
    results.close()
    gc.collect()
    assert threads_of_streams() == []
    assert closed == [True]


def test_an_item_that_is_no_picture_is_refused_after_the_results_before_it():
    good = Picture(picture(40, 60, (1, 1, 20, 20)), "made", "made")
    results = Detector(RedFinder(), ("blue", "red"), workers=3).stream(iter([good, good, good.pixels, good]))
    assert len([next(results) for _ in range(2)]) == 2
    with pytest.raises(OptionError, match="not ndarray"):
        next(results)


def test_a_long_stream_goes_over_to_the_engine_for_many_and_a_short_one_does_not():
    class Scaled(RedFinder):
        made = 0

        def for_many(self):
            type(self).made += 1
            self.many = RedFinder()
            return self.many

    good = Picture(picture(40, 60, (1, 1, 20, 20)), "made", "made")
    detector = Detector(Scaled(), ("blue", "red"), workers=3)
    few = [result.detections for result in detector.stream([good] * MANY)]
    assert Scaled.made == 0
    many = [result.detections for result in detector.stream([good] * (MANY + 5))]
    assert Scaled.made == 1
    assert (len(detector.engine.shapes), len(detector.engine.many.shapes)) == (2 * MANY, 5)
    list(detector.stream([good] * 3))
    assert len(detector.engine.many.shapes) == 8
    assert len({len(one) for one in few + many}) == 1
    list(Detector(Scaled(), ("blue", "red"), workers=1).stream([good] * (MANY + 5)))
    assert Scaled.made == 1


def test_no_workers_are_refused():
    with pytest.raises(OptionError, match="workers 0"):
        Detector(RedFinder(), ("blue", "red"), workers=0)


def test_of_a_camera_the_newest_frame_is_next(monkeypatch):
    """While the first is worked on, the camera goes on to its last."""
    from lucidbox.sources import Sources

    finished = threading.Event()

    class Camera:
        kind, name, count, live = "camera", "camera:0", None, True

        def __iter__(self):
            for index in range(20):
                yield Picture(picture(40, 60, (1, 1, 20, 20)), "camera:0", "camera", index, 0.0)
            finished.set()

    results = Detector(RedFinder(), ("blue", "red"), workers=3).stream(Sources((Camera(),)))
    frames = [next(results).picture.frame]
    assert finished.wait(60)
    frames += [result.picture.frame for result in results]
    assert frames[-1] == 19
    assert len(frames) <= 3
    assert threads_of_streams() == []


@pytest.mark.parametrize("batch", [1, pytest.param(4, marks=pytest.mark.extended)])
def test_real_pictures_have_the_same_answers_alone_and_in_a_stream(batch, small_onnx, tmp_path):
    """Bit for bit, with both forms of the engine, at the precision that users get."""
    random = np.random.default_rng(0)
    for index in range(MANY + 12):
        shape = (96 + 32 * (index % 3), 160, 3)
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(tmp_path / f"{index}.png")
    detector = Detector.load(small_onnx, size=160, conf=0.3, batch=batch)
    results = list(detector.stream(tmp_path))
    assert [result.detections for result in results] == [detector(result.picture.source) for result in results]
    assert len(results) == MANY + 12
    assert sum(len(result.detections) for result in results) > 50
    assert detector.stream_runner.predictor_for_many.engine is not detector.engine


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_150_pictures_have_the_same_answers_alone_and_in_a_stream(precision, reference_onnx, shared):
    detector = Detector.load(reference_onnx, precision=precision, conf=0.05)
    results = list(detector.stream(shared("data/coco-val-150/images")))
    assert len(results) == 150
    assert [detector(result.picture) for result in results] == [result.detections for result in results]


def test_what_a_camera_loses_and_goes_on_is_a_warning_not_the_end(detector, tmp_path):
    lost = Failure("camera:0", SourceError("camera:0: 1 frames could not be decoded so far"), passing=True)
    picture = Picture(np.zeros((64, 64, 3), np.uint8), "camera:0", "camera-0", 0, 0.0)
    with pytest.warns(UserWarning, match="could not be decoded so far"):
        assert len(list(detector.stream([lost, picture]))) == 1
    told = []
    assert len(list(detector.stream([lost, picture], on_failure=told.append))) == 1
    assert told == [lost]
