"""The order of detections: by class, score, picture, arrival."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.evaluate.ranking import best_first, rank_detections

ROWS = st.lists(
    st.tuples(
        st.integers(0, 4), st.integers(0, 3),
        st.one_of(st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.5]), st.floats(-1e300, 1e300)),
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(ROWS)
def test_against_pythons_own_sort(rows):
    images, classes = (np.array([row[one] for row in rows], np.int64) for one in (0, 1))
    scores = np.array([row[2] for row in rows], np.float64)
    ranking = rank_detections(images, classes, scores, 4)
    expected = sorted(range(len(rows)), key=lambda one: (rows[one][1], -rows[one][2], rows[one][0], one))
    assert ranking.detections.tolist() == expected
    assert ranking.class_starts.tolist() == [sum(row[1] < one for row in rows) for one in range(5)]
    seen: dict = {}
    for position, one in enumerate(expected):
        group = rows[one][:2]
        assert ranking.ranks[position] == seen.get(group, 0)
        seen[group] = seen.get(group, 0) + 1
    for group, start, end in zip(
        ranking.group_ids, ranking.group_starts[:-1], ranking.group_starts[1:], strict=True
    ):
        positions = ranking.grouped[start:end]
        assert np.all(np.diff(positions) > 0)
        assert {images[expected[one]] * 4 + classes[expected[one]] for one in positions} == {group}


@pytest.mark.parametrize("count", [3, 4000])
def test_scores_whose_leading_bits_agree(count):
    random = np.random.default_rng(count)
    scores = 0.25 + random.integers(0, 9, count) * 2.0**-54
    scores[0], scores[1] = 1e-200, 1e200
    classes = random.integers(0, 1000, count) % 3
    order, ranked_classes, ranked_scores = best_first(classes, scores)
    assert np.array_equal(order, np.lexsort((np.arange(count), -scores, classes)))
    assert np.array_equal(ranked_classes, classes[order])
    assert np.array_equal(ranked_scores, scores[order])


def test_pictures_beyond_sixteen_bits():
    images = np.array([70000, 1, 69999, 70000])
    ranking = rank_detections(images, np.zeros(4, np.int64), np.full(4, 0.5), 1)
    assert ranking.detections.tolist() == [1, 2, 0, 3]
