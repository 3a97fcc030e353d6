"""Distillation: a trained YOLOX detector, the teacher, whose predictions a network learns besides the truth.

A few thousand annotated images contain little information. For every augmented image, the teacher predicts how
likely each class is in every cell.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lucidbox.core.array_types import Float, UInt8
from lucidbox.core.class_names import COCO_NAMES
from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.engines.openvino import HINTS, automatic_precision, import_openvino, shared_core
from lucidbox.model.decoding import DecodedPredictions, Decoder, anchor_points
from lucidbox.model.network import BINS, STRIDES, Logits
from lucidbox.model_files.file_format import beginning
from lucidbox.model_files.onnx_fields import read_onnx_metadata
from lucidbox.train.assigner import Assignment
from lucidbox.train.losses import Gains, Loss, assigned_loss, one_process

PUBLISHED = Gains()
"""Weights of the loss's parts, the same as for the truth."""

_LARGEST = 10.0
"""Highest logarithm of a side, in cells; larger ones are lowered to it, so that no box is infinite."""

BELIEVED = 0.05
"""Boxes are learnt where the teacher's best score is higher; the many others cost time and have little weight."""

OFFSETS = 5
"""Numbers before the classes of an anchor: centre x and y, logarithms of width and height, objectness."""


class Teacher:
    """A YOLOX detector of COCO's 80 classes, from the ONNX file that its authors' tools export.

    Such a file takes BGR from 0 to 255 and gives, for each anchor, its centre's distance from the cell's left
    top corner and the logarithms of its sides, in cells, then the probability of an object and, if there is one,
    of each class ("YOLOX", arXiv 2107.08430). Its levels, strides and order of anchors are ours. It was exported
    for one size and one image; here it takes any.

    Not for several threads at once. Make it in the process that uses it.

    Args:
        path: the file.
        names: classes of the network that learns: some of COCO's, in any order.
        threads: largest number of threads; None for OpenVINO's choice.

    Raises:
        OptionError: there is no such file, or a class is not COCO's.
        WeightsError: the file is not such a detector.

    Example:
        >>> teacher = Teacher(Path("yolox_s.onnx"), data.names)
        >>> loss = distillation_loss(network(images), teacher(pixels), size=(640, 640))
    """

    def __init__(self, path: Path, names: Sequence[str], threads: int | None = None) -> None:
        columns = _columns(names)
        # A slice needs no copy; usually all classes are there in COCO's order.
        self._columns = slice(None) if columns == list(range(len(COCO_NAMES))) else columns
        self._model = _compiled(path, threads)

    def __call__(self, images: UInt8[Tensor, "b h w 3"]) -> DecodedPredictions:
        """The teacher's predictions, for the same anchors as those of the network that learns.

        Args:
            images: RGB, height and width in multiples of 32.

        Returns:
            Predictions for the network's classes, on the device of ``images``. A score is the probability that
            there is an object and that it is of the class.

        Raises:
            OptionError: a side is no multiple of 32.
        """
        height, width = images.shape[1:3]
        if height % STRIDES[-1] or width % STRIDES[-1]:
            raise OptionError(f"teacher: {height}×{width} pixels; sides must be multiples of {STRIDES[-1]}")
        output = torch.from_numpy(self._model(images.cpu().contiguous().numpy())[0])
        boxes, scores = decoded(output, height, width)
        return DecodedPredictions(boxes.to(images.device), scores[..., self._columns].to(images.device))


