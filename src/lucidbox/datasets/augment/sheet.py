"""A contact sheet: many samples with their boxes, side by side."""

from collections.abc import Sequence

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.datasets.augment.sample import Sample
from lucidbox.draw.annotate import draw

_GAP = 4  # pixels between images
_BACKGROUND = 255  # white: the grey of letterboxes is part of what is to be seen


def contact_sheet(samples: Sequence[Sample], names: Sequence[str], columns: int) -> UInt8[np.ndarray, "h w 3"]:
    """Samples in rows of ``columns``, with boxes and class names, on white.

    Args:
        samples: one at least, of any sizes; every cell has the height and width of the largest.
        names: class names; class ids are indices into them.
        columns: images in a row, where there are so many.

    Returns:
        RGB pixels.

    Raises:
        OptionError: there are no samples, or ``columns`` is below 1.
    """
    if not samples:
        raise OptionError("contact sheet: there are no pictures to show")
    if columns < 1:
        raise OptionError(f"contact sheet: columns={columns}: give at least 1")
    columns = min(columns, len(samples))
    height, width = (max(sample.image.shape[axis] for sample in samples) + _GAP for axis in (0, 1))
    rows = -(-len(samples) // columns)
    sheet = np.full((rows * height + _GAP, columns * width + _GAP, 3), _BACKGROUND, np.uint8)
    for place, sample in enumerate(samples):
        row, column = divmod(place, columns)
        top, left = row * height + _GAP, column * width + _GAP
        high, wide = sample.image.shape[:2]
        sheet[top : top + high, left : left + wide] = _drawn(sample, tuple(names))
    return sheet


def _drawn(sample: Sample, names: tuple[str, ...]) -> UInt8[np.ndarray, "h w 3"]:
    scores = np.ones(len(sample.boxes), np.float32)
    return draw(sample.image, Detections(sample.boxes, scores, sample.classes, names), show_scores=False)
