"""``lucidbox train`` as its users run it: small trainings, and what is refused before one begins."""

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from squares import NAMES, QUICK, leave_out_ends, squares

from lucidbox import weights
from lucidbox.cli import main
from lucidbox.model import build
from lucidbox.train.checkpoint import load_checkpoint, save_checkpoint
from lucidbox.train.recipe import Recipe, read_recipe

SETTINGS = [part for key, value in (QUICK | {"epochs": 1}).items() for part in ("--set", f"{key}={value}")]


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Weights of a network small enough to train in moments, of the classes of the squares."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.safetensors"
    torch.manual_seed(0)
    made = weights.from_network(
        build("notebook", 3, base_channels=2), NAMES, licence="CC0-1.0", provenance="chance"
    )
    weights.write(made, path)
    return path


@pytest.fixture
def data(tmp_path):
    return squares(tmp_path / "data")


@pytest.fixture
def train(tmp_path, monkeypatch, capfd):
    """Function that runs ``lucidbox train`` in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = main(["train", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def quick(train, tiny, monkeypatch):
    """The same with a tiny network and a recipe of one epoch, and without the export and pictures at the end."""
    leave_out_ends(monkeypatch)
    return lambda *arguments: train(*arguments, "--weights", tiny, *SETTINGS)


def refusal(result):
    """The one line of an error that ends with exit code 2, after any notes."""
    code, out, err = result
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    *notes, last = err.splitlines()
    assert all(line.startswith("lucidbox: ") for line in notes)
    assert last.startswith("lucidbox: error: ")
    return last.removeprefix("lucidbox: error: ")


def last_line(result):
    code, _, err = result
    assert code == 2
    assert "Traceback" not in err
    return err.splitlines()[-1]


def change(data, edit):
    """Let a function change the annotations of a data set of squares."""
    path = data.parent / "instances.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def test_keys_are_a_recipe_that_can_be_read(train, tmp_path):
    code, out, err = train("--keys")
    assert (code, err) == (0, "")
    (tmp_path / "recipe.toml").write_text(out)
    assert read_recipe(tmp_path / "recipe.toml") == Recipe()


def test_a_whole_training(quick, data, tmp_path):
    code, out, err = quick(data, "--out", "out", "--licence", "CC-BY-4.0")
    assert code == 0
    epoch, done, use = out.splitlines()
    assert epoch.startswith("epoch 1: AP ")
    assert done.startswith("done; 1 epochs in ")
    assert use == "use it: lucidbox predict PICTURE --weights out/best.onnx"
    assert "lucidbox: notebook on 12 pictures, " in err
    assert "Traceback" not in err
    last = weights.read(tmp_path / "out" / "last.safetensors")
    assert (last.licence, last.names, last.options) == ("CC-BY-4.0", NAMES, {"base_channels": 2})


def test_json_lines(quick, data):
    code, out, _ = quick(data, "--json", "--out", "out", "--epochs", "2", "--set", "validate_every=2")
    first, second, end = map(json.loads, out.splitlines())
    assert code == 0
    assert (first["epoch"], first["ap"], second["epoch"]) == (1, None, 2)
    assert 0 <= second["ap"] <= 1
    assert (end["folder"], end["epochs"], end["ending"], end["best_ap"]) == ("out", 2, "done", second["ap"])


def test_options_win_over_settings_and_settings_over_the_recipe_file(quick, data, tmp_path):
    (tmp_path / "mine.toml").write_text("mosaic = 0.25\nepochs = 7\nscale = 0.125\nseed = 3\n")
    code, _, err = quick(
        data, "--recipe", "mine.toml", "--set", "mosaic=0.5", "--set", "freeze=backbone", "--epochs", 1,
        "--batch", 6, "--workers", 0, "--out", "out",
    )  # fmt: skip
    assert code == 0, err
    used = read_recipe(tmp_path / "out" / "recipe.toml")
    assert (used.mosaic, used.epochs, used.scale, used.seed, used.batch) == (0.5, 1, 0.125, 3, 6)
    assert used.freeze == ("backbone",)


def test_results_go_to_new_numbered_folders(quick, data, tmp_path):
    (tmp_path / "runs" / "train").mkdir(parents=True)
    (tmp_path / "runs" / "train" / "mine.txt").write_text("mine")
    assert quick(data)[0] == 0
    assert refusal(quick(data, "--set", "freeze=nowhere"))
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["train", "train-2"]
    assert (tmp_path / "runs" / "train-2" / "best.safetensors").exists()


def test_a_folder_that_holds_something_is_left_alone(quick, data, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert "not empty; name a new folder, or go on there with --resume" in last_line(quick(data, "--out", "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_one_class_of_several(quick, data, tmp_path):
    code, _, err = quick(data, "--classes", "green", "--out", "out")
    assert code == 0
    assert "objects are of classes not chosen" in err
    assert "tiny.safetensors knows 1 of the 1 classes; 0 tensors begin anew" in err
    assert weights.read(tmp_path / "out" / "best.safetensors").names == ("green",)


def test_a_batch_larger_than_the_data(quick, data, tmp_path):
    code, out, _ = quick(data, "--batch", "32", "--json", "--out", "out")
    assert code == 0
    assert json.loads(out.splitlines()[-1])["epochs"] == 1
    assert load_checkpoint(tmp_path / "out" / "checkpoint.safetensors").progress.batches == 1


# What is refused before anything begins.


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a data set: lucidbox train data.yaml, or go on with --resume DIR"),
        (["nowhere.toml"], "nowhere.toml: no such file or folder"),
        (["data", "--set", "mosaik=1"], "unknown key 'mosaik'; do you mean mosaic"),
        (["data", "--set", "mosaic"], "--set 'mosaic': write key=value"),
        (["data", "--set", "mosaic=2"], "mosaic 2.0 is out of range: 0 to 1"),
        (["data", "--set", "mosaic=nan"], "mosaic nan is out of range"),
        (["data", "--epochs", "0"], "epochs 0 is out of range"),
        (["data", "--size", "100"], "size 100 is not a multiple of 32: try 96"),
        (["data", "--recipe", "none.toml"], "recipe none.toml: No such file"),
        (["data", "--threads", "0"], "--threads 0: give a number from 1"),
        (["data", "--device", "tpu"], "--device 'tpu' is not one"),
        (["data", "--classes", "gren"], "'gren' is not in "),
        (["data", "--classes", "gren"], "did you mean green"),
        (["data", "--classes", "3"], "its ids run from 0 to 2"),
        (["data", "--classes", "red,red"], "red is named twice"),
        (["data", "--boxes", "xyxy"], "goes with hf: data sets"),
        (["data", "--model", "yolo12"], "architecture 'yolo12' is unknown"),
        (["data", "--weights", "none.pt"], "none.pt: no such weights file"),
        (["--resume", "nowhere"], "nowhere/checkpoint.safetensors"),
    ],
)
def test_what_is_refused_takes_one_line(train, data, tmp_path, arguments, words):
    assert words in refusal(
        train(*arguments, "--set", "epochs=1") if "--epochs" not in arguments else train(*arguments)
    )
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a graphics card here")
def test_a_card_that_is_not_there(train, data):
    assert (
        refusal(train(data, "--device", "cuda"))
        == "--device cuda: torch sees no graphics card here; use --device cpu"
    )


def test_logs_are_named(train, data, tmp_path):
    code, _, err = train(data, "--log", "wandb")
    assert code == 2
    assert "--log: invalid choice: 'wandb'" in err
    assert not (tmp_path / "runs").exists()


def test_weights_of_another_network(quick, data):
    assert "tiny.safetensors is of notebook; leave --model out" in refusal(quick(data, "--model", "yolo11n"))


# Bad data: what can be left out is, one by one, and told; the rest is trained on.


def test_bad_labels_and_pictures_are_told_and_left_out(quick, data, tmp_path):
    def spoil(document):
        nothing = {"image_id": 0, "category_id": 0, "area": 9, "iscrowd": 0}
        document["annotations"] += [
            nothing | {"id": 901, "bbox": [1, 1, float("nan"), 5]},
            nothing | {"id": 902, "bbox": [1, 1, 5, 5], "category_id": 77},
            nothing | {"id": 903, "bbox": [200, 200, 5, 5]},
            nothing | {"id": 904, "bbox": [1, 1, 5]},
        ]

    change(data, spoil)
    pictures = data.parent / "images"
    (pictures / "3.png").unlink()
    (pictures / "4.png").write_bytes(b"no picture")
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(pictures / "5.png")
    before = (data.parent / "instances.json").read_bytes()
    code, _, err = quick(data, "--out", "out")
    assert code == 0
    assert "9 pictures" in err
    for word in ("901", "902", "903", "904", "3.png", "4.png", "5.png"):
        assert word in err, word
    assert "; list all with: lucidbox data check " in err
    assert (data.parent / "instances.json").read_bytes() == before


def test_a_picture_that_breaks_later_is_told_and_replaced(quick, data):
    path = data.parent / "images" / "3.png"
    path.write_bytes(path.read_bytes()[:-60])  # its head, which is all that is read at first, stays whole
    code, _, err = quick(data, "--out", "out", "--set", "validate_every=1")
    assert "3.png" in err
    assert "Traceback" not in err
    assert "validation goes on without a picture" in err
    assert code == 0


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda document: document.update(images=[], annotations=[]), "instances.json: no usable pictures"),
        (lambda document: document.update(annotations=[]), "no usable object to learn from"),
        (lambda document: document.update(categories=[]), "no usable category of this file"),
        (lambda document: document.pop("annotations"), "annotations"),
    ],
)
def test_a_data_set_with_nothing_in_it(train, data, edit, words):
    change(data, edit)
    assert words in refusal(train(data))


def test_a_part_that_is_missing(train, data):
    data.write_text(data.read_text().split("[val]")[0])
    assert "has no part val (it has: train)" in refusal(train(data))


# Resuming.


@pytest.fixture(scope="module")
def begun(tiny, tmp_path_factory):
    """The folder of a training of one epoch, with its data set beside it; tests leave it as it is."""
    root = tmp_path_factory.mktemp("begun")
    data = squares(root / "data")
    more = ["--set", "seed=1", "--set", "freeze=backbone.stem", "--out", str(root / "out")]
    with pytest.MonkeyPatch.context() as patch:
        leave_out_ends(patch)
        assert main(["train", str(data), "--weights", str(tiny), *SETTINGS, *more]) == 0
    return root / "out"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "yolo11n"], "--model yolo11n: the training in out is of notebook"),
        (["--epochs", "9"], "epochs=9: the training in out has 1, and goes on as it began"),
        (["--set", "mosaic=0.5"], "mosaic=0.5: the training in out has 1.0"),
        (["--set", "mosaik=0.5"], "unknown key 'mosaik'"),
        (["--weights", "w.pt"], "--weights cannot be given with --resume"),
        (["--out", "other"], "--out cannot be given with --resume"),
        (["--recipe", "r.toml"], "--recipe cannot be given with --resume"),
        (["--licence", "MIT"], "--licence cannot be given with --resume"),
        (["--log", "mlflow"], "--log cannot be given with --resume"),
        (["--classes", "red"], "the classes is another: it began with ('red', 'green', 'blue'), now ('red',)"),
        (["--boxes", "xyxy"], "--boxes xyxy: the training in out has auto"),
    ],
)
def test_a_training_goes_on_as_it_began(train, begun, tmp_path, arguments, words):
    (tmp_path / "out").symlink_to(begun)
    before = {path.name: path.read_bytes() for path in begun.iterdir()}
    assert words in last_line(train("--resume", "out", *arguments))
    assert {path.name: path.read_bytes() for path in begun.iterdir()} == before


def test_another_data_set_is_not_resumed(train, begun, tmp_path):
    message = last_line(train(squares(tmp_path / "other", count=11), "--resume", begun))
    assert "the data set is another: it began with 12 pictures" in message
    assert "now 11 pictures" in message


def test_a_lost_picture_is_named_with_the_remedy(train, begun, tmp_path):
    shutil.copytree(begun.parent / "data", "moved")
    (tmp_path / "moved/images/3.png").unlink()
    message = last_line(train("moved/data.toml", "--resume", begun))
    assert "3.png cannot be used now: put back what is gone, or train anew with its last.safetensors" in message


def test_a_file_of_the_folder_is_as_good_as_the_folder(train, begun, tmp_path, monkeypatch):
    leave_out_ends(monkeypatch)
    shutil.copytree(begun, "out")
    assert train("--resume", "out/last.safetensors")[0] == 0
    message = last_line(train("--resume", "out/last.safetensors", "--epochs", "9"))
    assert message.endswith("train anew with --weights out/last.safetensors")
    (tmp_path / "out/checkpoint.safetensors").unlink()
    assert "no checkpoint.safetensors beside it; train anew: train DATA --weights out/" in last_line(
        train("--resume", "out/last.safetensors")
    )
    assert "there is no out/checkpoint.safetensors; begin anew" in last_line(train("--resume", "out"))
    assert "there is no nowhere/checkpoint.safetensors; name the" in last_line(train("--resume", "nowhere"))


@pytest.mark.extended
def test_set_norms_win_over_auto_and_an_unused_rate_is_told(train, data, tiny, tmp_path, monkeypatch):
    leave_out_ends(monkeypatch)
    command = [data, "--weights", tiny, *SETTINGS, "--set", "optimizer=auto"]
    mine = ["--set", "freeze_norms=false", "--set", "learning_rate=0.5"]
    code, _, err = train(*command, "--out", "out", *mine)
    assert code == 0, err
    assert not read_recipe(tmp_path / "out" / "recipe.toml").freeze_norms
    assert "learning_rate not used: optimizer=auto has its own" in err
    assert train(*command, "--out", "gentle")[0] == 0
    assert read_recipe(tmp_path / "gentle" / "recipe.toml").freeze_norms


def test_other_data_to_validate_on_are_not_resumed_with(train, begun, tmp_path):
    shutil.copytree(begun.parent / "data", "moved")
    part = 'annotations = "{}/instances.json"\nimages = "{}/images"\n'
    squares(tmp_path / "other", count=11)
    (tmp_path / "moved/data.toml").write_text(
        "".join(
            f"[{name}]\n" + part.format(folder, folder) for name, folder in (("train", "."), ("val", "../other"))
        )
    )
    message = last_line(train("moved/data.toml", "--resume", begun))
    assert "the data to validate on is another" in message


def test_the_same_may_be_said_again_and_the_data_may_have_moved(train, begun, tmp_path, monkeypatch):
    leave_out_ends(monkeypatch)
    shutil.copytree(begun, "out")
    shutil.copytree(begun.parent / "data", "moved")
    same = ["--model", "notebook", "--epochs", "1", "--set", "freeze=backbone.stem", "--set", "mosaic=1"]
    code, out, err = train("moved/data.toml", "--resume", "out", *same, "--set", "workers=1")
    assert code == 0, err
    assert out.startswith("done; 1 epochs")


def test_a_training_that_python_began_is_resumed_with_its_data_named(train, begun, tmp_path, monkeypatch):
    leave_out_ends(monkeypatch)
    kept = load_checkpoint(begun / "checkpoint.safetensors")
    notes = {key: kept.notes[key] for key in ("logs", "licence", "provenance", "scaler")}
    shutil.copytree(begun, "out")
    save_checkpoint(replace(kept, notes=notes), tmp_path / "out" / "checkpoint.safetensors")
    assert "name the data set: train DATA --resume DIR" in refusal(train("--resume", "out"))
    assert train(begun.parent / "data", "--resume", "out")[0] == 0


@pytest.mark.extended
def test_stopped_by_sigterm_it_says_how_to_go_on(train, data, tiny, tmp_path):
    command = [sys.executable, "-m", "lucidbox", "train", data, "--weights", tiny, *SETTINGS, "--out", "my out"]
    source = str(Path(__file__).parents[2] / "src")
    environment = os.environ | {"PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [*map(str, command), "--epochs", "4000", "--set", "validate_every=4000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment,
    )  # fmt: skip
    assert process.stdout.readline().startswith("epoch 1: ")
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 130, err
    last = out.splitlines()[-1]
    assert last.startswith("stopped and saved; go on with: lucidbox train --resume 'my out'; ")
    assert "never validated" in last
    assert "Traceback" not in err
    kept = load_checkpoint(tmp_path / "my out" / "checkpoint.safetensors")
    assert 3 <= kept.progress.batches < 12000
