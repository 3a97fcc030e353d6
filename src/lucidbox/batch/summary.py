"""What a folder of results holds: counts, failures, classes, rate; read file by file."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from lucidbox.core.detection_tables import DetectionTable, job_of, tables
from lucidbox.core.progress import Progress, no_progress
from lucidbox.core.storage import is_folder


@dataclass(frozen=True)
class BatchSummary:
    """What is there, and of how much.

    Attributes:
        uri: what was looked at.
        files: that are there.
        shards: that the job has; None where no job is stated.
        images: rows of the files.
        expected: images of the job; None where no job is stated.
        failures: rows with an error.
        errors: their number by what is wrong, without the images' names.
        boxes: in all.
        classes: boxes by class name, most first.
        seconds: that the files took, added up over all workers.
        versions: of lucidbox that wrote the files.
    """

    uri: str
    files: int
    shards: int | None
    images: int
    expected: int | None
    failures: int
    errors: dict[str, int]
    boxes: int
    classes: dict[str, int]
    seconds: float
    versions: tuple[str, ...]

    @property
    def rate(self) -> float | None:
        """Images a second of one worker."""
        return self.images / self.seconds if self.seconds else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"images_per_second": self.rate}


def summarise_results(uri: str, progress: Progress = no_progress) -> BatchSummary:
    """Read all results of a folder, or one file, once.

    Raises:
        SourceError: something cannot be read.
        DataError: there are no results, or they are of another version.
    """
    job = job_of(uri) if is_folder(uri) else None
    found = tables(uri)
    errors, classes = Counter[str](), Counter[str]()
    images = failures = 0
    seconds, versions = 0.0, set[str]()
    for table in progress(found, len(found)):
        info = table.info()
        seconds += info.seconds
        versions.add(info.lucidbox)
        rows, wrong, counts = _counted(table, len(info.names))
        images += rows
        failures += wrong.total()
        errors += wrong
        classes += Counter({name: int(n) for name, n in zip(info.names, counts, strict=True) if n})
    return BatchSummary(
        uri, len(found), job["shards"] if job else None, images, job["manifest"]["images"] if job else None,
        failures, dict(errors.most_common()), classes.total(), dict(classes.most_common()), seconds,
        tuple(sorted(versions)),
    )  # fmt: skip


def _counted(table: DetectionTable, names: int) -> tuple[int, Counter[str], np.ndarray]:
    """Rows, errors and boxes by class of one file."""
    rows, errors, counts = 0, Counter[str](), np.zeros(names, np.int64)
    for batch in table.batches(["uri", "classes", "error"]):
        rows += batch.num_rows
        counts += np.bincount(batch.column("classes").flatten().to_numpy(zero_copy_only=False), minlength=names)
        error = batch.column("error")
        if error.null_count < batch.num_rows:
            errors.update(_causes(batch.column("uri").to_pylist(), error.to_pylist()))
    return rows, errors, counts


def _causes(uris: Iterable[str], errors: Iterable[str | None]) -> Iterable[str]:
    """Errors without the names that they begin with, so that alike ones are counted together."""
    return (error.removeprefix(f"{uri}: ") for uri, error in zip(uris, errors, strict=True) if error is not None)
