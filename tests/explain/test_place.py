import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.explain import place as f

BOX = (10, 4, 31, 15)


def test_centred_gaussian_is_highest_at_the_centre_and_knows_only_the_box():
    heat = f.centred_gaussian(40, 60, (10, 4, 31, 15))
    assert divmod(int(heat.argmax()), 60) == (9, 20)
    assert heat[9, 20] == pytest.approx(1, abs=1e-6)
    assert np.allclose(heat[:, 20 - 7], heat[:, 20 + 7])
    one_sigma = f.centred_gaussian(41, 41, (0.5, 0.5, 40.5, 40.5))
    assert one_sigma[20, 30] == pytest.approx(np.exp(-0.5))  # a quarter of 40 pixels beside the centre


def test_rectangles_have_the_boxs_form_and_its_border_is_at_two():
    distance = f.rectangles(40, 60, (10, 4, 30, 16))
    inside = np.zeros((40, 60), bool)
    inside[4:16, 10:30] = True
    assert np.array_equal(distance < 2, inside)
    assert distance[9, 20] == distance.min()
    assert distance[0, 20] == pytest.approx((10 - 0.5) / 3)


def test_heat_of_an_order_is_in_that_order_and_as_much_as_the_gaussians():
    order = -f.rectangles(40, 60, BOX)
    heat, gaussian = f.as_heat(order, BOX), f.centred_gaussian(40, 60, BOX)
    assert heat.min() > 0
    assert heat.max() == pytest.approx(1)
    steps = np.diff(heat.ravel()[np.argsort(-order, axis=None, kind="stable")])
    assert (steps < 0).all()  # no two pixels share a place
    assert heat.sum() == pytest.approx(gaussian.sum(), rel=0.05)


@given(st.integers(0, 2**32 - 1))
def test_any_order_keeps_its_places(seed):
    order = np.random.default_rng(seed).standard_normal((12, 17)).astype(np.float32)
    heat = f.as_heat(order, (3.0, 2.0, 9.5, 8.0))
    assert np.array_equal(np.argsort(-heat, axis=None), np.argsort(-order, axis=None))
