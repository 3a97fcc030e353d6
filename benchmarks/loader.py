"""Augmented pictures per second of one process with one thread: the published mosaics from disk and from memory.

    python benchmarks/loader.py --data ../shared/data/coco-train --size 320 --seconds 5

``--data`` is a folder with ``instances.json`` and ``images``. "From disk" decodes every picture each time it is
asked for (the operating system may well hold the files); "from memory" finds it decoded and resized. The parts
are timed alone, on the same pictures. All alternate in rounds, of which medians are given: by the clock, and by
the process's own processor time, which others on the machine disturb less.
"""

import argparse
import statistics
import time
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import cv2
import numpy as np

from lucidbox.augment import Augmentation, Augmenter, Sample
from lucidbox.augment.canvas import compose, fitted
from lucidbox.augment.colour import change_colours, random_gains
from lucidbox.augment.geometry import flip_horizontal, random_affine
from lucidbox.augment.mosaic import mosaic_tiles, random_centre
from lucidbox.boxes import xywh_to_xyxy
from lucidbox.data import read
from lucidbox.images import read_image

ROUNDS = 7
IN_MEMORY = 400  # pictures held decoded; more would change nothing but the processor's cache misses


class FromDisk:
    """Pictures decoded anew each time."""

    def __init__(self, data, size):
        part = read(data / "instances.json", images=data / "images").part("all")
        self.size = size
        self.paths = [Path(part.root) / name for name in part.file_names]
        self.boxes = xywh_to_xyxy(part.boxes_xywh).astype(np.float32)
        self.classes = part.classes.astype(np.int64)
        self.starts = np.searchsorted(part.pictures, np.arange(len(part) + 1)).tolist()

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        objects = slice(self.starts[index], self.starts[index + 1])
        return fitted(Sample(read_image(self.paths[index]), self.boxes[objects], self.classes[objects]), self.size)


class FromMemory:
    """The same pictures, decoded once."""

    def __init__(self, samples):
        self.samples = [samples[index] for index in range(min(IN_MEMORY, len(samples)))]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        return self.samples[index]


class Counted:
    """Counts how many pictures are read."""

    def __init__(self, samples):
        self.samples, self.count = samples, 0

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        self.count += 1
        return self.samples[index]


def milliseconds(make, seconds):
    """Of one call: by the clock, and of processor time."""
    made, started, worked = 0, time.perf_counter(), time.process_time()
    while (passed := time.perf_counter() - started) < seconds:
        make()
        made += 1
    return passed / made * 1000, (time.process_time() - worked) / made * 1000


def medians(functions, seconds):
    """Name → median milliseconds of one call over alternating rounds, by the clock and of processor time."""
    found = {name: [] for name in functions}
    for _ in range(ROUNDS):
        for name, function in functions.items():
            found[name].append(milliseconds(function, seconds / ROUNDS))
    return {
        name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in found.items()
    }


def mosaics(samples, size, settings, seed):
    """A function that makes the next mosaic."""
    augmenter, rng = Augmenter(samples, size, settings), np.random.default_rng(seed)
    return lambda: augmenter(int(rng.integers(len(samples))), rng)


def parts(disk, memory, size):
    """Name → function that does one mosaic's share of one part of the work."""
    rng, settings = np.random.default_rng(1), Augmentation()
    image = cycle([mosaics(memory, size, settings, 2)() for _ in range(100)])

    def affine():
        return random_affine(rng, settings, 2 * size, size)

    def tiles(samples, drawn):
        indices = rng.integers(len(samples), size=4).tolist()
        return mosaic_tiles(samples, indices, random_centre(rng, size), size, drawn.window)

    def warp():
        drawn = affine()
        compose(tiles(memory, drawn), drawn, size)

    return {
        "reading the mosaic's pictures from disk": lambda: tiles(disk, affine()),
        "drawing four pictures, one resize, boxes": warp,
        "hue, saturation, value": lambda: change_colours(next(image).image, random_gains(rng, 0.015, 0.7, 0.4)),
        "flip (every second one)": lambda: flip_horizontal(next(image)) if rng.random() < 0.5 else None,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--seconds", type=float, default=5, help="for each rate")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    disk, size = FromDisk(arguments.data, arguments.size), arguments.size
    memory = FromMemory(disk)
    makers = {
        "mosaics from disk": mosaics(disk, size, Augmentation(), 0),
        "mosaics from memory": mosaics(memory, size, Augmentation(), 0),
        "single pictures from disk": mosaics(disk, size, replace(Augmentation(), mosaic=0.0), 0),
        "mosaics from memory, turned by up to 10°": mosaics(
            memory, size, replace(Augmentation(), degrees=10.0), 0
        ),
    }
    print(f"{len(disk)} pictures, size {size}, one process, one thread\n")
    print("| what | per second | per second of processor time |\n|---|---|---|")
    for name, (clock, processor) in medians(makers, arguments.seconds).items():
        print(f"| {name} | {1000 / clock:.0f} | {1000 / processor:.0f} |")
    counted = Counted(memory)
    count = 500
    make = mosaics(counted, size, Augmentation(), 0)
    for _ in range(count):
        make()
    print(f"\n{counted.count / count:.2f} pictures are read for a mosaic\n")
    print("| part of a mosaic | ms | ms of processor time |\n|---|---|---|")
    for name, (clock, processor) in medians(parts(disk, memory, size), arguments.seconds / 2).items():
        print(f"| {name} | {clock:.2f} | {processor:.2f} |")


if __name__ == "__main__":
    main()
