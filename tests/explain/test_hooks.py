"""The network is left exactly as found, whatever happens."""

import threading

import numpy as np
import pytest
import torch

from explainable import assert_same, state
from lucidbox.core.errors import OptionError
from lucidbox.explain.hooks import landmarks, record, shuffled, twin
from lucidbox.explain.targets import Target
from lucidbox.model import fuse
from lucidbox.model.network import Logits
from models import lively_network

PIXELS = np.random.default_rng(1).integers(0, 256, (96, 160, 3), dtype=np.uint8)


@pytest.fixture
def network():
    """In training mode, with gradients in it, one frozen parameter, and a hook of its owner."""
    network = lively_network().train()
    network.zero_grad()
    network(torch.rand(2, 3, 64, 64)).classes.mean().backward()
    network.backbone.stem.conv.weight.requires_grad_(False)
    network.neck.eval()
    return network


def test_everything_is_left_as_found(network):
    before = state(network)
    recording = record(network, PIXELS, landmarks(network).levels)
    for anchor, layer in ((0, "neck.top_down_p3"), (5, "neck.top_down_p3"), (-1, "neck.bottom_up_p5")):
        score = recording.score(Target(anchor, 1, (0, 0, 1, 1)))
        assert np.abs(recording.gradients(score, layer)).max() > 0
    assert_same(before, state(network))


