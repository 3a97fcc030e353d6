"""The predict path over a data set, with the settings that published accuracies are measured with.

It differs from ``predict`` in three things only: a picture is fitted with its longer side at exactly the
network's size and half a stride of room around it, an anchor may answer with several classes, and the
thresholds keep nearly everything: the evaluator sorts it out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidbox.data.headers import read_header
from lucidbox.detections import Detections
from lucidbox.detector import Detector
from lucidbox.errors import DataError, ImageError, OptionError
from lucidbox.evaluate.truth import Truth
from lucidbox.images import read_image
from lucidbox.letterbox import Frame, batch_shape, fit_validation
from lucidbox.nms import Limits, select, suppress
from lucidbox.shapes import Float32

LIMITS = Limits(conf=0.001, iou=0.7, max_det=300, several_labels=True)
"""What published accuracies are measured with."""

CLASS_OFFSET = 7680
"""Pixels by which the known implementation moves boxes apart, class by class, before it suppresses them."""


@dataclass(frozen=True)
class Entry:
    """A picture of a data set: its id in the truth, and its file."""

    image_id: int
    path: Path


@dataclass(frozen=True, eq=False)
class Answer:
    """The network's own answer for one picture.

    Attributes:
        image_id: the picture's id in the truth.
        frame: where the picture sits in the network's input.
        boxes: xyxy of every anchor, pixels of the network's input.
        scores: probability of each class at every anchor.
    """

    image_id: int
    frame: Frame
    boxes: Float32[np.ndarray, "a 4"]
    scores: Float32[np.ndarray, "a c"]


def entries(truth: Truth, folder: Path) -> list[Entry]:
    """Every picture of the truth and its file below a folder.

    Raises:
        DataError: the truth names no files, or one of them is not there.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of pictures")
    names = dict(zip(truth.image_ids.tolist(), truth.file_names, strict=False))
    found = [Entry(image_id, folder / names.get(image_id, "")) for image_id in truth.image_ids.tolist()]
    missing = [entry for entry in found if not entry.path.is_file()]
    if missing:
        first = names.get(missing[0].image_id) or f"picture {missing[0].image_id}, which names no file"
        raise DataError(
            f"{folder}: {len(missing)} of {len(found)} pictures of {truth.source} are not here: {first}"
        )
    return found


def answers(
    detector: Detector,
    pictures: Sequence[Entry],
    *,
    batch: int = 1,
    on_failure: Callable[[ImageError], None],
) -> Iterator[Answer]:
    """The network's answer for every picture that can be read.

    Args:
        detector: its size must be square, as the reference's validation has it.
        pictures: in any order; with batches they are taken by aspect ratio.
        batch: pictures that share one inference, all padded to one shape, which moves scores slightly: a
            published accuracy is reproduced exactly only with the batch it was measured with.
        on_failure: told of each picture that cannot be read.

    Raises:
        OptionError: the detector's size is not square, or the batch is less than 1.
    """
    if detector.size[0] != detector.size[1]:
        raise OptionError(f"size {detector.size} is not square; validation takes one number")
    if batch < 1:
        raise OptionError(f"batch {batch} is less than 1")
    longest = detector.size[0]
    ordered = list(pictures) if batch == 1 else _by_aspect_ratio(pictures)
    for start in range(0, len(ordered), batch):
        read = []
        for entry in ordered[start : start + batch]:
            try:
                read.append((entry, read_image(entry.path)))
            except ImageError as error:
                on_failure(error)
        if not read:
            continue
        sizes = [(image.shape[0], image.shape[1]) for _, image in read]
        shape = batch_shape(sizes, longest)
        frames = [fit_validation(size, longest, shape) for size in sizes]
        predicted = detector.infer([image for _, image in read], frames)
        for row, (entry, _) in enumerate(read):
            yield Answer(entry.image_id, frames[row], predicted.boxes[row], predicted.scores[row])


def class_offset_detections(detector: Detector, answer: Answer, limits: Limits = LIMITS) -> Detections:
    """What suppression by shifted boxes gives, to show how far it is from the exact one.

    Boxes of class c are moved by c · 7680 pixels, so that one run over all of them never compares two classes;
    in float32 the sum rounds boxes by up to 0.03 px.
    """
    found = select(answer.scores, limits)
    boxes = answer.boxes[found.anchors]
    shifted = boxes + (found.classes * CLASS_OFFSET).astype(np.float32)[:, None]
    kept = suppress(shifted, found.scores, found.classes, limits.iou, limits.max_det, agnostic=True)
    restored = answer.frame.restore(boxes[kept])
    return Detections(restored, found.scores[kept], found.classes[kept], detector.names)


def _by_aspect_ratio(pictures: Sequence[Entry]) -> list[Entry]:
    """Flattest first, as the reference sorts them; equal ratios in the order given."""

    def ratio(entry: Entry) -> float:
        header = read_header(entry.path)
        return header.height / header.width if header.width else 0.0

    return sorted(pictures, key=ratio)
