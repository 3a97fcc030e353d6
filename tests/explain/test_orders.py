import numpy as np
import pytest

from lucidbox.explain.orders import SHAPES, Correction, around, nested

BOX = (40, 20, 80, 60)


def first(order, count):
    """The pixels that come first."""
    rows, columns = np.unravel_index(np.argsort(-order, axis=None)[:count], order.shape)
    return rows, columns


def test_rectangles_put_the_box_before_what_is_outside():
    order = nested(around(96, 160, BOX), np.array(SHAPES["rectangles"], float))
    inside = np.zeros((96, 160), bool)
    inside[20:60, 40:80] = True
    assert order[inside].min() > order[~inside].max()


def test_rectangles_grow_alike_on_all_sides_of_a_square():
    rows, columns = first(nested(around(96, 160, BOX), np.array(SHAPES["rectangles"], float)), 20 * 20)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (30, 49, 50, 69)


def test_ellipses_have_no_corners():
    order = nested(around(96, 160, BOX), np.array(SHAPES["ellipses"], float))
    assert order[40, 79] > order[59, 79]


@pytest.mark.parametrize(("index", "row", "column"), [(0, 10, 60), (1, 70, 60), (2, 40, 30), (3, 40, 90)])
def test_each_side_has_its_own_speed(index, row, column):
    places, shape = around(80, 120, BOX), np.array(SHAPES["rectangles"], float)
    slow = nested(places, shape)
    shape[index] = 1
    fast = nested(places, shape)
    assert fast[row, column] < slow[row, column]
    others = [(10, 60), (70, 60), (40, 30), (40, 90)]
    assert all(fast[place] == slow[place] for place in others if place != (row, column))


@pytest.mark.parametrize(("index", "row", "column"), [(4, 42, 60), (5, 40, 62)])
def test_the_middle_can_be_moved(index, row, column):
    shape = np.array(SHAPES["rectangles"], float)
    shape[index] = 1
    order = nested(around(96, 160, BOX), shape)
    peak = np.argwhere(order == order.max()).mean(axis=0)
    assert peak[index - 4] > (40, 60)[index - 4] + 3
    assert order[row, column] > order[2 * 40 - row, 2 * 60 - column]


def test_corrections_are_as_smooth_as_their_cells():
    places = around(96, 160, BOX)
    coarse, fine = Correction(places, 2), Correction(places, 1)
    assert coarse.size < fine.size
    assert np.allclose(coarse(np.ones(coarse.size)), 1)
    values = np.zeros(fine.size)
    values[fine.size // 2] = 1
    added = fine(values)
    assert 0 < added.max() <= 1
    assert np.abs(np.diff(added, axis=0)).max() <= 0.1 + 1e-6  # a cell is a quarter of the box, or more


def test_cells_grow_with_the_distance_from_a_small_box():
    assert Correction(around(640, 640, (300, 300, 310, 310)), 2).size < 150
