"""What tracking costs a stream, and whether its memory stays flat over 10,000 frames.

    python benchmarks/track_stream.py rate --weights W --video FILE [--rounds 5]
    python benchmarks/track_stream.py long [--frames 10000]

"rate": plain stream, tracked stream (with a line and a zone), A B A B in one process, after a round that is not
counted; by default scores and, to have many objects in every frame, with --conf 0.01. Target: the tracked stream's
rate is at least 0.95 of the plain one's (median of the rounds' ratios).

"long": frames of 640x360 with objects that come and go, through the tracker, a line, a zone, trails, drawing and
the summary, as the verb has them; memory of Python's objects (tracemalloc) and the process's peak. Target: no
growth after the first tenth, but for the caches of drawn texts, which are bounded.
"""

import argparse
import gc
import resource
import statistics
import time
import tracemalloc

import numpy as np

from lucidbox import Detections, Detector
from lucidbox.detect.stream import Result
from lucidbox.sources import Picture
from lucidbox.track import TRACKERS, Line, Zone, track
from lucidbox.track.drawing import TrackDrawing
from lucidbox.track.summary import VideoSummary


def places(width, height):
    line = Line("middle", (width / 2, 0), (width / 2, height))
    third = width / 3
    return {
        "lines": [line],
        "zones": [Zone("third", ((third, 0), (2 * third, 0), (2 * third, height), (third, height)))],
    }


def seconds_and_objects(results):
    started, frames, objects = time.perf_counter(), 0, 0
    for result in results:
        frames, objects = frames + 1, objects + len(result.detections)
    return time.perf_counter() - started, objects / frames, frames


def rate(arguments):
    detector = Detector.load(arguments.weights)
    width, height = 768, 432
    for conf in (None, 0.01):
        for tracker in arguments.trackers or TRACKERS:
            ratios = []
            for number in range(arguments.rounds + 1):
                plain, objects, frames = seconds_and_objects(detector.stream(arguments.video, conf=conf))
                stream = detector.stream(arguments.video, conf=conf)
                tracked, _, _ = seconds_and_objects(track(stream, tracker, **places(width, height)))
                if number:
                    ratios.append(plain / tracked)
            what = f"conf {conf or 'default'}, {objects:.1f} objects a frame, {frames / plain:.1f} frames/s"
            middle, spread = statistics.median(ratios), f"{min(ratios):.3f} to {max(ratios):.3f}"
            print(f"{what}, {tracker}: {middle:.3f} of the plain stream's rate ({spread})", flush=True)


def coming_and_going(frames, crowd=20, lifetime=150, seed=0):
    """Results with about ``crowd`` objects that cross the image, each for about ``lifetime`` frames."""
    rng = np.random.default_rng(seed)
    pixels, objects = np.zeros((360, 640, 3), np.uint8), []
    for frame in range(frames):
        while len(objects) < crowd:
            side = rng.integers(2)
            objects.append([-20.0 if side else 660.0, rng.uniform(40, 350), (1 if side else -1) * 680 / lifetime])
        for one in objects:
            one[0] += one[2] * rng.uniform(0.8, 1.2)
        objects = [one for one in objects if -40 < one[0] < 680]
        seen = [one for one in objects if rng.random() > 0.05]
        boxes = np.array([[x - 12, y - 30, x + 12, y] for x, y, _ in seen], np.float32).reshape(-1, 4)
        scores = rng.uniform(0.5, 0.95, len(seen)).astype(np.float32)
        detections = Detections(boxes, scores, rng.integers(0, 2, len(seen)), ("car", "dog"))
        yield Result(Picture(pixels, "made", "made.mp4", frame, frame / 25), detections, 0.0)


def long(arguments):
    for tracker in arguments.trackers or TRACKERS:
        drawing, summary, peaks, ids = TrackDrawing(30), None, {}, 0
        tracemalloc.start()
        for result in track(coming_and_going(arguments.frames), tracker, **places(640, 360)):
            summary = summary or VideoSummary(result)
            summary.add(result)
            if result.picture.frame % 20 == 0:  # tracemalloc slows it down
                drawing(result)
            ids = max([ids, *result.ids.tolist()])
            number = result.picture.frame + 1
            if number in (arguments.frames // 10, arguments.frames // 2, arguments.frames):
                gc.collect()
                peaks[number] = tracemalloc.get_traced_memory()[0] / 1e6
        tracemalloc.stop()
        shown = ", ".join(f"{size:.2f} MB after {number}" for number, size in peaks.items())
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        counted = sum(summary.tracks.values())
        print(f"{tracker}: {ids} ids, {counted} tracks; {shown}; process peak {peak:.0f} MB", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rate", "long"])
    parser.add_argument("--weights")
    parser.add_argument("--video")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--trackers", nargs="*", choices=list(TRACKERS))
    arguments = parser.parse_args()
    {"rate": rate, "long": long}[arguments.what](arguments)


if __name__ == "__main__":
    main()
