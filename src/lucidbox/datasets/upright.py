"""Boxes that follow their images' EXIF orientation, where they were drawn on the images as they are stored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.formats.dataset import DataSet
from lucidbox.images.headers import Header


@dataclass(frozen=True, eq=False)
class Shown:
    """A split whose sizes are those that viewers show, and whose boxes fit them.

    Attributes:
        part: the split.
        fits: which images the annotations can be of; the others are of other proportions.
        changes: what was changed, in words, and how often.
    """

    part: DataSet
    fits: Bool[np.ndarray, " i"]
    changes: dict[str, int]


def as_shown(part: DataSet, headers: Sequence[Header]) -> Shown:
    """Make sizes and boxes those of the images as viewers show them.

    Whether boxes were drawn on the turned image or on the stored one is told by the stated size. Where that is the
    same in both, as for an image upside down, the split's other images tell; without any, it is the turned one. Of
    an image that was scaled, boxes are scaled.

    Args:
        part: its images are all readable.
        headers: of its images.
    """
    shown = np.array([(header.width, header.height) for header in headers], np.int64).reshape(-1, 2)
    orientations = np.array([header.orientation for header in headers], np.int64)
    turned = orientations >= 5
    stored = np.where(turned[:, None], shown[:, ::-1], shown)
    stated = np.where((part.sizes > 0).all(axis=1, keepdims=True), part.sizes, shown)
    same, same_stored = (stated == shown).all(axis=1), (stated == stored).all(axis=1)
    seen = same | (~same_stored & _alike(stated, shown))
    as_stored = turned & ~seen & (same_stored | _alike(stated, stored))
    unclear = (orientations > 1) & seen & (same_stored | ~turned)
    follow = as_stored | (unclear & (as_stored.any() and not (turned & seen & ~unclear).any()))
    owners = part.pictures
    boxes, sides = _turn(part.boxes_xywh, stated[owners], np.where(follow, orientations, 1)[owners])
    gains = np.tile(shown[owners] / sides, 2)
    scaled = (np.where((follow & turned)[:, None], stated[:, ::-1], stated) != shown).any(axis=1) & (seen | follow)
    counts = {
        "pictures annotated as stored (boxes turned as EXIF says)": follow,
        "pictures turned by EXIF that fit either way (taken as shown)": unclear & ~follow,
        "pictures of another size than stated (boxes scaled)": scaled,
    }
    changed = replace(part, sizes=shown, boxes_xywh=boxes * gains, areas=part.areas * gains[:, :2].prod(axis=1))
    return Shown(changed, seen | follow, {what: int(rows.sum()) for what, rows in counts.items() if rows.any()})


def _alike(sizes: Int[np.ndarray, "i 2"], others: Int[np.ndarray, "i 2"]) -> Bool[np.ndarray, " i"]:
    """Which sizes have the proportions of the others, to a pixel."""
    alike: Bool[np.ndarray, " i"] = np.abs(sizes[:, 0] * others[:, 1] / others[:, 0] - sizes[:, 1]) <= 1
    return alike


def _turn(
    boxes: Float[np.ndarray, "n 4"], sizes: Int[np.ndarray, "n 2"], orientations: Int[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n 4"], Int[np.ndarray, "n 2"]]:
    """Boxes in stored images of these sizes as they lie in the images as shown, and the sizes of these."""
    swapped = (orientations >= 5)[:, None]
    boxes, sizes = np.where(swapped, boxes[:, [1, 0, 3, 2]], boxes), np.where(swapped, sizes[:, ::-1], sizes)
    flipped = np.stack([np.isin(orientations, (2, 3, 6, 7)), np.isin(orientations, (3, 4, 7, 8))], axis=1)
    starts = np.where(flipped, sizes - boxes[:, :2] - boxes[:, 2:], boxes[:, :2])
    return np.concatenate([starts, boxes[:, 2:]], axis=1), sizes
