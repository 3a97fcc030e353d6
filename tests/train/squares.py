"""A data set of coloured squares on grey, quick to learn from, and a network small enough to test loops with."""

import json

import numpy as np

from lucidbox.save.encode import save_image

NAMES = ("red", "green", "blue")


def squares(folder, count=12, seed=0, side=64):
    """Write a data set and return its TOML; both parts are the same pictures."""
    random = np.random.default_rng(seed)
    images, annotations = [], []
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = np.full((side, side, 3), 90, np.uint8)
        for kind in range(int(random.integers(0, 3))):
            left, top = random.integers(0, side - 24, 2).tolist()
            wide, high = random.integers(12, 24, 2).tolist()
            pixels[top : top + high, left : left + wide] = 0
            pixels[top : top + high, left : left + wide, kind] = 250
            box = [left, top, wide, high]
            fields = {"id": len(annotations) + 1, "image_id": number, "category_id": kind, "bbox": box}
            annotations.append(fields | {"area": wide * high, "iscrowd": 0})
        save_image(folder / "images" / f"{number}.png", pixels)
        images.append({"id": number, "file_name": f"{number}.png", "width": side, "height": side})
    categories = [{"id": kind, "name": name} for kind, name in enumerate(NAMES)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(document))
    part = 'annotations = "instances.json"\nimages = "images"\n'
    (folder / "data.toml").write_text(f"[train]\n{part}[val]\n{part}")
    return folder / "data.toml"


QUICK = {
    "epochs": 2, "size": 64, "batch": 4, "nominal_batch": 8, "optimizer": "sgd", "precision": "fp32", "workers": 0,
    "warmup_epochs": 0.0, "close_mosaic": 0, "ema_ramp": 5.0,
}  # fmt: skip
"""Changes of a recipe that make a training of a few seconds."""


def leave_out_ends(monkeypatch):
    """Leave out what takes seconds after each training: the export, the chart and the drawn pictures."""
    from lucidbox.train import trainer
    from lucidbox.train.results import Results
    from lucidbox.train.validation import Validator

    monkeypatch.setattr(Results, "export_best", lambda self: None)
    monkeypatch.setattr(trainer, "training_curves", lambda *_: None)
    monkeypatch.setattr(Validator, "draw", lambda *_: None)
