"""pycocotools, run on our arrays."""

import contextlib
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from lucidbox.evaluate import Predictions, Protocol, Truth


def pycocotools_objects(truth: Truth, predictions: Predictions):
    """Its two objects built by hand: its loader refuses an empty list of detections."""
    images = [{"id": one} for one in truth.image_ids.tolist()]
    categories = [{"id": one} for one in truth.category_ids.tolist()]
    annotations = [
        {"id": number, "image_id": image, "category_id": category, "bbox": box, "area": area, "iscrowd": crowd}
        for number, image, category, box, area, crowd in zip(
            truth.annotation_ids.tolist(),
            truth.image_ids[truth.images].tolist(),
            truth.category_ids[truth.categories].tolist(),
            truth.boxes_xywh.tolist(),
            truth.areas.tolist(),
            truth.crowds.astype(int).tolist(),
            strict=True,
        )
    ]
    detections = [
        {"id": number, "image_id": image, "category_id": category, "bbox": box, "score": score,
         "area": box[2] * box[3], "iscrowd": 0}
        for number, (image, category, box, score) in enumerate(
            zip(
                predictions.image_ids.tolist(),
                predictions.category_ids.tolist(),
                predictions.boxes_xywh.tolist(),
                predictions.scores.tolist(),
                strict=True,
            ),
            start=1,
        )
    ]  # fmt: skip
    built = []
    for rows in (annotations, detections):
        coco = COCO()
        coco.dataset = {"images": images, "categories": categories, "annotations": rows}
        coco.createIndex()
        built.append(coco)
    return built


def pycocotools_evaluation(truth: Truth, predictions: Predictions, protocol: Protocol | None = None) -> COCOeval:
    """Evaluated, accumulated and, under COCO's own protocol, summarised."""
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation = COCOeval(*pycocotools_objects(truth, predictions), "bbox")
        if protocol is not None:
            evaluation.params.iouThrs = np.array(protocol.iou_thresholds)
            evaluation.params.recThrs = np.array(protocol.recall_points)
            evaluation.params.areaRng = [[area.low, area.high] for area in protocol.areas]
            evaluation.params.areaRngLbl = [area.name for area in protocol.areas]
            evaluation.params.maxDets = list(protocol.max_detections)
            evaluation.params.useCats = int(not protocol.class_agnostic)
            if protocol.classes is not None:
                evaluation.params.catIds = list(protocol.classes)
        evaluation.evaluate()
        evaluation.accumulate()
        if protocol is None:
            evaluation.summarize()
    return evaluation


def assert_equal_to_pycocotools(summary, evaluation: COCOeval) -> None:
    """Curves equal to 1e-9, and the twelve numbers where pycocotools gives them."""
    for name in ("precision", "recall", "scores"):
        expected = evaluation.eval[name]
        np.testing.assert_allclose(getattr(summary.curves, name), expected, rtol=0, atol=1e-9, err_msg=name)
    if len(evaluation.stats):
        np.testing.assert_allclose(summary.stats, evaluation.stats, rtol=0, atol=1e-9)
