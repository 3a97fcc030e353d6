"""Shards on a Ray cluster, and detection in Ray Data pipelines (extra ``ray``).

Ray starts and retries; that every image is done once follows from shards being written whole or not at all.
"""

import os
import signal
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from lucidbox.batch.detecting import detect_images
from lucidbox.batch.job import BatchJob, Shard
from lucidbox.batch.shipping import ShippedDetector, items_in, ship
from lucidbox.batch.worker import ShardResult, run_shard
from lucidbox.core.detection_tables import detection_schema, pyarrow
from lucidbox.core.errors import LucidboxError, OptionError, OutputError
from lucidbox.detect.tiles import Tiles, tiling_of
from lucidbox.detector import Detector
from lucidbox.images.reading import MAX_PIXELS

RETRIES = 8
"""Times that a shard is begun again after its worker or machine was lost."""

AT_ONCE = 1000
"""Most shards that wait in Ray at a time, so that a driver's memory does not grow with the job."""

_PATIENCE = 10.0  # seconds, for a cluster's address to answer


class WorkerLostError(LucidboxError):
    """A worker of Ray ended in the middle of its work, again and again."""


@cache
def ray_package() -> Any:
    """The package, without usage reports of the clusters that it starts.

    Raises:
        OptionError: it is not installed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Without a number Ray begins a task again for ever that has more than a machine's memory to itself.
    os.environ.setdefault("RAY_task_oom_retries", str(RETRIES))
    try:
        import ray.data
    except ImportError:
        raise OptionError("Ray is not installed; pip install 'lucidbox[ray]'") from None
    return ray


@contextmanager
def connected(address: str | None = None) -> Iterator[None]:
    """In the block this process is connected to a Ray cluster; a connection that exists is used.

    Args:
        address: ``auto`` for the cluster that this machine is part of, ``host:port`` or ``ray://host:port``; None
            starts Ray on this machine, for the time of the block.

    Raises:
        OptionError: Ray is not installed, or there is no cluster.
    """
    check_address(address)
    if ray_package().is_initialized():
        yield
        return
    try:
        with _own_signals():
            if address in (None, "local"):  # without an address Ray would go where RAY_ADDRESS says
                ray_package().init("local", log_to_driver=False, logging_level="ERROR", include_dashboard=False)
            else:
                ray_package().init(address, log_to_driver=False, logging_level="ERROR")
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        remedy = (
            "start one with: ray start --head" if address == "auto" else "name that of its head, as in host:6379"
        )
        raise OptionError(f"--address {address}: no Ray cluster ({_first_line(error)}); {remedy}") from error
    try:
        yield
    finally:
        ray_package().shutdown()


@contextmanager
def _own_signals() -> Iterator[None]:
    """After the block SIGTERM does what it did before: Ray's own handler prints a trace of the stack."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def check_address(address: str | None) -> None:
    """Ask whether anything answers, as Ray itself would do for minutes, with much noise.

    Raises:
        OptionError: nothing does, or Ray is not installed.
    """
    ray_package()
    if address in (None, "auto", "local"):
        return
    host, colon, port = str(address).removeprefix("ray://").rpartition(":")
    if not (host and colon and port.isdecimal()):
        raise OptionError(f"--address {address}: expected auto, host:port or ray://host:port")
    try:
        socket.create_connection((host, int(port)), _PATIENCE).close()
    except (OSError, OverflowError) as error:
        raise OptionError(
            f"--address {address}: nothing answers there ({_first_line(error)}); is Ray there, and the port open?"
        ) from error


def fits(threads: int, gpus_per_worker: float) -> bool:
    """Whether some machine of the connected cluster has as much as a worker is to have."""
    machines = (node["Resources"] for node in ray_package().nodes() if node["Alive"])
    return any(one.get("CPU", 0) >= threads and one.get("GPU", 0) >= gpus_per_worker for one in machines)


def run_shards(
    job: BatchJob,
    shards: Sequence[Shard],
    detector: Detector,
    *,
    workers: int | None = None,
    threads: int = 1,
    gpus_per_worker: float = 0,
) -> Iterator[ShardResult]:
    """Do shards on the connected cluster, several at a time; results in the order in which they are done.

    Every process of Ray's loads the detector once. A shard whose worker or machine is lost is begun again
    elsewhere; if it is lost ``RETRIES`` times more it is given up, and the others are done.

    Args:
        job: what they belong to; its folder and its images are reachable from all machines.
        shards: to be done.
        detector: loaded as the job's settings say.
        workers: most shards at a time; by default as many as the cluster has room for.
        threads: processor cores of a worker.
        gpus_per_worker: graphics cards of a worker, or a part of one.

    Raises:
        WorkerLostError: at the end, if a shard was given up.
        LucidboxError: a worker raised it, such as for a folder that cannot be written.
        OutputError: or this machine does not see what workers wrote.
    """
    shipped, contents = ship(detector, job.settings.max_pixels)
    # Into the object store once, from where every machine takes one copy.
    held = [ray_package().put(np.frombuffer(content, np.uint8)) for content in contents]
    held_job = ray_package().put(job)
    begin = ray_package().remote(num_cpus=threads, num_gpus=gpus_per_worker, max_retries=RETRIES)(_do_shard).remote
    lost: list[str] = []
    asked: dict[Any, Shard] = {}
    for shard in shards:
        while len(asked) >= (workers or AT_ONCE):
            yield from _finished(asked, lost)
        asked[begin(held_job, shard, shipped, threads, *held)] = shard
    while asked:
        yield from _finished(asked, lost)
    if lost:
        raise WorkerLostError("; ".join(lost))
    unseen = {shard.index for shard in shards} - job.done()
    if unseen:
        raise OutputError(
            f"{job.out}: {len(unseen)} results that workers wrote are not seen here; --out must be a folder that"
            " all machines share, or an address such as s3://bucket/found"
        )


