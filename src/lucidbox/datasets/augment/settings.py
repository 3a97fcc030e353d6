"""How strongly training images are changed, as one frozen value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Augmentation:
    """Probabilities and largest changes; the defaults are the published ones.

    The fields have the names of a training recipe's keys, so that one can be made from the other.

    Attributes:
        mosaic: probability of four images in one, 0 to 1.
        mixup: probability of two images blended, 0 to 1.
        copy_paste: probability of pasting boxes of another image, 0 to 1.
        hue, saturation, value: largest change of each, as a share, 0 to 1.
        translate: largest shift, as a share of the network's input, 0 to 1.
        scale: largest change of scale, 0 to below 1: factors run from 1 − scale to 1 + scale.
        degrees: largest rotation, either way, degrees.
        shear: largest shear along each axis, either way, degrees, below 90.
        flip_horizontal, flip_vertical: probabilities, 0 to 1.
    """

    mosaic: float = 1.0
    mixup: float = 0.0
    copy_paste: float = 0.0
    hue: float = 0.015
    saturation: float = 0.7
    value: float = 0.4
    translate: float = 0.1
    scale: float = 0.5
    degrees: float = 0.0
    shear: float = 0.0
    flip_horizontal: float = 0.5
    flip_vertical: float = 0.0


def plain() -> Augmentation:
    """Nothing is changed: every image is only letterboxed."""
    return Augmentation(
        mosaic=0.0,
        hue=0.0,
        saturation=0.0,
        value=0.0,
        translate=0.0,
        scale=0.0,
        flip_horizontal=0.0,
    )
