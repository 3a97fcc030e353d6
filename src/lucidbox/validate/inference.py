"""The predict path over a data set, with the settings that published accuracies are measured with.

It differs from ``predict`` in three things only: a picture is fitted with its longer side at exactly the
network's size and half a stride of room around it, an anchor may answer with several classes, and the
thresholds keep nearly everything: the evaluator sorts it out.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError, ImageError, LucidboxError, OptionError
from lucidbox.core.text import printable
from lucidbox.datasets.locate import locate
from lucidbox.detect.letterbox import batch_shape, fit_validation
from lucidbox.detect.nms import Limits, select, suppress
from lucidbox.detect.predictor import Predictor, RawPrediction, View
from lucidbox.detect.tiles import Tiling, views_together
from lucidbox.detector import Detector
from lucidbox.evaluate.truth import Truth
from lucidbox.images.headers import read_header
from lucidbox.images.reading import read_image
from lucidbox.model_files.layouts.layout import Placement
from lucidbox.model_files.metadata import ModelInfo
from lucidbox.sources import Failure, Picture
from lucidbox.validate.batches import aspect_batches

LIMITS = Limits(conf=0.001, iou=0.7, max_det=300, several_labels=True)
"""What published accuracies are measured with."""

CLASS_OFFSET = 7680
"""Pixels by which the known implementation moves boxes apart, class by class, before it suppresses them."""


Numbered = tuple[int, UInt8[np.ndarray, "h w 3"]]
"""A picture's id in the truth, and its pixels."""

NumberedView = tuple[tuple[int, View, int], UInt8[np.ndarray, "h w 3"]]
"""A picture's id, a view of it and how many there are; and the view's pixels."""

_Key = TypeVar("_Key")