def distillation_loss(
    logits: Logits,
    answers: DecodedPredictions,
    size: tuple[int, int],
    gains: Gains = PUBLISHED,
    *,
    strides: Sequence[int] = STRIDES,
    bins: int = BINS,
    sum_over_processes: Callable[[Tensor], Tensor] = one_process,
) -> Loss:
    """The detection loss of a network with the teacher's predictions as targets.

    The teacher's scores are the soft targets of all anchors and classes. Its boxes are the targets of the anchors
    where its best score is above :data:`BELIEVED`, weighted by its scores. All are divided by the sum of its
    scores, or by 1 if that is less. Computed in float32 at least.

    Args:
        logits: the network's output.
        answers: the teacher's predictions for the same images.
        size: height and width of the network's input, in pixels.
        gains: weights of the three parts.
        strides: input pixels per cell of each level.
        bins: numbers in the distribution of each box side.
        sum_over_processes: as for :func:`lucidbox.train.losses.detection_loss`.

    Returns:
        The loss to add to that of the truth, and the targets of each anchor.
    """
    precision = torch.promote_types(logits.boxes.dtype, torch.float32)
    logits = Logits(logits.boxes.to(precision), logits.classes.to(precision))
    # Only boxes are decoded: the classes are an empty slice.
    predictions: DecodedPredictions = Decoder(strides, bins)(Logits(logits.boxes, logits.classes[:, :0]), *size)
    grids = [(size[0] // stride, size[1] // stride) for stride in strides]
    anchors = anchor_points(grids, strides, logits.boxes.device)
    agreement = (logits.classes * answers.scores.transpose(1, 2)).sum()
    return assigned_loss(
        logits, predictions.boxes, anchors, _targets(answers), agreement, gains, sum_over_processes
    )


def decoded(output: Float[Tensor, "b a numbers"], height: int, width: int) -> DecodedPredictions:
    """YOLOX's raw output as boxes in pixels of its input, and probabilities.

    Args:
        output: for each anchor five numbers for the box and its objectness, then one for each class.
        height: the input's height in pixels.
        width: the input's width in pixels.
    """
    anchors = anchor_points([(height // stride, width // stride) for stride in STRIDES], STRIDES, output.device)
    strides = anchors.strides[:, None]
    # Ours are the centres of cells; YOLOX counts from their left top corners.
    centres = anchors.points + (output[..., :2] - 0.5) * strides
    halves = output[..., 2:4].clamp(max=_LARGEST).exp() * strides / 2
    scores = output[..., OFFSETS - 1 : OFFSETS] * output[..., OFFSETS:]
    return DecodedPredictions(torch.cat((centres - halves, centres + halves), dim=2), scores)


def _targets(answers: DecodedPredictions) -> Assignment:
    """The targets of each anchor, in the same type as for true boxes."""
    best, labels = answers.scores.max(dim=2)
    foreground = best > BELIEVED
    return Assignment(
        labels=labels.masked_fill(~foreground, answers.scores.shape[2]),
        boxes=answers.boxes,
        scores=answers.scores,
        foreground=foreground,
        # There is no true box that an anchor belongs to.
        owners=torch.full_like(labels, -1),
    )


def _columns(names: Sequence[str]) -> list[int]:
    """The teacher's class id of each class of the network that learns."""
    unknown = [name for name in names if name not in COCO_NAMES]
    if unknown:
        raise OptionError(f"teacher: it does not know {unknown[0]!r}, only the 80 classes of COCO; train without")
    return [COCO_NAMES.index(name) for name in names]


def _compiled(path: Path, threads: int | None) -> Any:
    """The compiled model, for RGB bytes "b h w 3" of any size."""
    content = _content(path)
    openvino = import_openvino()
    core = shared_core()
    options: dict[str, Any] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": HINTS[automatic_precision()[0]],
        # Threads pinned to a core would wait there for torch's threads, or for another process.
        "ENABLE_CPU_PINNING": False,
    }
    if threads is not None:
        options["INFERENCE_NUM_THREADS"] = threads
    try:
        model = _any_size(openvino, core.read_model(content))
        return core.compile_model(_from_pixels(openvino, model), "CPU", options)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise WeightsError(f"teacher {path}: openvino cannot load it as a YOLOX detector: {reason}") from error


def _content(path: Path) -> bytes:
    """The file's content, if it is ONNX; else OpenVINO would try all formats it knows and report each failure."""
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        beginning(path)  # of a file, not of a device or a pipe
    except WeightsError as error:
        raise OptionError(f"teacher {error}") from error
    try:
        content = path.read_bytes()
        read_onnx_metadata(content)  # no loops, no numbers in other files
        onnx.load_model_from_string(content)
    except OSError as error:
        raise OptionError(f"teacher {path}: {error.strerror}") from error
    except WeightsError as error:
        raise WeightsError(f"teacher {path}: {error}") from error
    except (DecodeError, ValueError, IndexError):
        raise WeightsError(f"teacher {path}: not a whole ONNX file; fetch or copy it again") from None
    return content


def _any_size(openvino: Any, model: Any) -> Any:
    """The model for any number of images and any sides.

    Raises:
        ValueError: it is no YOLOX detector with our levels and COCO's classes.
    """
    for node in model.get_ops():
        if node.get_type_name() == "Reshape" and (wanted := _shape_for_one(node)) is not None:
            # The exported shape is for one image; 0 means the batch that comes.
            many = openvino.opset13.constant(np.array([0, *wanted[1:]]))
            node.input(1).replace_source_output(many.output(0))
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"it has {len(model.inputs)} inputs and {len(model.outputs)} outputs; YOLOX has one of each"
        )
    side = 2 * STRIDES[-1]
    model.reshape([2, 3, side, side])
    expected = [2, sum((side // stride) ** 2 for stride in STRIDES), OFFSETS + len(COCO_NAMES)]
    found = model.output(0).partial_shape
    if found != openvino.PartialShape(expected):
        raise ValueError(f"pictures of {side}×{side} pixels give {found}, not {expected} as YOLOX for COCO")
    model.reshape([-1, 3, -1, -1])
    return model


def _shape_for_one(reshape: Any) -> list[int] | None:
    """A node's target shape, if that is a constant of the form (1 image, numbers of an anchor, all anchors)."""
    constant = reshape.input_value(1).get_node()
    if constant.get_type_name() != "Constant":
        return None
    wanted: list[int] = constant.data.tolist()
    return wanted if len(wanted) == 3 and (wanted[0], wanted[2]) == (1, -1) else None


def _from_pixels(openvino: Any, model: Any) -> Any:
    """The model with a preprocessing step from our pixels to its input: BGR, floats, channels first."""
    steps = openvino.preprocess.PrePostProcessor(model)
    pixels, order = steps.input().tensor(), openvino.preprocess.ColorFormat
    pixels.set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC")).set_color_format(order.RGB)
    steps.input().model().set_layout(openvino.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(openvino.Type.f32).convert_color(order.BGR)
    return steps.build()
