"""What batch work costs beside detecting, whether it is done exactly once, and how far it goes.

    python benchmarks/batch.py speed PICTURES [--rounds 5]     # against Detector.stream, in alternation
    python benchmarks/batch.py two PICTURES                    # two workers of one core each against one of two
    python benchmarks/batch.py kill PICTURES [--images 2000] [--runs 20]
    python benchmarks/batch.py memory PICTURES [--images 10000]
    python benchmarks/batch.py simulate [--images 10000000] [--rows 100000]

PICTURES is a folder. ``kill`` links small copies of its images under many names, starts two workers and their
driver, kills some of the three by -9 at random times, and runs the job again until it ends by itself; then every
image must be there once. ``simulate`` makes up addresses, and detects in nothing: planning, rows a second of one
core, listing and resuming.
"""

import argparse
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import numpy as np

from lucidbox import Detections, Detector
from lucidbox.batch import BatchJob, Settings, begin, open_manifest, run_shard
from lucidbox.engines import Prediction
from lucidbox.images.reading import MAX_PIXELS

PLAN = """
import resource, sys, time
from lucidbox.batch import Plan, open_manifest
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
manifest = open_manifest(sys.argv[1])
plan = Plan(manifest.count, 10_000)
seconds = time.perf_counter() - started
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
started = time.perf_counter()
next(manifest.items(plan[len(plan) - 1].first, 1))
print(f"{manifest.count} images in {len(plan)} shards: planned in {seconds:.1f} s, peak {peak / 1024:.0f} MB"
      f" ({before / 1024:.0f} MB before); the last shard's first image: {time.perf_counter() - started:.3f} s")
"""


class NothingFinder:
    """An engine that takes no time."""

    name, precision = "none", "fp32"

    def __call__(self, images):
        return Prediction(np.zeros((len(images), 1, 4), np.float32), np.zeros((len(images), 1, 1), np.float32))


def job_of(source, out, detector, shard_size):
    job = BatchJob(str(out), open_manifest(str(source)), shard_size, Settings.of(detector, MAX_PIXELS))
    begin(job)
    return job


def speed(arguments, folder):
    detector = Detector.load()
    list(detector.stream(arguments.pictures))  # warm: files and engine
    ratios, shares = [], []
    for round_number in range(arguments.rounds):
        started = time.perf_counter()
        images = sum(1 for _ in detector.stream(arguments.pictures))
        alone = time.perf_counter() - started
        job = job_of(arguments.pictures, folder / str(round_number), detector, images)
        result = run_shard(job, job.plan[0], detector)
        assert (result.written, result.images) == (True, images)
        ratios.append(alone / result.seconds)
        shares.append(result.commit_seconds / result.seconds)
        print(
            f"{images} images: stream {images / alone:.1f} a second, shard {images / result.seconds:.1f}; commit"
            f" {result.commit_seconds * 1000:.1f} ms, {shares[-1]:.2%}",
            flush=True,
        )
    print(f"shard / stream, images a second: median {statistics.median(ratios):.3f} (wanted: at least 0.9)")
    print(f"commit's share of a shard: median {statistics.median(shares):.2%} (wanted: at most 1 %)")


def two(arguments, folder):
    def run(name, cores, shard, threads):
        command = ["taskset", "-c", cores, sys.executable, "-m", "lucidbox", "batch", str(arguments.pictures)]
        command += ["--out", str(folder / name), "--shard", shard, "--shard-size", "50", "--threads", threads]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)

    times = {"one of two cores": [], "two of one core": []}
    for round_number in range(arguments.rounds):
        for name, workers in (
            ("one of two cores", [("0,1", "0/1", "2")]),
            ("two of one core", [("0", "0/2", "1"), ("1", "1/2", "1")]),
        ):
            started = time.perf_counter()
            running = [run(f"{name} {round_number}", *worker) for worker in workers]
            assert [one.wait() for one in running] == [0] * len(running)
            times[name].append(time.perf_counter() - started)
    for name, seconds in times.items():
        print(f"{name}: {statistics.median(seconds):.2f} s (start of the processes included)")


def linked(pictures, folder, count):
    """A folder of so many names for the images of another one."""
    sources = sorted(path for path in pictures.iterdir() if path.is_file())
    folder.mkdir()
    for number in range(count):
        source = sources[number % len(sources)]
        (folder / f"{number:06d}{source.suffix}").symlink_to(source.absolute())
    return folder


def shrunk(pictures, folder):
    """Copies of at most 96 pixels a side: what is killed is the writing, not the detecting."""
    from PIL import Image

    folder.mkdir()
    for path in sorted(pictures.iterdir()):
        with Image.open(path) as image:
            image.thumbnail((96, 96))
            image.convert("RGB").save(folder / f"{path.stem}.jpg")
    return folder


