"""A graph whose numbers lie in a file beside it: read there, and nowhere else."""

import os

import numpy as np
import pytest

from lucidbox import Detector
from lucidbox.core.errors import WeightsError
from lucidbox.model_files import look_at

onnx = pytest.importorskip("onnx")

BOXES = np.zeros((1, 300, 6), np.float32)
BOXES[0, 0] = 8, 8, 40, 48, 0.9, 1
IMAGE = np.zeros((64, 64, 3), np.uint8)


def graph(location="numbers.bin", **stated):
    """Another tool's graph that answers with the numbers of a file, whatever it is shown."""
    answer = onnx.TensorProto(name="answer", data_type=1, dims=BOXES.shape, data_location=1)
    for key, value in {"location": location, **stated}.items():
        answer.external_data.add(key=key, value=str(value))
    nodes = [
        onnx.helper.make_node("ReduceMin", ["images"], ["least"], keepdims=0),
        onnx.helper.make_node("Mul", ["least", "zero"], ["nothing"]),
        onnx.helper.make_node("Add", ["answer", "nothing"], ["output0"]),
    ]
    zero = onnx.numpy_helper.from_array(np.zeros((), np.float32), "zero")
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            nodes,
            "other",
            [onnx.helper.make_tensor_value_info("images", 1, [1, 3, 64, 64])],
            [onnx.helper.make_tensor_value_info("output0", 1, BOXES.shape)],
            [answer, zero],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 15)],
        ir_version=8,
    )
    made.metadata_props.add(key="names", value="{0: 'cat', 1: 'dog'}")
    return made.SerializeToString()


@pytest.fixture
def model(tmp_path):
    """The folder of the graph, with its numbers beside it."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model/numbers.bin").write_bytes(BOXES.tobytes())
    (tmp_path / "model/theirs.onnx").write_bytes(graph())
    return tmp_path / "model"


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_numbers_beside_the_graph_are_read_and_their_change_is_seen(model, engine):
    pytest.importorskip(engine)
    detector = Detector.load(model / "theirs.onnx", engine=engine)
    assert detector(IMAGE).to_dicts()[0]["box"] == [8, 8, 40, 48]
    changed = BOXES.copy()
    changed[0, 0, 0] = 16
    stamp = (model / "numbers.bin").stat().st_mtime_ns + 10**9
    (model / "new.bin").write_bytes(changed.tobytes())
    os.utime(model / "new.bin", ns=(stamp, stamp))
    (model / "new.bin").replace(model / "numbers.bin")  # not in place: ONNX Runtime maps the file into memory
    # What is loaded stays as it was; what is loaded now is the file of now, kept models or not.
    assert detector.stream_runner.predictor_for_many([IMAGE], None, detector.limits)[0].boxes[0, 0] == 8
    assert Detector.load(model / "theirs.onnx", engine=engine)(IMAGE).boxes[0, 0] == 16


@pytest.mark.parametrize(
    ("location", "stated", "message"),
    [
        ("../numbers.bin", {}, "only files in the folder"),
        ("sub/numbers.bin", {}, "only files in the folder"),
        ("/etc/hostname", {}, "only files in the folder"),
        ("C:numbers.bin", {}, "only files in the folder"),
        ("..", {}, "only files in the folder"),
        ("", {}, "only files in the folder"),
        ("absent.bin", {}, "must lie beside it and cannot be read: No such file"),
        ("link.bin", {}, "which is a link"),
        ("folder.bin", {}, "which is no file"),
        ("numbers.bin", {"offset": 8}, None),
        ("numbers.bin", {"offset": 8, "length": BOXES.nbytes}, "does not lie in numbers.bin"),
        ("numbers.bin", {"offset": -8}, "does not lie in numbers.bin"),
        ("numbers.bin", {"length": 100}, "does not lie in numbers.bin"),
        ("numbers.bin", {"offset": "here"}, "is no number"),
    ],
)
def test_numbers_elsewhere_are_refused(model, tmp_path, location, stated, message):
    (tmp_path / "numbers.bin").write_bytes(BOXES.tobytes())
    (model / "sub").mkdir()
    (model / "sub/numbers.bin").write_bytes(BOXES.tobytes())
    (model / "folder.bin").mkdir()
    (model / "link.bin").symlink_to(model / "numbers.bin")
    (model / "theirs.onnx").write_bytes(graph(location, **stated))
    if message is None:
        assert look_at(model / "theirs.onnx").graph_info.names == ("cat", "dog")
        return
    with pytest.raises(WeightsError, match=message):
        look_at(model / "theirs.onnx")


def test_a_graph_that_is_cut_off_from_its_numbers_says_so(model):
    (model / "numbers.bin").write_bytes(b"short")
    with pytest.raises(WeightsError, match="which has 5 bytes; it is cut off, or of another model"):
        look_at(model / "theirs.onnx")
