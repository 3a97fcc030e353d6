"""Groups, the automatic choice, freezing, and steps that do not depend on order in memory."""

from itertools import chain

import pytest
import torch

from lucidbox.core.errors import OptionError
from lucidbox.model import build
from lucidbox.train.optimizer import (
    KINDS,
    choose_optimization,
    freeze,
    make_optimizer,
    set_training_mode,
)
from lucidbox.train.recipe import Recipe
from lucidbox.weights.keys import LAYERS
from models import lively_network

ARCHITECTURES = [*(f"yolo11{size}" for size in "nsmlx"), "notebook"]


def bare(name, classes=80):
    """A network without memory: only its names and shapes matter."""
    with torch.device("meta"):
        return build(name, classes, **({"base_channels": 16} if name == "notebook" else {}))


def groups_by_name(network):
    optimizer, _ = make_optimizer(network, Recipe(optimizer="sgd"), steps=100)
    names = {parameter: name for name, parameter in network.named_parameters()}
    return {group["kind"]: [names[one] for one in group["params"]] for group in optimizer.param_groups}


@pytest.fixture
def small():
    torch.manual_seed(0)
    return build("yolo11n", 2)


def learn_once(network, optimizer):
    optimizer.zero_grad()
    logits = network(torch.rand(2, 3, 64, 64))
    (logits.boxes.square().mean() + logits.classes.square().mean()).backward()
    optimizer.step()


@pytest.fixture
def any_device(monkeypatch):
    """Fused kernels are refused for networks without memory; which kernels run does not matter to groups."""
    made = torch.optim.SGD
    monkeypatch.setattr(torch.optim, "SGD", lambda groups, **options: made(groups, **options | {"fused": None}))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_parameter_is_in_exactly_one_group(name, any_device):
    network = bare(name)
    groups = groups_by_name(network)
    assert tuple(groups) == KINDS
    assert sorted(chain.from_iterable(groups.values())) == sorted(name for name, _ in network.named_parameters())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_weights_are_what_has_several_dimensions_biases_what_is_called_so(name, any_device):
    network = bare(name)
    shapes = {key: parameter.ndim for key, parameter in network.named_parameters()}
    groups = groups_by_name(network)
    assert {shapes[key] for key in groups["weights"]} <= {2, 4}
    assert all(key.endswith(".bn.weight") for key in groups["norms"])
    assert all(key.endswith(".bias") for key in groups["biases"])


def test_yolo11n_has_the_published_numbers_of_parameters_in_each_group(any_device):
    groups = groups_by_name(bare("yolo11n"))
    # As its trainer reports them, less one weight: the fixed numbers of DFL, which we do not keep as one.
    assert [len(groups[kind]) for kind in KINDS] == [88 - 1, 81, 87]


def test_linear_layers_of_the_notebook_decay(any_device):
    groups = groups_by_name(bare("notebook"))
    assert {"c2psa.attention.0.2.weight", "c2psa.attention.0.4.weight"} <= set(groups["weights"])
    assert {"c2psa.attention.0.2.bias", "c2psa.attention.0.4.bias"} <= set(groups["biases"])


@pytest.mark.parametrize(
    ("batch", "nominal", "decay"),
    [(16, 64, 0.0005), (64, 64, 0.0005), (128, 64, 0.001), (24, 64, 0.0005 * 72 / 64), (8, 8, 0.0005)],
)
def test_weight_decay_is_scaled_by_the_pictures_of_a_step(small, batch, nominal, decay):
    recipe = Recipe(optimizer="sgd", batch=batch, nominal_batch=nominal)
    optimizer, _ = make_optimizer(small, recipe, steps=1)
    assert [group["weight_decay"] for group in optimizer.param_groups] == [pytest.approx(decay), 0, 0]


def test_named_optimisers_take_the_recipe_s_numbers(small):
    recipe = Recipe(optimizer="sgd", learning_rate=0.02, momentum=0.8, warmup_bias_rate=0.05)
    optimizer, chosen = make_optimizer(small, recipe, steps=1)
    assert (chosen.name, chosen.learning_rate, chosen.momentum, chosen.bias_warmup_rate) == (
        "sgd",
        0.02,
        0.8,
        0.05,
    )
    assert isinstance(optimizer, torch.optim.SGD)
    assert all(
        (group["lr"], group["momentum"], group["nesterov"]) == (0.02, 0.8, True)
        for group in optimizer.param_groups
    )
    optimizer, chosen = make_optimizer(small, recipe.changed({"optimizer": "adamw"}), steps=1_000_000)
    assert (chosen.name, chosen.learning_rate, chosen.momentum, chosen.bias_warmup_rate) == (
        "adamw", 0.02, 0.8, 0.0,
    )  # fmt: skip
    assert isinstance(optimizer, torch.optim.AdamW)
    assert all((group["lr"], group["betas"]) == (0.02, (0.8, 0.999)) for group in optimizer.param_groups)


@pytest.mark.parametrize(
    ("steps", "classes", "expected"),
    [
        (10_000, 80, ("adamw", 0.000119, 0.9, 0.0)),
        (10_000, 1, ("adamw", 0.002, 0.9, 0.0)),
        (10_000, 2, ("adamw", 0.001667, 0.9, 0.0)),
        (10_001, 80, ("sgd", 0.01, 0.9, 0.1)),
    ],
)
def test_the_automatic_choice(steps, classes, expected):
    chosen = choose_optimization(Recipe(learning_rate=5.0, momentum=0.5), steps=steps, classes=classes)
    assert (chosen.name, chosen.learning_rate, chosen.momentum, chosen.bias_warmup_rate) == expected


