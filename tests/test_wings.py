"""Running never imports the making wing. Checked in fresh processes, where nothing is imported yet."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.thorough  # each test starts a process
MAKING = {"torch", "safetensors", "onnx", "onnxscript", "datasets", "matplotlib", "supervision", "onnxruntime",
          "openvino_telemetry", "jaxtyping"}  # fmt: skip


def loaded_after(code):
    """Top-level packages that a fresh interpreter has loaded after running the code."""
    report = "import sys, json; print(json.dumps(sorted({m.split('.')[0] for m, x in sys.modules.items() if x})))"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, timeout=120
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


RUNNING = (
    "lucidbox", "lucidbox.cli", "lucidbox.detector", "lucidbox.detect.nms", "lucidbox.draw", "lucidbox.sources",
    "lucidbox.engines.openvino", "lucidbox.engines.torch", "lucidbox.save.writers", "lucidbox.cli.predict",
    "lucidbox.evaluate", "lucidbox.detector.loading", "lucidbox.model_files", "lucidbox.datasets",
    "lucidbox.validate.inference", "lucidbox.explain", "lucidbox.core.parallel", "lucidbox.benchmark",
    "lucidbox.cli.benchmark", "lucidbox.serve", "lucidbox.cli.serve", "lucidbox.track", "lucidbox.cli.track",
)  # fmt: skip


def test_importing_the_running_wing_loads_nothing_of_the_other():
    """All in one process, each with what it has loaded so far."""
    code = "import sys\n" + "\n".join(
        f"import {module}\nassert not {MAKING} & sys.modules.keys(), {module!r}" for module in RUNNING
    )
    assert loaded_after(code) & MAKING == set()


def test_predicting_with_a_cached_model_does_not_load_torch(small_weights, small_onnx, tmp_path):
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(tmp_path / "black.jpg")
    code = (
        "from lucidbox.cli import main\n"
        f"assert main(['predict', {str(tmp_path / 'black.jpg')!r}, '--weights', {str(small_weights)!r},"
        f" '--save', {str(tmp_path / 'out')!r}, '--txt', '--crops']) == 0"
    )
    assert loaded_after(code) & MAKING == set()
    assert (tmp_path / "out" / "black.jpg").exists()


def test_openvino_comes_without_its_converter_until_someone_asks_for_it():
    loaded_after(
        "import sys\n"
        "from lucidbox.engines.openvino import import_openvino\n"
        "openvino = import_openvino()\n"
        "assert import_openvino() is openvino\n"
        "assert 'openvino.tools.ovc' not in sys.modules\n"
        "assert not hasattr(openvino, 'no_such_name')\n"
        "assert openvino.convert_model.__module__ == 'openvino.tools.ovc.convert'\n"
    )


def test_help_loads_no_engine():
    loaded = loaded_after("from lucidbox.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass")
    assert loaded & {"numpy", "cv2", "openvino"} == set()
