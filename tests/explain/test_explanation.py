import copy
import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from explainable import Unmoved, assert_same, know_few_shares, state
from lucidbox import Detector, weights
from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.draw.showing import as_jpeg
from lucidbox.explain import METHODS, Effort, Masking, explain, explain_each
from lucidbox.explain.explanation import Explanation, explain_targets
from lucidbox.explain.faithfulness import map_overlap, share_inside
from lucidbox.explain.methods import heat_maps
from lucidbox.explain.targets import target_at
from models import NAMES, lively_network

QUICK, FEW = Masking(masks=24), Effort(steps=2, inferences=70)
GRADIENT = [name for name, method in METHODS.items() if method.heat is not None]


@pytest.fixture(autouse=True)
def few_shares(monkeypatch):
    know_few_shares(monkeypatch)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_a_map_of_the_pictures_own_size(method, small):
    network, detector, picture, found = small
    why = explain(detector, picture, found[0], method=method, network=network, masking=QUICK, effort=FEW)
    assert why.heatmap.shape == picture.shape[:2]
    assert why.heatmap.dtype == np.float32
    assert why.heatmap.min() >= 0
    # Grad-CAM's weighted sum may rightly be against the score everywhere.
    assert why.heatmap.max() == 1 or (why.is_empty and method.startswith("gradcam"))
    figures = why.faithfulness
    assert 0 <= figures.inside <= 1
    assert figures.deletion >= 0
    assert figures.insertion >= 0
    assert (figures.randomised is None) == (METHODS[method].heat is None)
    assert why.to_dict()["method"] == method
    assert why.draw().dtype == np.uint8


@pytest.mark.parametrize("method", METHODS)
def test_together_as_alone(method, small):
    network, detector, picture, found = small
    together = explain_each(
        detector, picture, found[:2], method=method, network=network, masking=QUICK, effort=FEW
    )
    for one, why in zip(found[:2], together, strict=True):
        alone = explain(detector, picture, one, method=method, network=network, masking=QUICK, effort=FEW)
        assert np.allclose(alone.heatmap, why.heatmap, atol=1e-4)
        assert why.detection == one


def test_sides_differ_from_the_score_and_from_one_another(small):
    network, detector, picture, found = small
    maps = [
        explain(
            detector, picture, found[0], method="odam", side=side, network=network, layer="backbone.mix_p3"
        ).heatmap
        for side in (None, "left", "top", "right", "bottom")
    ]
    for index, one in enumerate(maps):
        assert one.max() > 0
        assert all(np.abs(one - other).max() > 0.05 for other in maps[:index])


def test_shuffled_weights_are_asked_once_for_all(small, monkeypatch):
    from lucidbox.explain import hooks

    network, detector, picture, found = small
    calls, real = [], hooks.shuffled
    monkeypatch.setattr(hooks, "shuffled", lambda one: calls.append(1) or real(one))
    together = explain_each(detector, picture, found[:2], network=network)
    figures = [one.faithfulness.randomised for one in together]
    assert calls == [1]
    alone = [explain(detector, picture, one, network=network).faithfulness.randomised for one in found[:2]]
    assert figures == pytest.approx(alone, abs=1e-4)


def test_a_layer_by_name(small):
    network, detector, picture, found = small
    fine = explain(detector, picture, found[0], method="odam", layer="backbone.mix_p2", network=network)
    coarse = explain(detector, picture, found[0], method="odam", layer="backbone.mix_p4", network=network)
    assert fine.heat.shape == tuple(4 * side for side in coarse.heat.shape)


def test_two_anchors_are_explained_by_two_places(small):
    """ODAM where the head reads: anchors of P3 in opposite corners share nothing; Eigen-CAM's map is one."""
    network, detector, picture, found = small
    raw = detector.predictor.infer([picture])[0].copy()
    targets = [target_at(raw, anchor, 0) for anchor in (21, 16 * 20 - 22)]
    maps = {
        method: explain_targets(
            detector.predictor,
            raw,
            [found[0]] * 2,
            targets,
            method=method,
            layer="neck.top_down_p3",
            network=network,
        )
        for method in ("odam", "eigencam")
    }
    small_boxes = [dataclasses.replace(target, box=(0.0, 0.0, 8.0, 8.0)) for target in targets]
    one, other = (
        made.heat for made in heat_maps("odam", detector.predictor, raw, small_boxes, network, "neck.top_down_p3")
    )
    assert one.max() > 0
    assert other.max() > 0
    assert map_overlap(one, other) == 0
    assert map_overlap(maps["eigencam"][0].heatmap, maps["eigencam"][1].heatmap) == pytest.approx(1)


