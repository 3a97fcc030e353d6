import math

import numpy as np
import pytest
import torch
from torch import Tensor

from lucidbox.model import Decoder, Logits, anchor_points


@pytest.mark.parametrize(
    ("name", "grids", "strides"),
    [
        ("64x96", [(8, 12), (4, 6), (2, 3)], [8, 16, 32]),
        ("640", [(80, 80), (40, 40), (20, 20)], [8, 16, 32]),
        ("odd", [(3, 1), (2, 5)], [4, 64]),
    ],
)
def test_anchor_points_equal_the_notebook(name, grids, strides, golden_file):
    reference = np.load(golden_file("notebook/anchors.npz"))
    points, sides = anchor_points(grids, strides)
    assert np.array_equal(points.numpy(), reference[f"points_{name}"])
    assert np.array_equal(sides.numpy(), reference[f"strides_{name}"])


def test_anchor_points_equal_the_published_in_cells(golden_file):
    reference = np.load(golden_file("model/inputs.npz"))
    points, sides = anchor_points([(12, 20), (6, 10), (3, 5)], [8, 16, 32])
    assert np.array_equal((points / sides[:, None]).numpy(), reference["anchor_points"])
    assert np.array_equal(sides.numpy(), reference["anchor_strides"])


def test_one_level_for_each_stride():
    with pytest.raises(ValueError, match="zip"):
        anchor_points([(1, 1), (2, 2)], [8, 16, 32])


def certain(*bins: int, anchors: int = 1) -> Tensor:
    """Logits of distributions that are certain of one bin for each side."""
    logits = torch.full((1, 4, 16, anchors), -1e4)
    for side, number in enumerate(bins):
        logits[:, side, number] = 0
    return logits.flatten(1, 2)


def test_a_box_by_hand():
    # One level of one row and two cells of 32 pixels: centres (16, 16) and (48, 16).
    logits = Logits(certain(0, 1, 2, 3, anchors=2), torch.zeros(1, 1, 2))
    boxes, scores = Decoder([32], bins=16)(logits, 32, 64)
    assert boxes.tolist() == [[[16, -16, 80, 112], [48, -16, 112, 112]]]
    assert scores.tolist() == [[[0.5], [0.5]]]


def test_an_even_distribution_means_the_middle():
    logits = Logits(torch.zeros(1, 64, 1), torch.tensor([[[math.log(3)], [-math.log(3)]]]))
    boxes, scores = Decoder([8], bins=16)(logits, 8, 8)
    assert boxes.tolist() == [[[4 - 60, 4 - 60, 4 + 60, 4 + 60]]]  # 7.5 cells of 8 pixels
    assert torch.allclose(scores, torch.tensor([[[0.75, 0.25]]]))


def test_decoding_equals_plain_loops():
    generator = torch.Generator().manual_seed(3)
    height, width, strides = 64, 32, (8, 16, 32)
    cells = [
        (row, column, stride)
        for stride in strides
        for row in range(height // stride)
        for column in range(width // stride)
    ]
    logits = Logits(
        torch.randn(2, 64, len(cells), generator=generator, dtype=torch.float64) * 4,
        torch.randn(2, 3, len(cells), generator=generator, dtype=torch.float64),
    )
    boxes, scores = Decoder(strides, bins=16)(logits, height, width)
    for image in range(2):
        for anchor, (row, column, stride) in enumerate(cells):
            sides = []
            for side in range(4):
                weights = [math.exp(logits.boxes[image, 16 * side + number, anchor]) for number in range(16)]
                sides.append(stride * sum(n * w for n, w in enumerate(weights)) / sum(weights))
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            expected = [x - sides[0], y - sides[1], x + sides[2], y + sides[3]]
            assert boxes[image, anchor].tolist() == pytest.approx(expected, abs=1e-9)
            for index in range(3):
                probability = 1 / (1 + math.exp(-logits.classes[image, index, anchor]))
                assert scores[image, anchor, index].item() == pytest.approx(probability, abs=1e-12)


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_half_precision_logits_are_decoded_in_full(half):
    logits = Logits(certain(*[1] * 4, anchors=8400).to(half), torch.zeros(1, 1, 8400, dtype=half))
    boxes, scores = Decoder((8, 16, 32), bins=16)(logits, 640, 640)
    assert boxes.dtype == scores.dtype == torch.float32
    # The last cell of P3, centred at 636: a number that neither half precision type has to spare.
    assert boxes[0, 6399].tolist() == [628, 628, 644, 644]


def test_a_decoder_has_no_state():
    assert not Decoder((8, 16, 32), bins=16).state_dict()
