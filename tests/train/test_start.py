"""The networks that trainings start with."""

import numpy as np
import pytest
import torch

from lucidbox import weights
from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.model import build
from lucidbox.train.recipe import Recipe
from lucidbox.train.start import not_used, random_start, start_from


def written(network, names, path, **statements):
    weights.write(weights.from_network(network, names, **statements), path)
    return path


def scrambled(network):
    """A network of which no two rows are alike, and whose norms have seen something."""
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.1)
    return network


@pytest.fixture
def notebook(tmp_path):
    """A notebook's weights of three classes, in a file."""
    network = scrambled(build("notebook", 3, base_channels=2))
    names = ("red", "green", "blue")
    return written(network, names, tmp_path / "n.safetensors", licence="CC-BY-4.0", provenance="my own")


def same(first, second):
    return all(torch.equal(one, second[name]) for name, one in first.items())


def test_random_weights_follow_from_the_seed_and_touch_no_other_random_numbers():
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first, again, other = (random_start("yolo11n", ["a", "b"], seed).network.state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.get_rng_state(), before)
    assert same(first, again)
    assert not same(first, other)


def test_random_weights_have_nobodys_licence():
    start = random_start("yolo11n", ["a"], 7)
    assert (start.licence, start.provenance, start.notes) == (weights.NOT_STATED, "random weights (seed 7)", ())
    assert (start.network.classes, start.network.training) == (1, True)
    with pytest.raises(OptionError, match="architecture 'yolo12' is unknown"):
        random_start("yolo12", ["a"], 0)


def test_the_same_classes_keep_all_weights(small_weights):
    start = start_from(small_weights, ("red", "green", "blue"), seed=0, architecture="yolo11n")
    kept = weights.read(small_weights).tensors
    assert {name: tensor.shape for name, tensor in start.network.state_dict().items()} == {
        name: array.shape for name, array in kept.items()
    }
    assert all(np.array_equal(tensor.numpy(), kept[name]) for name, tensor in start.network.state_dict().items())
    assert (start.licence, start.provenance) == ("CC0-1.0", "small.safetensors (random numbers)")
    assert start.notes == ()


def by_class(names):
    """Those tensors whose rows are classes."""
    return [
        name for name in names if ("class_branches" in name and ".predict." in name) or ".cls_branch.2." in name
    ]


