"""Formats of boxes, and which of them the boxes of a data set can be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from lucidbox.core.array_types import Float
from lucidbox.core.boxes import cxcywh_to_xywh, xyxy_to_xywh
from lucidbox.core.errors import DataError, OptionError

BoxForm = Literal["auto", "xyxy", "xywh", "cxcywh", "xyxyn", "xywhn", "cxcywhn"]
MEANINGS: dict[BoxForm, str] = {
    "xyxy": "left, top, right, bottom",
    "xywh": "left, top, width, height",
    "cxcywh": "centre, width, height",
    "xyxyn": "left, top, right, bottom as shares of the picture's sides",
    "xywhn": "left, top, width, height as shares of the picture's sides",
    "cxcywhn": "centre, width, height as shares of the picture's sides",
}

# Data sets have a few wrong boxes; read in a wrong format, a third or more are wrong.
_MOST_MISFITS = 0.05
_FEW_MISFITS = 3
# Annotation tools round, and some let boxes end one pixel further.
_TOLERANCE = 1.01
_LARGEST_MASK = 1.05


@dataclass(frozen=True, eq=False)
class BoxSample:
    """Boxes of the first images, as they are written.

    Attributes:
        numbers: four of each box, of unknown meaning.
        sizes: width and height of each box's image, pixels.
        areas: stated area of each box's object in square pixels; NaN where not stated.
    """

    numbers: Float[np.ndarray, "n 4"]
    sizes: Float[np.ndarray, "n 2"]
    areas: Float[np.ndarray, " n"]


def to_xywh(
    numbers: Float[np.ndarray, "n 4"], sizes: Float[np.ndarray, "n 2"], form: BoxForm
) -> Float[np.ndarray, "n 4"]:
    """Left, top, width, height in pixels.

    Args:
        numbers: of each box.
        sizes: width and height of each box's image, pixels.
        form: of the numbers; not "auto".
    """
    pixels = numbers * np.tile(sizes, 2) if form.endswith("n") else numbers
    return _TO_XYWH[form.removesuffix("n")](pixels)


_TO_XYWH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "xyxy": xyxy_to_xywh,
    "xywh": lambda boxes: boxes,
    "cxcywh": cxcywh_to_xywh,
}


def parse_form(text: str) -> BoxForm:
    """The format of this name.

    Raises:
        OptionError: there is none.
    """
    known: tuple[BoxForm, ...] = get_args(BoxForm)
    if text not in known:
        raise OptionError(f"boxes {text!r} is no form of boxes: {', '.join(known)}")
    return known[known.index(text)]


def choose_form(sample: BoxSample, wanted: BoxForm, default: BoxForm, source: str) -> BoxForm:
    """The format of a data set's boxes: the wanted one, if the boxes are of that format.

    Args:
        sample: boxes of the first images.
        wanted: "auto" for whichever of xyxy and xywh the boxes fit, and ``default`` where both do.
        default: of data sets of this family; not "auto".
        source: what messages call the data set.

    Raises:
        DataError: the boxes are not of that format; names the formats they fit.
    """
    shares = misfits(sample)
    # Of a few boxes, a single wrong one is a large share; but then no other format has a smaller one.
    few, best = _FEW_MISFITS / max(len(sample.numbers), 1), min(shares.values())
    fitting = [form for form, share in shares.items() if share <= max(_MOST_MISFITS, min(few, best))]
    if wanted == "auto":
        # The rarer formats are used only on request.
        usual = [form for form in ("xyxy", "xywh") if form in fitting]
        wanted = usual[0] if len(usual) == 1 else default
    if wanted in fitting:
        return wanted
    remedy = "they are of no other known form either"
    if fitting:
        remedy = f"they can be {' or '.join(fitting)}: say so with --boxes"
    raise DataError(
        f"{source}: {shares[wanted]:.0%} of the first {len(sample.numbers)} boxes cannot be {wanted} "
        f"({MEANINGS[wanted]}): they are empty, beyond their pictures or smaller than their objects; {remedy}"
    )


def misfits(sample: BoxSample) -> dict[BoxForm, float]:
    """For each format, the share of boxes that cannot be of it.

    Such boxes have no area or not a pixel, are beyond their image, or are smaller than the object: a mask is
    never larger than its box. Where nearly all stated areas are those of the boxes in one format, and those of few
    in another, no box is of the latter.
    """
    shares: dict[BoxForm, float] = {}
    exact: dict[BoxForm, float] = {}
    for form in MEANINGS:
        boxes = to_xywh(sample.numbers, sample.sizes, form)
        areas = boxes[:, 2] * boxes[:, 3]
        wrong = (boxes[:, 2:] <= 0).any(axis=1) | (boxes[:, 2:] <= 1).all(axis=1)
        wrong |= (boxes[:, :2] < -_TOLERANCE).any(axis=1)
        wrong |= (boxes[:, :2] + boxes[:, 2:] > sample.sizes + _TOLERANCE).any(axis=1)
        wrong |= sample.areas > areas * _LARGEST_MASK + 1  # never where none is stated: NaN
        shares[form] = float(wrong.mean()) if len(wrong) else 0.0
        exact[form] = float((np.abs(sample.areas - areas) <= 1 + 0.01 * areas).mean()) if len(wrong) else 0.0
    if max(exact.values()) >= 1 - _MOST_MISFITS:
        shares = {form: share if exact[form] >= 0.5 else 1.0 for form, share in shares.items()}
    return shares
