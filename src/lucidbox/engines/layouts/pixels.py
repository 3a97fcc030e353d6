"""Our uint8 RGB pixels as a model of someone else takes them."""

from typing import Any

import cv2
import numpy as np

from lucidbox.core.array_types import Shaped, UInt8
from lucidbox.model_files.layouts.layout import NO_DEVIATION, NO_MEAN, Pixels


def prepared(images: UInt8[np.ndarray, "b h w 3"], pixels: Pixels) -> Shaped[np.ndarray, "b _ _ _"]:
    """A batch of RGB images as numbers of the model's input."""
    if pixels.type == "uint8":
        ordered = images[..., ::-1] if pixels.bgr else images
        return np.ascontiguousarray(ordered.transpose(0, 3, 1, 2) if pixels.channels_first else ordered)
    # One pass over all pixels, several times faster than NumPy's; the same multiplication, so the same bits.
    numbers: Any = cv2.dnn.blobFromImages(list(images), pixels.scale, swapRB=pixels.bgr)
    if (pixels.mean, pixels.deviation) != (NO_MEAN, NO_DEVIATION):
        numbers -= np.array(pixels.mean, np.float32)[:, None, None]
        numbers /= np.array(pixels.deviation, np.float32)[:, None, None]
    ordered = numbers if pixels.channels_first else numbers.transpose(0, 2, 3, 1)
    prepared: Shaped[np.ndarray, "b _ _ _"] = np.ascontiguousarray(ordered, pixels.type)
    return prepared


def fused_into(openvino: Any, model: Any, pixels: Pixels) -> Any:
    """An OpenVINO model that takes our pixels itself: the same conversion as its first operations.

    Args:
        openvino: the module.
        model: whose input takes numbers as ``pixels`` says.
        pixels: how they are made.
    """
    steps = openvino.preprocess.PrePostProcessor(model)
    image = steps.input(pixels.input)
    colours = openvino.preprocess.ColorFormat
    image.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    image.tensor().set_color_format(colours.RGB)
    image.model().set_layout(openvino.Layout("NCHW" if pixels.channels_first else "NHWC"))
    process = image.preprocess()
    if pixels.bgr:
        process.convert_color(colours.BGR)
    if pixels.type != "uint8":
        process.convert_element_type(openvino.Type.f32)
        # mean() subtracts and scale() divides, in this order; means are in units of scaled pixels.
        process.mean([float(mean / pixels.scale) for mean in pixels.mean])
        process.scale([float(deviation / pixels.scale) for deviation in pixels.deviation])
    if pixels.type == "float16":
        process.convert_element_type(openvino.Type.f16)
    return steps.build()