@pytest.fixture
def training(small):
    """The small network in the middle of its training: other modes, gradients, a hook of its owner."""
    network = copy.deepcopy(small[0]).train()
    network(torch.rand(2, 3, 64, 64)).classes.mean().backward()
    network.neck.eval()
    network.backbone.mix_p3.register_forward_hook(lambda *_: pytest.fail("the owner's hook ran"))
    return network


@pytest.mark.parametrize("method", GRADIENT)
def test_nothing_about_the_network_changes(method, small, training):
    _, detector, picture, found = small
    before = state(training)
    assert explain(detector, picture, found[0], method=method, network=training).faithfulness.deletion >= 0
    assert_same(before, state(training))


class Broken:
    name, precision = "broken", "fp32"

    def __call__(self, images):
        raise RuntimeError("halfway")


def test_nothing_changes_after_an_error_in_two_threads(small, training):
    """One thread explains while the other's layer does not exist, and while an engine fails halfway."""
    _, detector, picture, found = small
    before = state(training)
    why = explain(detector, picture, found[0], network=training)
    why = dataclasses.replace(why, predictor=dataclasses.replace(why.predictor, engine=Broken()))

    def work(number):
        if number % 3 == 0:
            return explain(detector, picture, found[0], network=training).heatmap.shape
        if number % 3 == 1:
            with pytest.raises(OptionError, match="no single map"):
                explain(detector, picture, found[0], network=training, layer="neck")
        else:
            with pytest.raises(RuntimeError, match="halfway"):
                _ = why.faithfulness
        return None

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, range(6))) == [picture.shape[:2], None, None] * 2
    assert_same(before, state(training))


@pytest.mark.parametrize("method", GRADIENT)
def test_an_engine_alone_is_told_what_works(method, small, small_onnx):
    _, _, picture, _ = small
    detector = Detector.load(small_onnx, engine="onnxruntime", size=160)
    detector.weights = None
    with pytest.raises(OptionError, match=r"only an engine.*on any engine: search, drise"):
        explain(detector, picture, detector(picture)[0], method=method)


def test_drise_works_on_any_engine(small, small_onnx):
    _, _, picture, _ = small
    detector = Detector.load(small_onnx, engine="onnxruntime", size=160)
    assert not explain(detector, picture, detector(picture)[0], method="drise", masking=QUICK).is_empty


@pytest.mark.parametrize("which", ["weights", "onnx"])
def test_a_detector_that_knows_its_file_needs_no_network(which, small, small_weights, small_onnx):
    """Our ONNX files are read back as weights, so gradient methods work with them too."""
    network, detector, picture, found = small
    knowing = Detector(detector.engine, detector.names, size=detector.size)
    knowing.weights = small_weights if which == "weights" else small_onnx
    given = explain(detector, picture, found[0], network=network).heatmap
    assert np.allclose(explain(knowing, picture, found[0]).heatmap, given, atol=1e-3)


def test_a_weights_file_that_is_gone_or_no_network(small, tmp_path):
    _, detector, picture, found = small
    knowing = Detector(detector.engine, detector.names, size=detector.size)
    knowing.weights = tmp_path / "gone.pt"
    with pytest.raises(OptionError, match=r"gone\.pt: cannot be read again"):
        explain(knowing, picture, found[0])
    knowing.weights.write_bytes(b"\x08\x07 no weights")
    with pytest.raises(
        OptionError, match=r"gone\.pt.*method odam-box needs the network itself, on any engine: search, drise"
    ):
        explain(knowing, picture, found[0])


def test_without_torch_the_extra_and_the_other_method_are_named(small, small_weights, monkeypatch):
    from lucidbox.explain import methods

    def missing(*_):
        raise ImportError("No module named 'torch'")

    _, detector, picture, found = small
    knowing = Detector(detector.engine, detector.names, size=detector.size)
    knowing.weights = small_weights
    monkeypatch.setattr(methods, "_read_network", missing)
    with pytest.raises(
        OptionError, match=r"needs torch: pip install 'lucidbox\[train\]'; on any engine: search, drise"
    ):
        explain(knowing, picture, found[0])
    assert len(explain(knowing, picture, found[0], method="drise", masking=QUICK).heatmap) == len(picture)


def test_the_notebook_network_is_explained_too(tmp_path):
    network = lively_network("notebook", base_channels=4)
    weights.write(
        weights.from_network(network, NAMES, licence="CC0-1.0", provenance="random"), tmp_path / "n.safetensors"
    )
    detector = Detector.load(tmp_path / "n.safetensors", engine="torch", precision="fp32", size=160)
    picture = np.random.default_rng(0).integers(0, 256, (96, 150, 3), dtype=np.uint8)
    found = detector(picture, conf=0.01)
    for method in GRADIENT:
        why = explain(detector, picture, found[0], method=method)
        assert why.heatmap.shape == (96, 150)
        assert why.heatmap.max() == 1 or method.startswith("gradcam")


