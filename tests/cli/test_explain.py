"""``lucidbox explain`` in this process: what it writes, says and refuses."""

import argparse
import dataclasses
import json
from functools import cache

import numpy as np
import pytest
from PIL import Image

from explainable import know_few_shares
from lucidbox import Detector
from lucidbox.cli.explain import EXAMPLES, only_class
from lucidbox.cli.explain.report import say_near
from lucidbox.core.boxes import xyxy_to_xywh
from lucidbox.core.errors import OptionError
from lucidbox.core.filesystem import sha256_of
from lucidbox.detector import loading
from lucidbox.explain import DEFAULT_METHOD, METHODS
from lucidbox.explain.methods import QUICK_METHODS
from lucidbox.explain.near_anchors import Near

network_in_torch = cache(loading._network_in_torch)


@pytest.fixture(autouse=True)
def read_once(monkeypatch):
    """The same weights are read once for all commands; explaining leaves a network as it is."""
    monkeypatch.setattr(loading, "_network_in_torch", network_in_torch)


@pytest.fixture(autouse=True)
def few_shares(monkeypatch):
    know_few_shares(monkeypatch)


@pytest.fixture
def command(small_weights, tmp_path, monkeypatch, capsys):
    """Function that runs the verb: exit code, standard output, standard error."""
    from lucidbox.cli import explain
    from lucidbox.core.errors import LucidboxError

    monkeypatch.chdir(tmp_path)

    def run(*arguments, weights=small_weights, engine="torch"):
        parser = argparse.ArgumentParser()
        explain.register(parser.add_subparsers())
        named = () if weights is None else ("--weights", str(weights))
        given = ["explain", *map(str, arguments), *named, "--engine", engine, "--size", "160"]
        try:
            parsed = parser.parse_args(given)
            code = parsed.run(parsed)
        except LucidboxError as error:  # as the command line's main does
            return 2, capsys.readouterr().out, f"lucidbox: error: {error}"
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_panel_map_and_words(command, noise, tmp_path):
    picture = noise()
    before = sha256_of(picture)
    code, out, _ = command(picture)
    assert code == 0
    assert "of the heat is in the box" in out
    folder = tmp_path / "runs" / "explain"
    (array,) = folder.glob("box-1-*-heat.npy")
    heat = np.load(array, allow_pickle=False)
    assert heat.shape == (96, 160)
    assert heat.dtype == np.float32
    assert heat.max() == 1
    with Image.open(array.with_suffix(".png")) as levels:
        assert levels.size == (160, 96)
        assert np.abs(np.array(levels) / 65535 - heat).max() < 1e-4
    assert len(list(folder.glob("*-panel.png"))) == len(list(folder.glob("*-overlay.png"))) == 1
    assert json.loads((folder / "explanations.json").read_text())[0]["method"] == DEFAULT_METHOD
    assert sha256_of(picture) == before


def test_results_go_to_a_new_folder_each_time(command, noise, tmp_path):
    for _ in range(2):
        assert command(noise(), "--save", "out", "--method", "eigencam")[0] == 0
    assert (tmp_path / "out-2").is_dir()


def test_json_is_all_that_is_on_standard_output(command, noise):
    code, out, err = command(noise(), "--all", "--json", "--method", "drise", "--masks", "4", "--conf", "0.4")
    records = json.loads(out)
    assert code == 0
    assert len(records) >= 2
    assert {"box", "label", "inside", "pointing", "deletion", "insertion", "randomised"} <= set(records[0])
    assert "saved in" in err


@pytest.mark.extended
def test_a_class(command, noise):
    quick = ("--method", "drise", "--masks", "4", "--conf", "0.4")
    _, out, _ = command(noise(), "--all", "--json", *quick)
    labels = [record["label"] for record in json.loads(out)]
    wanted = labels[0]
    _, out, _ = command(noise(), "--class", wanted, "--json", *quick)
    assert [record["label"] for record in json.loads(out)] == [wanted] * labels.count(wanted)


