"""What new classes begin as: the known class that the network answers with where they are."""

import numpy as np
import pytest
import torch
from squares import squares

from lucidbox import weights
from lucidbox.datasets.training import open_data
from lucidbox.model import Network
from lucidbox.model.network import Logits
from lucidbox.train.likeness import likenesses
from lucidbox.train.start import start_from


class ByColour(Network):
    """Believes in class 0, 1 or 2 as a cell is red, green or blue; boxes of some 16 pixels around each cell."""

    def __init__(self):
        super().__init__()
        self.architecture, self.classes, self.options = "colours", 4, {}

    def forward(self, images):
        boxes, classes = [], []
        for stride in self.strides:
            colours = torch.nn.functional.avg_pool2d(images, stride).flatten(2)
            classes.append(torch.cat((4 * colours, colours[:, :1] - 3), dim=1))
            distances = torch.zeros(len(images), 64, colours.shape[2])
            distances[:, [min(15, 8 // stride) + 16 * side for side in range(4)]] = 20
            boxes.append(distances)
        return Logits(torch.cat(boxes, dim=2), torch.cat(classes, dim=2))


@pytest.fixture
def data(tmp_path):
    return open_data(squares(tmp_path / "data", count=20, side=72))


def test_new_classes_are_likened_to_what_is_answered_where_they_are(data):
    assert likenesses(ByColour().eval(), data, 96, [0, 1]) == {0: 0, 1: 1}
    assert likenesses(ByColour().eval(), data, 64, [1]) == {1: 1}


def test_a_class_without_objects_is_like_none(data):
    assert set(data.train.classes.tolist()) == {0, 1}
    assert likenesses(ByColour().eval(), data, 64, [1, 2]) == {1: 1}


def test_pictures_that_cannot_be_read_are_passed_over(data, tmp_path):
    for path in (tmp_path / "data" / "images").iterdir():
        path.write_bytes(b"not a picture")
    assert likenesses(ByColour().eval(), data, 64, [0, 1, 2]) == {}


def test_training_begins_with_the_rows_of_what_is_alike(data, small_weights, monkeypatch):
    monkeypatch.setattr("lucidbox.train.start.likenesses", lambda network, data, size, sought: {1: 2})
    old = weights.read(small_weights).tensors
    start = start_from(small_weights, ("blue", "violet"), 0, data=data)
    for level in range(3):
        for part in ("weight", "bias"):
            name = f"head.class_branches.{level}.predict.{part}"
            assert np.array_equal(start.network.state_dict()[name].numpy(), old[name][[2, 2]])
    (note,) = start.notes
    assert note.endswith(
        "; 0 tensors begin anew in whole or in part; by their looks these begin as others: violet as blue"
    )
    assert start.known == 1
