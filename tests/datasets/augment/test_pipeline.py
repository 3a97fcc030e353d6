from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.datasets.augment import Augmentation, Augmenter, Sample, plain
from lucidbox.detect.letterbox import fit
from lucidbox.train.recipe import Recipe

SIZE = 96
COLOURLESS = Augmentation(hue=0.0, saturation=0.0, value=0.0)
WILD = Augmentation(
    mixup=0.5, copy_paste=0.5, degrees=180.0, shear=60.0, scale=0.95, translate=0.9, flip_vertical=0.5
)


class Recording:
    """Remembers which samples were read."""

    def __init__(self, samples):
        self.samples, self.read = samples, []

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.read.append(index)
        return self.samples[index]


def awkward(painting):
    """Pictures of every shape, read-only, with boxes that are outside, empty, or no numbers."""
    boxes = np.array(
        [[-5, -5, 40, 400], [3, 3, 3, 3], [np.nan, 0, 1, 1], [0, 0, np.inf, 9], [9, 9, 2, 2]], np.float32
    )
    samples = []
    for number, (height, width) in enumerate([(96, 70), (1, 1), (300, 500), (96, 1), (2, 900), (40, 30)]):
        picture = painting.picture(height, width, number)
        picture.image.flags.writeable = False
        samples.append(picture if number % 2 else Sample(picture.image, boxes, np.arange(5)))
    return samples


def test_the_settings_are_the_recipes():
    recipe = Recipe()
    assert (
        Augmentation(**{field.name: getattr(recipe, field.name) for field in fields(Augmentation)})
        == Augmentation()
    )


@given(
    seed=st.integers(0, 10**9),
    changes=st.sampled_from([{}, {"flip_vertical": 0.5}, {"scale": 0.8}, {"mosaic": 0.0}]),
)
@settings(deadline=None, max_examples=150)
def test_painted_boxes_are_found_by_their_pixels(painting, fresh_colours, seed, changes):
    samples = fresh_colours(np.random.default_rng(seed), SIZE)
    chosen = replace(COLOURLESS, **changes)
    sample = Augmenter(samples, SIZE, chosen)(0, np.random.default_rng(seed))
    assert len(set(sample.classes.tolist())) == len(sample.classes)
    for label, (left, top, right, bottom) in enumerate(samples.read):
        found = painting.found(sample.image, label)
        if label in sample.classes:
            box = sample.boxes[sample.classes == label][0]
            assert found is not None
            assert np.abs(found - box).max() <= 1
        elif found is not None:  # dropped: little of it is left
            width, height = found[2] - found[0], found[3] - found[1]
            most = 0.1 * (right - left) * (bottom - top) * (1 + chosen.scale) ** 2
            assert min(width, height) <= 3 or (width - 1) * (height - 1) <= most


@given(seed=st.integers(0, 10**9))
@settings(deadline=None)
def test_pasted_boxes_are_found_by_their_pixels(painting, fresh_colours, seed):
    samples = fresh_colours(np.random.default_rng(seed), SIZE)
    chosen = replace(COLOURLESS, mosaic=0.0, copy_paste=1.0)
    sample = Augmenter(samples, SIZE, chosen)(0, np.random.default_rng(seed))
    assert len(samples.read) == 2
    for box in sample.boxes[sample.classes == 1]:
        assert np.abs(painting.found(sample.image, 1) - box).max() <= 1


@given(seed=st.integers(0, 10**9))
@settings(deadline=None)
def test_mixed_boxes_are_found_by_their_pixels(painting, fresh_colours, seed):
    samples = fresh_colours(np.random.default_rng(seed), SIZE)
    chosen = replace(COLOURLESS, mosaic=0.0, mixup=1.0)
    sample = Augmenter(samples, SIZE, chosen)(0, np.random.default_rng(seed))
    # The first picture is red, the second green; grey of padding is in all channels.
    for label, box in zip(sample.classes.tolist(), sample.boxes, strict=True):
        other = sample.image[..., 2]  # blue is of grey padding only
        mask = sample.image[..., label].astype(int) - other > 50
        rows, columns = np.nonzero(mask)
        found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert np.abs(found - box).max() <= 1.5


@pytest.mark.parametrize("chosen", [Augmentation(), WILD, replace(WILD, degrees=0.0, shear=0.0), plain()])
@pytest.mark.parametrize("mixing", [True, False])
def test_every_sample_is_fit_for_the_network(painting, chosen, mixing):
    samples = awkward(painting)
    augmenter = Augmenter(samples, SIZE, chosen)
    for seed in range(60):
        sample = augmenter(seed % len(samples), np.random.default_rng(seed), mixing=mixing)
        assert sample.image.shape == (SIZE, SIZE, 3)
        assert sample.image.dtype == np.uint8
        assert sample.image.flags.c_contiguous
        assert sample.image.flags.writeable
        assert not any(np.shares_memory(sample.image, other.image) for other in samples)
        assert sample.boxes.dtype == np.float32
        assert len(sample.boxes) == len(sample.classes)
        assert np.isfinite(sample.boxes).all()
        assert (sample.boxes >= 0).all()
        assert (sample.boxes <= SIZE).all()
        assert (sample.boxes[:, 2:] - sample.boxes[:, :2] > 1.99).all()


