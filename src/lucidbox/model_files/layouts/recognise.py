"""Recognises a layout from a graph's names, shapes and metadata; refuses where these do not decide."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from lucidbox.core.class_names import COCO_IDS, COCO_NAMES
from lucidbox.core.errors import WeightsError
from lucidbox.model_files.layouts.layout import LAYOUTS, Kind, Layout, NumberType, Pixels, Placement
from lucidbox.model_files.layouts.metadata import Stated
from lucidbox.model_files.layouts.signature import Port, Signature

STRIDE_SETS = ((8, 16, 32), (8, 16, 32, 64), (4, 8, 16, 32), (16, 32))
"""Input pixels per cell of each level, of the detectors that are recognised."""

NOT_DETECTION = {"segment": "segmentation", "pose": "pose", "obb": "oriented boxes", "classify": "classification"}
"""Tasks that metadata state, other than "detect"."""

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of pixels from 0 to 1, red first: backbones of DETRs start from networks trained with them."""


@dataclass(frozen=True)
class Recognised:
    """A layout and why it was recognised.

    Attributes:
        layout: how the model takes pixels and answers.
        names: class names.
        reasons: what decided, in words.
        notes: what was assumed, for the user to check.
    """

    layout: Layout
    names: tuple[str, ...]
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Candidate:
    """A layout that a signature allows: how many classes it would have, and what speaks for it."""

    layout: Layout
    classes: int | None
    reason: str
    notes: tuple[str, ...] = ()


def recognise_layout(
    signature: Signature, stated: Stated, *, kind: Kind | None = None, names: tuple[str, ...] | None = None
) -> Recognised:
    """The layout of a graph.

    Args:
        signature: what it takes and gives.
        stated: what its metadata state.
        kind: what a user says it is; only details are then recognised.
        names: class names that a user gives; those of the metadata otherwise.

    Raises:
        WeightsError: it is not a detector, or several layouts or none would do; the message says which, and how to
            decide. It does not name the file.
    """
    _refuse_other_tasks(signature, stated)
    pixels = _pixels(signature)
    names = names or stated.names
    candidates = [
        candidate
        for candidate in _candidates(signature, pixels, stated, names)
        if kind in (None, candidate.layout.kind)
    ]
    if names:
        candidates = [found for found in candidates if found.classes in (None, len(names))] or candidates
    elif len(candidates) > 1:
        # Without names, the 80 classes of COCO are what decides: most public files have them.
        candidates = [found for found in candidates if found.classes == len(COCO_NAMES)] or candidates
    if len({found.layout.kind for found in candidates}) != 1 or len(candidates) != 1:
        raise _undecided(signature, candidates, kind)
    (found,) = candidates
    if names and found.classes not in (None, len(names)):
        raise WeightsError(f"it has {found.classes} classes, but {len(names)} names are given")
    if found.layout.columns:
        names = names or COCO_NAMES
    chosen, note = _names(names, found.classes)
    reasons = (found.reason, *stated.reasons)
    return Recognised(found.layout, chosen, reasons, (*found.notes, *([note] if note else [])))


def _refuse_other_tasks(signature: Signature, stated: Stated) -> None:
    task = NOT_DETECTION.get(stated.task)
    if task and task != "segmentation":
        raise WeightsError(f"a model for {task}, not for detection; give one that detects")
    shapes = [port.shape for port in signature.outputs if port.shape is not None]
    if shapes and all(len(shape) == 2 for shape in shapes) and len(shapes) == 1:
        raise WeightsError(f"a model for classification ({signature.outputs[0]}), not for detection")
    if len(shapes) > 1 and all(len(shape) >= 4 for shape in shapes):
        raise WeightsError(
            f"its outputs are raw levels of a head ({', '.join(map(str, signature.outputs))}); export it with"
            " decoding inside"
        )


def _pixels(signature: Signature) -> Pixels:
    """The image input."""
    images = [port for port in signature.inputs if port.shape is not None and len(port.shape) == 4]
    if len(images) != 1:
        found = ", ".join(map(str, signature.inputs)) or "none"
        raise WeightsError(f"one input of four sides is needed, for images; its inputs are: {found}")
    (port,) = images
    assert port.shape is not None
    if port.type not in ("float32", "float16", "uint8"):
        raise WeightsError(f"its input takes {port.type}; float32, float16 and uint8 can be given")
    first = port.shape[1] == 3
    if not first and port.shape[3] != 3:
        raise WeightsError(f"its input {port} has no side of 3 channels: only RGB and BGR images can be given")
    kind: NumberType = port.type  # type: ignore[assignment]
    # Bytes are given as they are: whoever wants bytes divides inside.
    return Pixels(port.name, channels_first=first, type=kind, scale=1.0 if kind == "uint8" else 1 / 255)