def test_exif_rotation_is_applied(command, noise, tmp_path):
    """A picture stored on its side gives the map of the picture as it is looked at."""
    upright = Image.open(noise("upright.png", 96, 160))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to look at it
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    for name in ("upright.png", "turned.png"):
        assert command(tmp_path / name, "--save", name.removesuffix(".png"))[0] == 0
    (one,), (other,) = ((tmp_path / name).glob("*-heat.npy") for name in ("upright", "turned"))
    assert np.load(other).shape == (96, 160)
    assert np.allclose(np.load(one), np.load(other), atol=1e-5)


def test_drise_runs_on_onnx_and_says_the_same_with_the_same_seed(command, noise, small_onnx):
    options = ("--method", "drise", "--masks", "20", "--seed", "3", "--json")
    code, first, _ = command(noise(), *options, weights=small_onnx, engine="onnxruntime")
    assert code == 0
    assert command(noise(), *options, weights=small_onnx, engine="onnxruntime")[1] == first


def test_gradient_methods_take_our_onnx_too(command, noise, small_onnx):
    code, out, _ = command(noise(), weights=small_onnx, engine="onnxruntime")
    assert code == 0
    assert "where the box is" in out


def test_why_is_it_not_found(command, noise, tmp_path):
    code, out, _ = command(noise(), "--at", "20,20,90,80", "--class", "green", "--conf", "0.99")
    assert code == 0
    assert out.count("IoU") == 5
    assert "is not above 0.99" in out
    assert "not above 0.99; what speaks for it?" in out
    (record,) = json.loads((tmp_path / "runs" / "explain" / "explanations.json").read_text())
    assert len(record["near"]) == 5
    assert list((tmp_path / "runs" / "explain").glob("missed-green-panel.png"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--box", "999"), "numbered from 1, best first"),
        (("--box", "0"), "--box 0 does not exist"),
        (("--class", "gren"), "did you mean green"),
        (("--layer", "backbone.mix_p33"), "did you mean backbone.mix_p3"),
        (("--layer", "neck"), "puts out no single map"),
        (("--method", "lime"), "choose one of odam"),
        (("--side", "upper"), "choose one of left, top, right, bottom"),
        (("--side", "left", "--method", "drise"), "cannot explain one side"),
        (("--masks", "0", "--method", "drise"), "masks 0 is less than 1"),
        (("--at", "1,2,3", "--class", "red"), "give four numbers"),
        (("--at", "1,2,3,x", "--class", "red"), "give four numbers"),
        (("--at", "9,2,3,4", "--class", "red"), "left < right"),
        (("--at", "900,2,990,4", "--class", "red"), "outside the picture"),
        (("--at", "1,2,3,4"), "--at needs --class"),
        (("--at", "1,2,3,4", "--class", "mauve"), "is not in the model"),
        (("--at", "1,2,3,4", "--class", "red", "--side", "left"), "leave it out with --at"),
        (("--box", "1", "--all"), "choose one of --box, --class, --all"),
        (("--masks", "9"), "--masks belongs to --method drise"),
        (("--steps", "9"), "--steps belongs to --method optimised"),
        (("--inferences", "9", "--method", "optimised"), "--inferences belongs to --best and --method search"),
        (("--inferences", "0", "--best"), "inferences 0 is less than 1"),
        (("--seed", "9"), "--seed belongs to --best and to the methods optimised, search, drise"),
        (("--best", "--method", "odam"), "--best chooses the method itself"),
        (("--compare", "a.pt", "b.pt"), "--compare names both models"),
        (("--seed", "-1", "--method", "drise"), "seed -1 is less than 0"),
        (("--layer", ""), "layer '' does not exist"),
        (("--annotations", "x.json"), "belong to --measure"),
        (("--measure", "x"), "give one picture, or --measure"),
        (("--conf", "1.5"), "conf 1.5 is not between"),
    ],
)
def test_bad_input_takes_one_line_and_leaves_nothing(options, message, command, noise, tmp_path):
    code, out, err = command(noise(), *options)
    assert code == 2
    assert message in err
    assert "\n" not in err.strip()
    assert out == ""
    assert not (tmp_path / "runs" / "explain").exists()


def test_one_of_several_classes_of_a_name_is_not_guessed():
    """Asked for by ``--at`` and by both models of ``--compare``."""
    assert only_class("1", ("car", "car")) == 1
    with pytest.raises(OptionError, match="several classes are called car; give one of their ids: 0, 1"):
        only_class("car", ("car", "car"))


