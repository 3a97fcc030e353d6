"""Detection in Spark (extra ``spark``): from a data frame of images to one of detections."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from lucidbox.batch.detecting import detect_images
from lucidbox.batch.shipping import ShippedDetector, items_in, ship
from lucidbox.core.detection_tables import pyarrow
from lucidbox.detect.tiles import Tiles, tiling_of
from lucidbox.detector import Detector
from lucidbox.images.reading import MAX_PIXELS

SCHEMA = (
    "uri string not null, sha256 string, width int, height int, boxes array<array<float>> not null,"
    " scores array<float> not null, classes array<int> not null, error string, milliseconds float"
)
"""The columns of :func:`~lucidbox.core.detection_tables.detection_schema`, in Spark's words."""


def detect(
    dataframe: Any,
    weights: Any = None,
    *,
    threads: int = 1,
    max_pixels: int = MAX_PIXELS,
    tiles: Tiles = None,
    tile_overlap: float | None = None,
    **settings: Any,
) -> Any:
    """Detects in the images of a data frame; a row an image, in the order of each partition.

    Args:
        dataframe: as ``spark.read.format("binaryFile").load("s3://...")`` gives, or with a column ``uri`` alone.
        weights: as for ``Detector.load``.
        threads: processor threads of a task; ``spark.task.cpus`` should say the same.
        max_pixels: larger images are rows with ``error``, as are those that cannot be read.
        tiles: as for a call of the detector.
        tile_overlap: as for a call of the detector.
        **settings: of ``Detector.load``: ``size``, ``engine``, ``precision``, ``conf`` and other limits.

    Returns:
        A data frame of the columns of ``SCHEMA``. Nothing is computed until it is used.

    Raises:
        WeightsError, OptionError, EngineError: the detector cannot be loaded here.

    Example:
        >>> frame = spark.read.format("binaryFile").option("pathGlobFilter", "*.jpg").load("photos/")
        >>> detect(frame, "yolo11n.onnx", conf=0.4).write.parquet("found")
    """
    shipped, contents = ship(Detector.load(weights, **settings), max_pixels, tiling_of(tiles, tile_overlap))
    held = dataframe.sparkSession.sparkContext.broadcast(contents)
    return dataframe.mapInArrow(partial(_detect_partition, shipped, held, threads), SCHEMA)


def _detect_partition(shipped: ShippedDetector, held: Any, threads: int, batches: Iterable[Any]) -> Iterator[Any]:
    detector = shipped.load(held.value, threads)
    items = (item for batch in batches for item in items_in(batch))
    settings = shipped.settings
    for found in detect_images(detector, items, max_pixels=settings.max_pixels, tiles=settings.tiles):
        yield _in_plain_lists(found)


def _in_plain_lists(found: Any) -> Any:
    """The record batch with boxes as lists of any length: Spark has no others."""
    pa = pyarrow()
    place = found.schema.get_field_index("boxes")
    lists = found.column(place).cast(pa.list_(pa.list_(pa.float32())))
    return found.set_column(place, pa.field("boxes", lists.type, nullable=False), lists)
