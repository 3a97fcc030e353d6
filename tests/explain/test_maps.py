"""ODAM and Eigen-CAM, on arrays."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.explain.eigencam import eigencam
from lucidbox.explain.odam import odam


def test_odam_without_smoothing_by_hand():
    activations = np.array([[[1.0, 2.0]], [[3.0, 1.0]]])
    gradients = np.array([[[1.0, 1.0]], [[1.0, -4.0]]])
    assert np.array_equal(odam(activations, gradients, (0, 0)), [[4.0, 0.0]])  # 1 + 3, 2 - 4


def test_odam_keeps_to_the_place_of_its_gradient_where_gradcam_does_not():
    from lucidbox.explain.gradcam import gradcam

    activations = np.ones((3, 12, 12))
    gradients = np.zeros((3, 12, 12))
    gradients[:, 2, 9] = 1
    heat = odam(activations, gradients, (0.8, 0.8))
    assert divmod(int(heat.argmax()), 12) == (2, 9)
    assert heat[8:].max() == 0
    assert gradcam(activations, gradients).min() > 0


def test_odam_smooths_by_its_widths():
    activations, gradients = np.ones((1, 21, 21)), np.zeros((1, 21, 21))
    gradients[0, 10, 10] = 1
    heat = odam(activations, gradients, (2.0, 1.0))
    assert np.isclose(heat[12, 10] / heat[10, 10], np.exp(-0.5), atol=0.01)
    assert np.isclose(heat[10, 11] / heat[10, 10], np.exp(-0.5), atol=0.01)


@given(st.integers(0, 2**32 - 1))
def test_eigencam_is_the_first_singular_direction(seed):
    activations = np.random.default_rng(seed).normal(1, 1, (5, 4, 6))
    _, _, right = np.linalg.svd(activations.reshape(5, -1), full_matrices=False)
    direction = right[0].reshape(4, 6)
    direction = direction * np.sign(direction.ravel()[np.abs(direction).argmax()])
    heat = eigencam(activations)
    assert np.allclose(heat / heat.max(), np.maximum(direction, 0) / direction.max(), atol=1e-4)


def test_eigencam_of_nothing_is_nothing():
    assert eigencam(np.zeros((3, 2, 2))).max() == 0
