"""Selection and suppression, beside a plain torch loop as a notebook writes it.

    python benchmarks/suppression.py

8400 anchors, 80 classes. "3,000" has one class above the threshold at 3,000 anchors; "30,000" has 30,000 pairs
of anchor and class (validation's several labels). Spread: boxes anywhere. Clustered: around 30 objects, as
networks answer. Medians of 30 runs, the two alternating; at most 300 boxes are kept.
"""

import argparse
import statistics
import time

import numpy as np

from lucidbox.detect.nms import Limits, detect, select

ANCHORS, CLASSES = 8400, 80


def problem(count, clustered, random):
    """Boxes and scores with exactly ``count`` scores above 0.25."""
    scores = random.random((ANCHORS, CLASSES), dtype=np.float32) * 0.2
    if count <= ANCHORS:
        rows = random.choice(ANCHORS, count, replace=False)
        places = rows * CLASSES + random.integers(0, CLASSES, count)
    else:
        places = random.choice(scores.size, count, replace=False)
    scores.reshape(-1)[places] = 0.3 + 0.69 * random.random(count, dtype=np.float32)
    centres = random.random((ANCHORS, 2)) * 640
    sides = 20 + random.random((ANCHORS, 2)) ** 2 * 200
    boxes = np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
    if clustered:
        boxes = boxes[random.integers(0, 30, ANCHORS)] + random.normal(0, 4, (ANCHORS, 4))
    return boxes.astype(np.float32), scores


def torch_loop(boxes, scores, several, iou=0.7, conf=0.25, most=300):
    """One class after the other, one box after the other, in torch."""
    import torch

    boxes, scores = torch.from_numpy(boxes), torch.from_numpy(scores)
    if several:
        anchors, classes = torch.nonzero(scores > conf, as_tuple=True)
        values = scores[anchors, classes]
    else:
        values, classes = scores.max(dim=1)
        anchors = torch.nonzero(values > conf)[:, 0]
        values, classes = values[anchors], classes[anchors]
    chosen = boxes[anchors]
    kept = []
    for label in classes.unique():
        rows = torch.nonzero(classes == label)[:, 0]
        rows = rows[values[rows].argsort(descending=True)]
        while len(rows):
            best, rows = rows[0], rows[1:]
            kept.append(int(best))
            low = torch.maximum(chosen[best, :2], chosen[rows, :2])
            high = torch.minimum(chosen[best, 2:], chosen[rows, 2:])
            overlap = (high - low).clamp(min=0).prod(dim=1)
            area = (chosen[rows, 2:] - chosen[rows, :2]).prod(dim=1)
            union = (chosen[best, 2:] - chosen[best, :2]).prod() + area - overlap
            rows = rows[overlap / union <= iou]
    order = values[kept].argsort(descending=True)[:most]
    return len(order)


def milliseconds(function):
    started = time.perf_counter()
    result = function()
    return (time.perf_counter() - started) * 1000, result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    arguments = parser.parse_args()
    random = np.random.default_rng(0)
    print("| candidates | boxes | select, ms | select + suppress, ms | torch loop, ms | ratio |")
    print("|---|---|---|---|---|---|")
    for count in (3_000, 30_000):
        for clustered in (False, True):
            boxes, scores = problem(count, clustered, random)
            limits = Limits(several_labels=count > ANCHORS)
            ours, first, theirs = [], [], []
            for run in range(arguments.runs):
                first.append(milliseconds(lambda: select(scores, limits))[0])  # noqa: B023
                ours.append(milliseconds(lambda: detect(boxes, scores, limits))[0])  # noqa: B023
                if run < 3:
                    theirs.append(milliseconds(lambda: torch_loop(boxes, scores, limits.several_labels))[0])  # noqa: B023
            mean, loop = statistics.median(ours), statistics.median(theirs)
            print(
                f"| {count:,} | {'clustered' if clustered else 'spread'} | {statistics.median(first):.2f}"
                f" | {mean:.2f} | {loop:.0f} | {loop / mean:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
