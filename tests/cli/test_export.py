"""``lucidbox export``: names, refusals, and one file made."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lucidbox.cli import main
from lucidbox.cli.console import Failures
from lucidbox.cli.export import _calibration
from lucidbox.model_files import bundled, look_at
from models import unchecked_shapes


@pytest.fixture
def export(small_onnx, tmp_path, capsys):
    """Function that runs the verb on a copy of the small ONNX: exit code, standard output, standard error."""
    source = tmp_path / "small.onnx"
    source.write_bytes(small_onnx.read_bytes())

    def run(*options):
        try:
            code = main(["export", str(source), *options])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_file_is_named_after_what_it_is_and_described(export, tmp_path):
    code, out, _ = export("--to", "onnx", "--precision", "fp16", "--size", "96,160", "--suppress", "--conf", "0.3")
    path = tmp_path / "small-fp16-1x96x160-suppressed.onnx"
    assert code == 0
    assert f"{path}: fp16, 1×96×160, suppression inside" in out
    assert "run by openvino and onnxruntime it differs" in out
    assert "licence: CC0-1.0" in out
    info = look_at(path).info
    assert (info.shape, info.suppression.conf) == ((1, 96, 160), 0.3)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--to", "coreml"), "'coreml' is unknown"),
        (("--to", "onnx", "--precision", "int8"), "int8 needs pictures like those it is to see"),
        (("--to", "onnx", "--images", "photos"), "--images has a meaning with --precision int8 only"),
        (
            ("--to", "onnx", "--precision", "int8", "--images", ".", "--calibrate", "0"),
            "--calibrate 0 is less than 1",
        ),
        (("--to", "tensorrt"), "format 'tensorrt' is unknown"),
        (("--to", "torchscript", "--precision", "int8", "--images", "."), "TorchScript is written in fp32"),
        (("--to", "onnx", "--conf", "0.3"), "--conf has a meaning with --suppress only"),
        (("--to", "onnx", "--suppress", "--conf", "3"), "conf 3.0 is not between 0 and 1"),
        (("--to", "onnx", "--batch", "2"), "--batch fixes the graph's shape and needs --size"),
        (("--to", "onnx", "--out", "model.xml"), "ends in .onnx"),
        (
            (
                "--to",
                "onnx",
            ),
            "would replace the weights",
        ),
        (("--to", "onnx", "--force"), "would replace the weights"),
    ],
)
def test_wrong_usage_is_one_line(options, words, export):
    code, out, err = export(*options)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1


def test_what_is_there_is_not_replaced_unasked(export, tmp_path):
    (tmp_path / "model.bin").write_text("precious")
    code, _, err = export("--to", "openvino", "--out", str(tmp_path / "model.xml"))
    assert (code, (tmp_path / "model.bin").read_text()) == (2, "precious")
    assert "model.bin: exists already" in err


def test_int8_is_measured_on_pictures_chosen_evenly(tmp_path, capsys):
    for number in range(10):
        Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(tmp_path / f"{number}.png")
    (tmp_path / "5.png").write_bytes(b"no picture")

    def chosen(count):
        failures = Failures()
        chosen = [int(picture[0, 0, 0]) for picture in _calibration(str(tmp_path), count, failures)]
        return chosen, failures.count

    assert chosen(4) == ([0, 2, 7], 1)
    assert "5.png" in capsys.readouterr().err
    assert chosen(128) == ([0, 1, 2, 3, 4, 6, 7, 8, 9], 1)


def test_int8_without_a_readable_picture_is_told(tmp_path, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"no picture")
    options = ["--to", "onnx", "--precision", "int8", "--images", str(folder), "--out", str(tmp_path / "a.onnx")]
    assert main(["export", str(bundled.SAFETENSORS), *options]) == 2
    err = capsys.readouterr().err
    assert "a.png" in err
    assert f"none of the pictures in {folder} could be read" in err
    assert not (tmp_path / "a.onnx").exists()


@pytest.mark.extended
def test_an_int8_file_is_described_by_what_it_finds_again(bundled_onnx, tmp_path, capsys):
    target = tmp_path / "int8.onnx"
    pictures = Path(__file__).parents[2] / "examples"
    options = ["--to", "onnx", "--precision", "int8", "--images", str(pictures), "--out", str(target)]
    with unchecked_shapes():
        assert main(["export", str(bundled.SAFETENSORS), *options]) == 0
    assert re.search(
        r"int8, any shape, 2\.\d MB; run by .* finds \d+ of the network's \d+ boxes again", capsys.readouterr().out
    )
    assert (
        main(
            [
                "predict",
                str(pictures),
                "--weights",
                str(target),
                "--precision",
                "int8",
                "--save",
                str(tmp_path / "out"),
            ]
        )
        == 0
    )