def test_a_folder_that_cannot_be_made_is_told_before_any_work(command, noise, tmp_path, monkeypatch):
    from lucidbox.explain import explanation

    monkeypatch.setattr(explanation, "heat_maps", lambda *_: pytest.fail("worked in vain"))
    (tmp_path / "file").write_text("mine")
    for options in ((), ("--at", "20,20,90,80", "--class", "green")):
        code, _, err = command(noise(), "--save", tmp_path / "file" / "out", *options)
        assert code == 2
        assert "a file of this name is in the way" in err
    assert (tmp_path / "file").read_text() == "mine"


def test_what_suppressed_a_box_is_shown(capsys):
    near = Near(7, 0.5, (1.0, 2.0, 3.0, 4.0), 0.9, "red", 0.5, "suppressed by another", (5.0, 6.0, 7.0, 8.0))
    freed = dataclasses.replace(near, fate="detected", suppressor=None)
    asked = argparse.Namespace(json=False, picture="a.jpg", at="1,2,3,4")
    say_near(asked, [near, freed], "red")
    _, first, second = capsys.readouterr().out.splitlines()
    assert first == "  score 0.500  IoU 0.90  box 1,2,3,4  suppressed by another: box 5,6,7,8"
    assert second.endswith("  detected")


def test_the_best_is_searched_for(command, noise):
    code, out, err = command(noise(), "--best", "--inferences", "70", "--json")
    assert code == 0, err
    (record,) = json.loads(out)
    assert record["method"] == "search"
    assert record["unfinished"] == ""
    assert record["suspicious"] == (record["beyond_place"] <= 0.005)


def test_what_would_have_to_be_hidden_is_drawn(command, noise, tmp_path):
    asked = ("--at", "20,20,90,80", "--class", "green", "--conf", "0.99", "--best", "--inferences", "70")
    code, out, err = command(noise(), *asked)
    assert code == 0, err
    assert "hidden" in out or "blurred" in out
    (record,) = json.loads((tmp_path / "runs" / "explain" / "explanations.json").read_text())
    assert set(record["counterfactual"]) == {"limit", "score", "best", "hidden", "enlarged"}
    drawn = np.asarray(Image.open(tmp_path / "runs" / "explain" / "missed-green-counterfactual.png"))
    assert drawn.shape == np.asarray(Image.open(noise())).shape


def test_two_models_side_by_side(command, noise, small_weights, tmp_path):
    both = ("--compare", small_weights, small_weights)
    code, out, err = command(noise(), *both, "--box", "1", "--json", weights=None)
    assert code == 0, err
    record = json.loads(out)
    assert record["shared_heat"] == pytest.approx(1, abs=1e-3)
    first, second = record["models"]
    assert first == second
    assert record["place"]["label"] == first["label"]
    assert len(list((tmp_path / "runs" / "explain").glob("compare-*-panel.png"))) == 1
    code, out, _ = command(noise(), *both, "--at", "20,20,90,80", "--class", "green", weights=None)
    assert code == 0
    assert "the maps share 100% of their heat" in out
    code, _, err = command(noise(), *both, "--box", "99", weights=None)
    assert code == 2
    assert "so there is no box 99" in err


def test_a_comparison_that_was_stopped_says_so(command, noise, small_weights, monkeypatch):
    from lucidbox.cli.explain import compare

    def stopped(*arguments, **options):
        return [dataclasses.replace(one, unfinished="stopped") for one in explain_targets(*arguments, **options)]

    explain_targets = compare.explain_targets
    monkeypatch.setattr(compare, "explain_targets", stopped)
    code, out, _ = command(noise(), "--compare", small_weights, small_weights, weights=None)
    assert code == 130
    assert "; stopped" in out


def test_no_detections(command, noise):
    code, out, err = command(noise(), "--conf", "0.9999", "--json")
    assert code == 1
    assert json.loads(out) == []
    assert "no object above 0.9999" in err
    assert command(noise(), "--conf", "0.9999", "--box", "1")[2].endswith("nothing was detected")


