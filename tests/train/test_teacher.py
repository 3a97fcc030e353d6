import math

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from lucidbox.core.class_names import COCO_NAMES
from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.engines.layouts.answers import decode_answer
from lucidbox.model import Logits
from lucidbox.model.decoding import DecodedPredictions, Decoder, anchor_points
from lucidbox.model_files.layouts.layout import Layout, Pixels
from lucidbox.train.complete_iou import ciou
from lucidbox.train.losses import Gains
from lucidbox.train.teacher import Teacher, distillation_loss

STRIDES = (8, 16, 32)
TEACHER = "weights/teacher/yolox_nano.onnx"


def yolox_shaped(path, numbers=85, strides=STRIDES, side=96, outputs=1):
    """A file of YOLOX's form, for one picture of one size, whose answers can be told by hand.

    Of each cell's left top pixel, blue is the centre's x from the corner, green its y, in cells; red / 256 is
    the objectness; class k has probability k / 128. Width is one cell, height two.
    """
    nodes, constants, levels = [], [], []
    for stride in strides:
        kernel = np.zeros((numbers, 3, stride, stride), np.float32)
        kernel[0, 0, 0, 0] = kernel[1, 1, 0, 0] = 1
        kernel[4, 2, 0, 0] = 1 / 256
        bias = np.array([0, 0, 0, math.log(2), 0, *(np.arange(numbers - 5) / 128)], np.float32)
        constants += [numpy_helper.from_array(kernel, f"w{stride}"), numpy_helper.from_array(bias, f"b{stride}")]
        constants.append(numpy_helper.from_array(np.array([1, numbers, -1]), f"s{stride}"))
        inputs = ["images", f"w{stride}", f"b{stride}"]
        nodes.append(helper.make_node("Conv", inputs, [f"c{stride}"], strides=[stride, stride]))
        nodes.append(helper.make_node("Reshape", [f"c{stride}", f"s{stride}"], [f"r{stride}"]))
        levels.append(f"r{stride}")
    nodes.append(helper.make_node("Concat", levels, ["all"], axis=2))
    for number in range(outputs):
        nodes.append(helper.make_node("Transpose", ["all"], [f"output{number}"], perm=[0, 2, 1]))
    shape = [1, sum((side // stride) ** 2 for stride in strides), numbers]
    graph = helper.make_graph(
        nodes,
        "yolox",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(f"output{n}", TensorProto.FLOAT, shape) for n in range(outputs)],
        constants,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)], ir_version=7), path)
    return path


@pytest.fixture(scope="module")
def small_teacher(tmp_path_factory):
    return yolox_shaped(tmp_path_factory.mktemp("teacher") / "small.onnx")