@pytest.mark.parametrize("family", ["small_weights", "notebook"])
def test_classes_of_the_same_name_keep_what_was_learnt(family, request):
    path = request.getfixturevalue(family)
    names = ("blue", "violet", "red", "brown")
    old = {name: torch.from_numpy(array) for name, array in weights.read(path).tensors.items()}
    torch.manual_seed(55)
    before = torch.get_rng_state()
    start = start_from(path, names, seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    new = start.network.state_dict()
    rows = by_class(new)
    assert len(rows) == 6  # weights and biases at three levels
    for name in rows:
        assert torch.equal(new[name][0], old[name][2])
        assert torch.equal(new[name][2], old[name][0])
    # Everything else fits as it is.
    assert all(torch.equal(new[name], old[name]) for name in new if name not in rows)
    options = weights.read(path).options
    fresh = random_start_of(weights.read(path).architecture, names, 3, options)
    for name in rows:
        assert torch.equal(new[name][[1, 3]], fresh[name][[1, 3]])
    assert start.notes == (f"{path.name} knows 2 of the 4 classes; 6 tensors begin anew in whole or in part",)
    assert start.network.classes == 4


def random_start_of(architecture, names, seed, options):
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        return build(architecture, len(names), **options).state_dict()


def test_no_class_in_common_keeps_all_but_the_classes(notebook):
    start = start_from(notebook, ("cat",), seed=3)
    old, new = weights.read(notebook).tensors, start.network.state_dict()
    rows = by_class(new)
    assert all(np.array_equal(new[name].numpy(), old[name]) for name in new if name not in rows)
    fresh = random_start_of("notebook", ("cat",), 3, {"base_channels": 2})
    assert all(torch.equal(new[name], fresh[name]) for name in rows)
    assert "knows 0 of the 1 classes; 6 tensors begin anew" in start.notes[0]


@pytest.mark.parametrize(("before", "after"), [(80, 2), (2, 80), (3, 200)])
def test_class_branches_keep_their_width_whatever_the_classes(before, after, tmp_path):
    """Of 80 classes they are 80 channels wide, of 2 64, of 200 100; built anew they would fit no other."""
    names = [f"thing {number}" for number in range(before)]
    path = written(scrambled(build("yolo11n", before)), names, tmp_path / "first.safetensors")
    start = start_from(path, [f"thing {number}" for number in range(1, after + 1)], seed=3)
    old, new = weights.read(path).tensors, start.network.state_dict()
    known, rows = min(after, before - 1), by_class(new)
    assert all(np.array_equal(new[name].numpy(), old[name]) for name in new if name not in rows)
    assert all(np.array_equal(new[name][:known].numpy(), old[name][1 : known + 1]) for name in rows)
    assert start.network.options == {"class_width": {80: 80, 2: 64, 3: 64}[before]}
    assert start.known == known


def test_classes_that_are_known_score_as_before(small_weights):
    """In another order and without one of them: rows of the last layer move, and nothing else."""
    images = torch.rand(1, 3, 64, 96)
    before = weights.network(weights.read(small_weights))(images)
    after = start_from(small_weights, ("blue", "red"), seed=0).network.eval()(images)
    torch.testing.assert_close(after.boxes, before.boxes)
    torch.testing.assert_close(after.classes, before.classes[:, [2, 0]])


@pytest.mark.parametrize(("epochs", "pictures"), [(5, 240), (5, 10), (99, 640)])
def test_short_runs_are_gentle_with_what_is_known(epochs, pictures, small_weights):
    recipe = Recipe(epochs=epochs, batch=16)
    for names in (("red", "green", "blue"), ("blue", "red")):
        suited = start_from(small_weights, names, seed=0).suited(recipe, pictures)
        changed = {"optimizer": "adamw", "learning_rate": 0.00015, "momentum": 0.9, "freeze_norms": True}
        assert suited == recipe.changed(changed)


def test_a_gentle_rate_is_never_higher_than_the_automatic_one(tmp_path):
    names = [f"thing {number}" for number in range(80)]
    start = start_from(written(build("yolo11n", 80), names, tmp_path / "many.safetensors"), names, seed=0)
    assert start.suited(Recipe(), 10).learning_rate == 0.000119


def test_what_a_user_sets_is_kept_or_told(small_weights):
    start, recipe = start_from(str(small_weights), ("red", "green", "blue"), seed=0), Recipe(epochs=5)
    assert not start.suited(recipe, 240, {"freeze_norms"}).freeze_norms
    assert start.suited(Recipe(freeze_norms=True), 240, {"freeze_norms"}).freeze_norms
    assert not_used(recipe, {"epochs", "freeze_norms"}) == ()
    (note,) = not_used(recipe, {"momentum", "learning_rate"})
    assert note.startswith("learning_rate and momentum not used: optimizer=auto has its own")
    assert not_used(Recipe(optimizer="sgd"), {"learning_rate"}) == ()


def test_other_recipes_and_starts_are_left_alone(small_weights):
    start = start_from(small_weights, ("red", "green", "blue"), seed=0)
    for recipe, pictures in ((Recipe(optimizer="adamw"), 10), (Recipe(optimizer="sgd"), 10), (Recipe(), 640)):
        assert start.suited(recipe, pictures) == recipe
    for start in (start_from(small_weights, ("red", "Blue"), seed=0), random_start("yolo11n", ("red",), seed=0)):
        assert start.suited(Recipe(), 10) == Recipe()


def test_another_architecture_is_refused(notebook, tmp_path):
    with pytest.raises(OptionError, match=r"--model yolo11s: .*n\.safetensors is of notebook; leave --model out"):
        start_from(notebook, ("red", "green", "blue"), 0, "yolo11s")
    with pytest.raises(WeightsError, match=r"none.pt"):
        start_from(tmp_path / "none.pt", ("red",), 0)


def test_licence_and_provenance_are_passed_on(notebook):
    for names in (("red", "green", "blue"), ("cat",)):
        start = start_from(notebook, names, 0)
        assert (start.licence, start.provenance) == ("CC-BY-4.0", "n.safetensors (my own)")


def test_folded_norms_are_told(small_onnx, notebook, tmp_path):
    (note,) = start_from(small_onnx, ("red", "green", "blue"), 0).notes
    assert note.startswith(f"{small_onnx.name}: its batch norms are folded away; ")
    assert note.endswith("set freeze_norms=true")
    # Norms that have seen nothing yet have no means either, but are in use.
    untrained = written(build("notebook", 2, base_channels=2), ("a", "b"), tmp_path / "untrained.safetensors")
    assert start_from(untrained, ("a", "b"), 0).notes == ()
