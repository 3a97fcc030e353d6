"""Which images share one inference in validation."""

import numpy as np

from lucidbox.core.array_types import Num
from lucidbox.core.errors import OptionError


def aspect_batches(sizes: Num[np.ndarray, "n 2"], batch: int) -> list[list[int]]:
    """Divide images into batches of similar aspect ratio, from flat to tall.

    All images of a batch are padded to one shape, which moves scores slightly: a published accuracy is reproduced
    exactly only with the batch it was measured with.

    Args:
        sizes: width and height of each image; a width of 0, of an image that cannot be read, sorts first.
        batch: images in a batch; with 1 they keep their order.

    Returns:
        Rows of ``sizes``, batch by batch.

    Raises:
        OptionError: the batch is less than 1.
    """
    if batch < 1:
        raise OptionError(f"batch {batch} is less than 1")
    ratios = np.divide(sizes[:, 1], sizes[:, 0], out=np.zeros(len(sizes)), where=sizes[:, 0] > 0)
    order = np.arange(len(sizes)) if batch == 1 else np.argsort(ratios, kind="stable")
    return [order[start : start + batch].tolist() for start in range(0, len(order), batch)]
