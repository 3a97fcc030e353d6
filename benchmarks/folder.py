"""How busy streams keep the hardware: the rows "folder" and "video" of docs/explanation/performance.md.

    python benchmarks/folder.py --weights W [--images DIR] [--video FILE] [--rounds 3]

The verb's own measurement (`lucidbox benchmark`), with targets beside it: a stream reaches at least 0.95 of the
bound for a folder, 0.9 for a video; overhead of one picture is at most 2 ms. And proof that streams answer as the
plain path does: every picture of the folder, bit for bit. The folder is measured a second time with every picture
padded to a square, as others do it. Memory of the video's stream is measured at a tenth of it and at its end.
"""

import argparse
import resource

from lucidbox import Detector
from lucidbox.benchmark import Setting, measure, sample
from lucidbox.sources import open_sources


def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def same_answers(detector, source):
    """How many pictures there are, and how many have the same answer alone and in a stream."""
    results = list(detector.stream(source))
    return len(results), sum(detector(result.picture) == result.detections for result in results)


def show(name, one, target):
    share, overhead = one.bound_share, one.overhead
    print(
        f"| {name} | {one.engine_rate.p50:.1f} | {one.bound.p50:.1f} | {one.stream_rate.p50:.1f}"
        f" | {share.p50:.2f} ({share.p10:.2f} to {share.p90:.2f}) | {target} | {overhead.p50:.2f} |",
        flush=True,
    )


def memory(detector, video):
    """Peak memory, MB, after a tenth of the video and at its end. Before anything else: a peak never falls."""
    count = video.count
    early = None
    for index, _ in enumerate(detector.stream(video), start=1):
        if index == count // 10:
            early = peak_megabytes()
    print(
        f"video of {count} frames: peak memory {early:.0f} MB after a tenth, {peak_megabytes():.0f} MB at its end"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights")
    parser.add_argument("--images")
    parser.add_argument("--video")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    detector = Detector.load(arguments.weights)
    setting = Setting(detector.engine.name, detector.engine.precision)
    if arguments.video:
        memory(detector, open_sources(arguments.video))
    if arguments.images:
        count, same = same_answers(detector, arguments.images)
        print(f"{same} of {count} pictures have the same boxes and scores, bit for bit, alone and in a stream")
    print("\n| source | engine alone /s | bound /s | stream /s | share (p10 to p90) | target | overhead, ms |")
    print("|---|---|---|---|---|---|---|")
    square = Detector.load(arguments.weights, square=True)
    for name, source, using, target in (
        ("folder", arguments.images, detector, 0.95),
        ("folder, square", arguments.images, square, 0.95),
        ("video", arguments.video, detector, 0.9),
    ):
        if source:
            (one,), _ = measure({setting: using}, sample(open_sources(source), 150), arguments.rounds)
            show(name, one, target)


if __name__ == "__main__":
    main()
