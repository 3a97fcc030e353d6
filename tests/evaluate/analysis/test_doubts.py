"""Numbers that cannot be right: the likeliest cause is named, with its AP; sound results are left alone."""

from dataclasses import replace

import numpy as np
import pytest

from lucidbox.core.boxes import xywh_to_cxcywh, xywh_to_xyxy
from lucidbox.core.columns import lookup
from lucidbox.evaluate import CocoEvaluator, Predictions, Truth, evaluate
from lucidbox.evaluate.analysis.doubts import _share_without
from lucidbox.evaluate.analysis.image_sizes import size_doubts

CLASSES = np.array([2, 3, 5, 8, 9])


def problem(images=24, seed=0, noise=0.03, wrong=1):
    """Objects of five classes in images of many sizes, and what a fair detector finds of them."""
    random = np.random.default_rng(seed)
    sizes = random.integers(300, 1200, (images, 2)).astype(float)
    ids = np.arange(images) * 3 + 11
    rows = np.repeat(np.arange(images), random.integers(1, 7, images))
    width = sizes[rows] * random.uniform(0.1, 0.4, (len(rows), 2))
    boxes = np.concatenate([random.uniform(0, 1, width.shape) * (sizes[rows] - width), width], axis=1)
    labels = random.choice(CLASSES, len(rows))
    truth = Truth.from_arrays(
        ids[rows], labels, boxes, pictures=ids, sizes=sizes,
        categories=dict(zip(CLASSES.tolist(), "abcde", strict=True)),
        file_names={int(one): f"{one * 7:06d}.jpg" for one in ids}, source="truth.json",
    )  # fmt: skip
    moved = boxes + random.normal(0, noise, boxes.shape) * np.tile(width, 2)
    others = random.integers(0, len(rows), wrong * len(rows) // 4)
    strange = np.concatenate(
        [random.uniform(0, 200, (len(others), 2)), random.uniform(20, 90, (len(others), 2))], axis=1
    )
    found = Predictions.from_arrays(
        np.concatenate([ids[rows], ids[rows[others]]]),
        np.concatenate([labels, labels[others]]),
        np.abs(np.concatenate([moved, strange])),
        random.uniform(0.3, 1, len(rows) + len(others)),
        source="found.json",
    )
    return truth, found


def sizes_of(truth, found):
    return truth.sizes[lookup(found.image_ids, truth.image_ids)]


def boxes(change):
    return lambda truth, found: replace(found, boxes_xywh=change(found.boxes_xywh, sizes_of(truth, found)))


def letterboxed(side, shape):
    def change(given, sizes):
        gain = side / sizes.max(axis=1, keepdims=True)
        padding = (shape(sizes * gain) - sizes * gain) / 2
        return given * gain + np.concatenate([padding, padding * 0], axis=1)

    return boxes(change)


def categories(change):
    return lambda truth, found: replace(found, category_ids=change(found.category_ids))


def images(change):
    return lambda truth, found: replace(found, image_ids=change(found.image_ids, truth))


MISTAKES = {
    "boxes are corners (left": boxes(lambda given, sizes: xywh_to_xyxy(given)),
    "boxes are centre, width and height;": boxes(lambda given, sizes: xywh_to_cxcywh(given)),
    "boxes are corners, top first": boxes(lambda given, sizes: xywh_to_xyxy(given)[:, [1, 0, 3, 2]]),
    "boxes are shares of": boxes(lambda given, sizes: given / np.tile(sizes, 2)),
    "centre, width and height, shares": boxes(lambda given, sizes: xywh_to_cxcywh(given) / np.tile(sizes, 2)),
    "right, bottom), shares": boxes(lambda given, sizes: xywh_to_xyxy(given) / np.tile(sizes, 2)),
    "images of 0.5 times": boxes(lambda given, sizes: given / 2),
    "images of 1.7 times": boxes(lambda given, sizes: given * 1.7),
    "stretched to 1000×1000": boxes(lambda given, sizes: given / np.tile(sizes, 2) * 1000),
    "stretched to 512×384": boxes(lambda given, sizes: given / np.tile(sizes, 2) * [512, 384, 512, 384]),
    "whose longer side is 320": letterboxed(320, lambda resized: resized),
    "letterboxed to 640×640": letterboxed(640, lambda resized: np.full_like(resized, 640)),
    "multiples of 32 up to 416": letterboxed(416, lambda resized: np.ceil(resized / 32 - 1e-9) * 32),
    "category ids are one too high": categories(lambda ids: ids + 1),
    "category ids are one too low": categories(lambda ids: ids - 1),
    "categories, counted from 0": categories(lambda ids: np.searchsorted(CLASSES, ids)),
    "categories, counted from 1": categories(lambda ids: np.searchsorted(CLASSES, ids) + 1),
    "image ids are one too high": images(lambda ids, truth: ids + 1),
    "images, counted from 0": images(lambda ids, truth: lookup(ids, truth.image_ids)),
    "image ids are 3 too low": images(lambda ids, truth: ids - 3),
    "numbers in file names": images(lambda ids, truth: ids * 7),
}


@pytest.mark.parametrize("cause", MISTAKES)
def test_a_mistake_is_named_with_the_ap_that_it_costs(cause):
    truth, found = problem()
    right = evaluate(truth, found)
    assert right.stats[0] > 0.5
    assert right.notes == ()
    summary = evaluate(truth, MISTAKES[cause](truth, found).restricted_to(truth))
    (told,) = summary.doubts
    assert told.startswith("found.json: it seems that ")
    assert cause in told
    named = float(told.split("AP would be ")[1].split()[0])
    assert named == pytest.approx(right.stats[0], abs=0.03 if "letterboxed" in cause else 0.002)
    assert f"not {summary.stats[0]:.3f}" in told
    assert summary.to_dict()["notes"][-1] == told


def test_cocos_91_numbers_on_80_categories():
    from lucidbox.core.class_names import COCO_IDS

    truth, found = problem(40)
    names = dict.fromkeys(range(80), "")
    columns = truth.image_ids[truth.images], truth.categories * 19, truth.boxes_xywh
    truth = Truth.from_arrays(*columns, pictures=truth.image_ids, categories=names)
    found = replace(found, category_ids=np.array(COCO_IDS)[np.searchsorted(CLASSES, found.category_ids) * 19])
    (told,) = evaluate(truth, found.restricted_to(truth)).doubts
    assert "category ids are COCO's 1 to 90; read so" in told


def test_one_image_is_enough_where_everything_fits():
    left = np.array([5.0, 17, 29])
    columns = [1, 1, 1], [1, 1, 1], np.stack([left, left * 0 + 5, left * 0 + 10, left * 0 + 20], axis=1)
    truth = Truth.from_arrays(*columns, pictures=[1], sizes=[[64, 48]])
    found = Predictions.from_arrays([1, 1, 1], [1, 1, 1], xywh_to_xyxy(columns[2]), [0.9, 0.8, 0.7])
    (told,) = evaluate(truth, found).doubts
    assert "boxes are corners (left, top, right, bottom); read so, AP would be 1.000" in told


def test_results_for_a_part_of_the_images():
    truth, found = problem(40)
    first = found[found.image_ids <= truth.image_ids[14]]
    (told,) = evaluate(truth, first).doubts
    assert "25 of 40 images with objects have no detection" in told
    whole = evaluate(truth[truth.images <= 14], first).stats[0]
    assert f"of the others alone AP would be {whole:.3f}" in told


def test_boxes_below_a_pixel_without_stated_sizes():
    truth, found = problem()
    shares = MISTAKES["boxes are shares of"](truth, found)
    (told,) = evaluate(replace(truth, stated_sizes=None), shares).doubts
    assert "boxes are below a pixel" in told
    assert "truth.json does not state" in told


def test_results_of_other_images():
    truth, found = problem()
    far = replace(found, boxes_xywh=found.boxes_xywh * 0 + [0, 0, 2, 2])
    (told,) = evaluate(truth, far).doubts
    assert "no detection touches any object" in told


SOUND = {
    "as they are": lambda truth, found: found,
    "few at a high threshold": lambda truth, found: found[found.scores > 0.93],
    "one of five classes": lambda truth, found: found[found.category_ids == 5],
    "nothing": lambda truth, found: found[found.scores > 2],
    "random boxes": boxes(
        lambda given, sizes: np.random.default_rng(3).permutation(given / np.tile(sizes, 2)) * np.tile(sizes, 2)
    ),
    "everywhere, with random scores": lambda truth, found: Predictions.from_arrays(
        np.repeat(truth.image_ids, 100), np.random.default_rng(0).choice(CLASSES, 100 * len(truth.image_ids)),
        np.random.default_rng(1).uniform(0, 300, (100 * len(truth.image_ids), 4)),
        np.random.default_rng(2).uniform(0, 1, 100 * len(truth.image_ids)),
    ),
    "boxes of half the overlap": lambda truth, found: replace(
        found, boxes_xywh=found.boxes_xywh * [1, 1, 0.6, 0.8]
    ),
}  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", SOUND)
def test_sound_results_are_left_alone(kind, seed):
    truth, found = problem(40, seed)
    assert evaluate(truth, SOUND[kind](truth, found)).doubts == ()


def test_real_results_are_left_alone_at_any_threshold(shared):
    from lucidbox.evaluate import load_predictions, load_truth

    truth = load_truth(shared("data/coco-val-150/instances.json"))
    found = load_predictions(shared("golden/val/predictions-batch1.json"), truth)
    for least in (0.001, 0.25, 0.5, 0.8, 0.9, 0.95):
        assert evaluate(truth, found[found.scores >= least]).doubts == (), least


def test_images_expected_without_detections():
    """Of Poisson numbers with mean 2 a share e^-2 is 0; the others have 2 / (1 - e^-2) on average."""
    assert _share_without(2 / (1 - np.exp(-2))) == pytest.approx(np.exp(-2), abs=1e-6)
    assert _share_without(1.0) > 0.9


def test_opened_images_of_other_sizes():
    truth, found = problem()
    opened = {
        int(one): tuple(size) for one, size in zip(truth.image_ids, truth.sizes.astype(int).tolist(), strict=True)
    }
    right = evaluate(truth, found)
    assert size_doubts(right, opened) == ()
    small = {image: (width // 2, height // 2) for image, (width, height) in opened.items()}
    halved = boxes(lambda given, sizes: given / 2)(truth, found)
    (told,) = size_doubts(evaluate(truth, halved), small)
    assert told.startswith("truth.json: 24 of 24 images have another size than stated")
    assert float(told.split("AP would be ")[1].split()[0]) == pytest.approx(right.stats[0], abs=0.02)


@pytest.mark.parametrize("side", ["left", "right"])
def test_opened_images_that_were_turned(side):
    truth, found = problem()
    sizes = sizes_of(truth, found)
    left, top, width, height = found.boxes_xywh.T
    turned = (
        [sizes[:, 1] - top - height, left, height, width]
        if side == "left"
        else [top, sizes[:, 0] - left - width, height, width]
    )
    opened = {int(one): (int(h), int(w)) for one, (w, h) in zip(truth.image_ids, truth.sizes, strict=True)}
    summary = evaluate(truth, replace(found, boxes_xywh=np.stack(turned, axis=1)))
    (told,) = size_doubts(summary, opened)
    assert (
        f"turned to the {side}, as the image is stored AP would be {evaluate(truth, found).stats[0]:.3f}" in told
    )


def test_a_streaming_evaluation_has_doubts_too():
    truth, found = problem()
    evaluator = CocoEvaluator(truth)
    for image in truth.image_ids.tolist():
        own = found[found.image_ids == image]
        evaluator.add_arrays(image, own.category_ids, own.boxes_xywh / 2, own.scores)
    assert "images of 0.5 times the size" in evaluator.summary().notes[-1]
