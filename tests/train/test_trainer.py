"""Whole trainings of a few seconds: what they leave, and that nothing stops them for good."""

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from squares import NAMES, QUICK, leave_out_ends, squares

from lucidbox import Detector, weights
from lucidbox.cli import main
from lucidbox.core.errors import OptionError, OutputError
from lucidbox.core.locking import alone_in
from lucidbox.datasets import to_truth
from lucidbox.datasets.training import open_data
from lucidbox.evaluate.streaming import CocoEvaluator
from lucidbox.model import build
from lucidbox.train import records
from lucidbox.train.checkpoint import TrainingProgress, load_checkpoint
from lucidbox.train.recipe import Recipe
from lucidbox.train.train_step import Losses, TrainStep
from lucidbox.train.trainer import ALONE, Callbacks, Trainer, TrainingError
from lucidbox.train.validation import BATCH, Validator
from lucidbox.validate.inference import LIMITS, files_of, raw_predictions, read_files
from models import lively_network, unchecked_shapes


def network(seed=0):
    torch.manual_seed(seed)
    return build("notebook", 3, base_channels=2)


def trainer(folder, data, **changes):
    options = {key: changes.pop(key) for key in ("callbacks", "logs", "licence") if key in changes}
    return Trainer(open_data(data), network(), Recipe().changed(QUICK | changes), folder, **options)


