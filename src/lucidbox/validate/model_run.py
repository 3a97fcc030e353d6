"""A model run over the images of annotations: what it finds, and why it misses what it misses."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError, LucidboxError
from lucidbox.core.progress import Progress, no_progress
from lucidbox.detect.predictor import Predictor, RawPrediction
from lucidbox.detector import Detector
from lucidbox.evaluate import CocoEvaluator, Predictions, Protocol, Summary, Truth
from lucidbox.evaluate.analysis.image_sizes import size_doubts
from lucidbox.evaluate.evaluation import Matching
from lucidbox.sources import Sources
from lucidbox.validate import inference
from lucidbox.validate.false_negatives import Missed, explain_missed, missed_rows, untraced
from lucidbox.validate.inference import Numbered


class ModelRun:
    """Runs a detector over the images of a truth, as published accuracies are measured.

    Args:
        detector: the model; its size must be square.
        truth: whose images are looked at.
        images: the file of each image by its id, see :func:`lucidbox.validate.inference.files_of`; or a stream.
        batch: images in one inference; a stream is read one by one.
        on_failure: called with the error of each image that cannot be read; its objects count as missed.
        progress: sees the images pass.

    Example:
        >>> run = ModelRun(detector, truth, files_of(truth, Path("val2017")))
        >>> summary = evaluate(truth, run.predictions())
        >>> run.missed(summary.matching)
    """

    def __init__(
        self,
        detector: Detector,
        truth: Truth,
        images: Mapping[int, Path] | Sources,
        *,
        batch: int = 1,
        on_failure: Callable[[LucidboxError], None] = lambda error: None,
        progress: Progress = no_progress,
    ) -> None:
        self.predictor = inference.validation_predictor(detector)
        self.truth, self.images, self.batch = truth, images, batch
        self._on_failure, self._progress = on_failure, progress
        self._notes = [
            f"not as published accuracies are measured: {note}" for note in inference.departures(detector.info)
        ]
        self._failures = 0
        self._opened: dict[int, tuple[int, int]] = {}

    def predictions(self) -> Predictions:
        """All detections of the model.

        Raises:
            DataError: not one image could be read.
        """
        (exact,) = self._collect(_exact_detections)
        return exact

    def predictions_and_class_offset(self) -> tuple[Predictions, Predictions]:
        """All detections of the model, and those that suppression by shifted boxes gives, from one run."""
        exact, shifted = self._collect(_exact_detections, inference.class_offset_detections)
        return exact, shifted

    def _collect(self, *ways: Callable[[Predictor, RawPrediction], Detections]) -> list[Predictions]:
        """The detections of every image, by each way of making them from the network's answer."""
        # All that the model gives: the evaluation applies its own limits.
        everything = Protocol(max_detections=(inference.LIMITS.max_det,))
        evaluators = [CocoEvaluator(self.truth, everything) for _ in ways]
        count = len(self.truth.image_ids)
        for image_id, raw in self._answers(self._groups(), count):
            height, width = raw.image.shape[:2]
            self._opened[image_id] = width, height
            for evaluator, way in zip(evaluators, ways, strict=True):
                evaluator.add(image_id, way(self.predictor, raw))
        if not self._opened and count:
            raise DataError(f"{self.truth.source}: none of its {count} images could be read: nothing is evaluated")
        if self._failures:
            self._notes.append(f"{self._failures} images could not be read; their objects count as missed")
        found = [evaluator.predictions() for evaluator in evaluators]
        return [replace(one, notes=one.notes + tuple(self._notes)) for one in found]

    def size_doubts(self, summary: Summary) -> tuple[str, ...]:
        """What it means if opened images have not the sizes that the annotations state; nothing if they have."""
        return size_doubts(summary, self._opened)

    def missed(self, matching: Matching) -> list[Missed]:
        """Why each missed object was missed: its images are run again, in the same batches, which move scores.

        Args:
            matching: of this model's predictions with the truth, whose images must be files.
        """
        assert not isinstance(self.images, Sources)
        rows_of: dict[int, list[int]] = {}
        for row in missed_rows(matching):
            rows_of.setdefault(int(self.truth.image_ids[self.truth.images[row]]), []).append(row)
        # Images that cannot be read were reported when the predictions were made.
        groups = inference.read_files(self.images, self.batch, on_failure=lambda error: None)
        wanted = (group for group in groups if any(image_id in rows_of for image_id, _ in group))
        traced: list[Missed] = []
        for image_id, raw in self._answers(wanted, None):
            rows = rows_of.pop(image_id, [])
            traced += explain_missed(matching, rows, raw, self.predictor.names)
        return traced + [untraced(matching, row, "unread") for rows in rows_of.values() for row in rows]

    def _groups(self) -> Iterator[list[Numbered]]:
        """Images that share one inference."""
        if isinstance(self.images, Sources):
            return inference.read_stream(self.images, self.truth, self._failed, self._notes.append)
        return inference.read_files(self.images, self.batch, self._failed)

    def _failed(self, error: LucidboxError) -> None:
        self._on_failure(error)
        self._failures += 1

    def _answers(self, groups: Iterable[list[Numbered]], count: int | None) -> Iterator[tuple[int, RawPrediction]]:
        yield from self._progress(inference.raw_predictions(self.predictor, groups), count)


def _exact_detections(predictor: Predictor, raw: RawPrediction) -> Detections:
    """What published accuracies are measured on."""
    return predictor.finish(raw)
