"""Figures of several methods that share what they have in common: those of each explanation alone."""

import dataclasses

import numpy as np
import pytest

from lucidbox.explain import Masking, explain_each
from lucidbox.explain import batch as t
from lucidbox.explain.faithfulness import share_inside
from lucidbox.explain.place import centred_gaussian
from lucidbox.explain.targets import target_of, to_image

MASKING = Masking(masks=8)


@pytest.mark.extended
def test_together_as_alone(small):
    network, detector, picture, found = small
    found, methods = found[:2], ("odam", "eigencam", "drise")
    rows = t.image_figures(
        detector.predictor,
        detector.predictor.infer([picture])[0].copy(),
        found,
        t.networks_of(network),
        methods,
        masking=MASKING,
    )
    assert tuple(rows) == methods
    for method, figures in rows.items():
        alone = explain_each(detector, picture, found, method=method, network=network, masking=MASKING)
        for row, one in zip(figures, alone, strict=True):
            expected = dataclasses.asdict(one.faithfulness)
            assert dataclasses.asdict(row) == pytest.approx(expected, abs=2e-3)


@pytest.mark.extended
def test_equal_maps_are_run_once(small):
    """Eigen-CAM has one map a level; ODAM one a detection."""
    network, detector, picture, found = small
    raw, ran = detector.predictor.infer([picture])[0].copy(), []

    class Counting:
        name, precision = "counting", "fp32"

        def __call__(self, images):
            ran.append(len(images))
            return detector.engine(images)

    counting = dataclasses.replace(detector.predictor, engine=Counting())
    # 128 × 160 pixels: 16 × 20 and 8 × 10 cells of the finer levels.
    levels = {int(np.searchsorted([320, 400], target_of(raw, one).anchor, "right")) for one in found[:3]}
    inferences = []
    for method in ("odam", "eigencam"):
        ran.clear()
        t.image_figures(counting, raw, found[:3], t.networks_of(network), [method])
        inferences.append(sum(ran))
    # Two canvases, the two blind maps of three boxes, and each map with both pairs of fills.
    shared = 2 * 3 + 3 * 2 * 22
    assert inferences == [shared + 3 * 2 * 22, shared + len(levels) * 2 * 22]


def test_the_gaussian_knows_the_box_alone(small):
    _, detector, picture, found = small
    raw = detector.predictor.infer([picture])[0].copy()
    (row,) = t.image_figures(detector.predictor, raw, found[:1], t.networks_of(None), [t.GAUSSIAN])[t.GAUSSIAN]
    heat = centred_gaussian(*raw.pixels.shape[:2], target_of(raw, found[0]).box)
    assert row.inside == pytest.approx(share_inside(to_image(heat, raw.letterbox), found.boxes[0].tolist()))
    assert row.randomised is None
    assert row.pointing
