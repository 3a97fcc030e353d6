"""Rates by hand, at the boundaries of warm-up and of epochs."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.train.optimizer import KINDS, Optimization
from lucidbox.train.recipe import Recipe
from lucidbox.train.schedule import apply, decay, rates, warmup_batches

SGD = Optimization("sgd", 0.01, 0.937, 0.1)
PUBLISHED = Recipe(optimizer="sgd")
"""100 epochs, batch 16 of nominal 64, warm-up over 3 epochs."""


def test_before_the_first_batch_of_warmup():
    first = rates(PUBLISHED, SGD, 0, batches=200)
    assert (first.learning_rate, first.bias_rate, first.momentum, first.accumulate) == (0.0, 0.1, 0.8, 1)


def test_in_the_middle_of_warmup():
    middle = rates(PUBLISHED, SGD, 300, batches=200)  # of 600 batches; epoch 1
    peak = 0.01 * (0.99 * 0.99 + 0.01)
    assert middle.learning_rate == pytest.approx(peak / 2)
    assert middle.bias_rate == pytest.approx((0.1 + peak) / 2)
    assert middle.momentum == pytest.approx((0.8 + 0.937) / 2)
    assert middle.accumulate == 2  # round(2.5): to even


def test_at_the_end_of_warmup_and_ever_after_the_numbers_are_the_recipe_s_own():
    end = rates(PUBLISHED, SGD, 600, batches=200)
    assert end.learning_rate == end.bias_rate == 0.01 * decay(PUBLISHED, 3)
    assert (end.momentum, end.accumulate) == (0.937, 4)
    assert rates(PUBLISHED, SGD, 799, batches=200) == end
    assert rates(PUBLISHED, SGD, 800, batches=200) != end
    assert rates(PUBLISHED, SGD, 599, batches=200).momentum < end.momentum


def test_the_number_of_accumulated_batches_rises_from_one_to_all():
    steps = [rates(PUBLISHED, SGD, number, batches=200).accumulate for number in (0, 99, 101, 299, 301, 499, 501)]
    # 1 + 3 · number / 600: half-way marks at 100, 300 and 500.
    assert steps == [1, 1, 2, 2, 3, 3, 4]


@pytest.mark.parametrize(("batch", "accumulate"), [(64, 1), (128, 1), (24, 3), (16, 4), (1, 64)])
def test_accumulation_after_warmup(batch, accumulate):
    recipe = Recipe(batch=batch, nominal_batch=64)
    assert rates(recipe, SGD, 10_000, batches=100).accumulate == accumulate


@pytest.mark.parametrize(
    ("epochs", "batches", "expected"),
    [(3.0, 200, 600), (3.0, 10, 100), (0.5, 201, 100), (0.5, 301, 150), (0.001, 1, 100), (0.0, 200, 0)],
)
def test_warmup_lasts_a_hundred_batches_at_least_or_is_not_at_all(epochs, batches, expected):
    assert warmup_batches(Recipe(warmup_epochs=epochs), batches) == expected


def test_without_warmup_the_first_batch_has_the_full_rate():
    first = rates(Recipe(warmup_epochs=0.0), SGD, 0, batches=10)
    assert (first.learning_rate, first.bias_rate, first.momentum, first.accumulate) == (0.01, 0.01, 0.937, 4)


def test_linear_decay_by_hand():
    recipe = Recipe(epochs=10, final_rate=0.1)
    assert decay(recipe, 0) == 1
    assert decay(recipe, 5) == pytest.approx(0.55)
    assert decay(recipe, 9) == pytest.approx(0.19)
    assert decay(recipe, 10) == 0.1


def test_cosine_decay_by_hand():
    recipe = Recipe(epochs=12, final_rate=0.2, schedule="cosine")
    assert decay(recipe, 0) == 1
    assert decay(recipe, 4) == pytest.approx(0.2 + 0.8 * 0.75)  # (1 + cos 60°) / 2
    assert decay(recipe, 6) == pytest.approx(0.6)
    assert decay(recipe, 8) == pytest.approx(0.2 + 0.8 * 0.25)
    assert decay(recipe, 12) == pytest.approx(0.2)


@given(
    st.sampled_from(["linear", "cosine"]),
    st.integers(1, 300),
    st.floats(0, 1),
    st.floats(0, 10),
    st.integers(1, 50),
    st.integers(1, 200),
)
def test_rates_stay_between_their_ends(schedule, epochs, final_rate, warmup_epochs, batches, batch):
    recipe = Recipe(
        schedule=schedule, epochs=epochs, final_rate=final_rate, warmup_epochs=warmup_epochs, batch=batch
    )
    for number in range(0, epochs * batches, max(epochs * batches // 50, 1)):
        now = rates(recipe, SGD, number, batches)
        assert 0 <= now.learning_rate <= 0.01 + 1e-12
        assert min(now.learning_rate, now.bias_rate) >= 0
        assert now.bias_rate <= 0.1 + 1e-12
        assert 0.8 - 1e-12 <= now.momentum <= 0.937
        assert 1 <= now.accumulate <= max(1, round(64 / batch))


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
def test_applied_to_the_groups(kind):
    groups = [{"params": [torch.nn.Parameter(torch.ones(2))], "kind": name} for name in KINDS]
    optimizer = torch.optim.SGD(groups, momentum=0.5) if kind == "sgd" else torch.optim.AdamW(groups)
    now = rates(PUBLISHED, SGD, 60, batches=200)  # a tenth of warm-up
    apply(optimizer, now)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.001, 0.001, 0.091])
    for group in optimizer.param_groups:
        if kind == "sgd":
            assert group["momentum"] == pytest.approx(0.8137)
        else:  # AdamW corrects its means for one constant beta
            assert group["betas"] == (0.9, 0.999)
