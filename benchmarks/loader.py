"""Augmented pictures per second of one process with one thread: the published mosaics, from disk and from a cache.

    python benchmarks/loader.py --data ../shared/data/coco-train --size 320 --seconds 5

``--data`` is a folder with ``instances.json`` and ``images``. "From disk" is ``PictureSamples``, which decodes and
scales every picture each time it is asked for (the operating system may well hold the files); "from the cache" is
``build_cache``, which a recipe's ``cache_gb`` asks for, in a temporary folder. The parts are timed alone, on the
same pictures. All alternate in rounds, of which medians are given: by the clock, and by the process's own
processor time, which others on the machine disturb less.
"""

import argparse
import statistics
import time
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from lucidbox.datasets import read_dataset
from lucidbox.datasets.augment import Augmentation, Augmenter
from lucidbox.datasets.augment.canvas import compose
from lucidbox.datasets.augment.colour import change_colours, random_gains
from lucidbox.datasets.augment.geometry import flip_horizontal, random_affine
from lucidbox.datasets.augment.mosaic import mosaic_tiles, random_centre
from lucidbox.datasets.training import PictureSamples, build_cache

ROUNDS = 7


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


def parts(disk, cached, size):
    """Name → function that does one mosaic's share of one part of the work."""
    rng, settings = np.random.default_rng(1), Augmentation()
    image = cycle([mosaics(cached, size, settings, 2)() for _ in range(100)])

    def affine():
        return random_affine(rng, settings, 2 * size, size)

    def tiles(samples, drawn):
        indices = rng.integers(len(samples), size=4).tolist()
        return mosaic_tiles(samples, indices, random_centre(rng, size), size, drawn.window)

    canvases = cycle([(tiles(cached, drawn), drawn, size) for drawn in (affine() for _ in range(100))])
    return {
        "reading the mosaic's pictures from disk": lambda: tiles(disk, affine()),
        "reading the mosaic's pictures from the cache": lambda: tiles(cached, affine()),
        "drawing them, one resize, boxes": lambda: compose(*next(canvases)),
        "hue, saturation, value": lambda: change_colours(next(image).image, random_gains(rng, 0.015, 0.7, 0.4)),
        "flip (every second one)": lambda: flip_horizontal(next(image)) if rng.random() < 0.5 else None,
    }


def show(title, functions, seconds, form):
    """Prints a row for each function: by the clock, and of processor time."""
    print(f"\n| {title} |\n|---|---|---|")
    for name, pair in medians(functions, seconds).items():
        print(f"| {name} | {' | '.join(form(one) for one in pair)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--seconds", type=float, default=5, help="for each rate")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    with TemporaryDirectory() as folder:
        measure(arguments.data, arguments.size, arguments.seconds, folder)


def measure(data, size, seconds, folder):
    """Measures and prints everything, with the cache in a folder."""
    disk = PictureSamples(read_dataset(data / "instances.json", images=data / "images").part("all"), size)
    cached = build_cache(disk, folder, 10**12)
    print(f"{len(disk)} pictures, {cached.cached} of them in the cache, size {size}, one process, one thread")
    published = Augmentation()
    turned, single = replace(published, degrees=10.0), replace(published, mosaic=0.0)
    makers = {
        "mosaics from disk": mosaics(disk, size, published, 0),
        "mosaics from the cache": mosaics(cached, size, published, 0),
        "single pictures from disk": mosaics(disk, size, single, 0),
        "mosaics from the cache, turned by up to 10°": mosaics(cached, size, turned, 0),
    }
    rate = "what | per second | per second of processor time"
    show(rate, makers, seconds, lambda milliseconds: f"{1000 / milliseconds:.0f}")
    counted = Counted(cached)
    count = 500
    make = mosaics(counted, size, published, 0)
    for _ in range(count):
        make()
    print(f"\n{counted.count / count:.2f} pictures are read for a mosaic")
    part = "part of a mosaic | ms | ms of processor time"
    show(part, parts(disk, cached, size), seconds / 2, lambda milliseconds: f"{milliseconds:.2f}")


if __name__ == "__main__":
    main()