@pytest.mark.parametrize("chosen", [Augmentation(mixup=0.3, copy_paste=0.3), replace(WILD, mosaic=0.5)])
def test_the_same_seed_gives_the_same_sample(painting, chosen):
    samples = awkward(painting)
    seeds = range(25)
    first = Augmenter(samples, SIZE, chosen)
    made = [first(seed % 6, np.random.default_rng(seed)) for seed in seeds]
    np.random.seed(1)  # must play no part
    second = Augmenter(samples, SIZE, chosen)
    for seed in reversed(seeds):
        again = second(seed % 6, np.random.default_rng(seed))
        np.testing.assert_array_equal(again.image, made[seed].image)
        np.testing.assert_array_equal(again.boxes, made[seed].boxes)
        np.testing.assert_array_equal(again.classes, made[seed].classes)
    assert len({sample.image.tobytes() for sample in made}) > 20


@given(st.integers(4, 200), st.integers(4, 200), st.booleans())
@settings(deadline=None)
def test_plain_is_the_letterbox(painting, height, width, mixing):
    box = np.array([[0, 0, width, height]], np.float32)
    sample = Sample(painting.picture(height, width).image, box, np.array([4]))
    frame = fit((height, width), (SIZE, SIZE), square=True)
    shown = Augmenter([sample], SIZE, plain())(0, np.random.default_rng(0), mixing=mixing)
    np.testing.assert_array_equal(shown.image, frame.apply(sample.image))
    if min(frame.resized) > 2 and max(frame.resized) < 100 * min(frame.resized):
        np.testing.assert_allclose(frame.restore(shown.boxes), box, rtol=1e-5, atol=1e-4)
        assert shown.classes.tolist() == [4]


def test_without_mixing_one_picture_is_read_and_it_is_the_one(painting):
    samples = Recording([painting.picture(96, 96, number) for number in range(9)])
    augmenter = Augmenter(samples, SIZE, Augmentation(mixup=1.0, copy_paste=1.0))
    for seed in range(20):
        samples.read.clear()
        augmenter(seed % 9, np.random.default_rng(seed), mixing=False)
        assert samples.read == [seed % 9]


def test_mosaics_draw_from_all_pictures_and_hold_the_one_asked_for(painting):
    samples = Recording([painting.picture(96, 96, number) for number in range(9)])
    augmenter = Augmenter(samples, SIZE, Augmentation(scale=0.0, translate=0.0))
    places, others = np.zeros(4, int), np.zeros(9, int)
    for seed in range(400):
        samples.read.clear()
        augmenter(0, np.random.default_rng(seed))
        if len(samples.read) == 4 and samples.read.count(0) == 1:
            places[samples.read.index(0)] += 1
            others[samples.read] += 1
    assert places.sum() > 200
    assert places.min() > 0.18 * places.sum()  # it may be in any corner
    assert others[1:].min() > 0.6 * others[1:].mean()


@pytest.mark.parametrize(("name", "axis"), [("flip_horizontal", 1), ("flip_vertical", 0)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_of_flips(painting, name, axis, share):
    image = painting.picture(32, 32).image
    sample = Sample(image, np.zeros((0, 4), np.float32), np.zeros(0, np.int64))
    augmenter = Augmenter([sample], 32, replace(plain(), **{name: share}))
    rng = np.random.default_rng(0)
    flipped = []
    for _ in range(600):
        shown = augmenter(0, rng).image
        flipped.append(np.array_equal(shown, np.flip(image, axis)))
        assert flipped[-1] or np.array_equal(shown, image)
    assert abs(np.mean(flipped) - share) <= 4.5 * (share * (1 - share) / 600) ** 0.5


@pytest.mark.parametrize("name", ["mosaic", "mixup", "copy_paste"])
def test_the_share_of_mixtures(painting, name):
    samples = Recording([painting.picture(32, 32)] * 5)
    augmenter = Augmenter(samples, 32, replace(plain(), **{name: 0.25}))
    rng = np.random.default_rng(0)
    several = []
    for _ in range(600):
        samples.read.clear()
        augmenter(0, rng)
        several.append(len(samples.read) > 1)
    assert abs(np.mean(several) - 0.25) <= 4.5 * (0.25 * 0.75 / 600) ** 0.5