@pytest.mark.parametrize("kind", ["one colour", "grey", "8 pixels"])
def test_odd_pictures(kind, command, tmp_path):
    made = {
        "one colour": Image.new("RGB", (96, 64), (200, 10, 10)),
        "grey": Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 96), dtype=np.uint8)),
        "8 pixels": Image.fromarray(np.random.default_rng(1).integers(0, 256, (8, 8, 3), dtype=np.uint8)),
    }[kind]
    made.save(tmp_path / "odd.png")
    code, _, err = command(tmp_path / "odd.png", "--conf", "0.000001", "--save", "odd")
    assert code == 0, err
    assert np.load(next((tmp_path / "odd").glob("*-heat.npy"))).shape == made.size[::-1]


@pytest.fixture
def all_right(small_weights, noise, tmp_path):
    """Options of --measure over one picture with the small network's three surest boxes as truth, and three."""
    found = Detector.load(small_weights, engine="torch", size=160)(noise("pictures/one.png"))[:3]
    truth = {
        "images": [{"id": 1, "file_name": "one.png", "width": 160, "height": 96}],
        "categories": [{"id": index, "name": name} for index, name in enumerate(("red", "green", "blue"))],
        "annotations": [
            {"id": index + 1, "image_id": 1, "category_id": int(class_id), "iscrowd": 0,
             "bbox": [x, y, width, height], "area": width * height}
            for index, (class_id, (x, y, width, height)) in enumerate(
                zip(found.classes, xyxy_to_xywh(found.boxes).tolist(), strict=True)
            )
        ],
    }  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    arguments = ("--measure", tmp_path / "pictures", "--annotations", tmp_path / "truth.json", "--masks", "4")
    return arguments, len(found)


@pytest.fixture
def one_right(all_right):
    """The same over one detection."""
    return (*all_right[0], "--sample", "1")


@pytest.mark.extended
def test_measure_prints_a_table(command, all_right):
    arguments, boxes = all_right
    few = (*arguments, "--masks", "50")
    code, out, err = command(*few, "--sample", "1")
    assert code == 0, err
    header, *rows = out.splitlines()
    assert header.split()[:3] == ["method", "detections", "inside"]
    assert [row.split()[0] for row in rows] == ["(gaussian)", *QUICK_METHODS]
    assert all(row.split()[1] == "1" for row in rows)
    code, out, _ = command(*few, "--method", "drise", "--json")
    gaussian, record = json.loads(out)
    assert record["detections"] == gaussian["detections"] == boxes
    assert 0 <= record["beats_gaussian"] <= 1
    assert gaussian["beats_gaussian"] is None
    code, out, _ = command(*arguments, "--conf", "0.99999")
    assert code == 2


@pytest.mark.extended
def test_measure_at_a_layer(command, one_right):
    """Methods that look at layers all look there; the one that does not is left out, or refused by name."""
    _, default, _ = command(*one_right, "--method", "odam", "--json")
    _, early, _ = command(*one_right, "--method", "odam", "--json", "--layer", "backbone.mix_p3")
    assert json.loads(early)[0] == json.loads(default)[0]  # the Gaussian looks at no layer
    assert json.loads(early)[1]["deletion"] != json.loads(default)[1]["deletion"]
    code, out, err = command(*one_right, "--layer", "backbone.mix_p3", "--json")
    assert code == 0, err
    assert [record["method"] for record in json.loads(out)[1:]] == [
        name for name in QUICK_METHODS if name != "drise"
    ]
    assert "looks at no layer" in command(*one_right, "--layer", "own", "--method", "drise")[2]
    assert "did you mean" in command(*one_right, "--layer", "backbone.mix_p33")[2]


@pytest.mark.parametrize("option", [("--side", "left"), ("--all",), ("--box", "1"), ("--save", "x")])
def test_measure_refuses_what_would_have_no_effect(option, command, one_right):
    code, _, err = command(*one_right, *option)
    assert code == 2
    assert "--measure takes every detection" in err


def test_help_knows_every_method():
    """Written out there, since help loads no NumPy."""
    assert all(f"  {name:<14} {method.summary}" in EXAMPLES for name, method in METHODS.items())
    assert EXAMPLES.count("(default)") == 1
    assert f"{METHODS[DEFAULT_METHOD].summary} (default)" in EXAMPLES


def test_measure_without_annotations(command, tmp_path):
    code, _, err = command("--measure", tmp_path)
    assert code == 2
    assert "needs --annotations" in err
