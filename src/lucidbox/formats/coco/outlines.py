"""The box around a COCO ``segmentation``: polygons, or a mask as lengths of runs."""

from itertools import accumulate, chain
from typing import Any

_NUMBER = frozenset({int, float})


def box_around(segmentation: Any) -> list[float] | None:
    """Left, top, width, height; None if there is nothing to put a box around.

    Args:
        segmentation: a list of polygons (x, y, x, y …), or ``{"size": [height, width], "counts": …}``, a mask in
            columns as lengths of runs outside and inside by turns: a list, or COCO's compressed text.
    """
    try:
        if isinstance(segmentation, dict):
            return _around_mask(segmentation["size"][0], segmentation["counts"])
        if isinstance(segmentation, list):
            polygons = [segmentation] if segmentation and type(segmentation[0]) in _NUMBER else segmentation
            return _around_points(list(chain.from_iterable(polygons)))
    except (KeyError, IndexError, TypeError, ValueError):
        pass  # damaged
    return None


def _around_points(numbers: list[Any]) -> list[float] | None:
    if len(numbers) < 4 or len(numbers) % 2 or not set(map(type, numbers)) <= _NUMBER:
        return None
    left, top = min(numbers[::2]), min(numbers[1::2])
    return [left, top, max(numbers[::2]) - left, max(numbers[1::2]) - top]


def _around_mask(height: int, counts: Any) -> list[float] | None:
    lengths = _decompressed(counts) if isinstance(counts, str) else counts
    ends = list(accumulate(lengths))
    inside = [(start, end - 1) for start, end in zip(ends[::2], ends[1::2], strict=False) if end > start]
    if height <= 0 or min(lengths, default=0) < 0 or not inside:
        return None
    left, right = inside[0][0] // height, inside[-1][1] // height
    # A run that goes on in the next column touches both the lowest and the highest row.
    whole = any(first // height != last // height for first, last in inside)
    top = 0 if whole else min(first % height for first, _ in inside)
    bottom = height - 1 if whole else max(last % height for _, last in inside)
    return [left, top, right - left + 1, bottom - top + 1]


def _decompressed(text: str) -> list[int]:
    """Lengths of runs: five bits a character, the sixth says that more follow; from the fourth on, differences."""
    lengths: list[int] = []
    value = shift = 0
    for character in text:
        bits = ord(character) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        value -= (1 << shift) if bits & 16 else 0
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value = shift = 0
    return lengths
