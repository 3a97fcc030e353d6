"""Validation shared by two processes measures what one process does."""

import numpy as np
import torch
from pair import pair
from squares import NAMES, squares

from lucidbox.datasets.training import open_data
from lucidbox.train.processes import Processes
from lucidbox.train.validation import Validator
from models import lively_network

COUNT, SIZE = 40, 64  # three groups of one inference


def measured(processes, folder):
    """COCO's numbers, curves included, and how many pictures of the sheet this process has seen."""
    network = lively_network("notebook", len(NAMES), base_channels=2)
    validator = Validator(open_data(folder / "data.toml"), SIZE, "fp32", processes)
    summary = validator(network)
    predictions = summary.matching.predictions
    columns = (predictions.image_ids, predictions.category_ids, predictions.boxes_xywh, predictions.scores)
    return summary.stats, columns, sorted(validator.shown)


def test_two_processes_measure_what_one_does(tmp_path):
    squares(tmp_path, COUNT)
    found = pair(__file__, "measured", tmp_path)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    stats, columns, shown = measured(Processes(0, 1, torch.device("cpu")), tmp_path)
    torch.set_num_threads(threads)
    assert len(columns[0]) > COUNT  # there is something to rank
    for rank in (0, 1):
        assert np.array_equal(found[rank][0], stats)
        # Row for row, to the last bit: so every number that follows from them is equal, too.
        assert all(np.array_equal(*pair) for pair in zip(found[rank][1], columns, strict=True))
    # The first group, which has the pictures that are shown, was the first process's alone.
    assert found[0][2] == shown == list(range(16))
    assert found[1][2] == []
