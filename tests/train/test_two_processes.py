"""Two processes do what one does with the double batch: gradients, statistics, validation, a whole training.

Starting two processes takes longer than all that they do, so they are started once and do everything.
"""

import numpy as np
import pytest
import torch
from pair import pair
from squares import NAMES, QUICK, leave_out_ends, squares

from lucidbox.datasets.augment.pipeline import Augmenter
from lucidbox.datasets.augment.settings import plain
from lucidbox.datasets.training import open_data
from lucidbox.model import build
from lucidbox.train.loader import load_batches
from lucidbox.train.processes import Processes
from lucidbox.train.recipe import Recipe
from lucidbox.train.results import Results
from lucidbox.train.sampling_schedule import SamplingSchedule
from lucidbox.train.schedule import Rates
from lucidbox.train.train_step import TrainStep
from lucidbox.train.trainer import Trainer
from lucidbox.train.validation import Validator
from models import lively_network

ALONE = Processes(0, 1, torch.device("cpu"))
COUNT, SIZE = 40, 64  # three groups of one inference


def network():
    torch.manual_seed(0)
    return build("notebook", 3, base_channels=2)


def batches(processes, folder, size):
    """The batches of a process, not augmented."""
    augmenter = Augmenter(open_data(folder / "few" / "data.toml").samples(SIZE), SIZE, plain())
    return load_batches(augmenter, SamplingSchedule(12, size, 1, 0, 0, processes.rank, processes.count))


def learner(processes, **changes):
    made = TrainStep(network(), Recipe().changed(QUICK | changes), 10, processes)
    made.begin()
    return made


def half_of_a_batch(processes, folder):
    """What a process makes of its part of a batch: losses, summed gradients, and rows of all."""
    made = learner(processes, freeze_norms=True, clip=0.0)
    losses = made.learn(next(batches(processes, folder, 8)), 0, Rates(0.1, 0.1, 0.0, accumulate=9))
    processes.sum_in_place([parameter.grad for parameter in made.network.parameters()])
    gathered = processes.gather(np.full((processes.rank + 1, 2), float(processes.rank)))
    return losses.parts, [parameter.grad.numpy() for parameter in made.network.parameters()], gathered


def measured_norm(processes, folder):
    """The first norm's mean in the average, measured on a batch that the processes share."""
    made = learner(processes)
    made.measure_norms(enumerate(batches(processes, folder, 12)))
    made.share_statistics()
    return made.average.network.backbone.stem.bn.running_mean.numpy()


def validated(processes, folder):
    """COCO's numbers, what was found, and which images of the sheet this process has seen."""
    validator = Validator(open_data(folder / "many" / "data.toml"), SIZE, "fp32", processes)
    summary = validator(lively_network("notebook", len(NAMES), base_channels=2))
    predictions = summary.matching.predictions
    columns = (predictions.image_ids, predictions.category_ids, predictions.boxes_xywh, predictions.scores)
    return summary.stats, columns, sorted(validator.shown)


def trained(processes, folder):
    """How a whole training ends, in which one process has no image to validate with."""
    leave_out_ends(pytest.MonkeyPatch())
    Results.export_best = lambda self: (self.folder / "best.onnx").touch()
    data = open_data(folder / "few" / "data.toml")
    recipe = Recipe().changed(QUICK | {"epochs": 1})
    return Trainer(data, network(), recipe, folder / "out", processes=processes).run().ending


def all_of_it(processes, folder):
    """Everything that two processes do here, by name; ``trained`` comes last, for it replaces the ends."""
    return {
        made.__name__: made(processes, folder) for made in (half_of_a_batch, measured_norm, validated, trained)
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    squares(folder / "few")
    squares(folder / "many", COUNT)
    return folder


@pytest.fixture(scope="module")
def of_two(folder):
    """What each of the two processes did."""
    return pair(__file__, "all_of_it", folder)


@pytest.fixture(autouse=True)
def one_thread():
    """As many threads as each of the two has."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_their_gradients_are_those_of_one(of_two, folder):
    losses, gradients_of_one, _ = half_of_a_batch(ALONE, folder)
    for parts, gradients, gathered in (found["half_of_a_batch"] for found in of_two):
        assert parts == pytest.approx(losses, rel=1e-5)
        assert gathered.tolist() == [[0, 0], [1, 1], [1, 1]]
        for expected, gradient in zip(gradients_of_one, gradients, strict=True):
            scale = float(np.abs(expected).max())
            assert np.allclose(gradient, expected, atol=1e-5 * scale + 1e-7, rtol=1e-4)


def test_they_measure_the_norms_of_one(of_two, folder):
    first, second = (found["measured_norm"] for found in of_two)
    assert np.array_equal(first, second)
    assert np.allclose(first, measured_norm(ALONE, folder), atol=1e-4)


def test_they_validate_as_one(of_two, folder):
    stats, columns, shown = validated(ALONE, folder)
    assert len(columns[0]) > COUNT  # there is something to rank
    for found in of_two:
        assert np.array_equal(found["validated"][0], stats)
        # Row for row, to the last bit: so every number that follows from them is equal, too.
        assert all(np.array_equal(*pair) for pair in zip(found["validated"][1], columns, strict=True))
    # The first group, which has the images that are shown, was the first process's alone.
    assert of_two[0]["validated"][2] == shown == list(range(16))
    assert of_two[1]["validated"][2] == []


def test_a_training_ends_well_with_few_images_to_validate_with(of_two, folder):
    assert [found["trained"] for found in of_two] == ["done", "done"]
    assert (folder / "out" / "best.onnx").exists()
