import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from lucidbox import engines, weights
from lucidbox.core.errors import EngineError, OptionError
from lucidbox.engines import openvino
from lucidbox.model_files import ModelFile
from lucidbox.model_files.bundled import ONNX
from models import engine_of

ON_OFFER = [("openvino", "fp32"), ("onnxruntime", "fp32"), ("torch", "fp32")]


@pytest.fixture
def noise():
    return np.random.default_rng(3).integers(0, 256, (2, 96, 160, 3), dtype=np.uint8)


@pytest.fixture
def expected(small_weights, noise):
    """The network itself, unfused, on pixels divided by 255."""
    import torch

    from lucidbox.model import Detecting

    network = weights.network(weights.read(small_weights))
    with torch.no_grad():
        found = Detecting(network)(torch.from_numpy(noise).permute(0, 3, 1, 2) / 255)
    return found.boxes.numpy(), found.scores.numpy()


@pytest.mark.parametrize(("name", "precision"), ON_OFFER)
def test_every_engine_gives_the_networks_answer(name, precision, small_onnx, noise, expected):
    engine = engine_of(small_onnx, engine=name, precision=precision)
    found = engine(noise)
    assert (engine.name, engine.precision) == (name, precision)
    assert found.boxes.dtype == found.scores.dtype == np.float32
    assert np.abs(found.boxes - expected[0]).max() < 0.01
    assert np.abs(found.scores - expected[1]).max() < 1e-5
    assert np.abs(expected[1]).max() > 0.3  # the comparison is of something