def rows(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


@pytest.fixture(autouse=True)
def unexported(request, monkeypatch):
    """Exporting and drawing take seconds: only the tests that ask for ``exported`` do it."""
    if "exported" not in request.fixturenames:
        leave_out_ends(monkeypatch)


@pytest.fixture
def exported():
    """Let trainings export; shapes are symbols while they do."""
    with unchecked_shapes():
        yield


@pytest.fixture
def data(tmp_path):
    return squares(tmp_path / "data")


def test_what_a_training_leaves(tmp_path, data):
    told = []

    class Told(Callbacks):
        def batch(self, done, total, losses):
            told.append((done, total, losses.finite))

        def epoch(self, row):
            told.append(row)

    outcome = trainer(tmp_path / "out", data, callbacks=Told(), licence="CC0-1.0").run()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "best.safetensors", "checkpoint.safetensors", "last.safetensors", "losses.csv", "metrics.csv",
        "recipe.toml",
    }  # fmt: skip
    assert (outcome.ending, outcome.epochs) == ("done", 2)
    assert [one for one in told if isinstance(one, tuple)] == [(done, 6, True) for done in range(1, 7)]
    assert [one.epoch for one in told if not isinstance(one, tuple)] == [1, 2]

    steps = rows(tmp_path / "out" / "losses.csv")
    assert [row[:2] for row in steps[1:]] == [[str(step), str((step + 2) // 3)] for step in range(1, 7)]
    epochs = rows(tmp_path / "out" / "metrics.csv")
    mean = np.mean([float(row[2]) for row in steps[1:4]])
    assert float(epochs[1][1]) == pytest.approx(mean)

    best = weights.read(tmp_path / "out" / "best.safetensors")
    assert (best.names, best.licence, best.size) == (NAMES, "CC0-1.0", 64)
    assert "12 pictures" in best.provenance
    average = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors").tensors
    last = weights.read(tmp_path / "out" / "last.safetensors").tensors
    assert all(np.array_equal(last[name], average[f"average.{name}"].numpy()) for name in last)


@pytest.mark.extended
def test_predict_uses_what_a_training_leaves(tmp_path, data, exported):
    trainer(tmp_path / "out", data, epochs=1).run()
    assert {path.name for path in (tmp_path / "out").iterdir()} > {"best.onnx", "curves.png", "predictions.png"}
    detector = Detector.load(tmp_path / "out" / "best.onnx")
    assert detector.names == NAMES
    assert detector.size == (64, 64)
    detector(tmp_path / "data" / "images" / "0.png")


def test_the_same_seed_gives_the_same_weights(tmp_path, data):
    finals = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        trainer(tmp_path / name, data, seed=seed, epochs=1).run()
        finals.append((tmp_path / name / "last.safetensors").read_bytes())
    assert finals[0] == finals[1]
    assert finals[0] != finals[2]


@pytest.mark.extended
def test_weights_with_another_class_width_are_trained_resumed_and_used(tmp_path, data, capsys):
    """Of 80 classes the branches are 80 wide; the data set has three of these, and keeps that width."""
    torch.manual_seed(0)
    names = (*NAMES, *(f"thing {number}" for number in range(77)))
    weights.write(weights.from_network(build("yolo11n", 80), names), tmp_path / "many.safetensors")
    changes = [word for key, value in (QUICK | {"epochs": 1}).items() for word in ("--set", f"{key}={value}")]
    command = ["train", str(data), "--weights", str(tmp_path / "many.safetensors"), *map(str.lower, changes)]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert main(["train", "--resume", str(tmp_path / "out")]) == 0
    assert "knows 3 of the 3 classes; 0 tensors begin anew" in capsys.readouterr().err
    kept = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors")
    assert kept.identity.options == {"class_width": 80}
    last = weights.read(tmp_path / "out" / "last.safetensors")
    assert (last.names, last.options) == (NAMES, {"class_width": 80})


SCRIPT = """
import sys, time
sys.path[:0] = [{tests!r}]
from pathlib import Path
import pytest, torch
torch.set_num_threads(1)
from squares import QUICK, leave_out_ends
from lucidbox.model import build
from lucidbox.datasets.training import open_data
from lucidbox.train import checkpoint
from lucidbox.train.recipe import Recipe
from lucidbox.train.trainer import Trainer, Callbacks

folder, workers = Path(sys.argv[1]), int(sys.argv[2])
changes = QUICK | {{"epochs": 6, "workers": workers, "validate_every": 3, "checkpoint_minutes": 0.002}}
changes |= {{"optimizer": "adamw", "learning_rate": 0.001, "multi_scale": 0.5, "precision": "bf16"}}
torch.manual_seed(0)
network = build("notebook", 3, base_channels=2)

class Slow(Callbacks):
    def batch(self, done, total, losses):
        print(done, flush=True)
        time.sleep(0.05)

made = Trainer(open_data({data!r}), network, Recipe().changed(changes), folder, callbacks=Slow())
if (folder / "checkpoint.safetensors").exists():
    made.restore(checkpoint.load_checkpoint(folder / "checkpoint.safetensors"))
# The export and the pictures are not what is tested here.
leave_out_ends(pytest.MonkeyPatch())
print(made.run().ending)
"""


def begin(folder, data, workers):
    code = SCRIPT.format(tests=str(Path(__file__).parent), data=str(data))
    return subprocess.Popen(
        [sys.executable, "-c", code, folder, str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(folder, data, workers=0):
    process = begin(folder, data, workers)
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    return output.split()


def same_results(first, second):
    assert (first / "losses.csv").read_text() == (second / "losses.csv").read_text()
    ends = [weights.read(folder / "last.safetensors").tensors for folder in (first, second)]
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])
    columns = [[row[:8] for row in rows(folder / "metrics.csv")] for folder in (first, second)]
    assert columns[0] == columns[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A data set, and the folder of a training on it that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    data = squares(folder / "data")
    finished(folder / "out", data)
    return data, folder / "out"


def kill_and_resume(folder, whole, kills, workers, seed):
    data, uninterrupted = whole
    killed = folder / "killed"
    chance = random.Random(seed)
    for _ in range(kills):
        process = begin(killed, data, workers)
        assert process.stdout.readline().strip()
        time.sleep(chance.uniform(0, 0.9))
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finished(killed, data, workers)
    same_results(uninterrupted, killed)


@pytest.mark.extended
def test_a_killed_training_goes_on_bit_for_bit(tmp_path, whole):
    kill_and_resume(tmp_path, whole, kills=2, workers=2, seed=1)


@pytest.mark.slow
def test_twenty_kills(tmp_path, whole):
    kill_and_resume(tmp_path, whole, kills=20, workers=2, seed=7)


@pytest.mark.extended
def test_told_to_stop_it_saves_and_can_go_on(tmp_path, whole):
    data, uninterrupted = whole
    process = begin(tmp_path / "out", data, 1)
    for line in process.stdout:
        if line.strip() == "4":
            break
    os.killpg(process.pid, signal.SIGTERM)  # torchrun, systemd and timeout tell the workers, too
    output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert output.split()[-1] == "interrupted"
    done = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors").progress.batches
    assert 4 <= done < 18
    assert finished(tmp_path / "out", data)[0] == str(done + 1)
    same_results(uninterrupted, tmp_path / "out")


def test_a_loss_that_is_no_number_stops_it_with_its_batch(tmp_path, data, monkeypatch):
    learn = TrainStep.learn

    def poisoned(self, batch, number, rates):
        if number == 4:
            return Losses(1.0, float("nan"), 1.0, 0.0, finite=False)
        return learn(self, batch, number, rates)

    monkeypatch.setattr(TrainStep, "learn", poisoned)
    with pytest.raises(TrainingError, match=r"batch 5: loss or gradients are not finite .*classes nan.*\d\.png"):
        trainer(tmp_path / "out", data).run()
    saved = np.load(tmp_path / "out" / "refused-batch-5-0.npz")
    assert saved["images"].shape == (4, 64, 64, 3)
    assert len(saved["boxes"]) == len(saved["classes"]) == len(saved["pictures"])
    assert load_checkpoint(tmp_path / "out" / "checkpoint.safetensors").progress.batches == 3


def test_a_damaged_validation_picture_costs_its_objects_only(tmp_path, data):
    told = []

    class Told(Callbacks):
        def say(self, message):
            told.append(message)

    made = trainer(tmp_path / "out", data, epochs=1, callbacks=Told())
    path = tmp_path / "data" / "images" / "3.png"
    path.write_bytes(path.read_bytes()[:60])
    assert made.run().epochs == 1
    assert any("validation goes on without a picture" in message and "3.png" in message for message in told)


@pytest.mark.extended
@pytest.mark.parametrize("frozen", [False, True])
def test_stopped_while_validating_it_validates_first_when_resumed(frozen, tmp_path, data, monkeypatch):
    from lucidbox.core.errors import EngineError

    truth, made = Validator.__call__, trainer(tmp_path / "out", data, freeze_norms=frozen)

    def fails(self, network):
        raise EngineError("no answer")

    monkeypatch.setattr(Validator, "__call__", fails)
    with pytest.raises(EngineError):
        made.run()
    monkeypatch.setattr(Validator, "__call__", truth)
    kept = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors")
    assert (kept.progress.batches, kept.progress.epochs) == (3, 0)
    again = trainer(tmp_path / "out", data, freeze_norms=frozen)
    again.restore(kept)
    again.run()
    trainer(tmp_path / "whole", data, freeze_norms=frozen).run()
    same_results(tmp_path / "whole", tmp_path / "out")


def aps_of_epochs(monkeypatch, values):
    """Let validations find these APs, one after the other."""
    left = iter(values)

    def found(self, network):
        self.shown = {0: None}  # else the end would validate once more
        return SimpleNamespace(stats=[next(left)] * 12)

    monkeypatch.setattr(Validator, "__call__", found)
    monkeypatch.setattr(Validator, "draw", lambda self, path: None)


def test_patience_ends_it_and_begins_with_the_first_ap_above_0(tmp_path, data, monkeypatch):
    aps_of_epochs(monkeypatch, [0.0, 0.0, 0.25, 0.25])
    outcome = trainer(tmp_path / "out", data, epochs=9, patience=1, batch=12).run()
    assert (outcome.ending, outcome.best_epoch, outcome.epochs) == ("patience", 3, 4)


@pytest.mark.parametrize(
    ("best_ap", "best_epoch", "epochs", "patience", "tired"),
    [
        (0.0, 0, 101, 100, False),  # nothing was ever found
        (-1.0, -1, 101, 100, False),  # nor validated
        (0.1, 99, 199, 100, False),
        (0.1, 99, 200, 100, True),
        (0.1, 99, 200, 0, False),
        (0.1, 99, 300, 100, False),  # it is done, and needs no other reason to end
    ],
)
def test_when_patience_ends(tmp_path, data, best_ap, best_epoch, epochs, patience, tired):
    made = trainer(tmp_path / "out", data, epochs=300, patience=patience)
    made.progress = TrainingProgress(best_ap=best_ap, best_epoch=best_epoch, epochs=epochs)
    assert made._tired() is tired


def test_norms_of_what_is_kept_belong_to_its_weights(tmp_path, data):
    """The epoch's only batch has all pictures: their statistics are those in the file."""
    made = trainer(tmp_path / "out", data, epochs=1, batch=12, nominal_batch=12)
    made.run()
    kept = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors").tensors
    twin, [batch] = network(), islice(made._batches(0, workers=0), 1)
    twin.load_state_dict({name: kept[f"average.{name}"] for name in twin.state_dict()})
    twin.backbone.stem.bn.register_forward_pre_hook(lambda norm, inputs: seen.extend(inputs))
    seen = []
    with torch.no_grad():
        twin.eval()(batch.images.permute(0, 3, 1, 2).float() / 255)
    assert torch.allclose(seen[0].mean((0, 2, 3)), twin.backbone.stem.bn.running_mean, atol=1e-4)
    assert not torch.allclose(
        kept["network.backbone.stem.bn.running_mean"], twin.backbone.stem.bn.running_mean, atol=1e-3
    )


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path, data, monkeypatch):
    from lucidbox.train import trainer as module

    save, saved = module.checkpoints.save_checkpoint, []

    def full(checkpoint, path):
        if len(saved) == 2:
            raise OutputError(f"{path}: cannot be written: the disk is full")
        saved.append(checkpoint.progress.batches)
        save(checkpoint, path)

    monkeypatch.setattr(module.checkpoints, "save_checkpoint", full)
    with pytest.raises(OutputError, match="disk is full"):
        trainer(tmp_path / "out", data).run()
    assert load_checkpoint(tmp_path / "out" / "checkpoint.safetensors").progress.batches == saved[-1] == 3


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, data):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "note.txt").write_text("mine")
    with pytest.raises(OptionError, match="not empty; name a new folder"):
        trainer(tmp_path / "out", data).run()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["note.txt"]


def test_a_start_that_failed_is_begun_again(tmp_path, data, monkeypatch):
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_save", lambda self: (_ for _ in ()).throw(OutputError("the disk is full")))
        with pytest.raises(OutputError, match="disk is full"):
            trainer(out, data).run()
    assert list(out.iterdir()) == []
    # Killed, it leaves something.
    (out / "recipe.toml").write_text(Recipe().to_toml())
    for name in ("metrics.csv", "losses.csv", ".lucidbox-0123456789ab.safetensors"):
        (out / name).touch()
    assert trainer(out, data, epochs=1).run().ending == "done"
    assert not list(out.glob(".lucidbox-*"))
    with pytest.raises(OptionError, match="not empty"):
        trainer(out, data).run()


@pytest.mark.parametrize("content", ["# mine\nepochs = 3\n", "no recipe"])
def test_a_recipe_of_the_users_is_not_taken_for_a_failed_start(tmp_path, data, content):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "recipe.toml").write_text(content)
    with pytest.raises(OptionError, match="not empty"):
        trainer(tmp_path / "out", data).run()
    assert (tmp_path / "out" / "recipe.toml").read_text() == content


