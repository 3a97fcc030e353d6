"""Golden records as tensors, and the golden networks of tests/model."""

import numpy as np
import pytest
import torch

from lucidbox.train import Targets
from model.conftest import fill, golden, published_shapes  # noqa: F401 - fixtures


@pytest.fixture
def record(golden_file):
    """Function from a name in golden/train to its arrays as tensors."""

    def read(name):
        return {key: torch.from_numpy(array) for key, array in np.load(golden_file(f"train/{name}.npz")).items()}

    return read


@pytest.fixture
def golden_targets(record):
    """Function from a golden loss record's name to its targets and height and width."""

    def read(name):
        arrays = record(name)
        height, width = arrays["image_hw"].tolist()
        centres, sizes = (arrays["bboxes_xywhn"] * torch.tensor([width, height, width, height])).split(2, dim=1)
        boxes = torch.cat((centres - sizes / 2, centres + sizes / 2), dim=1)
        return Targets(arrays["batch_idx"].long(), arrays["cls"].long(), boxes), (height, width)

    return read
