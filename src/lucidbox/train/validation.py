"""COCO's average precision of a network in training, on the predict path."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lucidbox.core.boxes import xywh_to_xyxy, xyxy_to_xywh
from lucidbox.core.detections import Detections
from lucidbox.core.errors import ImageError
from lucidbox.datasets.training.data import TrainingData
from lucidbox.datasets.truth import to_truth
from lucidbox.detect.letterbox import parse_size
from lucidbox.detect.predictor import Predictor
from lucidbox.engines.torch import TorchEngine
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.summary import Summary, evaluate
from lucidbox.formats.dataset import DataSet
from lucidbox.model import Network
from lucidbox.train.charts import prediction_sheet
from lucidbox.train.processes import Processes
from lucidbox.validate.inference import LIMITS, Numbered, raw_predictions

BATCH = 16
"""Pictures of one inference: whatever trains, the same share a padded shape, and memory stays small."""

SHOWN_SCORE = 0.25
"""Detections above it are drawn: validation itself keeps nearly all."""

KEPT_FOR_SHEET = 16
"""Pictures whose detections are kept, to be shown."""


class Validator:
    """Validates networks on one data set, each process a share of the pictures.

    Pictures share a batch, and so a padded shape, with the neighbours that their aspect ratios give them,
    whatever the number of processes: all of them together measure what one would.

    Args:
        data: whose validation part is used.
        size: longer side of the network's input, pixels.
        precision: "fp32", "bf16" or "fp16".
        processes: those that share the work.

    Attributes:
        shown: detections of the first pictures, by number of the picture, from the last validation.
        failures: pictures that this process could not read in it.
    """

    def __init__(self, data: TrainingData, size: int, precision: str, processes: Processes) -> None:
        self.data, self.size, self.precision, self.processes = data, size, precision, processes
        self.truth = to_truth(data.val)
        self.shown: dict[int, Detections] = {}
        self.failures: list[ImageError] = []

    def __call__(self, network: Network) -> Summary:
        """COCO's numbers of a network, the same in every process; the network stays as it is.

        Raises:
            EngineError: the network answers with what is no number.
        """
        engine = TorchEngine(network, self.precision, device=str(self.processes.device))
        predictor = Predictor(engine, self.data.names, size=parse_size(self.size))
        categories = self.data.val.category_ids
        self.shown, self.failures = {}, []
        rows = [np.zeros((0, 7))]
        for picture, raw in raw_predictions(predictor, self._groups()):
            found = predictor.finish(raw, LIMITS)
            if picture < KEPT_FOR_SHEET:
                self.shown[picture] = found
            columns = (
                np.full(len(found), self.data.val.image_ids[picture]), categories[found.classes],
                xyxy_to_xywh(found.boxes.astype(np.float64)), found.scores.astype(np.float64),
            )  # fmt: skip
            rows.append(np.column_stack(columns))
        table = self.processes.gather(np.concatenate(rows))
        # Equal scores rank by row: the order must not depend on who found them.
        table = table[np.argsort(table[:, 0], kind="stable")]
        ids = table[:, :2].astype(np.int64)
        return evaluate(self.truth, Predictions.from_arrays(ids[:, 0], ids[:, 1], table[:, 2:6], table[:, 6]))

    def draw(self, path: Path) -> None:
        """Draw truth and last detections of the first pictures, side by side; nothing before a validation."""
        val = self.data.val
        if not self.shown:
            return
        numbers = sorted(self.shown)
        prediction_sheet(
            [self.data.read_val(number) for number in numbers],
            [self._true(val, number) for number in numbers],
            [self.shown[number][self.shown[number].scores > SHOWN_SCORE] for number in numbers],
            path,
        )

    def _true(self, val: DataSet, number: int) -> Detections:
        objects = val.objects(number)
        boxes = xywh_to_xyxy(val.boxes_xywh[objects]).astype(np.float32)
        return Detections(boxes, np.ones(len(boxes), np.float32), val.classes[objects], val.names)

    def _groups(self) -> Iterator[list[Numbered]]:
        """This process's share of the pictures, by number, in groups of one inference."""
        sizes = self.data.val.sizes
        order = np.argsort(sizes[:, 1] / np.maximum(sizes[:, 0], 1), kind="stable")
        starts = range(0, len(order), BATCH)
        for start in list(starts)[self.processes.rank :: self.processes.count]:
            numbers = order[start : start + BATCH].tolist()
            group: list[Numbered] = []
            for number in numbers:
                try:
                    group.append((number, self.data.read_val(number)))
                except ImageError as error:  # its objects count as missed
                    self.failures.append(error)
            if group:
                yield group
