"""Peak memory of a long stream: it must not grow after the first 500 frames.

    python benchmarks/memory.py --weights W [--frames 10000]

Frames are made one by one (1280x720 noise that changes), as a video gives them.
"""

import argparse
import resource

import numpy as np

from lucidbox import Detector
from lucidbox.sources import Picture


def frames(count):
    noise = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), dtype=np.uint8)
    for index in range(count):
        yield Picture(np.roll(noise, index, axis=1), "made", "made", index, index / 25)


def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", default="320")
    arguments = parser.parse_args()
    detector = Detector.load(arguments.weights, size=arguments.size, conf=0.01)
    peaks = {}
    for index, _ in enumerate(detector.stream(frames(arguments.frames)), start=1):
        if index in (100, 500, 1000, 2000, 5000, arguments.frames):
            peaks[index] = peak_megabytes()
            print(f"after {index} frames: peak {peaks[index]:.1f} MB", flush=True)
    print(f"growth after frame 500: {peaks[arguments.frames] - peaks[500]:.1f} MB")


if __name__ == "__main__":
    main()