def test_momentum_may_be_zero(small):
    optimizer, _ = make_optimizer(small, Recipe(optimizer="sgd", momentum=0.0), steps=1)
    before = small.head.box_branches[0].predict.bias.clone()
    learn_once(small, optimizer)
    assert not torch.equal(small.head.box_branches[0].predict.bias, before)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_gradients_and_state_may_lie_in_any_order(optimizer):
    """As after reading a checkpoint, whose tensors are contiguous, into a network in channels_last."""
    ends = []
    for arrange in (lambda tensor: tensor, lambda tensor: tensor.contiguous()):
        torch.manual_seed(0)
        network = build("yolo11n", 2).to(memory_format=torch.channels_last)
        made, _ = make_optimizer(network, Recipe(optimizer=optimizer), steps=1)
        for _ in range(3):
            for parameter in network.parameters():
                parameter.grad = arrange(torch.rand_like(parameter))
                state = made.state[parameter]
                state.update({key: arrange(one) if torch.is_tensor(one) else one for key, one in state.items()})
            made.step()
        ends.append([parameter.detach() for parameter in network.parameters()])
    assert all(torch.equal(one, other) for one, other in zip(*ends, strict=True))
    assert all(one.stride() == other.stride() for one, other in zip(*ends, strict=True))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_step_equals_torch_s_plain_loop_over_tensors(small, optimizer):
    recipe = Recipe(optimizer=optimizer)
    made, _ = make_optimizer(small, recipe, steps=1)
    learn_once(small, made)
    torch.manual_seed(0)
    other = build("yolo11n", 2)
    decays = [
        {"params": [p for p in other.parameters() if p.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [p for p in other.parameters() if p.ndim == 1], "weight_decay": 0},
    ]
    plain = (
        torch.optim.SGD(decays, lr=0.01, momentum=0.937, nesterov=True, foreach=False)
        if optimizer == "sgd"
        else torch.optim.AdamW(decays, lr=0.01, betas=(0.937, 0.999), foreach=False)
    )
    torch.manual_seed(0)
    learn_twin(small, other, plain)
    for one, twin in zip(small.parameters(), other.parameters(), strict=True):
        assert torch.allclose(one, twin, rtol=1e-5, atol=1e-7)


def learn_twin(network, other, plain):
    """One step of the other network with the first one's gradients."""
    for one, twin in zip(network.parameters(), other.parameters(), strict=True):
        twin.grad = one.grad.clone()
    plain.step()


def test_freezing_takes_whole_names_only(small):
    frozen = freeze(small, ["backbone.down_p4", "neck.top_down_p3.split.bn.bias"])
    assert set(frozen) == {
        "backbone.down_p4.conv.weight",
        "backbone.down_p4.bn.weight",
        "backbone.down_p4.bn.bias",
        "neck.top_down_p3.split.bn.bias",
    }
    assert {name for name, one in small.named_parameters() if not one.requires_grad} == set(frozen)
    with pytest.raises(OptionError, match=r"no layer 'back' with weights; .*backbone"):
        freeze(small, ["back"])


@pytest.mark.parametrize("layer", LAYERS.values())
def test_every_published_layer_can_be_frozen(layer):
    network = bare("yolo11n")
    frozen = freeze(network, [layer])
    assert frozen
    assert all(name.startswith(f"{layer}.") for name in frozen)


def test_an_unknown_layer_is_refused_with_the_nearest_names(small):
    with pytest.raises(OptionError, match=r"'bakbone\.stem'.*do you mean backbone\.stem"):
        freeze(small, ["bakbone.stem"])
    with pytest.raises(OptionError, match=r"it begins with one of backbone, neck, head"):
        freeze(small, ["0"])
    # A module without parameters cannot be frozen either.
    with pytest.raises(OptionError, match=r"backbone\.pool_p5\.pool"):
        freeze(small, ["backbone.pool_p5.pool"])
    assert all(parameter.requires_grad for parameter in small.parameters())


def test_nothing_left_to_learn_is_refused(small):
    freeze(small, ["backbone", "neck", "head"])
    with pytest.raises(OptionError, match="nothing is left to learn"):
        make_optimizer(small, Recipe(), steps=1)


def test_frozen_layers_do_not_move_and_all_others_do(small):
    freeze(small, ["backbone", "neck.down_p4"])
    optimizer, _ = make_optimizer(small, Recipe(optimizer="sgd"), steps=1)
    before = {name: tensor.clone() for name, tensor in small.state_dict().items()}
    for _ in range(2):
        set_training_mode(small, ["backbone", "neck.down_p4"])
        learn_once(small, optimizer)
        small.eval()
    for name, tensor in small.state_dict().items():
        still = name.startswith(("backbone.", "neck.down_p4."))
        assert torch.equal(tensor, before[name]) == still, name


def test_frozen_norms_keep_their_statistics_while_everything_learns():
    network = lively_network()
    freeze(network, [], norms=True)
    optimizer, _ = make_optimizer(network, Recipe(optimizer="sgd"), steps=1)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    learn_once(network, optimizer)
    parameters = {name for name, _ in network.named_parameters()}
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name not in parameters), name


def test_without_freezing_every_norm_is_in_training(small):
    small.eval()
    set_training_mode(small, [])
    assert all(module.training for module in small.modules())
