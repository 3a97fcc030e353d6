import numpy as np
import pytest

from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.datasets.augment import contact_sheet
from lucidbox.draw.annotate import draw
from lucidbox.draw.palette import palette


def test_cells_by_hand(painting):
    samples = [painting.picture(50, 60, number) for number in range(3)]
    sheet = contact_sheet(samples, ("thing",), columns=2)
    assert sheet.shape == (2 * 54 + 4, 2 * 64 + 4, 3)
    np.testing.assert_array_equal(sheet[4:54, 4:64], samples[0].image)
    np.testing.assert_array_equal(sheet[4:54, 68:128], samples[1].image)
    np.testing.assert_array_equal(sheet[58:108, 4:64], samples[2].image)
    assert (sheet[58:108, 68:128] == 255).all()
    assert (sheet[:4] == 255).all()


def test_boxes_and_names_are_drawn(painting):
    sample = painting.painted(120, 160, (20, 40, 100, 110), classes=(1,))
    sheet = contact_sheet([sample], ("cat", "dog"), columns=5)
    assert sheet.shape == (128, 168, 3)
    cell = sheet[4:124, 4:164]
    assert (cell[40, 20:100] == palette(1)).all()
    assert (cell[41:109, 99] == palette(1)).all()
    assert (cell[25:40, 20:50] != sample.image[25:40, 20:50]).any()  # the label above the box
    truth = Detections(sample.boxes, np.array([0.5], np.float32), sample.classes, ("cat", "dog"))
    np.testing.assert_array_equal(cell, draw(sample.image, truth, show_scores=False))  # annotations have no scores
    other = contact_sheet([sample], ("cat", "horse"), columns=5)
    assert not np.array_equal(other, sheet)
    assert (sample.image[40, 20:100] == (0, 255, 0)).all()


def test_pictures_of_several_sizes(painting):
    sheet = contact_sheet([painting.picture(10, 30), painting.picture(40, 20)], (), columns=2)
    assert sheet.shape == (48, 72, 3)


@pytest.mark.parametrize("columns", [0, -1])
def test_columns_must_be(painting, columns):
    with pytest.raises(OptionError, match="columns"):
        contact_sheet([painting.picture(4, 4)], (), columns)


def test_nothing_to_show():
    with pytest.raises(OptionError, match="no pictures"):
        contact_sheet([], (), 3)