def test_one_training_a_folder(tmp_path, data):
    pytest.importorskip("fcntl", reason="this system has no such locks")
    made = trainer(tmp_path / "out", data)
    (tmp_path / "out").mkdir()
    with alone_in(tmp_path / "out"), pytest.raises(OutputError, match="another process is at work in this folder"):
        made.run()
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.extended
def test_told_to_stop_while_it_waits_it_saves_and_can_go_on(tmp_path, data, monkeypatch):
    batches = Trainer._batches

    def stuck(self, first, workers):
        yield from islice(batches(self, first, workers), 4)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it waits on")

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_batches", stuck)
        patch.setattr(Trainer, "_measure_norms", lambda self: None)
        assert trainer(tmp_path / "out", data, seed=1).run().ending == "interrupted"
    kept = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors")
    assert kept.progress.batches == 4
    again = trainer(tmp_path / "out", data, seed=1)
    again.restore(kept)
    assert again.run().ending == "done"


def test_plain_values_are_taken(tmp_path, data):
    """The data's path, a dictionary, a folder as text, a network in half precision, in inference mode."""
    with torch.inference_mode(), unchecked_shapes():
        made = Trainer(str(data), network().half(), QUICK | {"epochs": 1}, str(tmp_path / "out"), logs="csv")
        assert made.run().ending == "done"
        again = Trainer(data, network(), Recipe().changed(QUICK | {"epochs": 2}), tmp_path / "out")
        kept = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors")
        again.restore(kept)
        assert again.run().epochs == 2
        for values in ((3, network(), Recipe()), (data, "yolo11n", Recipe()), (data, network(), 50)):
            with pytest.raises(OptionError, match=r"is a (int|str), not a (TrainingData|Network|Recipe)"):
                Trainer(*values, tmp_path / "other")


