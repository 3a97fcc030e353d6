"""One worker on Ray Data against ``Detector.stream`` on the same files: the row "Ray" of docs/how-to/clusters.md.

    python benchmarks/batch_ray.py --images DIR [--weights W] [--threads 1] [--copies 10] [--rounds 3]

A B A B in one run, each on every picture (hard links of DIR's, ``--copies`` of each). Rates are of the pictures
after the first batch, so that neither starting Ray's worker nor loading the model counts; the time of a whole run
of Ray Data is said besides. Both have ``--threads`` cores for detecting; Ray reads files in a process of its own.
Peak memory of the worker is measured by Ray's side: at a quarter of the pictures and at the end.
"""

import argparse
import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import ray

from lucidbox import Detector
from lucidbox.batch.ray import connected, detect

BATCH = 128


def links(images, folder, copies):
    """Hard links to the pictures of a folder, several of each."""
    for copy in range(copies):
        for path in sorted(images.glob("*.jpg")):
            os.link(path, folder / f"{copy:04d}-{path.name}")
    return copies * len(list(images.glob("*.jpg")))


def rate(counts):
    """Pictures a second after the first of the counts that arrive."""
    begun, done = None, 0
    for count in counts:
        if begun is None:
            begun = time.perf_counter()
        else:
            done += count
    return done / (time.perf_counter() - begun)


def in_batches(results):
    """How many results came, every time that a batch of them is complete."""
    waiting = 0
    for _ in results:
        waiting += 1
        if waiting == BATCH:
            yield waiting
            waiting = 0
    if waiting:
        yield waiting


def worker_megabytes():
    """Memory of the process that detects, without what it shares with others."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b"MapWorker" in (process / "cmdline").read_bytes():
                _, resident, shared, *_ = map(int, (process / "statm").read_text().split())
                return (resident - shared) * os.sysconf("SC_PAGE_SIZE") / 2**20
    return 0.0


def on_ray(folder, arguments, memory):
    """How many pictures come from a worker of Ray Data, batch by batch; its memory goes into ``memory``."""
    files = ray.data.read_binary_files(str(folder), include_paths=True)
    found = detect(files, arguments.weights, workers=1, threads=arguments.threads, batch_size=BATCH)
    for batch in found.iter_batches(batch_size=None, batch_format="pyarrow"):
        memory.append(worker_megabytes())
        yield batch.num_rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--weights")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    detector = Detector.load(arguments.weights, threads=arguments.threads)
    with tempfile.TemporaryDirectory(dir=arguments.images.parent) as name, connected():
        ray.data.DataContext.get_current().enable_progress_bars = False
        count = links(arguments.images, Path(name), arguments.copies)
        for _ in range(arguments.rounds):
            plain = rate(in_batches(detector.stream(name)))
            memory, begun = [], time.perf_counter()
            worker = rate(on_ray(name, arguments, memory))
            print(
                f"{count} pictures: stream {plain:.1f}/s, Ray Data {worker:.1f}/s, {worker / plain:.3f} of it;"
                f" a whole run of Ray Data {time.perf_counter() - begun:.1f} s; worker's memory"
                f" {memory[len(memory) // 4]:.0f} MB at a quarter, {memory[-1]:.0f} MB at the end",
                flush=True,
            )


if __name__ == "__main__":
    main()