@pytest.mark.parametrize("name", engines.ENGINES)
def test_any_batch_and_any_multiple_of_32(name, small_onnx):
    engine = engine_of(small_onnx, engine=name, precision="fp32")
    for shape in ((1, 32, 32, 3), (3, 64, 96, 3), (1, 640, 32, 3)):
        found = engine(np.zeros(shape, np.uint8))
        anchors = sum((shape[1] // stride) * (shape[2] // stride) for stride in (8, 16, 32))
        assert found.boxes.shape == (shape[0], anchors, 4)
        assert found.scores.shape == (shape[0], anchors, 3)


@pytest.mark.parametrize("name", engines.ENGINES)
def test_a_picture_in_a_batch_answers_as_alone(name, small_onnx, noise):
    engine = engine_of(small_onnx, engine=name, precision="fp32")
    together = engine(noise).scores.copy()
    alone = np.concatenate([engine(noise[:1]).scores.copy(), engine(noise[1:]).scores.copy()])
    assert np.abs(together - alone).max() < 1e-5


@pytest.mark.parametrize("name", engines.ENGINES)
def test_threads_do_not_get_each_others_answers(name, small_onnx):
    engine = engine_of(small_onnx, engine=name, precision="fp32")
    pictures = np.random.default_rng(0).integers(0, 256, (4, 1, 64, 64, 3), dtype=np.uint8)
    alone = [engine(picture).scores.copy() for picture in pictures]
    wrong = []

    def work(index):
        for _ in range(25):
            if np.abs(engine(pictures[index]).scores - alone[index]).max() > 1e-5:
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_automatic_choice_takes_the_first_installed_and_says_why(monkeypatch):
    assert engines.choose_engine().name == "openvino"
    real = engines.find_spec
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == "openvino" else real(name))
    choice = engines.choose_engine()
    assert choice.name == "onnxruntime"
    assert "openvino not installed" in choice.reason
    monkeypatch.setattr(engines, "find_spec", lambda name: None)
    with pytest.raises(OptionError, match="no engine is installed; pip install openvino"):
        engines.choose_engine()
    with pytest.raises(OptionError, match=r"torch is not installed; pip install 'lucidbox\[train\]'"):
        engines.choose_engine("torch")


def test_unknown_engine_and_precision_are_refused(small_onnx):
    with pytest.raises(OptionError, match="'tensorflow' is unknown; choose auto, openvino"):
        engines.choose_engine("tensorflow")
    with pytest.raises(OptionError, match="'fp8' is unknown"):
        engine_of(small_onnx, engine="openvino", precision="fp8")
    with pytest.raises(OptionError, match="is not in int8; make a file for openvino that is"):
        engine_of(small_onnx, engine="openvino", precision="int8")
    with pytest.raises(OptionError, match="threads 0"):
        engine_of(small_onnx, engine="openvino", threads=0)


def test_a_precision_that_an_engine_lacks_is_named(small_onnx):
    with pytest.raises(EngineError, match="onnxruntime on CPU computes in fp32, not bf16"):
        engine_of(small_onnx, engine="onnxruntime", precision="bf16")
    with pytest.raises(EngineError, match="does not compute in fp16"):
        engine_of(small_onnx, engine="torch", precision="fp16")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_damaged_model_is_one_line(name, small_onnx, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(small_onnx.read_bytes()[:100_000])
    with pytest.raises(EngineError, match=r"broken\.onnx") as caught:
        engines.load_graph(name, ModelFile(broken, "onnx"))
    assert "\n" not in str(caught.value)


def test_a_replaced_file_is_never_answered_by_the_old_model(small_onnx, noise, tmp_path):
    """OpenVINO's own cache goes by path, size and time, which a copy may keep."""
    import onnx
    from onnx import numpy_helper

    path = tmp_path / "model.onnx"
    path.write_bytes(small_onnx.read_bytes())
    before = engine_of(path, engine="openvino", precision="fp32")(noise).scores.max()
    stat = path.stat()
    model = onnx.load(path)
    for constant in model.graph.initializer:
        if constant.name.endswith("predict.bias") and list(constant.dims) == [3]:
            constant.CopyFrom(numpy_helper.from_array(np.full(3, -30, np.float32), constant.name))
    onnx.save(model, path)
    assert path.stat().st_size == stat.st_size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = engine_of(path, engine="openvino", precision="fp32")(noise).scores.max()
    assert before > 0.1
    assert after < 1e-3


def test_a_cache_that_cannot_be_written_is_done_without(small_onnx, noise, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("LUCIDBOX_CACHE", str(tmp_path / "file" / "below"))
    assert engine_of(small_onnx, engine="openvino")(noise).scores.shape[0] == 2


def test_a_damaged_compiled_model_is_made_anew(small_onnx, noise, tmp_path, monkeypatch):
    monkeypatch.setenv("LUCIDBOX_CACHE", str(tmp_path))
    expected = engine_of(small_onnx, engine="openvino", precision="fp32")(noise).scores.copy()
    (kept,) = (tmp_path / "openvino").iterdir()
    whole = kept.read_bytes()
    for content in (b"", b"abc", whole[:1000], whole[:-7], whole[:5000] + b"x" + whole[5001:]):
        kept.write_bytes(content)
        again = engine_of(small_onnx, engine="openvino", precision="fp32")(noise).scores
        assert np.array_equal(again, expected)
        # Not the same bytes: OpenVINO numbers what it names, on and on in a process.
        assert openvino._whole_content(kept) is not None


def test_a_kept_model_answers_bit_for_bit_as_the_compiled_one(small_onnx, noise, tmp_path, monkeypatch):
    monkeypatch.setenv("LUCIDBOX_CACHE", str(tmp_path))
    compiled, kept = (engine_of(small_onnx, engine="openvino")(noise) for _ in range(2))
    assert np.array_equal(compiled.scores, kept.scores)
    assert np.array_equal(compiled.boxes, kept.boxes)


@pytest.mark.parametrize(("name", "precision"), [*ON_OFFER, ("openvino", "auto")])
def test_the_form_for_many_answers_bit_for_bit_from_many_threads(name, precision, small_onnx):
    engine = engine_of(small_onnx, engine=name, precision=precision)
    random = np.random.default_rng(1)
    pictures = [random.integers(0, 256, (1, 64 + 32 * (i % 3), 96, 3), dtype=np.uint8) for i in range(9)]
    alone = [(found.boxes.copy(), found.scores.copy()) for found in map(engine, pictures)]
    many = engines.for_many(engine)
    wrong = []

    def work(start):
        for turn in range(18):
            index = (start + turn) % 9
            found = many(pictures[index])
            same = np.array_equal(found.boxes, alone[index][0]) and np.array_equal(found.scores, alone[index][1])
            wrong.extend([index] * (not same))

    threads = [threading.Thread(target=work, args=(start,)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert (many.name, many.precision) == (engine.name, engine.precision)
    assert (many is engine) == (name == "torch")  # whose threads are the process's


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_form_for_many_is_of_the_model_that_was_loaded(name, small_onnx, noise, tmp_path):
    """Whatever became of the file meanwhile, and whether the model came from the cache or not."""
    path = tmp_path / "model.onnx"
    path.write_bytes(small_onnx.read_bytes())
    for _ in range(2):
        engine = engine_of(path, engine=name, precision="fp32")
        expected = engine(noise).scores.copy()
        whole = path.read_bytes()
        path.write_bytes(b"something else")
        assert np.array_equal(engines.for_many(engine)(noise).scores, expected)
        path.write_bytes(whole)


@pytest.mark.extended
def test_two_processes_that_compile_at_once_both_answer_and_leave_one_whole_model(
    small_onnx, noise, tmp_path, monkeypatch
):
    code = (
        "import sys, numpy as np\nfrom lucidbox import Detector\n"
        "noise = np.random.default_rng(3).integers(0, 256, (2, 96, 160, 3), dtype=np.uint8)\n"
        "engine = Detector.load(sys.argv[1], engine='openvino', precision='fp32').engine\n"
        "np.save(sys.argv[2], engine(noise).scores)"
    )
    environment = {**os.environ, "LUCIDBOX_CACHE": str(tmp_path / "cache")}
    both = [
        subprocess.Popen([sys.executable, "-c", code, small_onnx, tmp_path / f"{index}.npy"], env=environment)
        for index in range(2)
    ]
    assert [process.wait(timeout=120) for process in both] == [0, 0]
    first, second = (np.load(tmp_path / f"{index}.npy") for index in range(2))
    assert np.array_equal(first, second)
    (kept,) = (tmp_path / "cache" / "openvino").iterdir()
    before = kept.stat().st_mtime_ns
    monkeypatch.setenv("LUCIDBOX_CACHE", str(tmp_path / "cache"))
    assert np.array_equal(engine_of(small_onnx, engine="openvino", precision="fp32")(noise).scores, first)
    assert kept.stat().st_mtime_ns == before


def test_an_engine_of_a_network_leaves_the_network_as_it_is(small_weights, noise):
    import torch

    from lucidbox.engines.torch import TorchEngine

    network = weights.network(weights.read(small_weights))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    TorchEngine(network, "bf16", device="cpu")(noise)
    assert not any(module.inplace for module in network.modules() if isinstance(module, torch.nn.SiLU))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert {tensor.dtype for tensor in network.state_dict().values()} == {torch.float32, torch.int64}


def test_a_signal_does_no_harm_after_an_engine_was_dropped_by_another_thread(small_onnx):
    # OpenVINO's plugin lends its first thread a stack for signals; freed elsewhere, the next signal would crash.
    script = f"""
import gc, signal, subprocess, threading
from pathlib import Path
from lucidbox.engines.openvino import OpenVinoEngine

signal.signal(signal.SIGCHLD, lambda number, frame: None)
engines = [OpenVinoEngine(Path({str(small_onnx)!r}))]
thread = threading.Thread(target=lambda: (engines.clear(), gc.collect()))
thread.start()
thread.join()
del thread
subprocess.run([{sys.executable!r}, "-c", ""])
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout == "alive\n", done


def test_images_one_cell_wide_are_computed_in_fp32():
    """Below fp32, kernels of maps that are one cell wide read memory that nobody has written."""
    exact = engine_of(ONNX, engine="openvino", precision="fp32")
    rounding = engine_of(ONNX, engine="openvino", precision="auto")
    for engine in (rounding, engines.for_many(rounding)):
        for shape in ((1, 416, 32, 3), (3, 96, 32, 3), (2, 960, openvino.NARROW, 3)):
            images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
            for found, expected in zip(engine(images), exact(images), strict=True):
                np.testing.assert_array_equal(found, expected)
