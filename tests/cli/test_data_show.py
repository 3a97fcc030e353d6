"""``lucidbox data show``: the sheet is of what training sees, and is made without torch."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from squares import NAMES, squares

from lucidbox.cli import main
from lucidbox.datasets.augment import Augmentation, Augmenter, Sample, contact_sheet, plain
from lucidbox.datasets.training import open_data
from lucidbox.train.loader import load_batches
from lucidbox.train.sampling_schedule import SamplingSchedule


@pytest.fixture
def data(tmp_path):
    return squares(tmp_path / "data")


@pytest.fixture
def show(data, tmp_path, monkeypatch, capsys):
    """Function that runs ``lucidbox data show`` on squares: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = main(["data", "show", "data", "--size", "64", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def first_seen(data, first, count, augmentation=None, classes=None, **changes):
    """What torch's loader gives a training first, as samples."""
    opened = open_data(data, classes=classes)
    fields = {"pictures": 12, "batch": 8, "epochs": 4, "mixed_epochs": 2, "seed": 0} | changes
    augmenter = Augmenter(opened.samples(64), 64, augmentation or Augmentation())
    samples = []
    for batch in load_batches(augmenter, SamplingSchedule(**fields), first=first, workers=0):
        for row in range(len(batch.images)):
            mine = batch.targets.pictures == row
            boxes, kinds = batch.targets.boxes[mine].numpy(), batch.targets.classes[mine].numpy()
            samples.append(Sample(batch.images[row].numpy(), boxes, kinds))
    return samples[:count]


def pixels(path):
    with Image.open(path) as image:
        return np.array(image)


RECIPE = ["--set", "batch=8", "--set", "epochs=4", "--set", "close_mosaic=2"]


def test_the_sheet_is_what_training_sees_first(show, data, tmp_path):
    assert show(*RECIPE, "--save", "sheet.png")[0] == 0
    seen = first_seen(data, 0, 16)
    assert np.array_equal(pixels(tmp_path / "sheet.png"), contact_sheet(seen, NAMES, 4))


def test_seed_epoch_classes_and_recipe_are_followed(show, data, tmp_path):
    (tmp_path / "mine.toml").write_text("degrees = 20.0\nflip_vertical = 1.0\nmixup = 1.0\nseed = 3\nepochs = 9\n")
    more = [
        "--recipe",
        "mine.toml",
        "--seed",
        5,
        "--epoch",
        3,
        "--count",
        6,
        "--columns",
        3,
        "--classes",
        "green,red",
    ]
    code, out, _ = show(*more, *RECIPE, "--save", "sheet.png")
    changed = Augmentation(degrees=20.0, flip_vertical=1.0, mixup=1.0)
    seen = first_seen(data, 4, 6, changed, classes=["green", "red"], seed=5)
    assert code == 0
    assert np.array_equal(pixels(tmp_path / "sheet.png"), contact_sheet(seen, ("green", "red"), 3))
    assert out == f"wrote sheet.png: 6 pictures, {sum(len(sample.classes) for sample in seen)} objects\n"


def test_validation_pictures_are_shown_as_they_are(show, data, tmp_path):
    assert show("--part", "val", "--save", "val.png", "--count", 99, "--columns", 5)[0] == 0
    opened = open_data(data)
    augmenter = Augmenter(opened.samples(64), 64, plain())
    samples = [augmenter(number, np.random.default_rng(0), mixing=False) for number in range(12)]
    assert np.array_equal(pixels(tmp_path / "val.png"), contact_sheet(samples, NAMES, 5))


def test_a_picture_that_cannot_be_read_is_told(show, data):
    path = data.parent / "images" / "3.png"
    path.write_bytes(path.read_bytes()[:-60])
    code, out, err = show("--set", "mosaic=0", "--count", 12, "--save", "sheet.png")
    assert code == 0
    assert "12 pictures" in out
    assert "3.png" in err
    assert "; another picture took its place" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--count", 0], "--count 0: give a number from 1 to 400"),
        (["--count", 401], "--count 401: give a number from 1 to 400"),
        (["--columns", 0], "--columns 0: give at least 1"),
        (["--epoch", 0], "--epoch 0: the recipe has epochs 1 to 100"),
        (["--epoch", 5, "--set", "epochs=4"], "--epoch 5: the recipe has epochs 1 to 4"),
        (["--set", "mosaik=1"], "unknown key 'mosaik'; do you mean mosaic"),
        (["--seed", -1], "seed -1 is out of range"),
        (["--classes", "gren"], "did you mean green"),
        (["--save", "sheet.doc"], ".doc: not a format that can be written"),
        (["--save", "data/data.toml/sheet.png"], "sheet.png: cannot be written"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(show, tmp_path, arguments, words):
    code, out, err = show("--save", "sheet.png", *arguments)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1].startswith("lucidbox: error: ")
    assert words in err.splitlines()[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_it_never_imports_torch(data, tmp_path):
    arguments = ["data", "show", str(data), "--size", "64", "--save", str(tmp_path / "s.png")]
    code = (
        "import sys\nfrom lucidbox.cli import main\n"
        f"assert main({arguments}) == 0\n"
        "import lucidbox.train.recipe\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'torch', 'safetensors', 'datasets'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / "s.png").exists()
