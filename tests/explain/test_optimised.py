import copy

import numpy as np
import pytest
import torch

from explainable import assert_same, know_few_shares, state
from lucidbox.core.errors import OptionError
from lucidbox.explain import Effort, explain, explain_each
from lucidbox.explain.optimised import optimised
from lucidbox.explain.place import as_heat, rectangles
from lucidbox.explain.targets import target_of

FEW = Effort(steps=3)


@pytest.fixture(scope="module", autouse=True)
def few_shares():
    with pytest.MonkeyPatch.context() as patch:
        know_few_shares(patch)
        yield


@pytest.fixture(scope="module")
def asked(small):
    network, detector, picture, found = small
    raw = detector.predictor.infer([picture])[0].copy()
    return detector.engine, network, raw, [target_of(raw, one) for one in found[:2]]


@pytest.fixture(scope="module")
def made(asked):
    """Maps of two targets, each with its number of steps."""
    engine, network, raw, targets = asked
    return optimised(engine, network, raw.pixels, targets, FEW)


def test_a_map_orders_every_pixel_and_counts_its_steps(asked, made):
    raw = asked[2]
    assert [taken for _, taken in made] == [3, 3]
    for heat, _ in made:
        assert heat.shape == raw.pixels.shape[:2]
        assert heat.min() > 0
        assert len(np.unique(heat)) == heat.size


def test_the_same_seed_gives_the_same_map(asked, made):
    engine, network, raw, targets = asked
    ((again, _),) = optimised(engine, network, raw.pixels, targets[:1], FEW)
    assert np.array_equal(made[0][0], again)


def test_where_nothing_is_gained_the_map_is_the_rectangles(asked, monkeypatch):
    """Every amount is worth the same: the first is none."""
    from lucidbox.explain import optimised as module

    engine, network, raw, targets = asked
    monkeypatch.setattr(module._Order, "worth", lambda self, order: 0.0)
    ((heat, _),) = optimised(engine, network, raw.pixels, targets[:1], FEW)
    height, width = raw.pixels.shape[:2]
    assert np.allclose(heat, as_heat(-rectangles(height, width, targets[0].box), targets[0].box), atol=1e-6)


def test_the_detector_has_the_last_word(asked):
    """Of all amounts of what was learnt that one is taken which the engine answers best."""
    from lucidbox.explain import optimised as module

    engine, network, raw, targets = asked
    order = None

    class Watched(module._Order):
        def chosen(self):
            nonlocal order
            order = self
            self.worths = []
            return super().chosen()

        def worth(self, values):
            self.worths.append(super().worth(values))
            return self.worths[-1]

    module_order, module._Order = module._Order, Watched
    try:
        ((heat, _),) = optimised(engine, network, raw.pixels, targets[:1], FEW)
    finally:
        module._Order = module_order
    best = order.worth(np.log(heat.astype(np.float64)).astype(np.float32))
    assert best == pytest.approx(max(order.worths[:-1]), abs=1e-3)


def test_the_network_is_left_as_it_is(asked):
    engine, network, raw, targets = asked
    network = copy.deepcopy(network).train()
    before = state(network)
    optimised(engine, network, raw.pixels, targets[:1], FEW)
    assert_same(before, state(network))
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_within_inference_mode(asked, made):
    engine, network, raw, targets = asked
    with torch.inference_mode():
        ((heat, _),) = optimised(engine, network, raw.pixels, targets[:1], FEW)
    assert np.allclose(heat, made[0][0], atol=1e-6)


def stopping_after(steps):
    """A progress that is stopped by Ctrl-C."""

    def progress(items, count):
        for number, item in enumerate(items):
            if number == steps:
                raise KeyboardInterrupt
            yield item

    return progress


def test_stopped_it_keeps_what_it_has(small):
    network, detector, picture, found = small
    effort = Effort(steps=3, progress=stopping_after(5))
    made = explain_each(detector, picture, found[:3], method="optimised", network=network, effort=effort)
    assert [one.unfinished for one in made] == ["", "stopped after 2 of 3 steps"]
    assert "stopped after 2 of 3 steps" in made[1].captions()[0]
    with pytest.raises(KeyboardInterrupt):
        explain(
            detector,
            picture,
            found[0],
            method="optimised",
            network=network,
            effort=Effort(steps=3, progress=stopping_after(0)),
        )


@pytest.mark.parametrize(("field", "value"), [("steps", 0), ("inferences", 0), ("seed", -1)])
def test_an_effort_that_is_none_is_told(field, value):
    with pytest.raises(OptionError, match=f"{field} {value} is less than"):
        Effort(**{field: value})


def test_a_side_of_a_box_is_refused(small):
    network, detector, picture, found = small
    with pytest.raises(OptionError, match="cannot explain one side"):
        explain(detector, picture, found[0], method="optimised", side="left", network=network)
