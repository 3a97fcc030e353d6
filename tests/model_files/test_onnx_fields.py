import json
import zipfile

import numpy as np
import pytest

from lucidbox.core.errors import EngineError, WeightsError
from lucidbox.model_files import look_at, onnx_fields

onnx = pytest.importorskip("onnx")

METADATA = {"architecture": "yolo11n", "names": '["cat", "dog"]', "size": "64"}
PIXELS = onnx.helper.make_tensor_value_info("pixels", onnx.TensorProto.UINT8, ["b", "h", "w", 3])


def constant(name, values):
    return onnx.numpy_helper.from_array(np.asarray(values, np.float32), name)


def model(nodes=(), *, outputs=None, constants=(), **metadata):
    """A graph with our metadata that gives constants: one box of two classes, whatever it is shown."""
    given = {"boxes": np.zeros((1, 1, 4)), "scores": np.full((1, 1, 2), 0.5)} if outputs is None else outputs
    kept = [onnx.helper.make_node("Cast", ["pixels"], ["seen"], to=1), *nodes]
    kept += [onnx.helper.make_node("Identity", [f"{name}.value"], [name]) for name in given]
    made = onnx.helper.make_model(
        onnx.helper.make_graph(
            kept,
            "tiny",
            [PIXELS],
            [onnx.helper.make_tensor_value_info(name, 1, np.shape(value)) for name, value in given.items()],
            [*constants, *(constant(f"{name}.value", value) for name, value in given.items())],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=8,
    )
    for key, value in {**METADATA, **metadata}.items():
        made.metadata_props.add(key=key, value=value)
    return made


@pytest.fixture
def saved(tmp_path):
    """Function that writes a model, or bytes, and gives the path."""

    def save(made, name="model.onnx"):
        path = tmp_path / name
        path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
        return path

    return save


def test_a_plain_graph_is_read(saved):
    info = look_at(saved(model(shape="2,64,96"))).graph_info
    assert (info.names, info.size, info.shape) == (("cat", "dog"), 64, (2, 64, 96))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("names", "[" * 100_000),
        ("names", '{"a":' * 100_000),
        ("names", json.dumps(["x" * 1_000_000])),
        ("names", "[1]"),
        ("size", "1" + "0" * 10_000),
        ("size", "1000000000000"),
        ("size", "-64"),
        ("shape", "1,1000000000,32"),
        ("shape", "1000000000,32,32"),
        ("shape", "64,8192,8192"),
        ("shape", "1,64"),
        ("conf", "nan"),
        ("conf", "1e400"),
        ("suppression", "[" * 100_000),
        ("suppression", '{"conf": 0.1, "iou": 0.5, "max_det": 1e400}'),
        ("suppression", '{"conf": 0.1, "iou": 0.5, "max_det": -1}'),
        ("suppression", '{"conf": 0.1, "iou": 1e400, "max_det": 10}'),
        ("suppression", '{"conf": NaN, "iou": 0.5, "max_det": 10}'),
    ],
)
def test_metadata_beyond_use_are_refused(key, value, saved):
    with pytest.raises(WeightsError, match=r"not an ONNX file made by lucidbox|not a whole ONNX file"):
        look_at(saved(model(**{key: value})))


def body(operator):
    """A node of an operator that runs a graph of its own."""
    inner = onnx.helper.make_graph([], "inner", [], [])
    options = {"If": {"then_branch": inner, "else_branch": inner}}.get(operator, {"body": inner})
    return onnx.helper.make_node(operator, ["seen"], ["out"], **options)


@pytest.mark.parametrize("operator", ["Loop", "Scan", "If", "SequenceMap", "AnyOther"])
def test_graphs_in_graphs_are_refused(operator, saved):
    with pytest.raises(WeightsError, match=f"a graph with (graphs|{operator})"):
        look_at(saved(model([body(operator)])))


def test_functions_are_refused(saved):
    made = model()
    loop = onnx.helper.make_node("Loop", ["x"], ["y"])
    version = onnx.helper.make_opsetid("", 18)
    made.functions.append(onnx.helper.make_function("own", "f", ["x"], ["y"], [loop], [version]))
    with pytest.raises(WeightsError, match="functions of its own"):
        look_at(saved(made))


def external(name="numbers"):
    tensor = onnx.TensorProto(name=name, data_type=1, dims=[4])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="numbers.bin")
    return tensor


def test_numbers_in_another_file_are_refused_in_files_that_say_they_are_ours(saved, tmp_path):
    (tmp_path / "numbers.bin").write_bytes(bytes(64))
    node = onnx.helper.make_node("Constant", [], ["c"], value=external())
    half = onnx.TensorProto(name="half", data_type=1, dims=[4])
    half.external_data.add(key="location", value="numbers.bin")
    for made in (model(constants=[external()]), model([node]), model(constants=[half])):
        with pytest.raises(WeightsError, match=r"lie in numbers\.bin, and lucidbox writes all into one"):
            look_at(saved(made))


def test_sizes_that_no_bytes_bear_out_are_refused(saved):
    huge = onnx.TensorProto(name="huge", data_type=1, dims=[2**40, 2**20], raw_data=bytes(16))
    negative = onnx.TensorProto(name="huge", data_type=1, dims=[-1], raw_data=bytes(16))
    many = onnx.TensorProto(name="huge", data_type=1, dims=[1] * 10_000, raw_data=bytes(16))
    for made in (model(constants=[huge]), model(constants=[negative]), model(constants=[many])):
        with pytest.raises(WeightsError, match=r"has fewer numbers|not an ONNX file made|not a whole ONNX"):
            look_at(saved(made))


