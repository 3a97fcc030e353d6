"""Artefacts made from the small network's ONNX: what they hold, and that they answer like it."""

import dataclasses
import errno
import json
import shutil

import numpy as np
import onnx
import pytest

from lucidbox import Detector, export, weights
from lucidbox.core.errors import OptionError, OutputError, WeightsError
from lucidbox.core.filesystem import atomic_write
from lucidbox.detect.nms import Limits, detect
from lucidbox.engines import Prediction
from lucidbox.export import Request, checking, variants, writing
from lucidbox.model_files import look_at
from lucidbox.model_files.file_format import format_of
from lucidbox.model_files.metadata import Suppression
from lucidbox.validate import inference
from models import engine_of, unchecked_shapes

SUPPRESSION = Suppression(conf=0.2, iou=0.5, max_det=20)
CONF = 0.3  # finds some thirty boxes, far from the most that are kept: rounding does not change which


@pytest.fixture(scope="module")
def made(small_onnx, tmp_path_factory):
    """Function that exports the small network once for each request, and gives the file."""
    folder, done = tmp_path_factory.mktemp("artefacts"), {}

    def make(form, **options):
        request = Request(form, **options)
        if request not in done:
            path = folder / f"{len(done)}{export.SUFFIXES[form]}"
            with unchecked_shapes():
                export.export(small_onnx, path, request)
            done[request] = path
        return done[request]

    return make


@pytest.fixture
def pictures():
    random = np.random.default_rng(7)
    return [random.integers(0, 256, (height, 160, 3), dtype=np.uint8) for height in (96, 120)]


def assert_same(found, expected, pixels=0.01, scores=1e-4):
    assert len(found) == len(expected) > 0
    assert np.array_equal(found.classes, expected.classes)
    assert np.abs(found.boxes - expected.boxes).max() <= pixels
    assert np.abs(found.scores - expected.scores).max() <= scores


def cluttered(ties):
    """Two pictures' boxes of three classes, many of which overlap; many scores are equal, or none is."""
    random = np.random.default_rng(1)
    corners = random.integers(0, 60, (2, 90, 2))
    boxes = np.concatenate([corners, corners + random.integers(10, 40, (2, 90, 2))], axis=2)
    scores = random.integers(0, 20, (2, 90, 3)) / 20 if ties else random.uniform(0, 1, (2, 90, 3))
    scores[0, 0] = 0.3  # exactly the threshold, which is exclusive
    return boxes.astype(np.float32), scores.astype(np.float32)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("max_det", [3, 1000])
def test_suppression_in_a_graph_is_ours_row_for_row(ties, max_det):
    boxes, scores = cluttered(ties)
    suppression = Suppression(0.3, 0.4, max_det)
    for engine, outputs in checking._run_alone(suppression, boxes, scores):
        for row in range(2):
            expected, kept = detect(boxes[row], scores[row], Limits(0.3, 0.4, max_det))
            count = len(kept.scores)
            assert count > 2
            assert np.array_equal(outputs["scores"][row][:count], kept.scores)
            assert not outputs["scores"][row][count:].any()
            if ties and engine == "openvino":
                continue  # it puts equal scores in an order of its own
            assert np.array_equal(outputs["boxes"][row][:count], expected)
            assert np.array_equal(outputs["classes"][row][:count], kept.classes)


@pytest.mark.extended
def test_half_storage_halves_the_file_and_moves_little(made, small_onnx, pictures):
    path = made("onnx", precision="fp16")
    assert path.stat().st_size < 0.6 * small_onnx.stat().st_size
    types = {constant.name: constant.data_type for constant in onnx.load(path).graph.initializer}
    kernels = [name for name in types if name.endswith("conv.weight")]
    halved = [name for name in kernels if types[name] == onnx.TensorProto.FLOAT16]
    assert [name for name in kernels if name not in halved] == ["detecting.network.backbone.stem.conv.weight"]
    noise = pictures[0][None]
    expected = engine_of(small_onnx, engine="openvino", precision="fp32")(noise)
    for name in ("openvino", "onnxruntime"):
        found = engine_of(path, engine=name, precision="fp32")(noise)
        assert 0 < np.abs(found.boxes - expected.boxes).max() < 1
        assert 0 < np.abs(found.scores - expected.scores).max() < 0.005


