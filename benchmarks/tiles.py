"""Putting together what was found in tiles: 30,000 boxes of 111 views of one image.

    python benchmarks/tiles.py

Each of 110 tiles of 640 pixels, and the whole image of 5300x5000, gives 270 boxes, which together are 29,970.
Spread: boxes anywhere in the view. Clustered: around 30 objects a view, as networks answer. Like one image: the
views see the same 3,000 objects, so that most boxes have a rival. "pairs" were measured, of the 449 million there
are. Times on the clock, and of the processor alone, for the best 300 of those that stay, as predict gives them.
"""

import argparse
import statistics
import time

import numpy as np

from lucidbox import Detections, Limits
from lucidbox.detect import merging
from lucidbox.detect.tiles import Tiling

SIZE, BOXES, NAMES = (5000, 5300), 270, tuple(map(str, range(80)))


def boxes_in(view, kind, objects, random):
    """Boxes of one view, in its own pixels."""
    size = view.size[::-1]
    if kind == "like one image":
        seen = objects - np.array([view.left, view.top] * 2)
        seen = seen.clip(0, np.tile(size, 2))
        seen = seen[(seen[:, 2:] - seen[:, :2]).min(axis=1) > 5]
        chosen = seen[random.integers(0, len(seen), BOXES)]
        return (chosen + random.normal(0, 2, chosen.shape)).clip(0, np.tile(size, 2))
    centres, sides = random.random((BOXES, 2)) * size, 20 + random.random((BOXES, 2)) ** 2 * 200
    if kind == "clustered":
        near = random.integers(0, 30, BOXES)
        centres, sides = centres[near] + random.normal(0, 4, (BOXES, 2)), sides[near]
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).clip(0, np.tile(size, 2))


def problem(kind, classes, random):
    centres, sides = random.random((3000, 2)) * SIZE[::-1], 20 + random.random((3000, 2)) ** 2 * 200
    objects = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    parts = []
    for view in Tiling((640, 640)).views(SIZE, (640, 640)):
        scores = np.sort(random.random(BOXES, np.float32))[::-1]
        boxes = boxes_in(view, kind, objects, random).astype(np.float32)
        parts.append((view, Detections(boxes, scores, random.integers(0, classes, BOXES), NAMES)))
    return parts


def pairs_of(parts, limits):
    """How many pairs were measured."""
    counts, near = [], merging.near_pairs

    def counted(*arguments):
        for first, second in near(*arguments):
            counts.append(len(first))
            yield first, second

    merging.near_pairs = counted
    merging.merge(parts, limits)
    merging.near_pairs = near
    return sum(counts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    arguments = parser.parse_args()
    random, limits = np.random.default_rng(0), Limits()
    print("| boxes | classes | stay | pairs | ms, median | ms, best | ms, processor |")
    print("|---|---|---|---|---|---|---|")
    for classes in (80, 1):
        for kind in ("spread", "clustered", "like one image"):
            parts, times, busy = problem(kind, classes, random), [], []
            for _ in range(arguments.runs):
                started, processor = time.perf_counter(), time.thread_time()
                merging.merge(parts, limits)
                times.append((time.perf_counter() - started) * 1000)
                busy.append((time.thread_time() - processor) * 1000)
            merged = merging.merge(parts, Limits(max_det=100_000))
            print(
                f"| {kind} | {classes} | {len(merged):,} | {pairs_of(parts, limits):,}"
                f" | {statistics.median(times):.1f} | {min(times):.1f} | {statistics.median(busy):.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
