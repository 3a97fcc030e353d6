"""``lucidbox parity``: exit codes and what is shown."""

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lucidbox.cli import main
from lucidbox.export import variants


@pytest.fixture
def parity(capsys):
    """Function that runs the verb: exit code, standard output, standard error."""

    def run(*arguments):
        code = main(["parity", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def half(small_onnx, tmp_path):
    """The small network with kernels stored in fp16."""
    onnx.save(variants.with_half_storage(onnx.load(small_onnx)), tmp_path / "half.onnx")
    return tmp_path / "half.onnx"


def annotations(folder, picture):
    """One object in one picture."""
    path = folder / "instances.json"
    path.write_text(
        json.dumps(
            {"images": [{"id": 1, "file_name": picture.name, "width": 160, "height": 96}],
             "categories": [{"id": 5, "name": "red"}],
             "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [9, 9, 60, 40], "area": 2400,
                              "iscrowd": 0}]}
        )
    )  # fmt: skip
    return path


def test_variants_agree_and_ap_is_shown(small_onnx, half, parity, noise, tmp_path):
    picture = noise("pictures/noise.png")
    code, out, _ = parity(
        small_onnx, half, "--images", picture.parent, "--annotations", annotations(tmp_path, picture),
        "--conf", "0.3", "--unmatched", 2, "--json",
    )  # fmt: skip
    document = json.loads(out)
    assert (code, document["agree"], document["reasons"]) == (0, True, [])
    assert document["matched"] > 3
    assert 0 < document["boxes"]["maximum"] < 1
    assert len(document["ap"]) == 2


def test_weights_are_compared_as_the_network_itself(small_weights, small_onnx, parity, noise):
    code, out, _ = parity(small_weights, small_onnx, "--images", noise(), "--conf", "0.3")
    assert code == 0
    assert "torch fp32" in out
    assert "openvino fp32" in out
    assert "they agree" in out


def test_another_network_disagrees_with_3(small_onnx, parity, noise, tmp_path):
    model = onnx.load(small_onnx)
    kernel = next(one for one in model.graph.initializer if one.name.endswith("stem.conv.weight"))
    kernel.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(kernel) * np.float32(1.2), kernel.name))
    onnx.save(model, tmp_path / "other.onnx")
    code, out, _ = parity(small_onnx, tmp_path / "other.onnx", "--images", noise(), "--conf", "0.3")
    assert code == 3
    assert "they disagree: " in out
    loose = ("--box-tolerance", 1000, "--score-tolerance", 1, "--unmatched", 1000)
    assert parity(small_onnx, tmp_path / "other.onnx", "--images", noise(), "--conf", "0.3", *loose)[0] == 0


def test_what_cannot_be_compared_is_one_line(small_onnx, parity, noise, tmp_path):
    folder = tmp_path / "none"
    folder.mkdir()
    (folder / "broken.jpg").write_bytes(b"no picture")
    for options, words in (
        (("--images", noise(), "--conf", "0.999"), "nothing was found above 0.999"),
        (("--images", folder), "no picture could be read"),
        (("--images", noise(), "--box-tolerance", "-1"), "less than 0"),
    ):
        code, out, err = parity(small_onnx, small_onnx, *options)
        assert (code, out) == (2, "")
        assert words in err.splitlines()[-1]


def test_a_picture_that_cannot_be_read_is_1(small_onnx, parity, noise):
    folder = noise("pictures/noise.png").parent
    (folder / "broken.jpg").write_bytes(b"no picture")
    code, out, err = parity(small_onnx, small_onnx, "--images", folder, "--conf", "0.3")
    assert code == 1
    assert "they agree" in out
    assert "broken.jpg" in err


def test_comparing_graphs_needs_no_torch(small_onnx, half, noise):
    code = (
        "import sys\nfrom lucidbox.cli import main\n"
        f"assert main(['parity', {str(small_onnx)!r}, {str(half)!r}, '--images', {str(noise())!r},"
        " '--conf', '0.3', '--engine-b', 'onnxruntime', '--unmatched', '2']) == 0\n"
        "assert not {'torch', 'onnx', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)