@pytest.mark.extended
def test_every_onnx_variant_is_still_weights(made, small_onnx):
    expected = weights.read(small_onnx)
    for options in ({"precision": "fp16"}, {"shape": (2, 96, 160)}, {"suppression": SUPPRESSION}):
        found = weights.read(made("onnx", **options))
        assert (found.names, found.licence) == (expected.names, "CC0-1.0")
        for name, array in expected.tensors.items():
            assert np.allclose(found.tensors[name].astype(np.float32), array, rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("length", [0x08, 0x0108, 0x010808])
def test_weights_whose_header_is_as_long_as_onnx_begins_are_weights(length, tmp_path):
    path = tmp_path / "made.safetensors"
    path.write_bytes(length.to_bytes(8, "little") + b'{"'.ljust(length))
    assert format_of(path) == "weights"


def test_a_fixed_shape_has_no_shapes_to_compute_and_takes_any_batch(made, small_onnx, pictures):
    path = made("onnx", shape=(2, 96, 160))
    assert not {node.op_type for node in onnx.load(path).graph.node} & {"Shape", "Range", "Expand"}
    expected = Detector.load(small_onnx, size="96,160", square=True, precision="fp32", conf=CONF)
    pictures = pictures * 2
    for batch in (1, 2, 3):
        detector = Detector.load(path, precision="fp32", conf=CONF, batch=batch)
        assert detector.size == (96, 160)
        for one, other in zip(detector(pictures), expected(pictures), strict=True):
            assert_same(one, other)
    with pytest.raises(OptionError, match="fixed to 96,160"):
        Detector.load(path, size=640)


@pytest.mark.parametrize("form", ["onnx", pytest.param("openvino", marks=pytest.mark.extended)])
@pytest.mark.extended
def test_suppression_inside_finds_what_ours_finds(form, made, small_onnx, pictures):
    path = made(form, suppression=SUPPRESSION)
    plain = Detector.load(small_onnx, precision="fp32", conf=0.2, iou=0.5, max_det=20)
    inside = Detector.load(path, precision="fp32")
    assert (inside.limits.conf, inside.limits.iou, inside.limits.max_det) == (0.2, 0.5, 20)
    for picture in pictures:
        assert_same(inside(picture), plain(picture))
        assert_same(inside(picture, max_det=2), plain(picture, max_det=2))


def test_what_a_graph_suppressed_is_not_asked_for(made, pictures):
    path = made("onnx", suppression=SUPPRESSION)
    detector = Detector.load(path, precision="fp32")
    for looser in ({"conf": 0.1}, {"max_det": 300}, {"iou": 0.7}, {"agnostic": True}):
        with pytest.raises(OptionError, match="suppresses by itself"):
            detector(pictures[0], **looser)
    with pytest.raises(OptionError, match="evaluate its source"):
        list(inference.raw_predictions(inference.validation_predictor(detector), [[(1, pictures[0])]]))
    # Read as weights by torch it is the network, which suppresses nothing.
    assert Detector.load(path, engine="torch").info.suppression is None


@pytest.mark.extended
def test_an_ir_carries_our_metadata_and_answers_as_the_onnx(made, small_onnx, pictures):
    path = made("openvino", precision="fp16")
    assert path.with_suffix(".bin").exists()
    assert look_at(path).info == dataclasses.replace(look_at(small_onnx).info, precision="fp16")
    expected = Detector.load(made("onnx", precision="fp16"), precision="fp32", conf=CONF)
    assert_same(Detector.load(path, precision="fp32", conf=CONF)(pictures[0]), expected(pictures[0]))
    with pytest.raises(OptionError, match="onnxruntime does not run openvino files"):
        Detector.load(path, engine="onnxruntime")


def test_an_ir_whose_numbers_were_replaced_is_never_answered_by_the_old_ones(made, pictures, tmp_path):
    for suffix in (".xml", ".bin"):
        shutil.copy(made("openvino", precision="fp16").with_suffix(suffix), tmp_path / f"copy{suffix}")
    before = Detector.load(tmp_path / "copy.xml", precision="fp32", conf=CONF)(pictures[0])
    numbers = bytearray((tmp_path / "copy.bin").read_bytes())
    numbers[len(numbers) // 2 : len(numbers) // 2 + 20_000] = bytes(20_000)
    (tmp_path / "copy.bin").write_bytes(numbers)
    after = Detector.load(tmp_path / "copy.xml", precision="fp32", conf=CONF)(pictures[0])
    assert len(before) != len(after) or not np.allclose(before.scores, after.scores, atol=1e-5)


def test_torchscript_is_run_only_where_its_name_says_so(made, small_onnx, pictures, tmp_path):
    path = made("torchscript")
    assert look_at(path).info == look_at(small_onnx).info
    detector = Detector.load(path, conf=CONF)
    assert (detector.engine.name, detector.engine.precision) == ("torch", "fp32")
    expected = Detector.load(small_onnx, precision="fp32", conf=CONF)
    for picture in pictures:
        assert_same(detector(picture), expected(picture))
    shutil.copy(path, tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match=r"weights\.pt"):
        Detector.load(tmp_path / "weights.pt")


def test_an_artefact_that_differs_is_not_kept_and_the_old_one_stays(small_onnx, tmp_path, monkeypatch):
    halved = variants.with_half_storage

    def damaged(model):
        changed = halved(model)
        kernel = next(one for one in changed.graph.initializer if one.data_type == onnx.TensorProto.FLOAT16)
        kernel.raw_data = bytes(len(kernel.raw_data))
        return changed

    monkeypatch.setattr(variants, "with_half_storage", damaged)
    path = tmp_path / "model.onnx"
    path.write_text("old")
    with pytest.raises(WeightsError, match="run by openvino, differs from the network"):
        export.export(small_onnx, path, Request("onnx", "fp16"))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_suppression_that_differs_is_noticed(monkeypatch):
    other = variants.suppression_alone(Suppression(0.2, 0.9, 20), 3)
    monkeypatch.setattr(checking, "suppression_alone", lambda *_: other)
    with pytest.raises(WeightsError, match="keeps other boxes than ours"):
        checking.check_suppression_alone(SUPPRESSION, 3)


@pytest.mark.parametrize(
    ("form", "options", "words"),
    [
        ("coreml", {}, "'coreml' is unknown; choose one of onnx, openvino"),
        ("onnx", {"precision": "bf16"}, "'bf16' is unknown"),
        ("tensorrt", {}, "'tensorrt' is unknown; choose one of onnx, openvino"),
        ("onnx", {"shape": (0, 640, 640)}, "batch 0"),
        ("onnx", {"shape": (1, 100, 640)}, "size 100 is not a multiple of 32"),
        ("onnx", {"shape": (1024, 8192, 8192)}, "more than 536870912 pixels"),
        ("onnx", {"opset": 14}, "opset 14 is not between 15 and 20"),
        ("openvino", {"opset": 17}, "leave --opset out"),
        ("torchscript", {"precision": "fp16"}, "in fp32 and for every shape"),
        ("torchscript", {"suppression": SUPPRESSION}, "not for torchscript"),
    ],
)
def test_what_cannot_be_made_is_refused_at_once(form, options, words):
    with pytest.raises(OptionError, match=words):
        Request(form, **options)


@pytest.mark.parametrize(
    "content",
    [b"<?xml version='1.0'?><net/>", b"<?xml", b"<?xml?><!DOCTYPE a [<!ENTITY b 'c'>]><net>&b;</net>",
     b"<?xml version='1.0'?><net><rt_info><lucidbox><names value='7'/></lucidbox></rt_info></net>"],
)  # fmt: skip
def test_xml_that_is_no_ir_of_ours_is_refused(content, tmp_path):
    (tmp_path / "model.xml").write_bytes(content)
    with pytest.raises(WeightsError, match=r"model\.xml: (damaged, or )?not an? (whole )?OpenVINO IR"):
        Detector.load(tmp_path / "model.xml")


@pytest.mark.parametrize(
    ("key", "value"),
    [("shape", "1,2"), ("shape", "1,100,100"), ("suppression", "[]"), ("suppression", '{"conf": 1}')],
)
def test_malformed_entries_are_refused(key, value, small_onnx, tmp_path):
    onnx.save(variants.with_metadata(onnx.load(small_onnx), {key: value}), tmp_path / "model.onnx")
    with pytest.raises(WeightsError, match="not an ONNX file made by lucidbox"):
        look_at(tmp_path / "model.onnx")


@pytest.mark.slow
def test_a_variant_can_be_exported_again(made, small_onnx, pictures, tmp_path):
    variant = made("onnx", suppression=SUPPRESSION)
    with unchecked_shapes():
        export.export(variant, tmp_path / "again.onnx", Request("onnx"))
    metadata = {one.key: one.value for one in onnx.load(tmp_path / "again.onnx").metadata_props}
    assert json.loads(metadata["names"]) == ["red", "green", "blue"]
    assert not metadata.get("suppression")
    expected = Detector.load(small_onnx, precision="fp32", conf=CONF)(pictures[0])
    assert_same(Detector.load(tmp_path / "again.onnx", precision="fp32", conf=CONF)(pictures[0]), expected)


def test_an_engine_may_differ_by_what_fp32_itself_rounds():
    """Beyond the tolerance the exact answer decides: 4 times the distance of the network in fp32 is the limit."""

    def answer(score):
        return Prediction(np.zeros((1, 1, 4), np.float32), np.full((1, 1, 1), score, np.float32))

    class Off:
        name, precision = "off", "fp32"

        def __init__(self, score):
            self.score = score

        def __call__(self, images):
            return answer(self.score)

    pixels, tolerance = np.zeros((1, 32, 32, 3), np.uint8), checking.TOLERANCES["fp32"]
    exact, rounded = answer(0.5), answer(0.501)
    assert checking.check_answers([Off(0.497)], pixels, rounded, tolerance, lambda: exact).scores > 0.003
    with pytest.raises(WeightsError, match="differs from the network"):
        checking.check_answers([Off(0.495)], pixels, rounded, tolerance, lambda: exact)
    with pytest.raises(WeightsError, match="differs from the network"):
        checking.check_answers([Off(float("nan"))], pixels, rounded, tolerance, lambda: exact)


def test_a_cache_that_cannot_be_written_is_named_and_an_export_does_without(small_weights, tmp_path, monkeypatch):
    """Nothing is traced here: what matters is where it would be written."""
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("LUCIDBOX_CACHE", str(tmp_path / "file"))
    with pytest.raises(OutputError, match="LUCIDBOX_CACHE names a folder for converted models"):
        Detector.load(small_weights)
    traced, said = [], []
    monkeypatch.setattr(writing, "export_onnx", lambda read, path: traced.append(write_bytes(path)))
    path = writing._traced(small_weights, weights.read(small_weights), tmp_path, said.append)
    assert path == tmp_path / "traced.onnx"
    assert "LUCIDBOX_CACHE" in said[-1]


def write_bytes(path):
    atomic_write(path, b"graph")
    return path


def test_a_full_place_for_temporary_files_is_named(monkeypatch):
    with pytest.raises(OutputError, match=r"the disk is full.*TMPDIR"), writing._workplace():
        raise OSError(errno.ENOSPC, "No space left on device")
    monkeypatch.setattr("tempfile.tempdir", "/nowhere/at/all")
    with pytest.raises(OutputError, match=r"/nowhere/at/all.*TMPDIR"), writing._workplace():
        pass
