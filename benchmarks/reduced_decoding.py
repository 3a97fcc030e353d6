"""Reduced-size JPEG decoding: what it saves with large photos, and what it costs in boxes.

    python benchmarks/reduced_decoding.py --weights W --images DIR --annotations instances.json

Time: the first pictures enlarged to 12 megapixels, a stream of them with and without, in turn. Boxes: the pictures
themselves at network size 320, so that those of 640 pixels are decoded by half.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from lucidbox import Detector, Limits
from lucidbox.cli.annotations import read_annotations
from lucidbox.evaluate import CocoEvaluator
from lucidbox.sources import open_sources
from lucidbox.validate.inference import LIMITS, files_of
from lucidbox.validate.parity import Collector


def speed(detector, files, rounds):
    """Milliseconds a picture of a stream: whole and in part."""
    with tempfile.TemporaryDirectory() as folder:
        for path in files:
            image = cv2.imread(str(path))
            sides = (4000, 3000) if image.shape[1] > image.shape[0] else (3000, 4000)
            large = cv2.resize(image, sides, interpolation=cv2.INTER_CUBIC)
            cv2.imwrite(str(Path(folder) / path.name), large, [cv2.IMWRITE_JPEG_QUALITY, 90])
        times = {None: [], detector.size: []}
        for turn in range(rounds + 1):
            for within, values in times.items():
                started = time.perf_counter()
                for _ in detector.stream(open_sources(folder, reduced_within=within)):
                    pass
                if turn:
                    values.append((time.perf_counter() - started) * 1000 / len(files))
    return [np.median(values) for values in times.values()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--annotations", required=True, type=Path)
    arguments = parser.parse_args()
    truth = read_annotations(arguments.annotations)[0]
    files = files_of(truth, arguments.images)
    whole, part = speed(Detector.load(arguments.weights), list(files.values())[:24], 3)
    print(
        f"12 megapixels, network size 640: {whole:.1f} ms a picture whole, {part:.1f} in part: {part / whole:.2f}"
    )

    detector = Detector.load(arguments.weights, size=320, precision="fp32")
    collector, evaluators = Collector(Limits(), 0.01), [CocoEvaluator(truth), CocoEvaluator(truth)]
    for image_id, path in files.items():
        answers = []
        for within, evaluator in zip((None, detector.size), evaluators, strict=True):
            (picture,) = open_sources(path, reduced_within=within)
            frame = detector.predictor.letterbox_for(picture.size)
            evaluator.add(image_id, detector.predictor([picture.pixels], [frame], LIMITS)[0])
            answers.append(detector(picture))
        collector.add(*answers)
    aps = [evaluator.summary().stats[0] for evaluator in evaluators]
    print(f"network size 320: AP {aps[0]:.4f} whole, {aps[1]:.4f} in part")
    print(collector.parity(None))


if __name__ == "__main__":
    main()
