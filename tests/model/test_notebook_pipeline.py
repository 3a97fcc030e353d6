"""The seed's decode_predictions and detect, through our one path: decoder, select, suppress."""

import numpy as np
import pytest
import torch

from lucidbox.detect.nms import Limits, detect, select
from lucidbox.model import Detecting

CLASSES = [80, 5]
SEED_CLAMP = 640  # detect() of the seed clamps to this whatever the input; ours clips to the picture in restore


@pytest.fixture
def decoded(golden_notebook):
    """Function from classes to boxes and scores of both golden pictures."""

    def make(classes):
        network, reference = golden_notebook(classes, "-cal")
        with torch.inference_mode():
            found = Detecting(network)(torch.from_numpy(reference["x"]))
        return found.boxes.numpy(), found.scores.numpy()

    return make


def by_anchor(found):
    """The seed lists candidates in anchor order, ours come best first."""
    return np.argsort(found.anchors)


@pytest.mark.parametrize("classes", CLASSES)
def test_decoding_at_every_threshold(classes, decoded, golden_file):
    boxes, scores = decoded(classes)
    golden = np.load(golden_file(f"notebook/decode-nc{classes}.npz"))
    prefixes = sorted({key.rsplit("/", 1)[0] for key in golden if key.startswith("size")})
    assert len(prefixes) == 2 * len(golden["conf_thresholds"]) * 2
    for prefix in prefixes:
        size, conf, image = (part.lstrip("sizeconfmag") for part in prefix.split("/"))
        found = select(scores[int(image)], Limits(conf=float(conf)))
        order = by_anchor(found)
        clamped = boxes[int(image)][found.anchors[order]].clip(0, int(size))
        assert found.classes[order].tolist() == golden[f"{prefix}/class_ids"].tolist(), prefix
        assert np.abs(found.scores[order] - golden[f"{prefix}/scores"]).max(initial=0) < 1e-5
        assert np.abs(clamped - golden[f"{prefix}/boxes"]).max(initial=0) < 1e-3


@pytest.mark.parametrize("classes", CLASSES)
def test_end_to_end_detection(classes, decoded, golden_file):
    boxes, scores = decoded(classes)
    golden = np.load(golden_file(f"notebook/detect-nc{classes}.npz"))
    prefixes = sorted({key.rsplit("/", 1)[0] for key in golden if key.startswith("image")})
    assert len(prefixes) >= 10
    for prefix in prefixes:
        image, conf, iou = (part.lstrip("imageconfu") for part in prefix.split("/"))
        limits = Limits(conf=float(conf), iou=float(iou), max_det=8400)
        # The seed clamps before suppression, so its IoUs are those of clamped boxes.
        kept_boxes, kept = detect(boxes[int(image)].clip(0, SEED_CLAMP), scores[int(image)], limits)
        assert kept.classes.tolist() == golden[f"{prefix}/class_ids"].tolist(), prefix
        assert np.abs(kept.scores - golden[f"{prefix}/scores"]).max(initial=0) < 1e-5
        assert np.abs(kept_boxes - golden[f"{prefix}/boxes"]).max(initial=0) < 1e-3
