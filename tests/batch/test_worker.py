"""One shard: right rows, bad images among them; written whole, once, wherever it goes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from batched import job_of, make_images, png, red_detector, rows_of, run_all
from lucidbox import Detections
from lucidbox.batch import ImageItem, detect_images, run_shard
from lucidbox.core.detection_tables import DetectionTable
from lucidbox.core.errors import OptionError, OutputError


def comparable(rows):
    """All of the rows but the times, which no two runs share."""
    return [
        (row.uri, row.sha256, row.width, row.height, row.error, row.detections.boxes.tobytes(),
         row.detections.scores.tobytes(), row.detections.classes.tolist())
        for row in rows
    ]  # fmt: skip


def test_rows_say_what_the_detector_says(tmp_path, detector):
    import hashlib

    paths = make_images(tmp_path / "photos", 7)
    run_all(job_of(tmp_path / "photos", tmp_path / "out", detector), detector)
    rows = rows_of(tmp_path / "out")
    assert [row.uri for row in rows] == [str(path) for path in paths]
    for path, row in zip(paths, rows, strict=True):
        assert row.detections == detector(path)
        assert len(row.detections) == 1
        assert (row.width, row.height, row.error) == (64, 48, None)
        assert row.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert row.milliseconds > 0


def test_the_split_makes_no_difference(tmp_path, detector):
    make_images(tmp_path / "photos", 20)
    found = []
    for size in (1, 7, 150):
        out = tmp_path / f"out{size}"
        run_all(job_of(tmp_path / "photos", out, detector, size), detector)
        assert len(list(out.glob("*.parquet"))) == -(-20 // size)
        found.append(comparable(rows_of(out)))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("engine_options", [{"precision": "fp32"}, {}], ids=["fp32", "default"])
@pytest.mark.extended
def test_the_150_images_by_shards_as_by_predict(tmp_path, shared, engine_options):
    from lucidbox import Detector

    folder = shared("data/coco-val-150/images")
    detector = Detector.load(**engine_options)
    plain = {Path(result.picture.source).name: result.detections for result in detector.stream(folder)}
    for size in (1, 7, 150):
        run_all(job_of(folder, tmp_path / f"out{size}", detector, size, max_pixels=10**8), detector)
        rows = rows_of(tmp_path / f"out{size}")
        assert {Path(row.uri).name: row.detections for row in rows} == plain
        assert len(rows) == len(plain) == 150


def test_images_that_fail_are_rows(tmp_path, detector):
    import numpy as np
    from PIL import Image

    folder = tmp_path / "photos"
    make_images(folder, 2)
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_bytes(b"no image")
    (folder / "half.png").write_bytes(png()[:60])
    Image.fromarray(np.zeros((200, 200), np.uint8)).save(folder / "large.png")
    names = ["image0.png", "empty.png", "text.png", "half.png", "large.png", "missing.png", "image1.png", "."]
    (folder / "list.txt").write_text("\n".join(names))
    results = run_all(job_of(folder / "list.txt", tmp_path / "out", detector, 8), detector)
    assert (results[0].images, results[0].failures) == (8, 6)
    rows = rows_of(tmp_path / "out")
    assert [row.uri for row in rows] == names
    assert [row.error is None for row in rows] == [True, *[False] * 5, True, False]
    for row in rows:
        if row.error is not None:
            assert row.error.startswith(f"{row.uri}: ")
            assert "\n" not in row.error
            assert len(row.detections) == 0
            assert (row.width, row.height, row.milliseconds) == (None, None, None)
    assert "pixels exceed the limit of 10000" in rows[4].error
    assert rows[4].sha256 is not None
    assert rows[5].error == "missing.png: does not exist"
    assert rows[5].sha256 is None


def test_500_megapixels_are_refused_before_they_are_decoded(tmp_path, detector):
    """A PNG that states 25,000 × 20,000 pixels: refused by its header, whatever follows."""
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 25_000, 20_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (batch,) = detect_images(detector, [ImageItem("bomb", bomb), ImageItem("good", png())])
    assert batch.column("error").to_pylist() == [
        "bomb: 25000×20000 pixels exceed the limit of 178956970; raise --max-pixels",
        None,
    ]


def test_what_a_store_raises_is_the_images_error(detector):
    def read(uri):
        raise {"a": PermissionError(13, "x"), "b": RuntimeError("two\nlines"), "c": KeyError()}[uri]

    (batch,) = detect_images(detector, map(ImageItem, "abc"), read=read)
    assert batch.column("error").to_pylist() == [
        "a: no permission; check the rights of this user, or the store's credentials",
        "b: two lines",
        "c: KeyError",
    ]


def test_done_shards_are_not_done_again(tmp_path, detector):
    make_images(tmp_path / "photos", 5)
    job = job_of(tmp_path / "photos", tmp_path / "out", detector, 2)
    run_shard(job, job.plan[1], detector)
    assert job.done() == {1}
    written = [result.written for result in run_all(job, detector)]
    assert written == [True, False, True]
    assert job.done() == {0, 1, 2}


def test_the_slower_of_two_workers_writes_nothing(tmp_path, detector):
    make_images(tmp_path / "photos", 3)
    job = job_of(tmp_path / "photos", tmp_path / "out", detector)
    fast = []

    def read(uri):
        if not fast:  # while this worker reads, another one does the whole shard
            fast.append(None)
            fast[0] = run_shard(job, job.plan[0], detector)
        return Path(uri).read_bytes()

    slow = run_shard(job, job.plan[0], detector, read=read)
    assert (fast[0].written, slow.written) == (True, False)
    assert len(rows_of(tmp_path / "out")) == 3
    assert len(list((tmp_path / "out").iterdir())) == 2  # the file and the job's


def test_a_failing_shard_leaves_nothing(tmp_path, detector, monkeypatch):
    make_images(tmp_path / "photos", 3)
    job = job_of(tmp_path / "photos", tmp_path / "out", detector)

    def read(uri):
        raise MemoryError

    with pytest.raises(OptionError, match="not enough memory"):
        run_shard(job, job.plan[0], detector, read=read)
    with monkeypatch.context() as patch:
        patch.setattr("PIL.Image.Image.load", read)
        patch.setattr("PIL.ImageFile.ImageFile.load", read)
        with pytest.raises(OptionError, match=r"image0\.png: not enough memory to decode"):
            run_shard(job, job.plan[0], detector)
    detector.predictor.engine.__class__ = type("Broken", (), {"__call__": lambda self, images: 1 / 0})
    with pytest.raises(ZeroDivisionError):
        run_shard(job, job.plan[0], detector)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["_lucidbox.json"]


def test_a_manifest_cut_between_planning_and_reading(tmp_path, detector):
    paths = make_images(tmp_path / "photos", 3)
    listed = tmp_path / "list.txt"
    listed.write_text("\n".join(map(str, paths)))
    job = job_of(listed, tmp_path / "out", detector)
    listed.write_text(str(paths[0]))
    with pytest.raises(OutputError, match="gave 1 images instead of 3"):
        run_shard(job, job.plan[0], detector)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no file limits here")
def test_a_full_disk(tmp_path, detector, monkeypatch):
    import errno

    make_images(tmp_path / "photos", 3)
    job = job_of(tmp_path / "photos", tmp_path / "out", detector)

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="the disk is full"):
        run_shard(job, job.plan[0], detector)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["_lucidbox.json"]
    monkeypatch.undo()
    assert run_shard(job, job.plan[0], detector).written


@pytest.mark.parametrize("store", ["file", "memory", pytest.param("s3", marks=pytest.mark.extended)])
def test_stores(tmp_path, detector, store, request):
    """The same rows from and to each store, resumed there, and never written over."""
    paths = make_images(tmp_path / "photos", 5)
    if store == "file":
        base = f"file://{tmp_path}/store"
        (tmp_path / "store" / "photos").mkdir(parents=True)
    else:
        base = "memory://store" if store == "memory" else request.getfixturevalue("bucket")
    import fsspec

    filesystem, root = fsspec.core.url_to_fs(base)
    for path in paths:
        filesystem.pipe_file(f"{root}/photos/{path.name}", path.read_bytes())
    names = [f"photos/{path.name}" for path in paths] + ["photos/missing.png", "photos/empty.png"]
    filesystem.pipe_file(f"{root}/photos/empty.png", b"")
    filesystem.pipe_file(f"{root}/list.txt", "\n".join(names).encode())
    job = job_of(f"{base}/list.txt", f"{base}/out", detector)
    run_shard(job, job.plan[0], detector)
    assert job.done() == {0}
    assert [result.written for result in run_all(job, detector)] == [False, True, True]
    rows = rows_of(f"{base}/out")
    assert [row.uri for row in rows] == names
    assert [row.error for row in rows][5:] == [
        "photos/missing.png: does not exist",
        "photos/empty.png: is empty",
    ]
    assert [row.detections for row in rows[:5]] == detector([*paths])
    from lucidbox.core.storage import commit

    place = job.file(job.plan[0])
    before = filesystem.cat_file(place.replace("s3://", "").replace("memory://", "").replace("file://", ""))
    assert commit(place, b"another") is False
    assert len(rows_of(place)) == 3
    assert before[:4] == b"PAR1"
    folder = job_of(f"{base}/photos", f"{base}/other", detector, 10)
    assert run_all(folder, detector)[0].images == 6


@pytest.mark.extended
def test_a_bucket_without_permission(tmp_path, detector, bucket):
    from moto.core import set_initial_no_auth_action_count
    from moto.settings import INITIAL_NO_AUTH_ACTION_COUNT

    from lucidbox.core.errors import SourceError

    assert INITIAL_NO_AUTH_ACTION_COUNT > 0
    make_images(tmp_path / "photos", 1)

    @set_initial_no_auth_action_count(0)
    def refused():
        with pytest.raises(SourceError, match=r"s3://bucket/out/_lucidbox\.json: no permission"):
            job_of(tmp_path / "photos", f"{bucket}/out", detector)
        with pytest.raises(SourceError, match=r"s3://bucket/list\.txt: no permission"):
            job_of(f"{bucket}/list.txt", tmp_path / "out", detector)
        (batch,) = detect_images(detector, [ImageItem(f"{bucket}/a.png")])
        assert "no permission" in batch.column("error")[0].as_py()

    refused()


def test_metadata(tmp_path, detector):
    make_images(tmp_path / "photos", 2)
    (tmp_path / "photos" / "bad.png").write_bytes(b"")
    job = job_of(tmp_path / "photos", tmp_path / "out", detector)
    run_all(job, detector)
    info = DetectionTable(job.file(job.plan[0])).info()
    from lucidbox import __version__

    assert (info.names, info.model, info.lucidbox) == (detector.names, job.settings.model, __version__)
    assert info.settings["limits"]["conf"] == 0.25
    assert (info.failures, info.schema) == (1, 1)
    assert info.seconds > 0


WORKER = """
import sys
sys.path[:0] = [{tests!r}]
from pathlib import Path
from batched import job_of, red_detector, run_all
folder = Path(sys.argv[1])
detector = red_detector(folder)
run_all(job_of(folder / "photos", folder / "out", detector, 10), detector)
"""


@pytest.mark.extended
def test_workers_killed_at_any_time_leave_every_image_once(tmp_path):
    """Two workers on the same shards, killed by -9 again and again, then left to finish.

    They are killed when they have finished none, one or two shards more, not by the clock, whatever the machine.
    """
    import random

    make_images(tmp_path / "photos", 200)
    red_detector(tmp_path)
    program = WORKER.format(tests=str(Path(__file__).parents[1]))
    draw = random.Random(1)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    kills = 0
    reading = threading.Event()
    torn = []

    def reader():
        while not reading.wait(0.02):
            try:
                sum(1 for _ in Detections.from_parquet(str(tmp_path / "out")))
            except Exception as error:
                torn.append(str(error))

    watcher = threading.Thread(target=reader)
    watcher.start()
    try:
        for attempt in range(40):
            workers = [
                subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], env=environment) for _ in range(2)
            ]
            if attempt < 6:
                enough = len(list(tmp_path.glob("out/*.parquet"))) + attempt % 3
                while len(list(tmp_path.glob("out/*.parquet"))) < enough and None in [w.poll() for w in workers]:
                    time.sleep(0.005)
                time.sleep(draw.uniform(0, 0.05))  # within the next shard, or while it is written
                for worker in workers:
                    kills += worker.poll() is None
                    worker.send_signal(signal.SIGKILL)
            codes = [worker.wait() for worker in workers]
            if codes == [0, 0]:
                break
    finally:
        reading.set()
        watcher.join()
    assert kills > 3
    # Before the first shard there is nothing to read.
    absent = "out: no Parquet files of detections in this folder", "out: does not exist"
    assert [error for error in torn if not error.endswith(absent)] == []
    names = [Path(row.uri).name for row in rows_of(tmp_path / "out")]
    assert len(names) == 200
    assert set(names) == {f"image{number}.png" for number in range(200)}
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
