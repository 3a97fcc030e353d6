"""Assignments of greatest sum, against trying all of them."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lucidbox.core.assignment import assign_listed, best_assignment


def best_sum(similarity):
    """The greatest sum, by trying all assignments."""
    table = similarity if similarity.shape[0] <= similarity.shape[1] else similarity.T
    rows = range(len(table))
    return max(
        sum(table[r, c] for r, c in zip(rows, chosen, strict=True))
        for chosen in permutations(range(table.shape[1]), len(table))
    )


sides = st.tuples(st.integers(1, 5), st.integers(1, 5))


@given(sides.flatmap(lambda shape: arrays(np.float64, shape, elements=st.integers(0, 4).map(float))))
def test_greatest_sum_with_many_equal_weights(similarity):
    rows, columns = best_assignment(similarity)
    assert len(set(columns.tolist())) == len(columns)
    assert (np.diff(rows) > 0).all()
    assert (similarity[rows, columns] > 0).all()
    assert similarity[rows, columns].sum() == best_sum(similarity)


@given(sides.flatmap(lambda shape: arrays(np.float64, shape, elements=st.floats(0, 1))))
def test_greatest_sum_of_any_weights(similarity):
    rows, columns = best_assignment(similarity)
    assert similarity[rows, columns].sum() == pytest.approx(best_sum(similarity), abs=1e-12)


def test_a_chain_in_which_the_best_pair_must_not_be_taken():
    # 0.6 + 0.6 is more than 0.9 alone.
    rows, columns = best_assignment(np.array([[0.9, 0.6], [0.6, 0.0]]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0)])
def test_nothing_to_assign(shape):
    assert [part.tolist() for part in best_assignment(np.zeros(shape))] == [[], []]


def test_listed_pairs_give_places_by_row():
    rows, columns, weights = np.array([7, 2, 7]), np.array([1, 1, 4]), np.array([0.5, 0.4, 0.3])
    assert assign_listed(rows, columns, weights).tolist() == [1, 2]


def test_as_scipy_on_large_problems():
    optimize = pytest.importorskip("scipy.optimize", reason="scipy is not installed")
    random = np.random.default_rng(0)
    for share in (0.02, 0.1, 0.5):
        similarity = random.random((60, 80)) * (random.random((60, 80)) < share)
        rows, columns = optimize.linear_sum_assignment(similarity, maximize=True)
        ours = best_assignment(similarity)
        assert similarity[ours].sum() == pytest.approx(similarity[rows, columns].sum(), abs=1e-9)
