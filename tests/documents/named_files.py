"""The folder of files that the documents' examples name: docs/reference/files-in-examples.md."""

import contextlib
import json
import shutil

import cv2
import numpy as np
import torch
from forge import published_checkpoint

from conftest import EXAMPLES
from dressing import dress
from lucidbox import cli, weights
from lucidbox.model_files import bundled
from lucidbox.weights.keys import DISTRIBUTION_KEY, to_published

PICTURES = ("street", "pizza", "rider", "kitchen")


def make_files(folder):
    """Write all of them into an empty folder."""
    for name in PICTURES:
        shutil.copy(EXAMPLES / f"{name}.jpg", folder)
    shutil.copy(EXAMPLES / "instances.json", folder)
    for name in ("photos", "images", "examples"):
        shutil.copytree(EXAMPLES, folder / name, ignore=shutil.ignore_patterns("README.md"))
        if name != "examples":
            (folder / name / "instances.json").unlink()
    (folder / "list.txt").write_text("".join(f"photos/{name}.jpg\n" for name in PICTURES))
    (folder / "key.txt").write_text("a-key-of-at-least-sixteen-letters\n")
    _models(folder)
    _data_sets(folder)
    _pictures(folder)
    _results(folder)


def _models(folder):
    """The bundled model in every form: as lucidbox writes it, as published, as other tools export it."""
    shutil.copy(bundled.ONNX, folder / "yolo11n.onnx")
    shutil.copy(bundled.ONNX, folder / "yolo11m.onnx")
    shutil.copy(bundled.SAFETENSORS, folder / "yolo11n.safetensors")
    shutil.copy(bundled.SAFETENSORS, folder / "mine.safetensors")
    read = weights.read(bundled.SAFETENSORS)
    state = {to_published(name): torch.as_tensor(tensor) for name, tensor in read.tensors.items()}
    state[DISTRIBUTION_KEY] = torch.arange(16).half().view(1, 16, 1, 1)
    names = dict(enumerate(read.names))
    (folder / "yolo11n.pt").write_bytes(published_checkpoint(state, names=names))
    (folder / "names.txt").write_text("".join(f"{name}\n" for name in read.names))
    for name in ("theirs", "yolo11n-exported", "yolov8s"):
        dress(bundled.ONNX, folder / f"{name}.onnx", "yolo", sides=(416, 416), metadata={"names": str(names)})
    options = {"bgr": True, "scale": 1.0, "sides": (416, 416)}
    dress(bundled.ONNX, folder / "yolox_nano.onnx", "yolox", **options)
    dress(bundled.ONNX, folder / "rtdetr.onnx", "detr-boxes", sides=(416, 416))


def _data_sets(folder):
    """The annotated pictures as a YOLO data set, and as COCO files, each in two parts."""
    split = ["data", "split", "instances.json", "data", "--parts", "train=0.5,val=0.5"]
    _done(folder, [*split, "--images", "photos"])
    shutil.copy(folder / "data" / "data.toml", folder)
    for part in ("train", "val"):
        shutil.copy(folder / "data" / f"{part}.json", folder)
    _done(folder, ["data", "convert", "data.toml", "yolo", "--to", "yolo", "--pictures", "copy"])
    description = (folder / "yolo" / "data.yaml").read_text()
    (folder / "data.yaml").write_text(f"path: yolo\n{description}")


def _pictures(folder):
    """A video, in which the street moves past, and a picture of all four, larger than a network's input."""
    street = cv2.resize(cv2.imread(str(EXAMPLES / "street.jpg")), (1000, 668))
    video = cv2.VideoWriter(str(folder / "road.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 12.5, (768, 432))
    for frame in range(24):
        video.write(street[100:532, 8 * frame : 8 * frame + 768])
    video.release()
    tiles = [cv2.resize(cv2.imread(str(EXAMPLES / f"{name}.jpg")), (640, 480)) for name in PICTURES]
    cv2.imwrite(str(folder / "aerial.tif"), np.vstack([np.hstack(tiles[:2]), np.hstack(tiles[2:])]))


def _results(folder):
    """COCO result files and MOT text, near the truth."""
    truth = json.loads((folder / "instances.json").read_text())
    for name, moved in (("before", 6.0), ("after", 2.0), ("results", 2.0)):
        entries = [
            {
                "image_id": entry["image_id"],
                "category_id": entry["category_id"],
                "bbox": [entry["bbox"][0] + moved, *entry["bbox"][1:]],
                "score": 1 - number / 100,
            }
            for number, entry in enumerate(truth["annotations"])
        ]
        (folder / f"{name}.json").write_text(json.dumps(entries))
    for name, tail in (("gt", "1,1,1"), ("mot", "0.9,-1,-1,-1"), ("det", "0.9,-1,-1,-1")):
        lines = [
            f"{frame},{-1 if name == 'det' else track},{100 * track + 4 * frame},200,40,90,{tail}\n"
            for frame in range(1, 21)
            for track in (1, 2)
        ]
        (folder / f"{name}.txt").write_text("".join(lines))


def _done(folder, arguments):
    """Run a verb in this folder."""
    with contextlib.chdir(folder):
        assert cli.main(arguments) == 0
