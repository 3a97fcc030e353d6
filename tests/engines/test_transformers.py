"""Detectors of Hugging Face's transformers, exported by torch: our boxes are those of a plain run."""

import warnings

import numpy as np
import pytest

from lucidbox import Detector

transformers = pytest.importorskip("transformers", reason="a peer: pip install transformers, to compare with it")
torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow

SIDE = 256
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def resnet():
    return {
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone": None,
        "backbone_config": transformers.ResNetConfig(depths=[1, 1, 1, 1], out_features=["stage4"]),
    }


def rtdetr():
    settings = transformers.RTDetrConfig(num_labels=5, num_queries=50, decoder_layers=2)
    return transformers.RTDetrForObjectDetection(settings), False


def detr():
    return transformers.DetrForObjectDetection(transformers.DetrConfig(num_labels=5, **resnet())), True


def yolos():
    sizes = {"hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 3, "intermediate_size": 192}
    settings = transformers.YolosConfig(num_labels=5, image_size=[SIDE, SIDE], num_detection_tokens=30, **sizes)
    return transformers.YolosForObjectDetection(settings), True


class Exported(torch.nn.Module):
    """The two outputs that their own exports have."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, pixel_values):
        found = self.network(pixel_values=pixel_values)
        return found.logits, found.pred_boxes


@pytest.mark.parametrize("make", [rtdetr, detr, yolos])
def test_boxes_are_those_of_a_plain_run(make, tmp_path):
    torch.manual_seed(0)
    network, by_mean = make()
    network.eval()
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    values = (image / 255 - MEAN) / DEVIATION if by_mean else image / 255
    pixels = torch.from_numpy(values.astype(np.float32)).permute(2, 0, 1)[None]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Exported(network), (pixels,), tmp_path / "theirs.onnx", dynamo=True, external_data=False,
            input_names=["pixel_values"], output_names=["logits", "pred_boxes"], opset_version=18,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(tmp_path / "theirs.onnx", providers=["CPUExecutionProvider"])
    logits, centred = (answer[0] for answer in session.run(None, {"pixel_values": pixels.numpy()}))
    if by_mean:  # softmax, the last column the background's
        shares = np.exp(logits - logits.max(1, keepdims=True))
        scores = (shares / shares.sum(1, keepdims=True))[:, :-1]
    else:
        scores = 1 / (1 + np.exp(-logits))
    middle, sides = centred[:, :2], centred[:, 2:]
    boxes = np.concatenate([middle - sides / 2, middle + sides / 2], 1) * SIDE
    detector = Detector.load(
        tmp_path / "theirs.onnx",
        names=[f"class {row}" for row in range(5)],
        conf=0.001,
        max_det=1000,
        engine="onnxruntime",
    )
    found = detector(image)
    best = scores.argmax(1)
    kept = np.flatnonzero(scores.max(1) >= 0.001)
    order = kept[np.argsort(-scores.max(1)[kept], kind="stable")]
    assert len(found.scores) == len(order) > 20
    np.testing.assert_allclose(found.scores, scores.max(1)[order], atol=2e-4)
    for score, box, label in zip(found.scores, found.boxes, found.classes, strict=True):
        near = np.abs(scores[np.arange(len(best)), best] - score) < 2e-4
        assert any(
            np.abs(np.clip(boxes[row], 0, SIDE) - box).max() < 0.3 and best[row] == label
            for row in np.flatnonzero(near)
        )
