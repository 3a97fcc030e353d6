"""Two images in one: mixup and copy-paste. Both must have one size."""

import cv2
import numpy as np

from lucidbox.core.array_types import Float, Float32
from lucidbox.core.boxes import areas
from lucidbox.datasets.augment.sample import Sample

MOST_COVERED = 0.3
"""Boxes are pasted only while together they cover less than this share of every box that is there."""

_BETA = 32.0  # blends lie near half and half


def mixup(first: Sample, second: Sample, rng: np.random.Generator) -> Sample:
    """Both images blended, with the boxes of both (Zhang et al., mixup, 2017, as detectors use it).

    The share of the first is drawn from Beta(32, 32).
    """
    share = rng.beta(_BETA, _BETA)
    image = cv2.addWeighted(first.image, share, second.image, 1 - share, 0)
    return _with_boxes_of_both(np.asarray(image, np.uint8), first, second)


def copy_paste(target: Sample, source: Sample) -> Sample:
    """Boxes of the source, with all that they show, pasted at the same place of the target.

    There are no masks, so whole rectangles are pasted, out to whole pixels. A box is left out where with it 30 %
    or more of a box of the target would be covered: that one would keep its label and lose its object. Pasted
    boxes are compared with the target's boxes only: what overlaps in the source overlaps here in the same way.
    """
    pasted = _harmless(_covered(target.boxes, source.boxes))
    image = target.image.copy()
    height, width = image.shape[:2]
    for left, top, right, bottom in source.boxes[pasted].tolist():
        rows = slice(max(0, int(np.floor(top))), min(height, int(np.ceil(bottom))))
        columns = slice(max(0, int(np.floor(left))), min(width, int(np.ceil(right))))
        image[rows, columns] = source.image[rows, columns]
    return _with_boxes_of_both(image, target, Sample(source.image, source.boxes[pasted], source.classes[pasted]))


def _harmless(covered: Float[np.ndarray, "m n"]) -> list[int]:
    """Which of the boxes above can all be pasted, the first ones first; what overlaps is counted twice."""
    pasted, total = list[int](), np.zeros(covered.shape[1])
    for number, shares in enumerate(covered):
        if (total + shares < MOST_COVERED).all():
            total += shares
            pasted.append(number)
    return pasted


def _covered(below: Float32[np.ndarray, "n 4"], above: Float32[np.ndarray, "m 4"]) -> Float[np.ndarray, "m n"]:
    """Which share of each box below lies under each box above (intersection over area); 0 for empty boxes."""
    low = np.maximum(above[:, None, :2], below[:, :2])
    high = np.minimum(above[:, None, 2:], below[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=2)
    area = np.broadcast_to(areas(below), shared.shape)
    shares: Float[np.ndarray, "m n"] = np.divide(shared, area, out=np.zeros_like(shared), where=area > 0)
    return shares


def _with_boxes_of_both(image: np.ndarray, first: Sample, second: Sample) -> Sample:
    boxes = np.concatenate([first.boxes, second.boxes])
    return Sample(image, boxes, np.concatenate([first.classes, second.classes]))
