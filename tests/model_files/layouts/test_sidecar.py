"""A description beside a model decides; it is written, read back, and checked entry by entry."""

import pytest

from dressing import dress
from lucidbox import Detector
from lucidbox.cli import main
from lucidbox.core.errors import OptionError, WeightsError
from lucidbox.model_files import bundled, look_at
from lucidbox.model_files.layouts.layout import LAYOUTS
from lucidbox.model_files.layouts.sidecar import read_sidecar, sidecar_of, sidecar_text


@pytest.fixture
def model(tmp_path):
    return dress(bundled.ONNX, tmp_path / "theirs.onnx", "yolo", sides=(256, 320))


def test_what_is_described_is_what_was_recognised(model, capsys):
    recognised = look_at(model).info
    assert main(["weights", "describe", str(model)]) == 0
    described = look_at(model).info
    assert (described.layout, described.names) == (recognised.layout, recognised.names)
    assert "described in" in described.reasons[0]
    # A second time would lose what a user wrote.
    assert main(["weights", "describe", str(model)]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize("kind", LAYOUTS)
def test_every_entry_is_written_and_read_back(kind, tmp_path):
    import dataclasses

    from lucidbox.model_files.layouts.layout import Layout, Pixels, Placement

    layout = Layout(
        kind, Pixels("images", False, True, 0.5, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), "float16"),
        Placement("stretch", "down", 7), ("a", "b"), "softmax", (3, 1), True, True, "sizes", "mask",
    )  # fmt: skip
    assert all(getattr(layout, field.name) is not None for field in dataclasses.fields(layout))
    path = tmp_path / "model.toml"
    path.write_text(sidecar_text(layout, ('quo"te', "größe"), ("because",), tmp_path / "model.onnx"))
    assert read_sidecar(path) == (layout, ('quo"te', "größe"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('kind = "yolo99"', "kind 'yolo99' is not one of yolo,"),
        ("surprise = 1", "entry 'surprise' is unknown"),
        ("outputs = []", "outputs must name"),
        ('outputs = ["nowhere"]', "it has no output 'nowhere'; there are output0"),
        ("names = [1]", "names must be a list of class names"),
        ("transposed = 1", "transposed 1 is not of type bool"),
        ("columns = [0.5]", "columns"),
        ("kind = [", "not a TOML file"),
    ],
)
def test_a_wrong_entry_is_named(model, line, words):
    text = sidecar_text(look_at(model).info.layout, ("a",), (), model)
    name = line.split(" = ")[0]
    kept = [old for old in text.splitlines() if not old.startswith(f"{name} = ")]
    if name == "names":
        kept = text.replace('names = [\n  "a",\n]\n', "").splitlines()
    sidecar_of(model).write_text("\n".join([line, *kept]))
    with pytest.raises(WeightsError) as raised:
        look_at(model)
    assert words in str(raised.value)
    assert "theirs" in str(raised.value)


def test_options_are_for_models_of_others(model):
    with pytest.raises(OptionError, match="are for models of others"):
        look_at(bundled.ONNX, names=("a",))
    with pytest.raises(OptionError, match="layout 'yolo99' is unknown; choose one of yolo,"):
        look_at(model, layout="yolo99")
    with pytest.raises(WeightsError, match="no yolox layout"):
        Detector.load(model, layout="yolox")