def input_sides(signature: Signature, pixels: Pixels) -> tuple[int | None, int | None, int | None]:
    """Batch, height and width of the image input; None where they may be any."""
    shape = next(port.shape for port in signature.inputs if port.name == pixels.input)
    assert shape is not None
    height, width = (shape[2], shape[3]) if pixels.channels_first else (shape[1], shape[2])
    return shape[0], height, width


def _candidates(
    signature: Signature, pixels: Pixels, stated: Stated, names: tuple[str, ...] | None
) -> Iterator[_Candidate]:
    outputs = {port.name: port for port in signature.outputs if port.shape is not None}
    if {"labels", "boxes", "scores"} <= set(outputs) and len(signature.inputs) == 2:
        yield from _detr_boxes(signature, pixels)
    for boxes, logits in (("dets", "labels"), ("pred_boxes", "logits"), ("pred_boxes", "pred_logits")):
        if boxes in outputs and logits in outputs:
            yield from _detr_logits(signature, pixels, outputs[boxes], outputs[logits], names)
    first = signature.outputs[0]
    if first.shape is not None and len(first.shape) == 3 and len(signature.inputs) == 1:
        if len(signature.outputs) == 1:
            yield from _one_answer(signature, pixels, first, names, masks=0)
        elif masks := _masks(signature):
            yield from _one_answer(signature, pixels, first, names, masks)


def _masks(signature: Signature) -> int:
    """Number of mask coefficients of an anchor, of a segmentation model: its second output is their prototypes."""
    second = signature.outputs[1]
    several = len(signature.outputs) == 2 and second.shape is not None and len(second.shape) == 4
    return (second.shape[1] or 0) if several and second.shape else 0


def _detr_boxes(signature: Signature, pixels: Pixels) -> Iterator[_Candidate]:
    sizes = next((port for port in signature.inputs if port.shape is not None and len(port.shape) == 2), None)
    if sizes:
        layout = Layout(
            "detr-boxes", pixels, Placement("stretch"), ("labels", "boxes", "scores"), sizes_input=sizes.name
        )
        yield _Candidate(
            layout,
            None,
            f"outputs labels, boxes and scores, and a second input {sizes.name}, as RT-DETR's and D-FINE's",
        )


def _detr_logits(
    signature: Signature, pixels: Pixels, boxes: Port, logits: Port, names: tuple[str, ...] | None
) -> Iterator[_Candidate]:
    """DETR's families differ in what becomes of the logits, and in the pixels' mean."""
    columns = logits.shape[2] if logits.shape is not None and len(logits.shape) == 3 else None
    if columns is None:
        return
    mask = next((port.name for port in signature.inputs if port.name == "pixel_mask"), None)
    plain = Layout(
        "detr-logits", pixels, Placement("stretch"), (boxes.name, logits.name), "sigmoid", mask_input=mask
    )
    imagenet = replace(plain, pixels=replace(pixels, mean=IMAGENET_MEAN, deviation=IMAGENET_DEVIATION))
    coco = "91 columns are COCO's own category ids; those of its 80 classes are used"
    if boxes.name == "dets":
        reason = "outputs dets and labels, as RF-DETR's: sigmoid, pixels by ImageNet's mean"
        if columns == 91 and (not names or names == COCO_NAMES):
            yield _Candidate(replace(imagenet, columns=COCO_IDS), len(COCO_NAMES), reason, (coco,))
        elif names and columns == len(names) + 1:
            notes = (f"column {columns}, the last, is taken as background",)
            yield _Candidate(replace(imagenet, columns=tuple(range(len(names)))), len(names), reason, notes)
        else:
            yield _Candidate(imagenet, columns, reason)
        return
    reason = f"outputs {boxes.name} and {logits.name} of {columns} columns, as Hugging Face's"
    if columns == 92 and (not names or names == COCO_NAMES):
        softmax = replace(imagenet, activation="softmax", columns=COCO_IDS)
        yield _Candidate(softmax, len(COCO_NAMES), f"{reason} DETR: softmax with a background column", (coco,))
    elif names and columns == len(names) + 1:
        softmax = replace(imagenet, activation="softmax", columns=tuple(range(len(names))))
        yield _Candidate(softmax, len(names), f"{reason} DETR: one more column than classes, the background's")
    elif columns == 91 and (not names or names == COCO_NAMES):
        yield _Candidate(
            replace(imagenet, columns=COCO_IDS), len(COCO_NAMES), f"{reason} Deformable DETR: sigmoid", (coco,)
        )
    else:
        notes = (
            "pixels from 0 to 1, as RT-DETR and D-FINE take them; if it is a Deformable or Conditional DETR, which"
            " take them by ImageNet's mean, say so in a description (lucidbox weights describe)",
        )
        yield _Candidate(plain, columns, f"{reason} RT-DETR and D-FINE: sigmoid, pixels from 0 to 1", notes)