def test_every_anchor_by_hand(small_teacher):
    """Batches and sides other than the file's; anchors in the learner's order; RGB given, BGR asked for."""
    names = ["dog", "person", "toothbrush"]
    images = torch.randint(0, 256, (2, 64, 96, 3), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    boxes, scores = Teacher(small_teacher, names)(images)
    expected_boxes, expected_scores = [], []
    for picture in images.tolist():
        for stride in STRIDES:
            for top in range(0, 64, stride):
                for left in range(0, 96, stride):
                    red, green, blue = picture[top][left]
                    x, y = left + blue * stride, top + green * stride
                    expected_boxes.append([x - stride / 2, y - stride, x + stride / 2, y + stride])
                    expected_scores.append([red / 256 * COCO_NAMES.index(name) / 128 for name in names])
    # The height, a logarithm, may be rounded to bfloat16.
    torch.testing.assert_close(boxes, torch.tensor(expected_boxes).reshape(2, -1, 4), atol=0.3, rtol=0)
    torch.testing.assert_close(scores, torch.tensor(expected_scores).reshape(2, -1, 3), atol=0, rtol=0.01)


def decoded(raw, height, width):
    """YOLOX's raw answer as the predictions that the loss is given."""
    layout = Layout("yolox", Pixels("images"), outputs=("output",))
    found = decode_answer(layout, {"output": raw.numpy()}, (height, width), raw.shape[2] - 5)
    return DecodedPredictions(*map(torch.from_numpy, found))


def test_an_anchor_lies_in_the_cell_of_ours():
    """YOLOX's box of offset ½ and side 1 is the cell whose centre is our anchor point."""
    raw = torch.zeros(1, 126, 6)
    raw[..., :2] = 0.5
    boxes, _ = decoded(raw, 64, 96)
    anchors = anchor_points([(8, 12), (4, 6), (2, 3)], STRIDES)
    assert torch.equal((boxes[0, :, :2] + boxes[0, :, 2:]) / 2, anchors.points)
    assert torch.equal(boxes[0, :, 2] - boxes[0, :, 0], anchors.strides)


def test_the_decoding_of_the_layout_gives_the_losses_of_the_formula():
    """The teacher's targets, computed from our anchor points in float64: the same loss, but for rounding."""
    raw = torch.randn(2, ANCHORS, 8, generator=torch.Generator().manual_seed(4))
    raw[..., 4:] = raw[..., 4:].sigmoid()
    wide = raw.double()
    anchors = anchor_points([(8, 12), (4, 6), (2, 3)], STRIDES)
    strides = anchors.strides[:, None]
    centres, halves = anchors.points + (wide[..., :2] - 0.5) * strides, wide[..., 2:4].exp() * strides / 2
    formula = DecodedPredictions(
        torch.cat((centres - halves, centres + halves), dim=2), wide[..., 4:5] * wide[..., 5:]
    )
    logits = random_logits()
    ours, theirs = (distillation_loss(logits, answers, SIZE) for answers in (decoded(raw, *SIZE), formula))
    torch.testing.assert_close(ours.items, theirs.items, rtol=1e-6, atol=0)


def test_it_takes_no_more_threads_than_torch(small_teacher, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert Teacher(small_teacher, COCO_NAMES)._model.get_property("INFERENCE_NUM_THREADS") == 1


def test_a_picture_has_the_answers_it_has_alone(small_teacher):
    teacher = Teacher(small_teacher, COCO_NAMES)
    images = torch.randint(0, 256, (2, 64, 96, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    together, alone = teacher(images), teacher(images[1:])
    torch.testing.assert_close(together.scores[1:], alone.scores, atol=1e-3, rtol=0.05)
    assert together.boxes.shape == (2, 126, 4)


@pytest.fixture
def street(shared):
    """Picture and objects of a val picture, 320 pixels wide, padded."""
    import json

    import cv2

    folder = shared("data/coco-val-150")
    truth = json.loads((folder / "instances.json").read_text())
    largest = max(truth["annotations"], key=lambda each: each["area"] * (not each["iscrowd"]))
    entry = next(each for each in truth["images"] if each["id"] == largest["image_id"])
    pixels = cv2.imread(str(folder / "images" / entry["file_name"]))[..., ::-1]
    gain = 320 / max(pixels.shape[:2])
    resized = cv2.resize(np.ascontiguousarray(pixels), None, fx=gain, fy=gain)
    image = np.full((320, 320, 3), 114, np.uint8)
    image[: resized.shape[0], : resized.shape[1]] = resized
    left, top, width, height = (gain * side for side in largest["bbox"])
    name = next(each["name"] for each in truth["categories"] if each["id"] == largest["category_id"])
    return torch.from_numpy(image), (left, top, left + width, top + height), name


def test_the_real_teacher_finds_a_large_object(shared, street):
    image, (left, top, right, bottom), name = street
    boxes, scores = Teacher(shared(TEACHER), [name])(image[None])
    best = scores[0, :, 0].argmax()
    assert scores[0, best, 0] > 0.5
    found = boxes[0, best].tolist()
    across = min(found[2], right) - max(found[0], left)
    down = min(found[3], bottom) - max(found[1], top)
    both = (found[2] - found[0]) * (found[3] - found[1]) + (right - left) * (bottom - top)
    assert across * down / (both - across * down) > 0.8


def test_classes_are_found_by_name(small_teacher):
    images = torch.randint(0, 256, (1, 64, 96, 3), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    every = Teacher(small_teacher, COCO_NAMES)(images)
    few = Teacher(small_teacher, ["cat", "person"])(images)
    assert torch.equal(few.scores, every.scores[..., [15, 0]])
    assert torch.equal(few.boxes, every.boxes)


def test_bad_files_and_classes(tmp_path, small_teacher):
    (tmp_path / "text.onnx").write_text("no network")
    (tmp_path / "half.onnx").write_bytes(small_teacher.read_bytes()[:5000])
    (tmp_path / "empty.onnx").write_bytes(b"")
    cases = [
        (tmp_path / "none.onnx", "no such weights file"),
        (tmp_path, "a folder"),
        (tmp_path / "text.onnx", "not an ONNX file of a YOLOX"),
        (tmp_path / "half.onnx", "not a whole ONNX file"),
        (tmp_path / "empty.onnx", "empty"),
        (yolox_shaped(tmp_path / "few.onnx", strides=(8, 16)), "180×85"),
        (yolox_shaped(tmp_path / "four.onnx", strides=(8, 16, 32, 64), side=128), "84"),
        (yolox_shaped(tmp_path / "two.onnx", outputs=2), "output1"),
        (yolox_shaped(tmp_path / "voc.onnx", numbers=25), r"yolox \(20 classes\); yolo \(21 classes\)"),
    ]
    for path, message in cases:
        with pytest.raises(WeightsError, match=message) as caught:
            Teacher(path, ["person"])
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(OptionError, match="'unicorn', only its 80 classes: person, bicycle"):
        Teacher(small_teacher, ["person", "unicorn"])
    with pytest.raises(OptionError, match="64×80"):
        Teacher(small_teacher, ["person"])(torch.zeros(1, 64, 80, 3, dtype=torch.uint8))


SIZE = (64, 96)
ANCHORS = 126


def random_logits(batch=2, classes=3, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.randn(batch, 64, ANCHORS, generator=generator, dtype=torch.float64)
    classes = torch.randn(batch, classes, ANCHORS, generator=generator, dtype=torch.float64)
    return Logits(boxes.to(dtype), classes.to(dtype))


def answers_of(logits):
    """What a teacher with these logits would answer."""
    return Decoder(STRIDES, 16)(logits, *SIZE)


def faint(batch=2, classes=3):
    """A teacher that sees nothing."""
    return DecodedPredictions(
        torch.zeros(batch, ANCHORS, 4, dtype=torch.float64),
        torch.zeros(batch, ANCHORS, classes, dtype=torch.float64),
    )


def differentiated(logits, answers, **options):
    leaves = Logits(*(part.clone().requires_grad_() for part in logits))
    loss = distillation_loss(leaves, answers, SIZE, **options)
    return loss, *torch.autograd.grad(loss.total, tuple(leaves))


def test_a_loss_by_hand():
    """One anchor where the teacher sees one class; the student knows nothing yet."""
    answers = faint(batch=1, classes=2)
    answers.scores[0, 50, 1] = 0.8
    # Anchor 50 is in row 4, column 2 of the finest level: its centre is at 20, 36.
    answers.boxes[0, 50] = torch.tensor([20 - 2.25 * 8, 36 - 7 * 8, 20 + 1 * 8, 36 + 14.5 * 8])
    # Equal numbers: every side is expected at 7.5 cells, every class at one half.
    logits = Logits(torch.zeros(1, 64, ANCHORS).double(), torch.zeros(1, 2, ANCHORS).double())
    items = distillation_loss(logits, answers, SIZE, Gains(1, 1, 1)).items
    # Cross-entropies to one half are ln 2, whatever the target; the sum of scores, 0.8, counts as 1.
    assert items[1].item() == pytest.approx(2 * ANCHORS * math.log(2))
    assert items[2].item() == pytest.approx(0.8 * math.log(16))
    overlap = ciou(torch.tensor([20.0 - 60, 36 - 60, 20 + 60, 36 + 60]), answers.boxes[0, 50].float()).item()
    assert items[0].item() == pytest.approx(0.8 * (1 - overlap), rel=1e-5)


def test_nothing_pulls_where_the_student_answers_as_the_teacher_does():
    logits = random_logits()
    # Sharp distributions on two neighbouring numbers, as the loss asks for.
    sides = torch.full((2, 4, 16, ANCHORS), -60.0, dtype=torch.float64)
    sides[:, :, 1] = math.log(0.7)
    sides[:, :, 2] = math.log(0.3)
    same = Logits(sides.reshape(2, 64, ANCHORS), logits.classes)
    loss, to_boxes, to_classes = differentiated(same, answers_of(same))
    assert loss.items[0].abs() < 1e-6
    assert to_classes.abs().max() < 1e-12
    assert to_boxes.abs().max() < 1e-4
    other, other_to_boxes, other_to_classes = differentiated(random_logits(seed=1), answers_of(same))
    assert (other.items > loss.items).all()
    assert other_to_classes.abs().max() > 1e-3
    assert other_to_boxes.abs().max() > 1e-3


def test_classes_are_pulled_towards_the_teacher():
    logits, teacher = random_logits(seed=2), random_logits(seed=3)
    _, _, to_classes = differentiated(logits, answers_of(teacher))
    assert torch.equal(to_classes > 0, logits.classes.sigmoid() > teacher.classes.sigmoid())


def test_boxes_are_learnt_only_where_the_teacher_sees_something():
    answers = faint()
    answers.scores[0, 7, 2], answers.scores[1, 9, 0] = 0.9, 0.04
    answers.boxes[:, :] = torch.tensor([4.0, 4, 40, 40])
    _, to_boxes, _ = differentiated(random_logits(), answers)
    pulled = to_boxes.abs().sum(dim=1).nonzero().tolist()
    assert pulled == [[0, 7]]


def test_two_processes_add_up_to_one():
    logits, answers = random_logits(batch=4), answers_of(random_logits(batch=4, seed=5))
    whole, *gradients = differentiated(logits, answers)
    halves = [
        (Logits(*(part[rows] for part in logits)), DecodedPredictions(*(part[rows] for part in answers)))
        for rows in (slice(0, 1), slice(1, 4))
    ]
    amounts = []

    def write_down(mine):
        amounts.append(mine)
        return mine

    for half in halves:
        distillation_loss(*half, SIZE, sum_over_processes=write_down)
    results = [differentiated(*half, sum_over_processes=lambda _mine: sum(amounts)) for half in halves]
    assert torch.allclose(results[0][0].items + results[1][0].items, whole.items)
    assert torch.allclose(results[0][0].total + results[1][0].total, whole.total)
    for position, gradient in enumerate(gradients, start=1):
        assert torch.allclose(torch.cat([result[position] for result in results]), gradient, atol=1e-12)


def test_half_precision_logits_are_reckoned_in_float32():
    logits = random_logits(dtype=torch.bfloat16)
    answers = answers_of(random_logits(seed=1, dtype=torch.float32))
    loss = distillation_loss(logits, answers, SIZE)
    same = distillation_loss(Logits(logits.boxes.float(), logits.classes.float()), answers, SIZE)
    assert loss.total.dtype == torch.float32
    assert torch.equal(loss.total, same.total)


def test_items_carry_no_graph():
    loss = distillation_loss(Logits(*(part.requires_grad_() for part in random_logits())), faint(), SIZE)
    assert loss.total.requires_grad
    assert not loss.items.requires_grad


NUMBER = st.one_of(st.floats(-20, 20, width=32), st.sampled_from([0.0, 1e4, -1e4, 3e38]))


@given(st.tuples(NUMBER, NUMBER, NUMBER, NUMBER), st.floats(0, 1, width=32), st.sampled_from([1, 30]))
@settings(max_examples=40, deadline=None)
def test_finite_for_any_answers_with_gradients(numbers, score, spread):
    """Boxes far away, without area, or too large for a float; scores of 0 and 1; logits sure of themselves."""
    raw = torch.zeros(1, ANCHORS, 7)
    raw[..., :4] = torch.tensor(numbers).clamp(-1e6, 1e6)
    raw[..., 2:4] = torch.tensor(numbers[2:])
    raw[..., 4:6] = torch.tensor(score).sqrt()
    logits = Logits(*(spread * part for part in random_logits(1, 2, dtype=torch.float32)))
    loss, *gradients = differentiated(logits, decoded(raw, *SIZE))
    assert loss.total.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_student_learns_to_answer_as_its_teacher():
    answers = answers_of(Logits(*(2 * part for part in random_logits(seed=8, dtype=torch.float32))))
    logits = Logits(*(part.requires_grad_() for part in random_logits(dtype=torch.float32)))
    optimizer = torch.optim.Adam(tuple(logits), lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        distillation_loss(logits, answers, SIZE).total.backward()
        optimizer.step()
    learnt = answers_of(Logits(*(part.detach() for part in logits)))
    believed = answers.scores.amax(dim=2) > 0.5
    assert (learnt.scores - answers.scores).abs().max() < 0.05
    assert (learnt.boxes - answers.boxes).abs()[believed].max() < 2
