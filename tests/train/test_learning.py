"""The whole training, on real pictures. Slow: three minutes on one quiet core."""

import csv
import json
from pathlib import Path

import pytest

from lucidbox import Detector
from lucidbox.cli import main
from lucidbox.evaluate import evaluate, load_predictions, load_truth
from models import unchecked_shapes

RECIPE = Path(__file__).parents[2] / "recipes/overfit.toml"


def eight_pictures(folder, source):
    """A data set of eight nearly square pictures whose objects are no specks; returns its TOML.

    Square, because validation pads oblong pictures less than training does, and what is learnt by heart is
    learnt with its padding.
    """
    document = json.loads((source / "instances.json").read_text())
    objects = {}
    for one in document["annotations"]:
        objects.setdefault(one["image_id"], []).append(one)

    def fits(picture):
        own, area = objects.get(picture["id"], []), picture["width"] * picture["height"]
        square = 0.95 <= picture["width"] / picture["height"] <= 1 / 0.95
        return square and 1 <= len(own) <= 8 and all(one["area"] >= 0.01 * area for one in own)

    chosen = sorted(filter(fits, document["images"]), key=lambda picture: picture["id"])[:8]
    annotations = [one for picture in chosen for one in objects[picture["id"]]]
    kept = {"images": chosen, "annotations": annotations, "categories": document["categories"]}
    (folder / "instances.json").write_text(json.dumps(kept))
    part = f'annotations = "instances.json"\nimages = "{source}/images"\n'
    (folder / "data.toml").write_text(f"[train]\n{part}[val]\n{part}")
    return folder / "data.toml"


@pytest.mark.slow
def test_eight_pictures_are_learnt_by_heart_with_the_default_average_and_patience(shared, tmp_path):
    data = eight_pictures(tmp_path, shared("data/coco-train"))
    with unchecked_shapes():  # exporting, they are symbols
        assert main(["train", str(data), "--recipe", str(RECIPE), "--out", str(tmp_path / "out")]) == 0
    with (tmp_path / "out/metrics.csv").open(newline="") as file:
        ap50 = {int(row["epoch"]): float(row["ap50"]) for row in csv.DictReader(file)}
    assert ap50[100] >= 0.9  # in validation's frames; a step an epoch, so this is the end of warm-up
    assert ap50_of_predict(tmp_path / "out/best.onnx", data.parent, shared("data/coco-train/images")) >= 0.95


def ap50_of_predict(weights, folder, images):
    """As predict sees the pictures; validation's frames may have 32 pixels of padding more."""
    detector, truth = Detector.load(weights, conf=0.001), load_truth(folder / "instances.json")
    document = json.loads((folder / "instances.json").read_text())
    ids = sorted(one["id"] for one in document["categories"])
    found = [
        entry
        for picture in document["images"]
        for entry in detector(images / picture["file_name"]).to_coco(picture["id"], ids)
    ]
    (folder / "found.json").write_text(json.dumps(found))
    return evaluate(truth, load_predictions(folder / "found.json", truth)).stats[1]
