"""Tiles of ours beside SAHI's: the same network, tiles and overlap, in one run.

    pip install sahi
    python benchmarks/composites.py --annotations instances.json --images DIR --out composites
    python benchmarks/tiles_sahi.py --weights yolo11n.onnx --data composites

SAHI (MIT) runs our own detector through a thin ``DetectionModel``, one tile after the other, and the whole image
once more, as it does by default. Images are decoded once for both, and the two alternate. Boxes are put together
by its defaults (GREEDYNMM, intersection over the smaller box, 0.5) and, to see whether that would be better, by
its NMS (IoU 0.5). No way has a limit on boxes, since SAHI has none for an image. Prints AP of the whole images, of
ours and of theirs with paired bootstrap intervals, and times: on the clock and of the processor.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from sahi.models.base import DetectionModel
from sahi.predict import get_sliced_prediction
from sahi.prediction import ObjectPrediction

from lucidbox import Detections, Detector
from lucidbox.cli.annotations import read_annotations
from lucidbox.cli.evaluate.report import comparison_table
from lucidbox.evaluate import CocoEvaluator
from lucidbox.evaluate.analysis.sizes_compared import compare_sizes
from lucidbox.images.reading import read_image
from lucidbox.validate.inference import files_of

POSTPROCESSING = {"sahi": ("GREEDYNMM", "IOS"), "sahi nms": ("NMS", "IOU")}


class OurModel(DetectionModel):
    """Our detector as SAHI calls models."""

    def set_device(self, device=None):
        self.device = "cpu"

    def set_model(self, model, **kwargs):
        self.model, self.limits = model, {}
        self.category_mapping = {str(row): name for row, name in enumerate(model.names)}

    def perform_inference(self, image):
        self._original_predictions = self.model(image, **self.limits)

    def _create_object_prediction_list_from_original_predictions(
        self, shift_amount_list=None, full_shape_list=None
    ):
        shift = shift_amount_list[0] if np.ndim(shift_amount_list) == 2 else shift_amount_list
        full = (
            full_shape_list[0]
            if full_shape_list is not None and np.ndim(full_shape_list) == 2
            else full_shape_list
        )
        found = self._original_predictions
        self._object_prediction_list_per_image = [
            [
                ObjectPrediction(box, label, found.names[label], None, score, shift, full)
                for box, label, score in zip(
                    found.boxes.tolist(), found.classes.tolist(), found.scores.tolist(), strict=True
                )
                if box[2] > box[0] and box[3] > box[1]
            ]
        ]


def theirs(model, image, options, postprocess):
    kind, metric = POSTPROCESSING[postprocess]
    result = get_sliced_prediction(
        image, model, options.tiles, options.tiles, options.overlap, options.overlap, postprocess_type=kind,
        postprocess_match_metric=metric, postprocess_match_threshold=0.5, force_postprocess_type=True, verbose=0,
    )  # fmt: skip
    found = result.object_prediction_list
    boxes = np.array([one.bbox.to_xyxy() for one in found], np.float32).reshape(-1, 4)
    scores = np.array([one.score.value for one in found], np.float32)
    labels = np.array([one.category.id for one in found], np.int64)
    return Detections(boxes, scores, labels, tuple(model.model.names))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--data", required=True, type=Path, help="what composites.py has written")
    parser.add_argument("--tiles", type=int, default=640)
    parser.add_argument("--overlap", type=float, default=0.2)
    parser.add_argument("--conf", type=float, default=0.001)
    parser.add_argument("--most", type=int, help="images to take (default: all)")
    parser.add_argument("--rounds", type=int, default=1, help="how often times are taken")
    options = parser.parse_args()
    truth = read_annotations(options.data / "instances.json")[0]
    detector = Detector.load(options.weights)
    model = OurModel(model=detector, confidence_threshold=0.0)
    model.limits = limits = {"conf": options.conf, "several_labels": options.conf < 0.05, "max_det": 100_000}
    ways = {
        "whole": lambda image: detector(image, **limits),
        "ours": lambda image: detector(image, tiles=options.tiles, tile_overlap=options.overlap, **limits),
        "sahi": lambda image: theirs(model, image, options, "sahi"),
        "sahi nms": lambda image: theirs(model, image, options, "sahi nms"),
    }
    evaluators, times = {name: CocoEvaluator(truth) for name in ways}, {name: [] for name in ways}
    busy = {name: [] for name in ways}
    counts = dict.fromkeys(ways, 0)
    files = list(files_of(truth, options.data).items())[: options.most]
    for way in ways.values():  # what is made at first use is made here
        way(read_image(files[0][1]))
    for image_id, path in files:
        image = read_image(path)
        for turn in range(options.rounds):
            for name, way in ways.items():
                started, processor = time.perf_counter(), time.process_time()
                found = way(image)
                busy[name].append((time.process_time() - processor) * 1000)
                times[name].append((time.perf_counter() - started) * 1000)
                if turn == 0:
                    evaluators[name].add(image_id, found)
                    counts[name] += len(found)
    found = {name: evaluator.predictions() for name, evaluator in evaluators.items()}
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, middle in medians.items():
        ratio, used = medians["ours"] / middle, statistics.median(busy[name])
        print(
            f"{name:9} {middle:8.1f} ms an image (median), ours / {name}: {ratio:.2f};"
            f" processor {used:8.1f} ms; {counts[name]} boxes"
        )
    for first, second in (("whole", "ours"), ("sahi", "ours"), ("sahi nms", "ours")):
        print()
        print(
            comparison_table(compare_sizes(truth, found[first], found[second]), 1000, len(files), (first, second))
        )


if __name__ == "__main__":
    main()