def _one_answer(
    signature: Signature, pixels: Pixels, output: Port, names: tuple[str, ...] | None, masks: int
) -> Iterator[_Candidate]:
    """Layouts of a single answer of three sides."""
    assert output.shape is not None
    _, second, third = output.shape
    _, height, width = input_sides(signature, pixels)
    counts = _cell_counts(height, width)
    notes = (f"a segmentation model: its {masks} mask numbers an object are left out, its boxes are used",) * bool(
        masks
    )
    layout = Layout("yolo", pixels, outputs=(output.name,))
    if third == 6 + masks and second not in counts | {3 * count for count in counts}:
        reason = f"{output} holds xyxy, score and class of few boxes"
        yield _Candidate(replace(layout, kind="end-to-end"), None, reason, notes)
        if second is not None:
            return
    # Anchors are counted from the input's size; where that is open, the longer side has them.
    if second is not None and _is_anchors(third, second, counts) and second > 4 + masks:
        columns = None if masks == 0 else tuple(range(second - 4 - masks))
        reason = f"{output} holds 4 + {second - 4 - masks} numbers of each anchor"
        yield _Candidate(replace(layout, columns=columns), second - 4 - masks, reason, notes)
    if third is not None and _is_anchors(second, third, counts) and third > 5 + masks:
        yield from _anchors_first(signature, layout, output, counts, masks, notes)


def _is_anchors(side: int | None, other: int, counts: set[int]) -> bool:
    if side is None:
        return True
    return side in counts or (side // 3 in counts and side % 3 == 0) if counts else side > other


def _anchors_first(
    signature: Signature, layout: Layout, output: Port, counts: set[int], masks: int, notes: tuple[str, ...]
) -> Iterator[_Candidate]:
    """Layouts "b a numbers": with objectness decoded or in cells, or transposed without it."""
    assert output.shape is not None
    _, anchors, numbers = output.shape
    assert numbers is not None
    classes = numbers - 5 - masks
    columns = None if masks == 0 else tuple(range(classes))
    if anchors is not None and counts and anchors not in counts:
        yield _Candidate(
            replace(layout, kind="yolo-objectness", columns=columns),
            classes,
            f"{output} holds 5 + {classes} numbers of three anchors a cell, as YOLOv5's and YOLOv7's",
            notes,
        )
        return
    last = signature.last_operators.get(output.name, "")
    if last == "Transpose" and "Exp" not in signature.operators:
        pixels = replace(layout.pixels, bgr=True, scale=1.0)
        yield _Candidate(
            replace(layout, kind="yolox", pixels=pixels, placement=Placement("top-left", "down")),
            classes,
            f"{output} holds 5 + {classes} numbers of one anchor a cell, and the graph ends without decoding them,"
            " as YOLOX's",
        )
    else:
        yield _Candidate(
            replace(layout, kind="yolo-objectness", columns=columns),
            classes,
            f"{output} holds 5 + {classes} numbers of one anchor a cell, decoded, as YOLOv6's",
            notes,
        )
    yield _Candidate(
        replace(layout, transposed=True),
        numbers - 4 - masks,
        f"{output} holds 4 + {numbers - 4 - masks} numbers of each anchor, anchors first",
        notes,
    )


def _cell_counts(height: int | None, width: int | None) -> set[int]:
    """How many cells all levels have together, for each set of strides; empty where the input's size is open."""
    if height is None or width is None:
        return set()
    return {
        sum(-(-height // stride) * -(-width // stride) for stride in strides)
        for strides in STRIDE_SETS
    }  # fmt: skip


def _names(names: tuple[str, ...] | None, classes: int | None) -> tuple[tuple[str, ...], str]:
    """Names of the classes, and a note where the file does not state them."""
    if names:
        return names, ""
    if classes in (None, len(COCO_NAMES)):
        return COCO_NAMES, "the file names no classes: COCO's 80 are assumed; name others with --names FILE"
    assert classes is not None
    numbered = tuple(f"class {number}" for number in range(classes))
    return numbered, f"the file names no classes: its {classes} are shown by number; name them with --names FILE"


def _undecided(signature: Signature, candidates: Sequence[_Candidate], kind: Kind | None) -> WeightsError:
    """Says what it could be, and how to decide."""
    ports = f"inputs {', '.join(map(str, signature.inputs))}; outputs {', '.join(map(str, signature.outputs))}"
    if not candidates:
        asked = f"no {kind} layout" if kind else "no layout of a detector that lucidbox knows"
        return WeightsError(
            f"{asked} has {ports}; describe it in a TOML file beside it (lucidbox weights describe FILE), or make"
            " an ONNX file with one of: " + ", ".join(LAYOUTS)
        )
    could = "; ".join(f"{found.layout.kind} ({found.classes} classes)" for found in candidates)
    return WeightsError(
        f"it could be {could}: {ports}; decide with --layout KIND or --names FILE, or describe it in a TOML file"
        " beside it (lucidbox weights describe FILE)"
    )
