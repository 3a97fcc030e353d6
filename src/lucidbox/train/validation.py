"""COCO's average precision of a network in training, measured as ``lucidbox evaluate`` measures it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lucidbox.core.boxes import xywh_to_xyxy
from lucidbox.core.detections import Detections
from lucidbox.core.errors import ImageError
from lucidbox.datasets.training.data import TrainingData
from lucidbox.datasets.truth import to_truth
from lucidbox.detect.letterbox import parse_size
from lucidbox.detect.predictor import Predictor
from lucidbox.engines.torch import TorchEngine
from lucidbox.evaluate import CocoEvaluator, Predictions, Summary, evaluate
from lucidbox.model import Network
from lucidbox.train.charts import prediction_sheet
from lucidbox.train.processes import Processes
from lucidbox.validate.batches import aspect_batches
from lucidbox.validate.inference import LIMITS, Numbered, raw_predictions

BATCH = 16
"""Images of one inference. Fixed, so that every training pads the same images to the same shapes."""

SHOWN_SCORE = 0.25
"""Detections of higher scores are drawn; validation itself keeps nearly all."""

KEPT_FOR_SHEET = 16
"""Number of images whose detections are kept to be drawn."""


class Validator:
    """Validates networks on one data set, each process a part of the images.

    Which images share a batch, and so a padded shape, does not depend on the number of processes: several
    processes measure what one would.

    Args:
        data: the data set; its validation part is used.
        size: longer side of the network's input, pixels.
        precision: "fp32", "bf16" or "fp16".
        processes: the processes that share the work.

    Attributes:
        shown: this process's detections of the first images in the last validation, by number of the image.
        failures: images that this process could not read in it.

    Example:
        >>> validate = Validator(data, size=640, precision="fp32", processes=join())
        >>> validate(network).stats[0]      # AP
    """

    def __init__(self, data: TrainingData, size: int, precision: str, processes: Processes) -> None:
        self.data, self.size, self.precision, self.processes = data, size, precision, processes
        self.truth = to_truth(data.val)
        self.shown: dict[int, Detections] = {}
        self.failures: list[ImageError] = []

    def __call__(self, network: Network) -> Summary:
        """COCO's numbers of a network, the same in every process; the network stays as it is.

        Raises:
            EngineError: the network's output is not finite.
        """
        engine = TorchEngine(network, self.precision, device=str(self.processes.device))
        predictor = Predictor(engine, self.data.names, size=parse_size(self.size))
        categories = self.data.val.category_ids
        self.shown, self.failures = {}, []
        evaluator = CocoEvaluator(self.truth)
        for picture, raw in raw_predictions(predictor, self._groups()):
            found = predictor.finish(raw, LIMITS)
            if picture < KEPT_FOR_SHEET:
                self.shown[picture] = found
            evaluator.add(int(self.data.val.image_ids[picture]), found, categories)
        return evaluate(self.truth, self._gathered(evaluator.predictions()))

    def _gathered(self, mine: Predictions) -> Predictions:
        """The predictions of all processes, in the order of images, whichever process had them."""
        columns = (mine.image_ids, mine.category_ids, mine.boxes_xywh, mine.scores)
        table = self.processes.gather(np.column_stack(columns))
        # Equal scores rank by row, so the order must not depend on the processes.
        table = table[np.argsort(table[:, 0], kind="stable")]
        ids = table[:, :2].astype(np.int64)
        return Predictions.from_arrays(ids[:, 0], ids[:, 1], table[:, 2:6], table[:, 6])

    def draw(self, path: Path) -> None:
        """Draw truth and last detections of the first images side by side; nothing before a validation."""
        if not self.shown:
            return
        numbers = sorted(self.shown)
        prediction_sheet(
            [self.data.read_val(number) for number in numbers],
            [self._true(number) for number in numbers],
            [self.shown[number][self.shown[number].scores > SHOWN_SCORE] for number in numbers],
            path,
        )

    def _true(self, number: int) -> Detections:
        val, objects = self.data.val, self.data.val.objects(number)
        boxes = xywh_to_xyxy(val.boxes_xywh[objects]).astype(np.float32)
        return Detections(boxes, np.ones(len(boxes), np.float32), val.classes[objects], val.names)

    def _groups(self) -> Iterator[list[Numbered]]:
        """This process's part of the images, by number, in groups of one inference."""
        batches = aspect_batches(self.data.val.sizes, BATCH)
        for numbers in batches[self.processes.rank :: self.processes.count]:
            group: list[Numbered] = []
            for number in numbers:
                try:
                    group.append((number, self.data.read_val(number)))
                except ImageError as error:  # its objects count as missed
                    self.failures.append(error)
            if group:
                yield group