def _do_shard(job: BatchJob, shard: Shard, shipped: ShippedDetector, threads: int, *contents: Any) -> ShardResult:
    return run_shard(job, shard, shipped.load(contents, threads))


def _finished(asked: dict[Any, Shard], lost: list[str]) -> Iterator[ShardResult]:
    """Wait for one shard, and take it from those asked for; if it is given up, note why."""
    (done,), _ = ray_package().wait(list(asked), num_returns=1)
    shard, errors = asked.pop(done), ray_package().exceptions
    try:
        yield ray_package().get(done)
    except errors.RayTaskError as error:
        if isinstance(error.cause, LucidboxError):
            raise error.cause from None
        raise
    except errors.OutOfMemoryError:
        lost.append(
            f"shard {shard.index}: its worker was ended again and again because its machine's memory was full;"
            " take fewer --workers, a lower --max-pixels, or machines with more"
        )
    except errors.RayError as error:
        lost.append(
            f"shard {shard.index}: its worker or machine was lost {RETRIES + 1} times ({_first_line(error)});"
            " it may not have had memory enough: take fewer --workers, or a lower --max-pixels"
        )


def detect(
    dataset: Any,
    weights: Any = None,
    *,
    workers: int | tuple[int, int] = 1,
    threads: int = 1,
    gpus_per_worker: float = 0,
    batch_size: int = 256,
    max_pixels: int = MAX_PIXELS,
    tiles: Tiles = None,
    tile_overlap: float | None = None,
    **settings: Any,
) -> Any:
    """Detects in the images of a Ray dataset, as a step of its pipeline: streaming, with bounded memory.

    Args:
        dataset: rows with ``bytes`` (and ``path``), as ``ray.data.read_binary_files(..., include_paths=True)``
            gives, or with ``uri`` alone, which workers read themselves.
        weights: as for ``Detector.load``. Their bytes are put into the object store once.
        workers: number of actors, or least and most of them; each loads the detector once.
        threads: processor cores of a worker.
        gpus_per_worker: graphics cards of a worker, or a part of one.
        batch_size: images that a worker takes at a time.
        max_pixels: larger images are rows with ``error``, as are those that cannot be read.
        tiles: as for a call of the detector.
        tile_overlap: as for a call of the detector.
        **settings: of ``Detector.load``: ``size``, ``engine``, ``precision``, ``conf`` and other limits.

    Returns:
        A dataset of the columns of :func:`~lucidbox.core.detection_tables.detection_schema`, a row an image. Rows
        come in the order of ``dataset`` if Ray's ``DataContext.execution_options.preserve_order`` is set.

    Raises:
        WeightsError, OptionError, EngineError: the detector cannot be loaded here, or Ray is not installed.

    Example:
        >>> images = ray.data.read_binary_files("s3://bucket/photos", include_paths=True)
        >>> detect(images, "yolo11n.onnx", workers=(1, 16), conf=0.4).write_parquet("s3://bucket/found")
    """
    ray = ray_package()
    shipped, contents = ship(Detector.load(weights, **settings), max_pixels, tiling_of(tiles, tile_overlap))
    held = [ray.put(np.frombuffer(content, np.uint8)) for content in contents]
    least, most = (workers, workers) if isinstance(workers, int) else workers
    return dataset.map_batches(
        _Worker,
        fn_constructor_args=(shipped, threads, held),
        batch_format="pyarrow",
        batch_size=batch_size,
        zero_copy_batch=True,
        compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
        num_cpus=None if gpus_per_worker else threads,
        num_gpus=gpus_per_worker or None,
    )


class _Worker:
    """An actor of Ray Data: loads once, then turns tables of images into tables of detections."""

    def __init__(self, shipped: ShippedDetector, threads: int, held: list[Any]) -> None:
        self._detector = shipped.load(ray_package().get(held), threads)
        self._settings = shipped.settings
        self._schema = detection_schema(shipped.info)

    def __call__(self, table: Any) -> Any:
        settings = self._settings
        found = detect_images(
            self._detector, items_in(table), max_pixels=settings.max_pixels, tiles=settings.tiles
        )
        batches = (batch.replace_schema_metadata(self._schema.metadata) for batch in found)
        return pyarrow().Table.from_batches(batches, self._schema)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
