"""Trackers beside those of the library ``trackers`` 2.6, and how fast they are.

    python benchmarks/tracking.py quality TRUTH      20 seeds of noise (--noise SCRIPT) on true tracks
    python benchmarks/tracking.py sequences FOLDER   the sequences that benchmarks/track_sequences.py made
    python benchmarks/tracking.py speed              a frame's time by objects
    python benchmarks/tracking.py long               10,000 frames: ids and memory

"quality" and "sequences" need an environment of their own with ``trackers`` (it brings opencv-python, which cannot
be beside opencv-python-headless) and this package's src on PYTHONPATH; the others need no library. Each row: mean
and standard error; "same" says on how many inputs both give every box the same identity, up to the ids' names.
"""

import argparse
import importlib.util
import pickle
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidbox.core.detections import Detections
from lucidbox.evaluate.tracks import evaluate_tracks, sequence_of
from lucidbox.formats.mot import read_mot
from lucidbox.track import TRACKERS

PEERS = {
    "sort": "SORTTracker",
    "bytetrack": "ByteTrackTracker",
    "botsort": "BoTSORTTracker",
    "cbiou": "CBIoUTracker",
}
FIGURES = ("HOTA", "IDF1", "MOTA", "switches")


@dataclass
class Input:
    """True rows, and for each frame its number, boxes and scores."""

    name: str
    truth: object
    frames: list


def load(name, truth, found):
    frames = []
    for frame in range(1, int(max(truth.frames.max(), found.frames.max())) + 1):
        rows = found.frames == frame
        frames.append((frame, found.boxes[rows].astype(np.float32), found.scores[rows].astype(np.float32)))
    return Input(name, truth, frames)


def noisy_inputs(path, script, seeds):
    """The truth with noise, made by the script's ``make``."""
    spec = importlib.util.spec_from_file_location("noise", script)
    noise = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(noise)
    truth, raw = read_mot(path), noise.read(path)
    for seed in range(seeds):
        out = Path(f"/tmp/track-noise-{seed}.txt")
        noise.make(raw, str(out), seed)
        yield load(f"seed {seed}", truth, read_mot(out))


def folder_inputs(folder, kind):
    for path in sorted(Path(folder).glob("*-gt.txt")):
        for found in sorted(path.parent.glob(path.name.replace("-gt", f"-{kind}*"))):
            yield load(found.stem, read_mot(path), read_mot(found))


def run_ours(name, given, rate=30.0):
    """The id of each box of each frame, 0 for none; frames come ``rate`` a second."""
    tracker, ids = TRACKERS[name](), []
    for frame, boxes, scores in given.frames:
        found = tracker.update(Detections(boxes, scores, np.zeros(len(boxes), int), ("object",)), frame / rate)
        row = np.zeros(len(boxes), int)
        row[found.kept] = found.ids
        ids.append(row)
    return ids


def run_theirs(name, given):
    """The same by the library with its default settings, given the same times.

    Without times it looks for a lost track one frame longer, which on few inputs changes an identity.
    """
    import supervision
    import trackers

    options = {"enable_cmc": False} if name == "BoTSORTTracker" else {}
    tracker, ids = getattr(trackers, name)(**options), []
    for frame, boxes, scores in given.frames:
        row = np.zeros(len(boxes), int)
        if len(boxes):
            detections = supervision.Detections(boxes, confidence=scores, data={"place": np.arange(len(boxes))})
        else:
            detections = supervision.Detections.empty()
        found = tracker.update(detections, timestamp=frame / 30)
        if len(found):
            row[found.data["place"]] = found.tracker_id + 1
        ids.append(row)
    return ids


def score(given, ids):
    """Our figures; tests prove them equal to the library's."""
    kept = [row > 0 for row in ids]
    frames = np.concatenate(
        [np.full(mask.sum(), frame) for (frame, *_), mask in zip(given.frames, kept, strict=True)]
    )
    boxes = np.concatenate([boxes[mask] for (_, boxes, _), mask in zip(given.frames, kept, strict=True)]).astype(
        float
    )
    names = np.concatenate([row[mask] for row, mask in zip(ids, kept, strict=True)])
    truth = given.truth
    counted = truth.scores != 0
    sequence = sequence_of(truth.frames[counted], truth.ids[counted], truth.boxes[counted], frames, names, boxes)
    summary = evaluate_tracks(sequence)
    return [getattr(summary, figure) for figure in FIGURES]


def same_identities(first, second):
    """Whether two runs put the same boxes together."""
    pairs = set(zip(np.concatenate(first).tolist(), np.concatenate(second).tolist(), strict=True)) - {(0, 0)}
    ours, theirs = {a for a, _ in pairs}, {b for _, b in pairs}
    return len(ours) == len(pairs) == len(theirs) and 0 not in ours and 0 not in theirs


