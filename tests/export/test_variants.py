"""Operator sets: the same graph in each, loaded by what knows no newer one."""

import numpy as np
import onnx
import pytest

from lucidbox.export import variants
from lucidbox.model_files.metadata import Suppression

LIMITS = Suppression(0.2, 0.5, 20)


def opset_and_version(model):
    return model.opset_import[0].version, model.ir_version


def test_exported_graphs_are_in_the_oldest_set(small_onnx):
    assert opset_and_version(onnx.load(small_onnx)) == (15, 8)


@pytest.mark.parametrize("opset", variants.OPSETS)
def test_every_form_is_valid_in_every_set(opset, small_onnx):
    traced = onnx.load(small_onnx)
    fixed = variants.with_shape(traced, (1, 64, 96)) if opset in (15, 20) else traced
    for graph in (traced, fixed, variants.with_suppression(variants.with_opset(fixed, 18), LIMITS, 3)):
        made = variants.with_opset(graph, opset)
        onnx.checker.check_model(made)
        assert opset_and_version(made) == (opset, variants.OPSETS[opset])


def test_sets_give_the_same_numbers(small_onnx):
    onnxruntime = pytest.importorskip("onnxruntime")
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    suppressed = variants.with_suppression(onnx.load(small_onnx), LIMITS, 3)
    answers = []
    for opset in (15, 17, 18, 20):
        content = variants.with_opset(suppressed, opset).SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        answers.append(session.run(None, {"pixels": pixels}))
    assert all(
        np.array_equal(first, second)
        for other in answers[1:]
        for first, second in zip(answers[0], other, strict=True)
    )


def test_nothing_is_left_that_no_node_uses(small_onnx):
    made = variants.with_opset(variants.with_suppression(onnx.load(small_onnx), LIMITS, 3), 15)
    used = {name for node in made.graph.node for name in node.input}
    assert {one.name for one in made.graph.initializer if one.name.startswith("s_")} <= used
