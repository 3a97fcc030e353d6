"""A model run over the images of annotations: what it finds, and why it misses what it misses."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError, LucidboxError
from lucidbox.core.progress import Progress, no_progress
from lucidbox.detect.letterbox import Size
from lucidbox.detect.merging import merge
from lucidbox.detect.predictor import Predictor, RawPrediction
from lucidbox.detect.tiles import Tiling
from lucidbox.detector import Detector
from lucidbox.evaluate import CocoEvaluator, Predictions, Protocol, Summary, Truth
from lucidbox.evaluate.analysis.image_sizes import size_doubts
from lucidbox.evaluate.evaluation import Matching
from lucidbox.sources import Sources
from lucidbox.validate import inference
from lucidbox.validate.false_negatives import Missed, explain_missed, missed_rows, untraced
from lucidbox.validate.inference import Numbered


@dataclass
class Cost:
    """What tiles cost in one run.

    Attributes:
        images: images looked at.
        views: views of them, the whole images included.
        whole_seconds: from letterbox to suppression, of the whole images alone.
        tiled_seconds: of all views, and of putting together what was found in them.
    """

    images: int = 0
    views: int = 0
    whole_seconds: float = 0.0
    tiled_seconds: float = 0.0


class ModelRun:
    """Runs a detector over the images of a truth, as published accuracies are measured.

    Args:
        detector: the model; its size must be square.
        truth: whose images are looked at.
        images: the file of each image by its id, see :func:`lucidbox.validate.inference.files_of`; or a stream.
        batch: images in one inference, tiles where there are any; a stream is read one by one.
        tiling: how images are divided, if at all; every view of an image is fitted as an image is.
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
        tiling: Tiling | None = None,
        on_failure: Callable[[LucidboxError], None] = lambda error: None,
        progress: Progress = no_progress,
    ) -> None:
        self.predictor = inference.validation_predictor(detector)
        self.truth, self.images, self.batch, self.tiling = truth, images, batch, tiling
        self.cost = Cost()
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
        if self.tiling is not None:
            return self.whole_and_tiled()[1]
        (exact,) = self._collect(self._on_whole(_exact_detections), 1)
        return exact

    def predictions_and_class_offset(self) -> tuple[Predictions, Predictions]:
        """All detections of the model, and those that suppression by shifted boxes gives, from one run."""
        exact, shifted = self._collect(self._on_whole(_exact_detections, inference.class_offset_detections), 2)
        return exact, shifted

    def whole_and_tiled(self) -> tuple[Predictions, Predictions]:
        """All detections in the whole images, and those in their tiles, too, from one run."""
        whole, tiled = self._collect(self._on_views(self.tiling or Tiling()), 2)
        return whole, tiled

    def _on_whole(
        self, *ways: Callable[[Predictor, RawPrediction], Detections]
    ) -> Iterator[tuple[int, Size, list[Detections]]]:
        """Each image's id and size, and its detections by each way of making them from the network's answer."""
        for image_id, raw in self._answers(self._groups(), len(self.truth.image_ids)):
            height, width = raw.image.shape[:2]
            yield image_id, (height, width), [way(self.predictor, raw) for way in ways]

    def _on_views(self, tiling: Tiling) -> Iterator[tuple[int, Size, list[Detections]]]:
        """Each image's id and size, what was found in the whole image, and in all its views together."""
        parts = []
        groups = self._progress(self._groups(), len(self.truth.image_ids))
        for group in inference.in_views(groups, tiling, self.predictor, self.batch):
            image_id, _, count = group[0][0]
            started = time.perf_counter()
            for (_, view, _), raw in inference.raw_predictions(self.predictor, [group]):
                parts.append((view, self.predictor.finish(raw)))
            if len(parts) == 1:
                self.cost.whole_seconds += time.perf_counter() - started
            if len(parts) == count:
                # Every view may give as many boxes as an image may: the evaluation applies its own limit.
                limits = replace(self.predictor.limits, max_det=self.predictor.limits.max_det * count)
                whole, merged = parts[0], merge(parts, limits)
                self.cost.images, self.cost.views = self.cost.images + 1, self.cost.views + count
                parts = []
            self.cost.tiled_seconds += time.perf_counter() - started
            if not parts:
                yield image_id, whole[0].size, [whole[1], merged]

    def _collect(self, found: Iterable[tuple[int, Size, list[Detections]]], ways: int) -> list[Predictions]:
        """The detections of every image, by each way of making them."""
        # All that the model gives: the evaluation applies its own limits.
        everything = Protocol(max_detections=(inference.LIMITS.max_det,))
        evaluators = [CocoEvaluator(self.truth, everything) for _ in range(ways)]
        count = len(self.truth.image_ids)
        for image_id, (height, width), answers in found:
            self._opened[image_id] = width, height
            for evaluator, answer in zip(evaluators, answers, strict=True):
                evaluator.add(image_id, answer)
        if not self._opened and count:
            raise DataError(f"{self.truth.source}: none of its {count} images could be read: nothing is evaluated")
        if self._failures:
            self._notes.append(f"{self._failures} images could not be read; their objects count as missed")
        collected = [evaluator.predictions() for evaluator in evaluators]
        return [replace(one, notes=one.notes + tuple(self._notes)) for one in collected]

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
        return inference.read_files(self.images, 1 if self.tiling else self.batch, self._failed)

    def _failed(self, error: LucidboxError) -> None:
        self._on_failure(error)
        self._failures += 1

    def _answers(self, groups: Iterable[list[Numbered]], count: int | None) -> Iterator[tuple[int, RawPrediction]]:
        yield from self._progress(inference.raw_predictions(self.predictor, groups), count)


def _exact_detections(predictor: Predictor, raw: RawPrediction) -> Detections:
    """What published accuracies are measured on."""
    return predictor.finish(raw)