DRIVER = """
import subprocess, sys
command = [sys.executable, "-m", "lucidbox", "batch", *sys.argv[1:]]
workers = [subprocess.Popen([*command, "--shard", f"{part}/2", "--threads", "1"]) for part in range(2)]
print(*(worker.pid for worker in workers), flush=True)
sys.exit(max(abs(worker.wait()) for worker in workers))  # a killed one's code is negative
"""


def kill(arguments, folder):
    """Runs of a driver and two workers, some of which are killed until a run ends by itself."""
    images = linked(shrunk(arguments.pictures, folder / "small"), folder / "images", arguments.images)
    draw = random.Random(arguments.seed)
    killed = torn = 0
    for run in range(arguments.runs):
        out, rounds = folder / f"out{run}", 0
        while True:
            rounds += 1
            command = [sys.executable, "-c", DRIVER, str(images), "--out", str(out), "--shard-size", "100"]
            driver = subprocess.Popen(
                [*command, "--size", "64"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            workers = [int(number) for number in driver.stdout.readline().split()]
            if rounds <= arguments.kills:
                time.sleep(draw.uniform(0.5, 10))
                for one in draw.sample([driver.pid, *workers], draw.randint(1, 3)):
                    killed += killed_by_9(one)
                torn += unreadable(out)
            driver.communicate()
            for worker in workers:  # those whose driver was killed go on; this run waits for their end
                while Path(f"/proc/{worker}").exists() and not is_zombie(worker):
                    time.sleep(0.05)
            if driver.returncode == 0:
                break
        names = sorted(Path(row.uri).name for row in Detections.from_parquet(str(out)))
        wanted = sorted(path.name for path in images.iterdir())
        print(f"run {run}: {rounds} times started, {killed} killed so far, {len(names)} rows", flush=True)
        assert names == wanted, "an image is missing or there twice"
    print(f"{arguments.runs} runs: every one of {arguments.images} images once; {torn} files could not be read")
    assert not torn


def killed_by_9(number):
    try:
        os.kill(number, signal.SIGKILL)
    except ProcessLookupError:
        return 0
    return 1


def is_zombie(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def unreadable(out):
    from lucidbox.core.detection_tables import table_files

    bad = 0
    for file in table_files(str(out), None):
        try:
            sum(1 for _ in Detections.from_parquet(file.uri))
        except Exception as error:
            print(f"{file.uri}: {error}")
            bad += 1
    return bad


def memory(arguments, folder):
    """Resident memory of one worker after each shard, over many images."""
    detector = Detector.load(size=320)
    images = linked(arguments.pictures, folder / "images", arguments.images)
    job = job_of(images, folder / "out", detector, 1000)
    sizes = []
    for shard in job.plan:
        run_shard(job, shard, detector)
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sizes.append(resident)
        print(f"after {shard.first + shard.count} images: {resident:.0f} MB, peak {peak:.0f} MB", flush=True)
    print(f"growth from the second shard to the last: {sizes[-1] - sizes[1]:+.0f} MB")


def simulate(arguments, folder):
    from PIL import Image

    manifest = folder / "list.txt"
    with manifest.open("w") as stream:
        for number in range(arguments.images):
            stream.write(f"s3://some-bucket/images/{number // 10_000:06d}/{number:012d}.jpg\n")
    print(f"manifest: {manifest.stat().st_size / 2**20:.0f} MB")
    subprocess.run([sys.executable, "-c", PLAN, str(manifest)], check=True)

    buffer = BytesIO()
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(buffer, "JPEG")
    weights = folder / "weights"
    weights.write_bytes(b"none")
    detector = Detector(NothingFinder(), ("thing",), size=(32, 32), weights=weights)
    job = job_of(manifest, folder / "out", detector, 10_000)
    shards = max(1, arguments.rows // 10_000)
    rows, used = 0, time.process_time()
    for shard in list(job.plan)[:shards]:
        rows += run_shard(job, shard, detector, read=lambda uri: buffer.getvalue()).images
    used = time.process_time() - used
    print(f"{rows} rows: {rows / used:.0f} rows a second of processor time (a 32x32 JPEG each, engine of 0 ms)")

    whole = Path(job.file(job.plan[0])).read_bytes()
    for shard in list(job.plan)[shards : len(job.plan) - 1]:
        Path(job.file(shard)).write_bytes(whole)
    started = time.perf_counter()
    done = job.done()
    missing = [shard.index for shard in job.plan if shard.index not in done]
    seconds = time.perf_counter() - started
    print(f"{len(done)} of {len(job.plan)} shards are there; known in {seconds:.3f} s, missing are {missing}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["speed", "two", "kill", "memory", "simulate"])
    parser.add_argument("pictures", nargs="?", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--kills", type=int, default=3, help="times that a run's processes are killed")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--images", type=int)
    arguments = parser.parse_args()
    defaults = {"kill": 2000, "memory": 10_000, "simulate": 10_000_000}
    arguments.images = arguments.images or defaults.get(arguments.part)
    with tempfile.TemporaryDirectory(prefix="lucidbox-batch-") as folder:
        globals()[arguments.part](arguments, Path(folder))


if __name__ == "__main__":
    main()
