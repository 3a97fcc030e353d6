import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

START = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("lucidbox", run_name="__main__", alter_sys=True)
"""
"""Like ``python -m lucidbox``, and Ctrl-C is heard even where a shell started the tests in the background."""


@pytest.fixture
def noise(tmp_path):
    """Function that writes a picture of noise, in which the small network finds something."""

    def write(name="noise.png", height=96, width=160, seed=0):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(values).save(path)
        return path

    return write


@pytest.fixture
def predict(small_onnx, tmp_path, monkeypatch, capsys):
    """Function that runs ``lucidbox predict`` in this process: exit code, standard output, standard error."""
    from lucidbox.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments, weights=small_onnx):
        given = [] if weights is None else ["--weights", str(weights)]
        try:
            code = main(["predict", *map(str, arguments), *given, "--precision", "fp32"])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def process(small_onnx, tmp_path):
    """Function that starts ``lucidbox predict`` as a process of its own."""

    def start(*arguments, **options):
        command = [sys.executable, "-c", START, "predict", *map(str, arguments), "--weights", str(small_onnx)]
        environment = {**os.environ, **options.pop("environment", {})}
        return subprocess.Popen(
            command,
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env=environment,
            **options,
        )

    return start
