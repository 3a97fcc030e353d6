import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from lucidbox import Detector
from lucidbox.cli import main
from lucidbox.core.errors import DataError, OptionError
from lucidbox.detect.predictor import Predictor, RawPrediction
from lucidbox.evaluate import CocoEvaluator, Protocol, Truth, evaluate
from lucidbox.sources import open_sources
from lucidbox.validate import inference
from lucidbox.validate.false_negatives import REASONS, explain_missed, missed_rows
from lucidbox.validate.model_run import ModelRun
from models import RedFinder, picture


@pytest.fixture
def reds(tmp_path):
    """Four pictures with a red box each, and their truth: category 7 is "red"."""
    boxes = [(10, 20, 60, 50), (5, 5, 40, 40), (30, 10, 90, 70), (0, 0, 20, 60)]
    sizes = [(100, 200), (200, 100), (120, 120), (96, 160)]
    for index, (box, size) in enumerate(zip(boxes, sizes, strict=True)):
        Image.fromarray(picture(*size, box)).save(tmp_path / f"{index}.png")
    xywh = [[left, top, right - left, bottom - top] for left, top, right, bottom in boxes]
    return Truth.from_arrays(
        [0, 1, 2, 3], [7] * 4, xywh, categories={7: "red"}, file_names={i: f"{i}.png" for i in range(4)}
    )


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_red_boxes_are_found_where_they_are(batch, reds, tmp_path):
    detector = Detector(RedFinder(), ("blue", "red"))
    evaluator, failures = CocoEvaluator(reds), []
    groups = inference.read_files(inference.files_of(reds, tmp_path), batch, failures.append)
    for image_id, raw in inference.raw_predictions(detector.predictor, groups):
        found = detector.predictor.finish(raw, inference.LIMITS)
        # The finder also answers "blue", which is no category of the truth.
        evaluator.add(image_id, found[found.classes == 1], [0, 7])
    assert failures == []
    assert len(detector.engine.shapes) == -(-4 // batch)
    assert evaluator.summary().stats[1] == pytest.approx(1.0)


def test_missing_files_are_counted_and_the_first_is_named(reds, tmp_path):
    (tmp_path / "2.png").unlink()
    with pytest.raises(DataError, match=r"1 of 4 pictures of truth are not here: 2\.png"):
        inference.files_of(reds, tmp_path)
    with pytest.raises(DataError, match="no such folder"):
        inference.files_of(reds, tmp_path / "nowhere")


def test_an_unreadable_picture_is_told_and_the_rest_go_on(reds, tmp_path):
    (tmp_path / "2.png").write_bytes(b"broken")
    detector, failures = Detector(RedFinder(), ("blue", "red")), []
    groups = inference.read_files(inference.files_of(reds, tmp_path), 2, failures.append)
    found = list(inference.raw_predictions(detector.predictor, groups))
    assert sorted(image_id for image_id, _ in found) == [0, 1, 3]
    assert "2.png" in str(failures[0])


def test_a_size_that_is_not_square_is_refused(reds, tmp_path):
    detector = Detector(RedFinder(), ("blue", "red"), size=(320, 640))
    with pytest.raises(OptionError, match="not square"):
        inference.validation_predictor(detector)
    with pytest.raises(OptionError, match="batch 0"):
        list(inference.read_files(inference.files_of(reds, tmp_path), 0, print))


def anchor_answer(boxes, scores):
    """A network's answer in a picture of 640 x 640, which needs no letterbox but half a stride of room."""
    letterbox = inference.fit_validation((640, 640), 640, (640, 640))
    image = np.zeros((640, 640, 3), np.uint8)
    return RawPrediction(image, letterbox, np.array(boxes, np.float32), np.array(scores, np.float32))


def test_each_reason_for_a_missed_truth():
    """Five objects; the network's answer misses each for a reason of its own."""
    truths = [[0, 0, 100, 100], [200, 0, 100, 100], [400, 0, 100, 100], [0, 300, 100, 100]]
    truth = Truth.from_arrays([1] * 4, [7] * 4, truths, categories={7: "red"}, pictures=[1])
    answer = anchor_answer(
        [
            [0, 0, 30, 30],  # 0: far too small: localisation
            [200, 0, 300, 100],  # 1: on the object, score too low
            [400, 0, 500, 72],  # 2: on the object, suppressed by the next
            [400, 0, 500, 58],  # 3: overlaps 2 by 0.8, the object by 0.58
            [0, 300, 100, 400],  # 4: found
        ],
        [[0.9], [0.0005], [0.5], [0.6], [0.8]],
    )
    nothing = evaluate(truth, validation_predictions(answer, keep=[]))
    rows = missed_rows(nothing.matching)
    assert rows == [0, 1, 2, 3]
    traced = explain_missed(nothing.matching, rows, answer, ("red",))
    assert [one.reason for one in traced] == ["localisation", "score", "taken", "taken"]
    assert traced[0].iou == pytest.approx(0.09)
    assert traced[1].score == pytest.approx(0.0005)
    assert all(one.reason in REASONS for one in traced)
    higher = anchor_answer(answer.boxes, [[0.9], [0.0005], [0.6], [0.5], [0.8]])
    higher.boxes[2] = [400, 0, 500, 45]
    higher.boxes[3] = [400, 0, 500, 58]
    (lost,) = explain_missed(nothing.matching, [2], higher, ("red",))
    assert lost.reason == "suppressed"
    assert lost.suppressor == (400, 0, 500, 45)
    assert lost.suppressor_score == pytest.approx(0.6)


def test_what_the_limit_cut_off_is_crowded_out_even_where_another_would_have_suppressed_it():
    truth = Truth.from_arrays([1], [7], [[400, 0, 100, 100]], categories={7: "red"}, pictures=[1])
    answer = anchor_answer(
        [[0, 0, 50, 50], [400, 0, 500, 48], [400, 0, 500, 60], [600, 0, 620, 20]],
        [[0.9], [0.7], [0.6], [0.5]],
    )  # 1 is not on the object (IoU 0.48), but suppresses 2, which is
    matching = evaluate(truth, validation_predictions(answer, keep=[])).matching

    def reason(**changes):
        (lost,) = explain_missed(matching, [0], answer, ("red",), replace(inference.LIMITS, **changes))
        return lost.reason, lost.suppressor_score

    assert reason() == ("suppressed", pytest.approx(0.7))
    assert reason(max_det=1) == ("crowded out", None)
    assert reason(candidates=1) == ("crowded out", None)
    assert reason(iou=0.9) == ("taken", None)


def test_missed_is_asked_at_half_and_only_for_objects_that_count():
    truth = Truth.from_arrays([1, 1], [7, 7], [[0, 0, 10, 10], [50, 50, 10, 10]], areas=[100, 1e12])
    nothing = validation_predictions(anchor_answer([[0, 0, 1, 1]], [[0.1]]), keep=[])
    # The second is larger than the range "all" goes: it is no object that counts.
    assert missed_rows(evaluate(truth, nothing).matching) == [0]
    with pytest.raises(OptionError, match=r"IoU 0\.5"):
        missed_rows(evaluate(truth, nothing, Protocol((0.45, 0.75))).matching)


def test_a_stream_says_what_was_strange_and_what_never_came(reds):
    from lucidbox.sources import Picture

    pixels = picture(32, 32, (0, 0, 9, 9))
    stream = [Picture(pixels, f"hub#{one}", str(one), image_id=one) for one in (2, 99, 0, 98)]
    said = []
    groups = list(inference.read_stream(stream, reds, pytest.fail, said.append))
    assert [group[0][0] for group in groups] == [2, 0]
    strange, absent = said
    assert strange.startswith("2 pictures that came are not in truth")
    assert absent.startswith("2 of 4 pictures of truth did not come")


def test_images_of_other_sizes_are_told_with_the_ap_of_the_stated_ones(reds, tmp_path):
    detector = Detector(RedFinder(), ("blue", "red"))
    stated = [[400, 200], [200, 400], [240, 240], [160, 96]]
    larger = reds.boxes_xywh * [[2], [2], [2], [1]]
    truth = replace(reds, stated_sizes=np.array(stated, float), boxes_xywh=larger)
    run = ModelRun(detector, truth, inference.files_of(truth, tmp_path))
    summary = evaluate(truth, run.predictions())
    (told,) = run.size_doubts(summary)
    assert told.startswith(
        "truth: 3 of 4 images have another size than stated (the first: 0.png has 200×100 pixels"
    )
    assert summary.stats[1] < 0.5
    assert float(told.split("AP would be ")[1].split()[0]) > summary.stats[0] + 0.4


def test_where_nothing_could_be_read_nothing_is_evaluated(reds, tmp_path):
    detector = Detector(RedFinder(), ("blue", "red"))
    for index in range(4):
        (tmp_path / f"{index}.png").write_bytes(b"broken")
    failures = []
    gone = open_sources(f"hf:{tmp_path / 'nowhere'}")
    for images in (inference.files_of(reds, tmp_path), gone):
        failures.clear()
        with pytest.raises(DataError, match="none of its 4 images could be read"):
            ModelRun(detector, reds, images, on_failure=failures.append).predictions()
        assert failures


def test_what_could_not_be_read_is_among_the_notes(reds, tmp_path):
    detector = Detector(RedFinder(), ("blue", "red"))
    (tmp_path / "2.png").write_bytes(b"broken")
    found = ModelRun(detector, reds, inference.files_of(reds, tmp_path)).predictions()
    assert "1 images could not be read; their objects count as missed" in found.notes


def validation_predictions(answer, keep):
    from lucidbox.evaluate import Predictions

    return Predictions.from_arrays([1] * len(keep), [7] * len(keep), np.zeros((len(keep), 4)), np.zeros(len(keep)))


def test_found_truths_are_not_missed():
    from lucidbox.evaluate import Predictions

    truth = Truth.from_arrays(
        [1, 1, 1],
        [7] * 3,
        [[0, 0, 10, 10], [50, 50, 10, 10], [80, 80, 9, 9]],
        crowds=[0, 0, 1],
        categories={7: "red"},
    )
    found = Predictions.from_arrays([1], [7], [[0, 0, 10, 9]], [0.9])
    assert missed_rows(evaluate(truth, found).matching) == [1]


def test_class_offset_equals_exact_suppression_where_nothing_rounds():
    random = np.random.default_rng(0)
    corners = random.integers(0, 500, (200, 2))
    boxes = np.concatenate([corners, corners + random.integers(5, 100, (200, 2))], axis=1)
    answer = anchor_answer(boxes, random.random((200, 3)))
    predictor = Predictor(RedFinder(), ("a", "b", "c"), limits=inference.LIMITS)
    exact = predictor.finish(answer)
    assert inference.class_offset_detections(predictor, answer) == exact


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "tolerance"), [(1, 0.002), (16, 0.003)])
def test_the_reference_networks_accuracy(batch, tolerance, reference_onnx, golden_file, shared, tmp_path, capsys):
    arguments = [
        "--annotations",
        str(shared("data/coco-val-150/instances.json")),
        "--weights",
        str(reference_onnx),
    ]
    images, saved = shared("data/coco-val-150/images"), tmp_path / "found.json"
    options = ["--precision", "fp32", "--batch", str(batch), "--save-predictions", str(saved), "--json"]
    assert main(["evaluate", *arguments, "--images", str(images), *options]) == 0
    document = json.loads(capsys.readouterr().out)
    golden = json.loads(golden_file("val/stats.json").read_text())[f"batch{batch}"]
    assert document["AP"] == pytest.approx(golden["pycocotools"]["AP"], abs=tolerance)
    assert document["detections"] == pytest.approx(golden["detections"], rel=0.005)
    assert len(json.loads(saved.read_text())) == document["detections"]