def test_a_log_that_fails_at_the_end_costs_nothing(tmp_path, data, monkeypatch):
    class Fails:
        def add(self, row):
            pass

        def close(self):
            raise OutputError("no answer")

    told = []
    open_logs = records.open_logs
    monkeypatch.setattr(records, "open_logs", lambda *words, **more: (*open_logs(*words, **more), Fails()))
    made = trainer(tmp_path / "out", data, epochs=1)
    monkeypatch.setattr(made, "_say", told.append)
    assert made.run().ending == "done"
    assert "no answer; its last rows may be missing there" in told


def test_a_network_of_other_classes_is_refused(tmp_path, data):
    with pytest.raises(OptionError, match="the network has 5 classes, the data set has 3"):
        Trainer(open_data(data), build("notebook", 5, base_channels=2), Recipe(), tmp_path / "out")


def test_only_the_same_is_resumed(tmp_path, data):
    trainer(tmp_path / "out", data, epochs=1).run()
    kept = load_checkpoint(tmp_path / "out" / "checkpoint.safetensors")
    fewer, changed = squares(tmp_path / "fewer", count=11), squares(tmp_path / "changed")
    document = json.loads((tmp_path / "changed" / "instances.json").read_text())
    document["annotations"][0]["bbox"][3] -= 1
    (tmp_path / "changed" / "instances.json").write_text(json.dumps(document))
    wider = build("notebook", 3, base_channels=4)
    for fresh, message in (
        ((fewer, network()), r"data set is another: it began with 12 pictures, .* now 11 pictures"),
        ((changed, network()), "content of the data set is another"),
        ((data, wider), "network's options is another"),
    ):
        with pytest.raises(OptionError, match=message):
            Trainer(open_data(fresh[0]), fresh[1], Recipe().changed(QUICK), tmp_path / "out").restore(kept)


def test_validation_is_that_of_the_predict_path(tmp_path, data):
    """A network in training is measured as its file would be: the same boxes, to the last bit."""
    opened = open_data(data)
    made = lively_network("notebook", 3, base_channels=2).train()
    found = Validator(opened, 64, "fp32", ALONE)(made).matching.predictions
    assert made.training

    path = tmp_path / "weights.safetensors"
    weights.write(weights.from_network(made, NAMES, size=64), path)
    detector = Detector.load(path, engine="torch", precision="fp32")
    truth = to_truth(opened.val)
    groups = read_files(files_of(truth, tmp_path / "data" / "images"), BATCH, print)
    evaluator = CocoEvaluator(truth)
    for image_id, raw in raw_predictions(detector.predictor, groups):
        evaluator.add(image_id, detector.predictor.finish(raw, LIMITS))
    expected = evaluator.summary().matching.predictions
    assert len(found) > len(opened.val)
    for column in ("image_ids", "category_ids", "boxes_xywh", "scores"):
        assert np.array_equal(getattr(found, column), getattr(expected, column)), column