@pytest.mark.parametrize(
    "content",
    [
        b"\x08\x08" + b"\x72" + b"\xff" * 9 + b"\x01",  # metadata of 2^63 bytes
        b"\x08\x08\x72\x0b\x0a" + b"\xff" * 9 + b"\x01",  # a key of 2^63 bytes
        b"\x08" + b"\xff" * 20,
        b"\x08\x08\x3a\x7f",
        b"\x08\x08\x3b",
        b"\x08\x08\x72\x03\x0a\x01\xff",
        b"\x08",
    ],
)
def test_damaged_fields_are_refused(content, saved):
    with pytest.raises(WeightsError, match=r"not an ONNX file made by lucidbox|not a whole ONNX file"):
        look_at(saved(content))


def test_more_fields_than_any_graph_has_are_not_looked_at(saved, monkeypatch):
    monkeypatch.setattr(onnx_fields, "MOST_FIELDS", 1000)
    with pytest.raises(WeightsError, match="more than 1000 fields"):
        look_at(saved(b"\x08\x08" * 2000))
    monkeypatch.setattr(onnx_fields, "LARGEST_METADATA", 1000)
    with pytest.raises(WeightsError, match="more than 1000 bytes"):
        look_at(saved(model(names="x" * 2000)))


def test_every_truncation_is_a_refusal(saved):
    content = model(shape="1,64,64").SerializeToString()
    for length in range(1, len(content), 7):
        with pytest.raises(WeightsError):
            look_at(saved(content[:length]))


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ({"output0": np.zeros((1, 6, 3))}, "gives output0; lucidbox's give boxes and scores"),
        ({"boxes": np.zeros((1, 5)), "scores": np.zeros((1, 2))}, "gives boxes"),
        ({"boxes": np.zeros((1, 5, 4)), "scores": np.zeros((1, 6, 2))}, "gives boxes"),
        ({"boxes": np.zeros((2, 5, 4)), "scores": np.zeros((2, 5, 2))}, "gives boxes"),
        ({"boxes": np.zeros((1, 5, 4)), "scores": np.zeros((1, 5, 3))}, "has 3 classes, its metadata names 2"),
    ],
)
@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_our_metadata_on_another_graph_are_found_out(outputs, message, engine, saved):
    from lucidbox.detector import Detector

    pytest.importorskip(engine)
    detector = Detector.load(saved(model(outputs=outputs)), engine=engine)
    with pytest.raises(EngineError, match=message):
        detector(np.zeros((40, 60, 3), np.uint8))


@pytest.mark.parametrize("classes", [np.full((1, 3), 7), np.zeros((1, 3, 1)), np.zeros((2, 2))])
def test_a_suppression_that_a_graph_does_not_have_is_found_out(classes, saved):
    from lucidbox.detector import Detector

    outputs = {"boxes": np.zeros((1, 3, 4)), "scores": np.ones((1, 3)), "classes": classes}
    path = saved(model(outputs=outputs, suppression='{"conf": 0.1, "iou": 0.5, "max_det": 3}'))
    with pytest.raises(EngineError, match="a suppression that its graph does not have"):
        Detector.load(path)(np.zeros((40, 60, 3), np.uint8))


IR = '<net name="x"><layers>{layers}</layers><rt_info><lucidbox>{entries}</lucidbox></rt_info></net>'
ENTRIES = "".join(f"<{key} value='{value.replace(chr(34), '&quot;')}'/>" for key, value in METADATA.items())


def test_an_ir_states_what_it_is(saved):
    assert look_at(saved(IR.format(layers="", entries=ENTRIES).encode(), "a.xml")).graph_info.names == (
        "cat",
        "dog",
    )


@pytest.mark.parametrize("kind", ["Loop", "TensorIterator", "If"])
def test_an_ir_with_a_loop_is_refused(kind, saved):
    layers = f'<layer id="0" name="l" type="{kind}"/>'
    with pytest.raises(WeightsError, match=f"a graph with {kind}, which may run for ever"):
        look_at(saved(IR.format(layers=layers, entries=ENTRIES).encode(), "a.xml"))


@pytest.mark.parametrize(
    "content",
    [
        '<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "b">]>' + IR.format(layers="", entries=ENTRIES),
        # A document type in another alphabet, which no search of the bytes finds.
        b'<?xml version="1.0" encoding="cp037"?>'
        + ('<!DOCTYPE net [<!ENTITY a "b">]>' + IR.format(layers="", entries=ENTRIES)).encode("cp037"),
        "<net>" * 200_000,
        IR.format(layers="", entries=ENTRIES)[:-3],
        "<?xml version='1.0' encoding='nothing'?><net/>",
        IR.format(layers="", entries="<names value='" + "[" * 100_000 + "'/>"),
    ],
)
def test_xml_that_no_ir_has_is_refused(content, saved):
    with pytest.raises(WeightsError, match=r"not an OpenVINO IR made by lucidbox|not a whole OpenVINO IR"):
        look_at(saved(content if isinstance(content, bytes) else content.encode(), "a.xml"))


def test_an_ir_of_very_many_bytes_is_not_parsed(saved, monkeypatch):
    monkeypatch.setattr("lucidbox.model_files.toolkit_metadata.LARGEST_IR", 100)
    with pytest.raises(WeightsError, match="more than 100 bytes"):
        look_at(saved(IR.format(layers="", entries=ENTRIES).encode(), "a.xml"))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"names": 1}', "no JSON", json.dumps({"names": "[" * 100_000})])
def test_torchscript_with_metadata_beyond_use_is_refused(text, tmp_path):
    path = tmp_path / "a.torchscript"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/extra/lucidbox.json", text)
    with pytest.raises(
        WeightsError,
        match=r"not a whole TorchScript|no layout of a detector|one input",
    ):
        look_at(path)
