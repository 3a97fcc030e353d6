import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.explain import faithfulness as f


def test_share_inside_by_hand():
    heat = np.array([[1.0, 1, 0], [1, 1, 0]])
    assert f.share_inside(heat, (0, 0, 2, 1)) == 0.5
    assert f.share_inside(heat, (0.5, 0, 1, 2)) == pytest.approx(1 / 4)  # half of the first column
    assert f.share_inside(heat, (-5, -5, 9, 9)) == 1
    assert f.share_inside(np.zeros((2, 3)), (0, 0, 2, 2)) == 0


@given(st.integers(0, 2**32 - 1))
def test_share_inside_equals_brute_force_on_whole_pixels(seed):
    random = np.random.default_rng(seed)
    heat = random.random((7, 9))
    left, right = sorted(random.choice(10, 2, replace=False).tolist())
    top, bottom = sorted(random.choice(8, 2, replace=False).tolist())
    assert f.share_inside(heat, (left, top, right, bottom)) == pytest.approx(
        heat[top:bottom, left:right].sum() / heat.sum()
    )


def test_pointing_game():
    heat = np.zeros((4, 6))
    assert not f.points_inside(heat, (0, 0, 6, 4))  # no heat points nowhere
    heat[1, 4] = 1
    assert f.points_inside(heat, (4, 1, 5, 2))
    assert not f.points_inside(heat, (0, 0, 4, 4))


def test_likeness_is_spearmans():
    spearmanr = pytest.importorskip("scipy.stats").spearmanr
    first, second = np.random.default_rng(0).integers(0, 5, (2, 20, 30)).astype(np.float32)
    assert f.likeness(first, second) == pytest.approx(spearmanr(first.ravel(), second.ravel()).statistic)
    assert f.likeness(first, first) == pytest.approx(1)
    assert f.likeness(first, first**3) == pytest.approx(1)  # ranks do not see how much
    assert f.likeness(first, 4 - first) == pytest.approx(-1)


def test_likeness_of_maps_without_heat():
    zero, one = np.zeros((4, 4)), np.eye(4)
    assert f.likeness(zero, zero) == 1
    assert f.likeness(zero, one) == 0
    assert f.likeness(np.ones((4, 4)), one) == 0


def test_overlap_by_hand():
    first, second = np.array([[2.0, 2, 0]]), np.array([[0.0, 1, 1]])
    assert f.map_overlap(first, second) == pytest.approx(0.5)
    assert f.map_overlap(first, first * 7) == pytest.approx(1)
    assert f.map_overlap(first, np.zeros((1, 3))) == 0


def test_a_map_that_does_no_better_than_a_blind_one_is_flagged_in_words():
    same = f.Faithfulness(0.5, 0.1, True, 0.1, 0.9, 0.0)
    assert same.suspicious
    assert same.sentences()[-1] == (
        "it says where the box is, and no more: a map that only knows that does as well (+0.0 points)"
    )
    other = f.Faithfulness(0.5, 0.1, False, 0.1, 0.9, 0.1)
    assert not other.suspicious
    assert "outside the box" in other.sentences()[1]
    assert "(+10.0 points for this)" in other.sentences()[-1]
    worse = f.Faithfulness(0.5, 0.1, False, 0.1, 0.9, -0.1)
    assert worse.suspicious
    assert worse.sentences()[-1] == "a map that only knows where the box is does better (-10.0 points for this)"
