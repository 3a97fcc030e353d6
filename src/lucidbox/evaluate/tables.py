"""Results of ``lucidbox batch`` as predictions: file by file, each its own evaluator, merged at the end."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace

from lucidbox.core.detection_tables import DetectionTable, tables
from lucidbox.core.errors import DataError
from lucidbox.core.progress import Progress, no_progress
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, Protocol
from lucidbox.evaluate.streaming import CocoEvaluator
from lucidbox.evaluate.truth import Truth


class ImageNames:
    """Finds images of a truth by address: by file name and, where several have it, by the folders before it."""

    def __init__(self, truth: Truth) -> None:
        self._known: defaultdict[str, list[tuple[str, int]]] = defaultdict(list)
        for name, image_id in zip(truth.file_names, truth.image_ids.tolist(), strict=False):
            self._known[name.rpartition("/")[2]].append((name, image_id))

    def find(self, uri: str) -> int | None:
        """The image's id; None if the truth does not have it.

        Raises:
            DataError: several images could be meant.
        """
        alike = self._known.get(uri.rpartition("/")[2], [])
        if len(alike) > 1:
            alike = [(name, image_id) for name, image_id in alike if f"/{uri}".endswith(f"/{name}")]
        if len(alike) > 1:
            raise DataError(f"{uri}: several images of the annotations have this name; make names differ")
        return alike[0][1] if alike else None


class ShardEvaluation:
    """An evaluator of some files of results, and how many of their rows it has no use for. May be pickled.

    Attributes:
        evaluator: knows all images that were found.
        failed: rows with an error, of images of the truth.
        strange: rows of images that the truth lacks.
        first: address of one of these; empty if there is none.
    """

    def __init__(self, truth: Truth, protocol: Protocol = COCO) -> None:
        self.evaluator = CocoEvaluator(truth, protocol)
        self.failed = self.strange = 0
        self.first = ""

    def add(self, table: DetectionTable, known: ImageNames) -> None:
        """Add a file's rows.

        Raises:
            SourceError, DataError: it cannot be read, or an image came twice.
        """
        for row in table.rows():
            image_id = known.find(row.uri)
            if image_id is None:
                self.strange += 1
                self.first = min(filter(None, (self.first, row.uri)))
            elif row.error is not None:
                self.failed += 1
            else:
                self.evaluator.add(image_id, row.detections)

    def merge(self, other: "ShardEvaluation") -> None:
        """Take over what another one has, of the same truth; the order makes no difference.

        Raises:
            OptionError, DataError: as for :meth:`CocoEvaluator.merge`.
        """
        self.evaluator.merge(other.evaluator)
        self.failed += other.failed
        self.strange += other.strange
        self.first = min(filter(None, (self.first, other.first)), default="")


def evaluate_table(table: DetectionTable, truth: Truth, protocol: Protocol = COCO) -> ShardEvaluation:
    """One file of results on its own, as another process or machine may do it; merge what they give.

    Raises:
        SourceError, DataError: it cannot be read, or an image came twice.
    """
    found = ShardEvaluation(truth, protocol)
    found.add(table, ImageNames(truth))
    return found


def load_detections(
    uri: str,
    truth: Truth,
    protocol: Protocol = COCO,
    *,
    subset: bool = False,
    progress: Progress = no_progress,
) -> Predictions:
    """Results of ``lucidbox batch`` as predictions: as many detections an image and class as the protocol counts.

    One file is read at a time. Images are found by their names; those that failed, or never came, count as images
    without detections, and ``notes`` says how many.

    Args:
        uri: path or address of a Parquet file or of a folder of them.
        truth: the annotations.
        protocol: what is measured.
        subset: leave out, and count in ``notes``, images that the truth does not have, instead of refusing them.
        progress: shows the files.

    Raises:
        SourceError: something cannot be read.
        DataError: an image is unknown or came twice, or there are no results.
    """
    whole, known = ShardEvaluation(truth, protocol), ImageNames(truth)
    files = tables(uri)
    for table in progress(files, len(files)):
        shard = ShardEvaluation(truth, protocol)
        shard.add(table, known)
        whole.merge(shard)
    if whole.strange and not subset:
        raise DataError(
            f"{uri}: {whole.strange} images are not in {truth.source}, such as {whole.first}; --subset leaves such"
            " images out and counts them"
        )
    predictions = whole.evaluator.predictions()
    missing = len(truth.image_ids) - len(whole.evaluator) - whole.failed
    counts: Mapping[str, int] = {
        f"images that {truth.source} does not have were left out": whole.strange,
        "images failed; their objects count as missed": whole.failed,
        f"images of {truth.source} are not in it; their objects count as missed": missing,
    }
    notes = tuple(f"{uri}: {count} {what}" for what, count in counts.items() if count)
    return replace(predictions, source=uri, notes=predictions.notes + notes)
