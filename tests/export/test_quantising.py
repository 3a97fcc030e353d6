"""int8: where numbers are rounded, by how much, and what is still found."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from lucidbox import Detector, engines, export, weights
from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.detect.nms import Limits
from lucidbox.engines.base import Prediction
from lucidbox.engines.openvino import shared_core
from lucidbox.export import Request, checking, quantising, writing
from lucidbox.images import reading
from lucidbox.model_files import bundled
from lucidbox.model_files.metadata import Suppression
from models import engine_of, unchecked_shapes

EXAMPLES = Path(__file__).parents[2] / "examples"


def graph(*nodes, outputs, kernels):
    """A model over pixels."""
    return helper.make_model(
        helper.make_graph(
            [helper.make_node(op, ins.split(), outs.split(), **rest) for op, ins, outs, rest in nodes],
            "tiny",
            [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["b", "h", "w", 3])],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, list("bcyx")) for name in outputs],
            [numpy_helper.from_array(np.asarray(values, np.float32), name) for name, values in kernels.items()],
        ),
        opset_imports=[helper.make_opsetid("", 20)],
        ir_version=10,
    )


def tiny():
    """Two convolutions whose answers a third takes joined, and one on what a transposition made."""
    random = np.random.default_rng(0)
    return graph(
        ("Cast", "pixels", "wide", {"to": TensorProto.FLOAT}),
        ("Transpose", "wide", "picture", {"perm": [0, 3, 1, 2]}),
        ("Conv", "picture first", "a", {}),
        ("Relu", "a", "left", {}),
        ("MaxPool", "left", "pooled", {"kernel_shape": [1, 1]}),
        ("Add", "left left", "right", {}),
        ("Concat", "pooled right", "both", {"axis": 1}),
        ("Conv", "both second", "b", {}),
        ("Transpose", "b", "turned", {"perm": [0, 1, 3, 2]}),
        ("Conv", "turned third", "c", {}),
        outputs=["c", "left", "right"],
        kernels={
            "first": random.normal(size=(3, 3, 1, 1)) / 255,
            "second": random.normal(size=(4, 6, 1, 1)),
            "third": random.normal(size=(1, 4, 1, 1)),
        },
    )  # fmt: skip


def test_only_what_is_computed_is_rounded_and_what_is_joined_shares_its_steps():
    groups = quantising.placement(tiny())
    # Not the pixels, not what was transposed, and neither pooling nor joining computes anything.
    assert set(groups) == {"left", "right"}
    assert groups["left"] == groups["right"]


def test_a_groups_range_is_the_extremes_of_its_members_over_all_pictures_and_holds_0():
    model = tiny()
    random = np.random.default_rng(1)
    batches = [random.integers(0, 256, (1, 5, 7, 3), dtype=np.uint8) for _ in range(3)]
    session = onnxruntime.InferenceSession(model.SerializeToString())
    seen = [value for batch in batches for value in session.run(["left", "right"], {"pixels": batch})]
    ranges = quantising.measure_ranges(model, quantising.placement(model), batches)
    least, greatest = ranges["left"]
    assert ranges["right"] == ranges["left"]
    assert least == 0
    assert greatest == pytest.approx(max(value.max() for value in seen), rel=1e-6)


def test_rounding_is_to_the_nearest_step_by_hand():
    model = quantising.with_int8(tiny(), {"left": (-0.5, 2.05), "right": (-0.5, 2.05)})
    onnx.checker.check_model(model)
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    kernels = {one.name: numpy_helper.to_array(one) for one in tiny().graph.initializer}
    # 255 steps of 0.01; 0 is step 50.
    assert constants["left.step"] == pytest.approx(0.01)
    assert constants["left.zero"] == 50
    # Only the kernel that takes nothing but rounded numbers is narrow, and its wide form is gone.
    assert {name for name in constants if name.startswith(("first", "second", "third"))} == {
        "first", "third", "second.narrow", "second.step", "second.zero",
    }  # fmt: skip
    narrow, step = constants["second.narrow"], constants["second.step"]
    assert narrow.dtype == np.int8
    assert np.abs(narrow).reshape(4, -1).max(axis=1).tolist() == [127] * 4
    back = narrow * step[:, None, None, None]
    assert np.abs(back - kernels["second"]).max() <= step.max() * 0.5001


def test_a_rounded_graph_computes_what_arithmetic_on_rounded_numbers_gives():
    """By brute force in NumPy; ONNX Runtime runs the graph."""
    wide = tiny()
    ranges = dict.fromkeys(("left", "right"), (0.0, 6.0))
    model = quantising.with_int8(wide, ranges)
    pixels = np.random.default_rng(2).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
    left = onnxruntime.InferenceSession(wide.SerializeToString()).run(["left"], {"pixels": pixels})[0]
    step = 6 / 255

    def rounded(values):
        return np.clip(np.rint(values / step), 0, 255) * step

    kernels = {one.name: numpy_helper.to_array(one) for one in wide.graph.initializer}
    steps = np.abs(kernels["second"]).reshape(4, -1).max(axis=1) / 127
    second = np.rint(kernels["second"][:, :, 0, 0] / steps[:, None]) * steps[:, None]
    both = np.concatenate([rounded(left), rounded(2 * rounded(left))], axis=1)
    expected = np.einsum("oc,bchw->bowh", second, both)
    expected = np.einsum("oc,bchw->bohw", kernels["third"][:, :, 0, 0], expected)
    found = onnxruntime.InferenceSession(model.SerializeToString()).run(["c"], {"pixels": pixels})[0]
    assert np.allclose(found, expected, atol=1e-4)


def test_what_is_not_finite_is_refused():
    with pytest.raises(WeightsError, match="tensor left is not finite on the pictures"):
        quantising.with_int8(tiny(), {"left": (0.0, float("nan")), "right": (0.0, 1.0)})
    model = tiny()
    kernel = next(one for one in model.graph.initializer if one.name == "second")
    kernel.CopyFrom(numpy_helper.from_array(np.full((4, 6, 1, 1), np.inf, np.float32), "second"))
    with pytest.raises(WeightsError, match="tensor second is not finite"):
        quantising.with_int8(model, {"left": (0.0, 1.0), "right": (0.0, 1.0)})


@pytest.fixture(scope="module")
def pictures():
    return [reading.read_image(path) for path in sorted(EXAMPLES.glob("*.jpg"))]


@pytest.fixture(scope="module")
def made(bundled_onnx, pictures, tmp_path_factory):
    """Function that makes an int8 file of the bundled model once for each request: its path and check."""
    folder, done = tmp_path_factory.mktemp("int8"), {}

    def make(form="onnx", **options):
        request = Request(form, "int8", **options)
        if request not in done:
            path = folder / f"{len(done)}{export.SUFFIXES[form]}"
            with unchecked_shapes():
                done[request] = path, export.export(bundled.SAFETENSORS, path, request, pictures=pictures)
        return done[request]

    return make


@pytest.mark.extended
def test_an_int8_file_finds_what_the_network_finds(made):
    path, check = made()
    total, again = check.found
    assert total >= 8
    assert again >= 0.8 * total
    assert check.engines == ("openvino", "onnxruntime")
    # A quarter of 10.5 MB, and the graph itself.
    assert path.stat().st_size < 3.2e6


@pytest.mark.extended
def test_every_convolution_but_two_is_narrow_and_nothing_is_rounded_behind_a_join(made):
    model = onnx.load(made()[0])
    wide = [node for node in model.graph.node if node.op_type == "Conv" and not node.input[1].endswith(".rounded")]
    # The one that takes the pixels, and attention's position codes, which take what was reshaped.
    assert len(wide) == 2
    producers = {name: node for node in model.graph.node for name in node.output}
    roundings = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert len(roundings) == 80
    assert {producers[node.input[0]].op_type for node in roundings} == {"Mul", "Add"}
    steps = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer if one.name.endswith(".step")}
    for node in model.graph.node:
        if node.op_type == "Concat" and all(name.endswith(".rounded") for name in node.input):
            assert len({float(steps[name.replace(".rounded", ".step")]) for name in node.input}) == 1


@pytest.mark.extended
def test_openvino_computes_silu_and_rounding_inside_the_convolutions(made):
    """What makes int8 worth while: no activation is a pass over memory of its own."""
    core = shared_core()
    compiled = core.compile_model(core.read_model(str(made()[0])), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    kinds = [str(one.get_rt_info()["layerType"].value) for one in compiled.get_runtime_model().get_ordered_ops()]
    assert kinds.count("Convolution") == 87
    assert kinds.count("FakeQuantize") <= 2


@pytest.mark.extended
@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("openvino", {}),
        ("onnx", {"shape": (2, 320, 320)}),
        ("onnx", {"suppression": Suppression(0.2, 0.6, 50)}),
    ],
)
def test_other_forms_of_it_find_the_same(form, options, made, pictures):
    path, check = made(form, **options)
    assert check.found[1] >= 0.8 * check.found[0]
    detector = Detector.load(path, precision="int8", conf=0.25)
    assert detector.engine.precision.startswith("int8+")
    assert all(len(found) for found in detector(pictures))


@pytest.mark.extended
def test_int8_is_told_from_the_file_whatever_is_asked_for(made, small_onnx, small_weights, tmp_path):
    path, _ = made()
    assert engine_of(path, engine="openvino", precision="fp32").precision == "int8+fp32"
    assert (
        engine_of(path, engine="openvino", precision="int8").precision
        == engine_of(path, engine="openvino").precision
    )
    runtime = engine_of(path, engine="onnxruntime")
    assert runtime.precision == engines.for_many(runtime).precision == "int8+fp32"
    with pytest.raises(OptionError, match=r"onnx is not in int8; make a file for openvino that is, with"):
        engine_of(small_onnx, engine="openvino", precision="int8")
    # Refused before weights are converted, and by the name that the user gave.
    with pytest.raises(OptionError, match=r"small\.safetensors is not in int8"):
        Detector.load(small_weights, precision="int8")
    with pytest.raises(WeightsError, match="no such weights file"):
        engine_of(tmp_path / "none.onnx", engine="openvino")


@pytest.mark.extended
def test_suppression_at_a_low_score_is_not_held_to_another_engines_rounding(made, pictures):
    path, check = made("onnx", suppression=Suppression(0.01, 0.7, 300))
    assert check.engines == ("openvino", "onnxruntime")
    assert all(len(found) > 3 for found in Detector.load(path)(pictures))


def test_convolutions_with_equal_kernels_share_one_narrow_kernel_and_a_wide_one_keeps_its_own():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 1))
    model = graph(
        ("Cast", "pixels", "wide", {"to": TensorProto.FLOAT}),
        ("Transpose", "wide", "picture", {"perm": [0, 3, 1, 2]}),
        ("Conv", "picture same", "a", {}),
        ("Relu", "a", "b", {}),
        ("Conv", "b same", "c", {}),
        ("Relu", "c", "d", {}),
        ("Conv", "d same", "e", {}),
        outputs=["e"],
        kernels={"same": kernel},
    )
    assert set(quantising.placement(model)) == {"b", "d"}
    pixels = np.random.default_rng(1).integers(0, 256, (1, 4, 4, 3), dtype=np.uint8)
    changed = quantising.with_int8(model, quantising.measure_ranges(model, {"b": "b", "d": "d"}, [pixels]))
    onnx.checker.check_model(changed)
    expected, found = (
        onnxruntime.InferenceSession(one.SerializeToString()).run(["e"], {"pixels": pixels})[0]
        for one in (model, changed)
    )
    assert 0 < np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_a_nan_on_some_picture_is_not_lost_while_measuring():
    model = tiny()
    relu = next(node for node in model.graph.node if node.op_type == "Relu")
    relu.op_type = "Log"  # of what is negative
    batches = [np.full((1, 4, 4, 3), value, np.uint8) for value in (0, 255, 10)]
    ranges = quantising.measure_ranges(model, quantising.placement(model), batches)
    with pytest.raises(WeightsError, match="tensor left is not finite on the pictures"):
        quantising.with_int8(model, ranges)


def test_pictures_for_the_check_are_chosen_evenly_and_are_few():
    kept = []
    batches = [np.full((1, 32, 32, 3), number, np.uint8) for number in range(200)]
    passed = list(writing._keeping(batches, kept))
    chosen = [int(batch[0, 0, 0, 0]) for batch in kept]
    assert len(passed) == 200
    assert chosen == list(range(0, 200, 8))


@pytest.mark.extended
def test_rounded_weights_are_not_read_as_weights(made, pictures, tmp_path):
    path, _ = made()
    with pytest.raises(WeightsError, match="weights are rounded; give the file that it was made from"):
        weights.read(path)
    with pytest.raises(WeightsError, match="weights are rounded"):
        export.export(path, tmp_path / "again.onnx", Request("onnx", "int8"), pictures=pictures)


@pytest.mark.extended
def test_without_pictures_or_without_anything_in_them_nothing_is_written(bundled_onnx, tmp_path):
    path = tmp_path / "model.onnx"
    with pytest.raises(OptionError, match="int8 needs pictures like those it is to see"):
        export.export(bundled.SAFETENSORS, path, Request("onnx", "int8"))
    grey = [np.full((64, 64, 3), 114, np.uint8)]
    with (
        unchecked_shapes(),
        pytest.raises(WeightsError, match=r"finds nothing above 0\.\d+ in 1 of these pictures"),
    ):
        export.export(bundled.SAFETENSORS, path, Request("onnx", "int8"), pictures=grey)
    assert list(tmp_path.iterdir()) == []


def test_a_graph_that_finds_too_little_is_refused(pictures):
    whole = checking.graph_engines(bundled.ONNX)[0]

    class Blind:
        name, precision = "openvino", "int8"

        def __call__(self, batch):
            answer = whole(batch)
            return Prediction(answer.boxes, answer.scores * np.float32(0.01))

    batches = [
        Detector.load().predictor.letterbox_for(picture.shape[:2]).apply(picture)[None] for picture in pictures
    ]
    with pytest.raises(WeightsError, match=r"in int8 only 0 of \d+ boxes are found"):
        checking.check_quantised([Blind()], whole, batches, Limits())
