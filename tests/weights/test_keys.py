import json
import subprocess
import sys

import pytest

from lucidbox.core.errors import WeightsError
from lucidbox.weights.keys import DISTRIBUTION_KEY, LAYERS, check_distribution, from_published, to_published

FILES = [f"yolo11{size}-shapes.json" for size in "nsmlx"] + [f"yolo11n-nc{n}-shapes.json" for n in (1, 3, 200)]


@pytest.mark.parametrize("file", FILES)
def test_every_published_key_has_one_own_key_and_back(file, golden_file):
    published = json.loads(golden_file(f"model/{file}").read_text()).keys() - {DISTRIBUTION_KEY}
    own = {from_published(key) for key in published}
    assert len(own) == len(published)
    assert {to_published(key) for key in own} == published


@pytest.mark.parametrize(
    ("own", "published"),
    [
        ("backbone.stem.conv.weight", "model.0.conv.weight"),
        ("backbone.mix_p2.repeats.0.first.bn.running_var", "model.2.m.0.cv1.bn.running_var"),
        ("backbone.mix_p4.repeats.0.repeats.1.second.conv.weight", "model.6.m.0.m.1.cv2.conv.weight"),
        ("backbone.pool_p5.merge.bn.bias", "model.9.cv2.bn.bias"),
        ("backbone.attend_p5.repeats.1.attention.position.conv.weight", "model.10.m.1.attn.pe.conv.weight"),
        ("neck.bottom_up_p5.split.bn.num_batches_tracked", "model.22.cv1.bn.num_batches_tracked"),
        ("head.box_branches.2.predict.bias", "model.23.cv2.2.2.bias"),
        ("head.class_branches.1.second.depthwise.conv.weight", "model.23.cv3.1.1.0.conv.weight"),
    ],
)
def test_rows_by_hand(own, published):
    assert to_published(own) == published
    assert from_published(published) == own


@pytest.mark.parametrize(
    "key", ["model.11.conv.weight", "model.23.cv4.0.0.conv.weight", "model.0.bias", "", DISTRIBUTION_KEY]
)
def test_unknown_published_keys_are_named(key):
    with pytest.raises(WeightsError, match=f"^{key}: no tensor of a published"):
        from_published(key)


def test_unknown_own_keys_are_named():
    with pytest.raises(WeightsError, match=r"^backbone\.stem\.weight: "):
        to_published("backbone.stem.weight")


def test_layers_without_tensors_are_the_doublings_and_joins():
    assert set(range(24)) - LAYERS.keys() == {11, 12, 14, 15, 18, 21}


def test_the_fixed_numbers_must_be_what_the_decoder_counts_with():
    check_distribution(DISTRIBUTION_KEY, [float(number) for number in range(16)])
    for wrong in ([float("nan")] * 16, list(range(1, 17)), [*range(15), 15.001]):
        with pytest.raises(WeightsError, match="must be the numbers 0 to 15"):
            check_distribution(DISTRIBUTION_KEY, wrong)


def test_the_table_needs_no_torch():
    code = "import sys, lucidbox.weights.keys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