def compare(inputs):
    inputs = list(inputs)
    print(f"{len(inputs)} inputs\n{'':24}" + "".join(f"{figure:>17}" for figure in FIGURES))
    runs = {}
    for name in TRACKERS:
        runs["ours", name] = [run_ours(name, given) for given in inputs]
    for peer in [*PEERS.values(), "OCSORTTracker"]:
        runs["trackers", peer] = [run_theirs(peer, given) for given in inputs]
    for (whose, name), results in runs.items():
        table = np.array([score(given, ids) for given, ids in zip(inputs, results, strict=True)])
        error = table.std(axis=0, ddof=1) / len(table) ** 0.5
        line = "".join(
            f"{mean:>9.3f} ± {spread:.3f}" for mean, spread in zip(table.mean(axis=0), error, strict=True)
        )
        print(f"{whose:9}{name:17}{line}", end="")
        if whose == "ours" and name in PEERS:
            same = [same_identities(*pair) for pair in zip(results, runs["trackers", PEERS[name]], strict=True)]
            print(f"   same {sum(same)} of {len(same)}", end="")
        print()


def scene(count, frames, random, size=(1920, 1080)):
    """Frames of ``count`` objects that walk about and are missed now and then, with a few false alarms."""
    place, speed = random.uniform(0, size, (count, 2)), random.normal(0, 3, (count, 2))
    sides = random.uniform(20, 80, (count, 2))
    for _ in range(frames):
        speed += random.normal(0, 0.2, speed.shape)
        place += speed
        out = (place < 0) | (place > size)
        speed[out] *= -1
        seen = random.random(count) > 0.1
        middle = place[seen] + random.normal(0, 0.02, (seen.sum(), 2)) * sides[seen]
        boxes = np.concatenate([middle - sides[seen] / 2, middle + sides[seen] / 2], axis=1).astype(np.float32)
        yield Detections(
            boxes, random.uniform(0.3, 0.95, len(boxes)).astype(np.float32), np.zeros(len(boxes), int), ("object",)
        )


def speed(counts=(5, 50, 500), frames=120):
    print("milliseconds a frame: median, 90th percentile (after the first 20)")
    for name, kind in TRACKERS.items():
        line = f"{name:12}"
        for count in counts:
            tracker, took = kind(), []
            for number, detections in enumerate(scene(count, frames, np.random.default_rng(0))):
                start = time.perf_counter()
                tracker.update(detections, number / 30)
                took.append((time.perf_counter() - start) * 1000)
            line += f"{count:6} objects {np.median(took[20:]):6.2f} {np.percentile(took[20:], 90):6.2f}"
        print(line)


def long(frames=10_000):
    """Objects come and go; ids are never given twice, and the tracks' size in memory, pickled, stays."""
    for name, kind in TRACKERS.items():
        tracker, random, seen, ended, places, sizes = kind(), np.random.default_rng(0), set(), set(), [], []
        for number in range(frames):
            if random.random() < 0.1:
                places.append([random.uniform(0, 1800), random.uniform(0, 1000), random.normal(0, 4), 200])
            places = [[x + v, y, v, left - 1] for x, y, v, left in places if left]
            boxes = np.array([[x, y, x + 60, y + 90] for x, y, *_ in places], np.float32).reshape(-1, 4)
            scores = np.full(len(boxes), 0.8, np.float32)
            found = tracker.update(Detections(boxes, scores, np.zeros(len(boxes), int), ("object",)), number / 30)
            held = set(tracker.held)
            assert set(found.ids.tolist()) <= held, "a track that ended"
            assert not held & ended, "an id came again"
            ended |= seen - held
            seen = held
            if number % 100 == 99:
                sizes.append(len(pickle.dumps(tracker._tracks)) / 1024)
        first, rest = max(sizes[: len(sizes) // 10]), max(sizes)
        ids = f"{len(ended | seen)} ids, none twice"
        print(f"{name:12}{ids}; tracks of at most {first:.0f} KiB in the first tenth, {rest:.0f} in all")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("quality", "sequences", "speed", "long"))
    parser.add_argument("path", nargs="?")
    parser.add_argument("--noise", default="../shared/bench/track_noise.py")
    parser.add_argument("--seeds", type=int, default=20)
    arguments = parser.parse_args()
    if arguments.what == "quality":
        compare(noisy_inputs(arguments.path, arguments.noise, arguments.seeds))
    elif arguments.what == "sequences":
        for kind in ("found", "noise"):
            if inputs := list(folder_inputs(arguments.path, kind)):
                print(kind, end=": ")
                compare(inputs)
    else:
        {"speed": speed, "long": long}[arguments.what]()


if __name__ == "__main__":
    main()
