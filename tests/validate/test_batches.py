"""Images of similar aspect ratio share a batch."""

import numpy as np
import pytest

from lucidbox.core.errors import OptionError
from lucidbox.validate.batches import aspect_batches

SIZES = np.array([[10, 20], [20, 10], [10, 10], [30, 30], [0, 0]])  # width, height


def test_batches_go_from_flat_to_tall_equal_ratios_in_order():
    assert aspect_batches(SIZES, 2) == [[4, 1], [2, 3], [0]]


def test_batches_of_one_keep_the_order():
    assert aspect_batches(SIZES, 1) == [[0], [1], [2], [3], [4]]


def test_no_images_no_batches():
    assert aspect_batches(SIZES[:0], 16) == []


def test_a_batch_below_one_is_refused():
    with pytest.raises(OptionError, match="batch 0 is less than 1"):
        aspect_batches(SIZES, 0)