def test_unknown_methods_and_useless_options(small):
    network, detector, picture, found = small
    with pytest.raises(OptionError, match=r"choose one of .*odam.*drise"):
        explain(detector, picture, found[0], method="lime", network=network)
    with pytest.raises(OptionError, match="cannot explain one side"):
        explain(detector, picture, found[0], method="eigencam", side="left", network=network)
    with pytest.raises(OptionError, match="looks at no layer"):
        explain(detector, picture, found[0], method="drise", layer="neck", network=network)
    with pytest.raises(OptionError, match=r"did you mean .*backbone\.mix_p3"):
        explain(detector, picture, found[0], layer="backbone.mix_p33", network=network)


def test_no_detections(small):
    network, detector, picture, found = small
    with pytest.raises(OptionError, match="no detections to explain"):
        explain_each(detector, picture, found[:0], network=network)


ODD = [("one colour", method) for method in METHODS] + [
    (kind, method) for kind in ("grey", "8 pixels") for method in ("odam", "drise")
]


@pytest.mark.parametrize(("kind", "method"), ODD)
def test_odd_pictures(method, kind, small):
    network, detector, picture, _ = small
    odd = {
        "one colour": np.full((64, 96, 3), 200, np.uint8),
        "grey": np.random.default_rng(1).integers(0, 256, (64, 96), dtype=np.uint8),
        "8 pixels": picture[:8, :8].copy(),
    }[kind]
    found = detector(odd, conf=1e-6)[:1]
    assert len(found) == 1
    why = explain(detector, odd, found, method=method, network=network, masking=QUICK, effort=FEW)
    assert why.heatmap.shape == odd.shape[:2]
    assert np.isfinite(why.heatmap).all()
    assert np.isfinite(dataclasses.astuple(dataclasses.replace(why.faithfulness, randomised=0.0))).all()
    assert why.draw().shape[2] == 3


def test_an_empty_map_says_so_instead_of_dividing_by_zero(small):
    """An engine that never changes its mind has no reasons."""
    detector = Detector(Unmoved((10, 10, 40, 40)), ("a", "b"), size=(64, 64))
    picture = np.zeros((64, 64, 3), np.uint8)
    why = explain(detector, picture, detector(picture)[0], method="drise", masking=QUICK)
    silent = Explanation(
        why.detection, "drise", (), why.target, why.predictor, why.raw, np.zeros((64, 64), np.float32)
    )
    assert silent.is_empty
    assert silent.faithfulness.inside == 0
    assert not silent.faithfulness.pointing
    assert "the map is empty" in silent.captions()[1]


def test_a_score_next_to_nothing_is_told_by_its_power_of_ten(small):
    network, detector, picture, _ = small
    raw = detector.predictor.infer([picture])[0].copy()
    faint = Detections(np.array([[1, 1, 9, 9]], np.float32), np.array([2e-6], np.float32), np.array([0]), NAMES)
    (why,) = explain_targets(detector.predictor, raw, [faint], [target_at(raw, 7, 0)], network=network)
    assert why.captions()[0].startswith("red 2e-06: not above 0.25")


def test_paths_and_arrays_are_the_same_picture(small, tmp_path):
    from PIL import Image

    network, detector, picture, found = small
    Image.fromarray(picture).save(tmp_path / "noise.png")
    one = explain(detector, tmp_path / "noise.png", found[0], network=network)
    for same, color in ((picture, "rgb"), (Image.fromarray(picture), "rgb"), (picture[..., ::-1], "bgr")):
        other = explain(detector, same, found[0], network=network, color=color)
        assert np.array_equal(one.heatmap, other.heatmap)


def test_faithfulness_by_hand(small):
    network, detector, picture, found = small
    why = explain(detector, picture, found[0], network=network)
    assert why.faithfulness.inside == pytest.approx(share_inside(why.heatmap, found.boxes[0].tolist()))
    assert why.faithfulness is why.faithfulness  # computed once
    assert isinstance(why.detection, Detections)


def test_an_explanation_shows_its_panel(small, monkeypatch):
    network, detector, picture, found = small
    why = explain(detector, picture, found[0], network=network)
    shown = []
    monkeypatch.setattr("lucidbox.explain.explanation.show", shown.append)
    why.show()
    assert np.array_equal(shown[0], why.draw())
    assert why._repr_jpeg_() == as_jpeg(why.draw())
