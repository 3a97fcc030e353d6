"""Detections for ``lucidbox evaluate``, made by running a model over the pictures."""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lucidbox.cli.progress import bar, tell
from lucidbox.core.errors import LucidboxError, OptionError
from lucidbox.core.text import printable
from lucidbox.detect.predictor import RawPrediction
from lucidbox.detector import Detector
from lucidbox.evaluate import CocoEvaluator, Predictions, Protocol, Truth
from lucidbox.evaluate.evaluation import Matching
from lucidbox.sources import open_sources
from lucidbox.validate import inference
from lucidbox.validate.false_negatives import Missed, explain_missed, missed_rows, untraced
from lucidbox.validate.inference import Numbered


@dataclass
class Run:
    """A model over the pictures of a truth: what it found, and how many pictures could not be read.

    Attributes:
        detector: the model.
        truth: whose pictures.
        files: where the pictures are; empty for a streamed data set.
        batch: pictures that share one inference.
        failures: pictures that could not be read.
        class_offset: detections by shifted boxes, if they were asked for.
    """

    detector: Detector
    truth: Truth
    files: Mapping[int, Path]
    batch: int
    failures: int = 0
    class_offset: Predictions | None = field(default=None)

    def missed(self, matching: Matching) -> list[Missed]:
        """Trace every missed object through the network again, in the same batches: these move scores."""
        by_picture: dict[int, list[int]] = {}
        for row in missed_rows(matching):
            by_picture.setdefault(int(self.truth.image_ids[self.truth.images[row]]), []).append(row)
        # Read once already: what failed then was told then.
        groups = inference.read_files(self.files, self.batch, on_failure=lambda error: None)
        wanted = (group for group in groups if any(image_id in by_picture for image_id, _ in group))
        traced: list[Missed] = []
        for image_id, raw in self._answers(wanted, None):
            rows = by_picture.pop(image_id, [])
            traced += explain_missed(matching, rows, raw, self.detector.names)
        return traced + [untraced(matching, row, "unread") for rows in by_picture.values() for row in rows]

    def predictions(
        self, groups: Iterable[list[Numbered]], count: int | None, *, class_offset: bool
    ) -> Predictions:
        """What the model finds; also by shifted boxes, where that is asked for."""
        # All that the model gives: the rules of the evaluation are for the evaluation to apply.
        everything = Protocol(max_detections=(inference.LIMITS.max_det,))
        exact, shifted = (CocoEvaluator(self.truth, everything) for _ in range(2))
        predictor = self.detector.predictor
        for image_id, raw in self._answers(groups, count):
            exact.add(image_id, predictor.finish(raw, inference.LIMITS))
            if class_offset:
                shifted.add(image_id, inference.class_offset_detections(predictor, raw))
        if class_offset:
            self.class_offset = shifted.predictions()
        return exact.predictions()

    def failed(self, error: LucidboxError) -> None:
        """Tell of a picture that cannot be read; its objects count as missed."""
        self.failures += 1
        tell(printable(f"lucidbox: error: {error}"))

    def _answers(self, groups: Iterable[list[Numbered]], count: int | None) -> Iterator[tuple[int, RawPrediction]]:
        """The network's answers, with a progress bar on a terminal."""
        yield from bar()(inference.raw_predictions(inference.validation_predictor(self.detector), groups), count)


def run_model(
    arguments: argparse.Namespace, truth: Truth, root: Path | None, say_note: Callable[[str], None]
) -> tuple[Run, Predictions]:
    """Detections of ``--weights`` on ``--images``.

    Args:
        arguments: of the command line.
        truth: whose pictures are looked at.
        root: the folder where the annotations say their pictures are; None if they do not.
        say_note: told what of a streamed data set was left out or did not come.

    Raises:
        OptionError: no pictures are named.
        DataError: pictures are missing.
    """
    streamed = str(arguments.images).startswith("hf:")
    folder = Path(arguments.images) if arguments.images else root
    if folder is None:
        raise OptionError("--weights needs --images: the folder of the annotated pictures, or hf:NAME:SPLIT")
    # Before the model, which takes seconds to load.
    files = {} if streamed else inference.files_of(truth, folder)
    detector = Detector.load(
        arguments.weights or None,
        engine=arguments.engine or "auto",
        precision=arguments.precision or "auto",
        size=arguments.size,
        say=lambda message: print(message, file=sys.stderr),
    )
    run = Run(detector, truth, files, arguments.batch or 1)
    if streamed:
        groups = inference.read_stream(open_sources(arguments.images), truth, run.failed, say_note)
    else:
        groups = inference.read_files(files, run.batch, run.failed)
    return run, run.predictions(groups, len(truth.image_ids), class_offset=arguments.explain_gap)
