"""Distillation: a trained YOLOX detector, the teacher, whose predictions a network learns besides the truth.

A few thousand annotated images contain little information. For every augmented image, the teacher predicts how
likely each class is in every cell.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.core.text import shortened
from lucidbox.engines.layouts.answers import decode_answer
from lucidbox.engines.layouts.pixels import fused_into
from lucidbox.engines.openvino import HINTS, automatic_precision, import_openvino, shared_core
from lucidbox.model.decoding import DecodedPredictions, Decoder, anchor_points
from lucidbox.model.network import BINS, STRIDES, Logits
from lucidbox.model_files import ModelFile, look_at
from lucidbox.model_files.layouts.layout import Layout
from lucidbox.train.assigner import Assignment
from lucidbox.train.losses import Gains, Loss, assigned_loss, one_process

PUBLISHED = Gains()
"""Weights of the loss's parts, the same as for the truth."""

BELIEVED = 0.05
"""Boxes are learnt where the teacher's best score is higher; the many others cost time and have little weight."""


class Teacher:
    """A YOLOX detector, from the ONNX file that its authors' tools export ("YOLOX", arXiv 2107.08430).

    Its layout says how it takes pixels and what its answer means, as for ``lucidbox predict``. Its levels, strides
    and order of anchors are ours. It was exported for one size and one image; here it takes any.

    It takes as many threads as torch has when it is made. Not for calls from several threads at once. Make it in
    the process that uses it.

    Args:
        path: the file.
        names: classes of the network that learns: some of the teacher's, in any order.

    Raises:
        OptionError: the teacher does not know one of the classes.
        WeightsError: there is no such file, or it is not such a detector.

    Example:
        >>> teacher = Teacher(Path("yolox_s.onnx"), data.names)
        >>> loss = distillation_loss(network(images), teacher(pixels), size=(640, 640))
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        file = _looked_at(path)
        self._layout, self._classes = _for_classes(file, names), len(names)
        self._model = _compiled(file, self._layout)

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
        answer = self._model(images.cpu().contiguous().numpy())[0]
        outputs = dict.fromkeys(self._layout.outputs, answer)
        boxes, scores = decode_answer(self._layout, outputs, (height, width), self._classes)
        return DecodedPredictions(*(torch.from_numpy(array).to(images.device) for array in (boxes, scores)))


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


def _looked_at(path: Path) -> ModelFile:
    """The file, which must be ONNX of the layout yolox."""
    try:
        file = look_at(path)
    except WeightsError as error:
        raise WeightsError(f"teacher {error}") from error
    layout = file.info.layout if file.info else None
    if file.format != "onnx" or layout is None or layout.kind != "yolox":
        raise WeightsError(f"teacher {path}: not an ONNX file of a YOLOX detector as its authors' tools export it")
    return file


def _for_classes(file: ModelFile, names: Sequence[str]) -> Layout:
    """The file's layout, whose answer has the columns of these classes."""
    known, layout = file.graph_info.names, file.graph_info.layout
    assert layout is not None
    unknown = [name for name in names if name not in known]
    if unknown:
        classes = f"{len(known)} classes: {shortened(known)}"
        raise OptionError(f"teacher: it does not know {unknown[0]!r}, only its {classes}; train without")
    columns = tuple(known.index(name) for name in names)
    # All columns in order need no copy.
    return replace(layout, columns=None if columns == tuple(range(len(known))) else columns)


def _compiled(file: ModelFile, layout: Layout) -> Any:
    """The compiled model, for RGB bytes "b h w 3" of any size."""
    openvino = import_openvino()
    core = shared_core()
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": HINTS[automatic_precision()[0]],
        # Threads pinned to a core would wait there for torch's threads, or for another process.
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    try:
        model = _any_size(openvino, core.read_model(file.path), len(file.graph_info.names))
        return core.compile_model(fused_into(openvino, model, layout.pixels), "CPU", options)
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1]
        raise WeightsError(f"teacher {file.path}: openvino cannot load it as a YOLOX: {reason}") from error


def _any_size(openvino: Any, model: Any, classes: int) -> Any:
    """The model for any number of images and any sides.

    Raises:
        ValueError: its anchors are not ours.
    """
    for node in model.get_ops():
        if node.get_type_name() == "Reshape" and (wanted := _shape_for_one(node)) is not None:
            # The exported shape is for one image; 0 means the batch that comes.
            many = openvino.opset13.constant(np.array([0, *wanted[1:]]))
            node.input(1).replace_source_output(many.output(0))
    side = 2 * STRIDES[-1]
    model.reshape([2, 3, side, side])
    expected = [2, sum((side // stride) ** 2 for stride in STRIDES), 5 + classes]
    found = model.output(0).partial_shape
    if found != openvino.PartialShape(expected):
        raise ValueError(f"images of {side}×{side} pixels give {found}, not {expected} as YOLOX")
    model.reshape([-1, 3, -1, -1])
    return model


def _shape_for_one(reshape: Any) -> list[int] | None:
    """A node's target shape, if that is a constant of the form (1 image, numbers of an anchor, all anchors)."""
    constant = reshape.input_value(1).get_node()
    if constant.get_type_name() != "Constant":
        return None
    wanted: list[int] = constant.data.tolist()
    return wanted if len(wanted) == 3 and (wanted[0], wanted[2]) == (1, -1) else None
