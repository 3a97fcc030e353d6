"""One shard: read, detect, write whole. The same shard may be done twice or by two at once; one file stands."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from lucidbox.batch.detecting import detect_images
from lucidbox.batch.job import BatchJob, Shard
from lucidbox.core.detection_tables import TableInfo, detection_schema, pyarrow
from lucidbox.core.errors import ImageMemoryError, OptionError, OutputError
from lucidbox.core.storage import commit, exists, read_stored
from lucidbox.core.version import __version__
from lucidbox.detector import Detector


@dataclass(frozen=True)
class ShardResult:
    """What became of a shard.

    Attributes:
        shard: which.
        written: whether this run wrote it; else it was there before, or another worker was faster.
        images: looked at by this run.
        failures: of them, rows with an error.
        seconds: from the first image read to the file written.
        commit_seconds: of them, for making the file's bytes and writing it.
    """

    shard: Shard
    written: bool
    images: int = 0
    failures: int = 0
    seconds: float = 0.0
    commit_seconds: float = 0.0


def run_shard(
    job: BatchJob,
    shard: Shard,
    detector: Detector,
    *,
    read: Callable[[str], bytes] = read_stored,
    advance: Callable[[], None] = lambda: None,
) -> ShardResult:
    """Do one shard, unless its result is there. Nothing is written until all of it is known.

    Args:
        job: what it belongs to.
        shard: which.
        detector: loaded as the job's settings say.
        read: gives the content of a file by its address.
        advance: called after each image.

    Raises:
        OutputError: the result cannot be written; nothing of it is left.
        SourceError: the manifest cannot be read any more.
        OptionError: memory does not suffice for an image.
    """
    place = job.file(shard)
    if exists(place):
        return ShardResult(shard, False)
    started = time.perf_counter()
    batches, failures = [], 0
    try:
        for batch in detect_images(
            detector,
            job.manifest.items(shard.first, shard.count),
            max_pixels=job.settings.max_pixels,
            tiles=job.settings.tiles,
            read=read,
            advance=advance,
        ):
            batches.append(batch)
            failures += batch.num_rows - batch.column("error").null_count
    except (MemoryError, ImageMemoryError) as error:
        what = f" ({error})" if str(error) else ""
        raise OptionError(
            f"shard {shard.index}: not enough memory{what}; run it where there is more, or lower --max-pixels"
        ) from error
    images = sum(batch.num_rows for batch in batches)
    if images != shard.count:
        raise OutputError(
            f"shard {shard.index}: the manifest gave {images} images instead of {shard.count}; it was changed"
            " meanwhile, so nothing is written"
        )
    found = time.perf_counter()
    written = commit(place, _encoded(job, batches, failures, found - started))
    ended = time.perf_counter()
    return ShardResult(shard, written, images, failures, ended - started, ended - found)


def _encoded(job: BatchJob, batches: list[Any], failures: int, seconds: float) -> bytes:
    """A Parquet file's bytes: a row group a batch."""
    settings = job.settings
    info = TableInfo(settings.names, settings.model, settings.stated(), __version__, seconds, failures)
    schema = detection_schema(info)
    buffer = BytesIO()
    with pyarrow().parquet.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch.replace_schema_metadata(schema.metadata))
    return buffer.getvalue()
