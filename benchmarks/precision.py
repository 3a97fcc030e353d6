"""What each engine and precision costs in accuracy: AP, and how far boxes and scores move from torch fp32.

    python benchmarks/precision.py --weights W --images DIR --annotations instances.json --int8 W-int8.onnx

Prints the table of docs/explanation/precision.md. AP is pycocotools', validation settings (conf 0.001, IoU 0.7,
several labels an anchor, at most 300), one picture at a time. "Moved" compares detections above 0.25 at predict
settings with torch fp32's: matched greedily by class and IoU over 0.5.
"""

import argparse
import contextlib
import io
import json
import statistics
import time
from pathlib import Path

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lucidbox import Detector, Limits
from lucidbox.core.boxes import pairwise_iou
from lucidbox.core.errors import LucidboxError
from lucidbox.detect.letterbox import batch_shape, fit_validation
from lucidbox.images.reading import read_image

COMBINATIONS = [
    ("torch", "fp32"), ("openvino", "fp32"), ("onnxruntime", "fp32"),
    ("openvino", "bf16"), ("torch", "bf16"), ("openvino", "fp16"),
]  # fmt: skip
VALIDATION = Limits(conf=0.001, iou=0.7, max_det=300, several_labels=True)


def average_precision(truth, results):
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0], evaluation.stats[1]


def moved(reference, found):
    """Largest side movement and score change of each matched detection, and how many found no partner."""
    sides, scores, single = [], [], 0
    for first, second in zip(reference, found, strict=True):
        overlap = pairwise_iou(first.boxes, second.boxes) * (first.classes[:, None] == second.classes)
        for row in range(len(first)):
            partner = int(overlap[row].argmax()) if len(second) else -1
            if partner < 0 or overlap[row, partner] < 0.5:
                single += 1
                continue
            sides.append(float(np.abs(first.boxes[row] - second.boxes[partner]).max()))
            scores.append(float(abs(first.scores[row] - second.scores[partner])))
            overlap[:, partner] = 0
        single += int(len(second) > len(first)) * (len(second) - len(first))
    return sides, scores, single


def measure(weights, engine, precision, images, truth):
    detector = Detector.load(weights, engine=engine, precision=precision)
    results, found, times = [], [], []
    for image_id, image in images.items():
        frame = fit_validation(image.shape[:2], 640, batch_shape([image.shape[:2]], 640))
        results += detector.predictor([image], [frame], VALIDATION)[0].to_coco(image_id)
        found.append(detector(image))
        pixels = detector.predictor.letterbox_for(image.shape[:2]).apply(image)[None]
        started = time.perf_counter()
        detector.engine(pixels)
        times.append((time.perf_counter() - started) * 1000)
    ap, ap50 = average_precision(truth, results)
    return ap, ap50, len(results), found, statistics.median(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--annotations", required=True, type=Path)
    parser.add_argument(
        "--int8", help="the same weights after: lucidbox export WEIGHTS --to onnx --precision int8"
    )
    arguments = parser.parse_args()
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(arguments.annotations))
    entries = json.loads(arguments.annotations.read_text())["images"]
    images = {entry["id"]: read_image(arguments.images / entry["file_name"]) for entry in entries}
    print("| engine | precision | AP | AP50 | detections | AP lost | box moved, px: median / 99 % / max "
          "| score moved: 99 % / max | unmatched | ms, engine alone |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    reference = None
    rows = [(arguments.weights, *combination) for combination in COMBINATIONS]
    if arguments.int8:
        rows += [(arguments.int8, engine, "int8") for engine in ("openvino", "onnxruntime")]
    for weights, engine, precision in rows:
        try:
            ap, ap50, count, found, milliseconds = measure(weights, engine, precision, images, truth)
        except LucidboxError as error:
            print(f"| {engine} | {precision} | not on offer: {error} |||||||")
            continue
        if reference is None:
            reference = (ap, found)
        sides, scores, single = moved(reference[1], found)
        print(
            f"| {engine} | {precision} | {ap:.4f} | {ap50:.4f} | {count} | {reference[0] - ap:+.4f}"
            f" | {np.median(sides):.3f} / {np.percentile(sides, 99):.2f} / {max(sides):.2f}"
            f" | {np.percentile(scores, 99):.4f} / {max(scores):.4f} | {single} of {sum(map(len, reference[1]))}"
            f" | {milliseconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
