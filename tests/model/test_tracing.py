"""What export relies on: a network with its decoder is traced once, for every batch and size."""

import jaxtyping
import pytest
import torch
from torch.export import Dim, export

from lucidbox.model import DecodedPredictions, Detecting, build, fuse


@pytest.fixture
def unchecked():
    """Shapes are symbols while tracing; the checker would ask for their values and so make them constants."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


# A YOLO11 is traced for the tests of exports, and run at other sizes in those of engines.
@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param("yolo11n", {}, marks=pytest.mark.extended), ("notebook", {"base_channels": 4})],
)
@pytest.mark.usefixtures("unchecked")
def test_traced_once_and_run_at_other_sizes(name, options, randomise):
    module = Detecting(fuse(randomise(build(name, 3, **options))))
    sides = {0: Dim("b"), 2: 32 * Dim("h"), 3: 32 * Dim("w")}
    with torch.no_grad():
        traced = export(module, (torch.rand(2, 3, 96, 160),), dynamic_shapes=(sides,)).module()
        for shape in ((2, 3, 96, 160), (3, 3, 64, 224), (1, 3, 192, 64)):
            images = torch.rand(shape)
            expected, found = module(images), traced(images)
            assert isinstance(found, DecodedPredictions)
            assert torch.allclose(found.boxes, expected.boxes, atol=1e-4)
            assert torch.allclose(found.scores, expected.scores, atol=1e-6)