def files_of(truth: Truth, folder: Path) -> dict[int, Path]:
    """The file of every picture of the truth, by picture id.

    Raises:
        DataError: the truth names no files, or one of them is not in the folder.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder of pictures")
    names = dict(zip(truth.image_ids.tolist(), truth.file_names, strict=False))
    found = dict(zip(names, locate(folder, list(names.values())), strict=True))
    files = {image_id: folder / found.get(image_id, "") for image_id in truth.image_ids.tolist()}
    missing = [image_id for image_id, path in files.items() if not path.is_file()]
    if missing:
        first = printable(names.get(missing[0], "")) or f"picture {missing[0]}, which names no file"
        raise DataError(
            f"{folder}: {len(missing)} of {len(files)} pictures of {truth.source} are not here: {first}"
        )
    return files


def read_files(
    files: Mapping[int, Path], batch: int, on_failure: Callable[[ImageError], None]
) -> Iterator[list[Numbered]]:
    """Pictures in groups that are to share one inference; groups of several are taken by aspect ratio.

    Args:
        files: by picture id.
        batch: pictures of a group. All of them are padded to one shape, which moves scores slightly: a
            published accuracy is reproduced exactly only with the batch it was measured with.
        on_failure: called with the error of each image that cannot be read.

    Raises:
        OptionError: the batch is less than 1.
    """
    ids = list(files)
    # Headers are read only where they decide the order.
    headers = [read_header(files[image_id]) for image_id in ids] if batch > 1 else []
    sizes = np.array([(header.width, header.height) for header in headers] or np.zeros((len(ids), 2)))
    for rows in aspect_batches(sizes, batch):
        group: list[Numbered] = []
        for image_id in (ids[row] for row in rows):
            try:
                group.append((image_id, read_image(files[image_id])))
            except ImageError as error:
                on_failure(error)
        if group:
            yield group


def read_stream(
    pictures: Iterable[Picture | Failure],
    truth: Truth,
    on_failure: Callable[[LucidboxError], None],
    say: Callable[[str], None],
) -> Iterator[list[Numbered]]:
    """Pictures of a stream that the truth knows, one by one: by the stream's own numbers, else by file name.

    Args:
        pictures: the stream.
        truth: whose pictures are sought.
        on_failure: called with the error of each image that cannot be read.
        say: called at the end with how many pictures of the stream the truth lacks, and how many of the truth's
            never came.

    Raises:
        DataError: none of them is in the truth.
    """
    by_name = {Path(name).name: i for name, i in zip(truth.file_names, truth.image_ids.tolist(), strict=False)}
    known, found, strange, last = set(truth.image_ids.tolist()), set[int](), 0, ""
    for picture in pictures:
        if isinstance(picture, Failure):
            on_failure(picture.error)
            continue
        last = picture.source
        image_id = by_name.get(picture.name) if picture.image_id is None else picture.image_id
        if image_id is None or image_id not in known:
            strange += 1
            continue
        found.add(image_id)
        yield [(image_id, picture.pixels)]
    if not found and last:
        raise DataError(f"{last}: neither number nor name of any picture of this data set is in {truth.source}")
    if strange:
        say(f"{strange} pictures that came are not in {truth.source} and were left out")
    if absent := len(known) - len(found):
        say(f"{absent} of {len(known)} pictures of {truth.source} did not come; their objects count as missed")


def validation_predictor(detector: Detector) -> Predictor:
    """A detector's predictor with validation's limits, if its model takes what validation needs.

    Models that lucidbox did not write are run as they are; :func:`departures` says what differs.

    Raises:
        OptionError: the detector's size is not square, or its model is one of ours that is fixed to a shape or to
            limits.
    """
    info = detector.info
    if info and not info.layout and (info.shape or info.suppression):
        raise OptionError(
            f"{detector.weights}: exported with a fixed shape or with suppression inside, which is not what"
            " published accuracies are measured with; evaluate its source, or use lucidbox parity --annotations"
        )
    if detector.size[0] != detector.size[1] and not (info and info.layout):
        raise OptionError(f"size {detector.size} is not square; validation takes one number")
    return replace(detector.predictor, limits=replace(LIMITS, iou=info.iou) if info else LIMITS)


def departures(info: ModelInfo | None) -> list[str]:
    """What differs from how published accuracies are measured, for a model that lucidbox did not write."""
    if info is None or info.layout is None:
        return []
    notes = []
    if info.shape:
        notes.append(f"its input is fixed to {info.shape[1]}×{info.shape[2]}: no rectangles")
    if info.layout.placement != Placement():
        notes.append(f"images are placed as its own tool places them: {info.layout.placement.anchor}")
    if info.layout.suppresses:
        notes.append("suppression is inside the model: scores and overlaps that it drops are missing")
    elif not info.layout.needs_suppression:
        notes.append("no suppression: its answer has one box of each object")
    return notes


def in_views(
    groups: Iterable[list[Numbered]], tiling: Tiling, predictor: Predictor, batch: int
) -> Iterator[list[NumberedView]]:
    """The views of every image in groups that share one inference: the whole image, then its tiles by the batch.

    Raises:
        OptionError: an image has too many tiles.
    """
    for image_id, pixels in (numbered for group in groups for numbered in group):
        views = tiling.views((pixels.shape[0], pixels.shape[1]), predictor.size)
        for some in views_together(views, batch):
            yield [((image_id, view, len(views)), view.of(pixels)) for view in some]


def raw_predictions(
    predictor: Predictor, groups: Iterable[list[tuple[_Key, UInt8[np.ndarray, "h w 3"]]]]
) -> Iterator[tuple[_Key, RawPrediction]]:
    """The id of every image and the network's answer for it, fitted as the reference fits it for validation.

    Args:
        predictor: see :func:`validation_predictor`.
        groups: images that share one inference.
    """
    as_predicted = predictor.square or predictor.placement != Placement()
    longest = predictor.size[0]
    for group in groups:
        images = [image for _, image in group]
        sizes = [(image.shape[0], image.shape[1]) for image in images]
        if as_predicted:
            letterboxes = [predictor.letterbox_for(size) for size in sizes]
        else:
            shape = batch_shape(sizes, longest)
            letterboxes = [fit_validation(size, longest, shape) for size in sizes]
        answers = predictor.infer(images, letterboxes)
        yield from zip((key for key, _ in group), answers, strict=True)


def class_offset_detections(predictor: Predictor, raw: RawPrediction) -> Detections:
    """What suppression by shifted boxes gives, to show how far it is from the exact one.

    Boxes of class c are moved by c · 7680 pixels, so that one run over all of them never compares two classes;
    in float32 the sum rounds boxes by up to 0.03 px.
    """
    limits = predictor.limits
    found = select(raw.scores, limits)
    boxes = raw.boxes[found.anchors]
    shifted = boxes + (found.classes * CLASS_OFFSET).astype(np.float32)[:, None]
    kept = suppress(shifted, found.scores, found.classes, limits.iou, limits.max_det, agnostic=True)
    restored = raw.letterbox.restore(boxes[kept])
    return Detections(restored, found.scores[kept], found.classes[kept], predictor.names)
