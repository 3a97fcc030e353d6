"""Detections for ``lucidbox evaluate``, made by running a model over the pictures."""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lucidbox import validation
from lucidbox.detector import Detector
from lucidbox.errors import LucidboxError, OptionError
from lucidbox.evaluate import CocoEvaluator, Predictions, Truth
from lucidbox.evaluate.evaluation import Matching
from lucidbox.missed import Missed, explain_missed, missed_rows
from lucidbox.sources import open_sources
from lucidbox.validation import Answer, Numbered


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
        """Trace every missed object through the network again, picture by picture."""
        by_picture: dict[int, list[int]] = {}
        for row in missed_rows(matching):
            by_picture.setdefault(int(self.truth.image_ids[self.truth.images[row]]), []).append(row)
        files = {image_id: self.files[image_id] for image_id in self.files if image_id in by_picture}
        # Read once already: what failed then was told then.
        groups = validation.read_files(files, 1, on_failure=lambda error: None)
        traced: list[Missed] = []
        for answer in self._answers(groups, len(files)):
            rows = by_picture[answer.image_id]
            traced += explain_missed(matching, rows, answer, self.detector.names)
        return traced

    def predictions(
        self, groups: Iterable[list[Numbered]], count: int | None, *, class_offset: bool
    ) -> Predictions:
        """What the model finds; also by shifted boxes, where that is asked for."""
        exact, shifted = CocoEvaluator(self.truth), CocoEvaluator(self.truth)
        for answer in self._answers(groups, count):
            exact.add(answer.image_id, validation.exact_detections(self.detector, answer))
            if class_offset:
                shifted.add(answer.image_id, validation.class_offset_detections(self.detector, answer))
        if class_offset:
            self.class_offset = shifted.predictions()
        return exact.predictions()

    def failed(self, error: LucidboxError) -> None:
        """Tell of a picture that cannot be read; its objects count as missed."""
        self.failures += 1
        print(f"lucidbox: error: {error}", file=sys.stderr)

    def _answers(self, groups: Iterable[list[Numbered]], count: int | None) -> Iterator[Answer]:
        """The network's answers, with a progress bar on a terminal."""
        found = validation.answers(self.detector, groups)
        if not sys.stderr.isatty():
            yield from found
            return
        from tqdm import tqdm

        yield from tqdm(found, total=count, unit="picture", file=sys.stderr)


def run_model(
    arguments: argparse.Namespace, truth: Truth, folder_files: Mapping[int, Path]
) -> tuple[Run, Predictions]:
    """Detections of ``--weights`` on ``--images``.

    Args:
        arguments: of the command line.
        truth: whose pictures are looked at.
        folder_files: where the annotations say the pictures are; empty if they do not.

    Raises:
        OptionError: no pictures are named, or an option does not go with a streamed data set.
        DataError: pictures are missing.
    """
    detector = Detector.load(
        arguments.weights,
        engine=arguments.engine,
        precision=arguments.precision,
        size=arguments.size,
        say=lambda message: print(message, file=sys.stderr),
    )
    if arguments.images is None and not folder_files:
        raise OptionError("--weights needs --images: the folder of the annotated pictures, or hf:NAME:SPLIT")
    if str(arguments.images).startswith("hf:"):
        if arguments.batch != 1 or arguments.missed:
            raise OptionError("--batch and --missed need pictures in a folder, not a streamed data set")
        run = Run(detector, truth, {}, 1)
        groups = validation.read_stream(open_sources(arguments.images), truth, run.failed)
    else:
        files = validation.files_of(truth, Path(arguments.images)) if arguments.images else folder_files
        run = Run(detector, truth, files, arguments.batch)
        groups = validation.read_files(files, run.batch, run.failed)
    count = len(run.files) or len(truth.image_ids)
    return run, run.predictions(groups, count, class_offset=arguments.explain_gap)