def test_everything_is_left_as_found_after_an_error(network, monkeypatch):
    before = state(network)
    with pytest.raises(OptionError, match="puts out no single map"):
        record(network, PIXELS, ["neck"])
    monkeypatch.setattr(type(network.head), "forward", lambda self, features: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        record(network, PIXELS, ["backbone.mix_p3"])
    assert_same(before, state(network))


def test_the_owners_hooks_neither_run_nor_vanish(network):
    calls = []
    network.backbone.mix_p3.register_forward_hook(lambda *_: calls.append(1))
    record(network, PIXELS, ["backbone.mix_p3"])
    assert calls == []
    assert len(network.backbone.mix_p3._forward_hooks) == 1


def test_two_threads_get_what_one_gets(network):
    before = state(network)
    pictures = [np.roll(PIXELS, shift, axis=1) for shift in range(4)]

    def gradient(index):
        recording = record(network, pictures[index], ["backbone.mix_p3"])
        target = Target(7, index % 3, (0, 0, 1, 1))
        return recording.gradients(recording.score(target), "backbone.mix_p3")

    alone = [gradient(index) for index in range(4)]
    together = [None] * 4
    start = threading.Barrier(4)

    def work(index):
        start.wait()
        for _ in range(3):
            together[index] = gradient(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, other in zip(alone, together, strict=True):
        assert np.allclose(one, other, atol=1e-6)
    assert_same(before, state(network))


def test_the_gradient_is_what_small_changes_do(small):
    """Against finite differences of the score, through a network that runs with the layer's output replaced."""
    network = small[0]
    layer, target = "neck.top_down_p3", Target(30, 1, (0, 0, 1, 1))
    recording = record(network, PIXELS, [layer])
    gradients = recording.gradients(recording.score(target), layer)
    place = np.unravel_index(np.abs(gradients).argmax(), gradients.shape)
    images = torch.from_numpy(PIXELS).permute(2, 0, 1)[None].float() / 255
    scores = []
    for step in (-1e-2, 1e-2):
        changed = twin(network).eval()

        def nudge(module, inputs, output, step=step):
            output = output.clone()
            output[0][place] += step
            return output

        changed.get_submodule(layer).register_forward_hook(nudge)
        with torch.inference_mode():
            scores.append(float(changed(images).classes[0, 1, 30]))
    assert (scores[1] - scores[0]) / 2e-2 == pytest.approx(gradients[place], rel=0.02)


@pytest.mark.parametrize("outer", [torch.no_grad, torch.inference_mode])
def test_a_callers_mode_does_not_matter(outer, small):
    with outer():
        recording = record(small[0], PIXELS, ["backbone.mix_p3"])
        assert (
            np.abs(recording.gradients(recording.score(Target(0, 0, (0, 0, 1, 1))), "backbone.mix_p3")).max() > 0
        )


def test_a_side_is_the_logit_of_its_distance_above_the_mean(small):
    recording = record(small[0], PIXELS, ["backbone.mix_p3"])
    logits = torch.zeros(1, 64, 315)
    logits[0, 16 + 3, 0] = 50.0  # top: all of it at distance 3
    logits[0, 32 + 4, 0] = logits[0, 32 + 5, 0] = 40.0  # right: halfway between 4 and 5
    made = type(recording)(recording.network, Logits(logits, recording.logits.classes), {}, 160)
    assert float(made.score(Target(0, 0, (0, 0, 1, 1), "top"))) == pytest.approx(50 - 50 / 16)
    assert float(made.score(Target(0, 0, (0, 0, 1, 1), "right"))) == pytest.approx(40 - 80 / 16)


def test_levels_of_anchors(small):
    recording = record(small[0], PIXELS, landmarks(small[0]).levels)
    # 96 × 160: 12 × 20, 6 × 10, 3 × 5 cells.
    assert [recording.level(anchor) for anchor in (0, 239, 240, 299, 300, 314)] == [0, 0, 1, 1, 2, 2]
    with pytest.raises(IndexError):
        recording.level(315)
    assert recording.own_layer(Target(240, 0, (0, 0, 1, 1))) == "neck.bottom_up_p4"


@pytest.mark.parametrize(
    ("layer", "near"),
    [
        ("backbone.mix_p33", "backbone.mix_p3"),
        ("mix_p4", "backbone.mix_p4"),
        ("", "backbone"),
        ("zzz", "backbone"),
    ],
)
def test_a_layer_that_does_not_exist_lists_near_ones(layer, near, small):
    with pytest.raises(OptionError, match=near):
        record(small[0], PIXELS, [layer])


def test_a_layer_without_a_say_is_told(small):
    recording = record(small[0], PIXELS, ["head.box_branches.0"])
    with pytest.raises(OptionError, match="no say in this score"):
        recording.gradients(recording.score(Target(0, 0, (0, 0, 1, 1))), "head.box_branches.0")


def test_a_layer_of_several_maps_names_those_in_it(small):
    with pytest.raises(OptionError, match=r"no single map; choose one in it: .*head\.class_branches\.0"):
        record(small[0], PIXELS, ["head"])


def test_a_layer_that_only_holds_others(small):
    with pytest.raises(OptionError, match=r"only holds others; choose one in it: head\.box_branches\.0"):
        record(small[0], PIXELS, ["head.box_branches"])


def test_a_layer_of_another_level_gives_no_gradient(small):
    recording = record(small[0], PIXELS, ["neck.bottom_up_p5"])
    gradients = recording.gradients(recording.score(Target(0, 0, (0, 0, 1, 1))), "neck.bottom_up_p5")
    assert not gradients.any()


def test_fused_networks_give_the_same_gradients(small):
    network, layer, target = small[0], "backbone.mix_p3", Target(50, 1, (0, 0, 1, 1))
    pair = []
    for one in (network, fuse(network)):
        recording = record(one, PIXELS, [layer])
        pair.append(recording.gradients(recording.score(target), layer))
    assert np.allclose(pair[0], pair[1], atol=1e-3 * np.abs(pair[0]).max())


def test_a_twin_shares_every_tensor(small):
    for mine, theirs in zip(small[0].state_dict().values(), twin(small[0]).state_dict().values(), strict=True):
        assert mine.data_ptr() == theirs.data_ptr()


def test_shuffled_weights_are_the_same_numbers_elsewhere(small):
    network = small[0]
    changed = shuffled(network)
    weight, other = network.backbone.stem.conv.weight, changed.backbone.stem.conv.weight
    assert not torch.equal(weight, other)
    assert torch.equal(weight.flatten().sort().values, other.flatten().sort().values)
    assert torch.equal(changed.backbone.stem.bn.weight, network.backbone.stem.bn.weight)


@pytest.mark.parametrize(("name", "options"), [("yolo11n", {}), ("notebook", {"base_channels": 4})])
def test_the_landmarks_are_where_they_say(name, options):
    """The head's layers have a cell for 8, 16 and 32 pixels, and each is all that its level's anchors read."""
    network = lively_network(name, **options)
    marks = landmarks(network)
    recording = record(network, PIXELS, [*marks.levels, marks.early])
    assert [PIXELS.shape[1] // recording.outputs[one].shape[3] for one in (*marks.levels, marks.early)] == [
        8,
        16,
        32,
        8,
    ]
    for level, anchor in enumerate((0, 240, 300)):
        target = Target(anchor, 0, (0, 0, 1, 1))
        assert recording.own_layer(target) == marks.levels[level]
        told = [
            np.abs(recording.gradients(recording.score(target), one)).max() > 0 for one in marks.levels[level:]
        ]
        assert told == [True] + [False] * (2 - level)
        assert np.abs(recording.gradients(recording.score(target), marks.early)).max() > 0
