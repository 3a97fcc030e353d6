"""What lucidbox answers, written down, to prove that a change of its source changed nothing for users.

    python benchmarks/unchanged.py record OUT [--shared ../shared] [--only predict,train]
    python benchmarks/unchanged.py compare OLD NEW [--only predict,train]

``record`` runs the lucidbox that ``python -m lucidbox`` finds (PYTHONPATH decides) and writes a folder a part into
OUT: JSON, arrays, texts. ``compare`` takes two of them, values and bits, and ends with 0 if all are equal, else
with 3 and a list of what differs. A changed ``--help`` is only noted, unless an option or a verb is gone, and so
are names within ONNX graphs, which come from attributes of Python classes. Both must be recorded on one machine
with the same packages: OUT/machine.json says which, and ``compare`` notes where they differ.

Only the command line is used, and of Python ``lucidbox.Detector`` and what ``lucidbox.evaluate``,
``lucidbox.explain`` and ``lucidbox.draw`` name, so that it runs on any layout of the source. Times are left out,
folders are replaced by words. Of graphs the metadata of nodes are left out, where exporters write the places of
Python classes; of TorchScript and OpenVINO's XML the text, but not the answers. Torch runs on one thread, since
with another number of them its sums, and so maps and losses, are others. Files of the runs stay in OUT/work.
"""

import argparse
import csv
import hashlib
import io
import json
import math
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent.parent
DIFFERENT = 3
SHOWN = 12
"""Differences of a file that are listed; all are counted."""

NOTED = ("help-", "names-")
"""Beginnings of names of files whose differences are only noted."""

PACKAGES = ("numpy", "opencv-python-headless", "openvino", "onnxruntime", "torch", "onnx", "onnxscript", "pillow")
TIMES = {"milliseconds", "seconds", "pictures_per_second", "waiting"}
"""Keys and columns that no two runs have in common."""

CLOCK = re.compile(r"\d+(\.\d+)? ?(ms|s|seconds?|minutes?|hours?|pictures/s)\b")


# What a part writes down.


@dataclass(frozen=True)
class Part:
    """Where a part keeps what it found, and what it may use.

    Attributes:
        name: of the part.
        out: the folder of the whole recording.
        shared: material: pictures, weights, reference numbers.
    """

    name: str
    out: Path
    shared: Path

    @property
    def work(self) -> Path:
        """Where commands run and leave their files."""
        return self.out / "work" / self.name

    @property
    def weights(self) -> Path:
        return self.shared / "weights" / "yolo11n-reference.pt"

    @property
    def examples(self) -> Path:
        return HERE / "examples"

    @property
    def validation(self) -> Path:
        return self.shared / "data" / "coco-val-150"

    def run(self, *words, code=0):
        """``lucidbox WORDS`` in the work folder: standard output and standard error, folders replaced by words."""
        command = [sys.executable, "-m", "lucidbox", *map(str, words)]
        done = subprocess.run(command, cwd=self.work, capture_output=True, text=True)
        if code is not None and done.returncode != code:
            raise SystemExit(f"{self.name}: {' '.join(command)}\nended with {done.returncode}:\n{done.stderr}")
        return Answer(done.returncode, self.neutral(done.stdout), self.neutral(done.stderr))

    def neutral(self, text):
        """A text without the names of this machine's folders."""
        for path, word in ((self.out, "OUT"), (self.shared, "SHARED"), (HERE, "HERE")):
            text = text.replace(str(path), word)
        return text

    def keep_json(self, name, value):
        text = json.dumps(without_times(value), indent=1, ensure_ascii=False)
        (self.out / self.name / f"{name}.json").write_text(text + "\n", encoding="utf-8")

    def keep_text(self, name, text):
        (self.out / self.name / f"{name}.txt").write_text(CLOCK.sub("TIME", text), encoding="utf-8")

    def keep_arrays(self, name, arrays):
        np.savez_compressed(self.out / self.name / f"{name}.npz", **arrays)


@dataclass(frozen=True)
class Answer:
    """What a command gave: its exit code and what it wrote."""

    code: int
    output: str
    words: str

    @property
    def lines(self):
        """Standard output read as JSON Lines."""
        return [json.loads(line) for line in self.output.splitlines()]


def without_times(value):
    """A JSON value without the keys that tell times."""
    if isinstance(value, dict):
        return {key: without_times(one) for key, one in value.items() if key not in TIMES}
    return [without_times(one) for one in value] if isinstance(value, (list, tuple)) else value


def named(home, name):
    """``lucidbox.HOME.NAME``, whether HOME is a module or something that the package's own file names."""
    try:
        place = import_module(f"lucidbox.{home}")
    except ModuleNotFoundError:
        place = getattr(import_module("lucidbox"), home)
    return getattr(place, name)


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def pixels_of(path):
    """Pixels of a picture file, as they are in it."""
    import cv2

    return cv2.imread(str(path), cv2.IMREAD_UNCHANGED)


def array_hash(array):
    """Type, shape and hash of an array's numbers."""
    array = np.ascontiguousarray(array)
    return f"{array.dtype} {list(array.shape)} {sha256(array.tobytes())}"


def tree_hashes(folder):
    """Hash of every file in a folder by its relative name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()) for path in files}


def safetensors_hashes(path):
    """Tensors of a safetensors file by name, and its metadata, read without lucidbox."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return {
            "metadata": file.metadata(),
            "tensors": {name: tensor_hash(file.get_tensor(name)) for name in sorted(file.keys())},
        }


def tensor_hash(tensor):
    import torch

    kept = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return f"{tensor.dtype} {list(tensor.shape)} {sha256(kept)}"


def keep_graph(part, name, path):
    """An ONNX file: metadata, ends, nodes, constants, without notes of the exporter; names inside it apart.

    Names come from attributes of Python classes, so what is compared has numbers for them, by first appearance.
    """
    import onnx

    model = onnx.load(path)
    graph, inside = model.graph, {one.name for one in (*model.graph.input, *model.graph.output)}
    part.keep_json(f"names-{name}", [*(one.name for one in graph.initializer), *(one.name for one in graph.node)])
    numbers = {"": "", **{kept: kept for kept in inside}}
    nodes = [hash_of_node(node, numbers) for node in graph.node]
    arrays = {one.name: array_hash(onnx.numpy_helper.to_array(one)) for one in graph.initializer}
    ends = [sha256(one.SerializeToString(deterministic=True)) for one in (*graph.input, *graph.output)]
    document = {
        "metadata": {one.key: one.value for one in model.metadata_props},
        "opsets": sorted((one.domain, one.version) for one in model.opset_import),
        "ends": ends,
        "nodes": nodes,
        "constants": {numbers.get(key, "unused"): arrays[key] for key in arrays},
    }
    part.keep_json(f"{name}-graph", document)


def hash_of_node(node, numbers):
    """Kind and hash of a node whose values have numbers for names; new ones are added to ``numbers``."""
    for field in ("metadata_props", "doc_string", "name"):
        node.ClearField(field)
    for names in (node.input, node.output):
        names[:] = [numbers.setdefault(name, str(len(numbers))) for name in names]
    return f"{node.op_type} {sha256(node.SerializeToString(deterministic=True))}"


# Help and options.


def record_help(part):
    """The help of every verb, and its options."""
    options = {}
    for words in verbs_of(part, ()):
        text = part.run(*words, "--help").output
        part.keep_text("help-" + "-".join(words or ("lucidbox",)), text)
        options[" ".join(words)] = sorted(set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", usage_of(text))))
    part.keep_json("options", options)


def verbs_of(part, words):
    """A verb and all below it, as tuples of words, told by the list under "verbs:"."""
    yield words
    text = part.run(*words, "--help").output
    listed = re.search(r"^verbs:\n((?: .*\n)+)", text, re.MULTILINE)
    for verb in re.findall(r"^    (\w+)\b", listed[1], re.MULTILINE) if listed else ():
        yield from verbs_of(part, (*words, verb))


def usage_of(text):
    """The first paragraph of a help: all options, no examples."""
    return text.partition("\n\n")[0]


# Predict.


def record_predict(part):
    """Pictures in two precisions, a video, drawn pictures, crops and texts, options, exact arrays."""
    pictures, weights = part.validation / "images", ("--weights", part.weights)
    fp32 = part.run("predict", pictures, *weights, "--json", "--no-draw", "--precision", "fp32")
    part.keep_json("pictures-fp32", fp32.lines)
    part.keep_text("pictures-fp32-words", fp32.words)
    usual = part.run("predict", pictures, *weights, "--json", "--no-draw")
    part.keep_json("pictures-default", usual.lines)
    record_video(part, weights)
    record_saved(part, weights)
    record_options(part, weights)
    record_exact(part, pictures)


def record_video(part, weights):
    """Every tenth frame of a video: what was found, and the frames of the drawn video."""
    import cv2

    video = part.shared / "data" / "video" / "car-detection.mp4"
    chosen = ("--video-stride", 10, "--precision", "fp32", "--save", "video", "--json")
    part.keep_json("video", part.run("predict", video, *weights, *chosen).lines)
    capture, frames = cv2.VideoCapture(str(part.work / "video" / video.name)), []
    while (frame := capture.read()[1]) is not None:
        frames.append(array_hash(frame))
    part.keep_json("video-frames", frames)


def record_saved(part, weights):
    """All that predict leaves on disk, with a model named and with its own."""
    import cv2

    saved = ("--txt", "--crops", "--json-file", "found.jsonl", "--save", "saved", "--precision", "fp32")
    told = part.run("predict", part.examples, *weights, *saved)
    part.keep_text("saved-words", told.output + told.words)
    part.keep_json("saved-files", tree_hashes(part.work / "saved"))
    part.keep_json("saved-json", [json.loads(line) for line in (part.work / "found.jsonl").open()])
    part.keep_arrays("street", {"drawn": cv2.imread(str(part.work / "saved" / "street.jpg"))})
    own = part.run("predict", part.examples, "--json", "--save", "own")
    part.keep_json("bundled", own.lines)
    part.keep_json("bundled-files", tree_hashes(part.work / "own"))


def record_options(part, weights):
    """Options that change what is found, and every engine."""
    for name, words in {
        "agnostic": ("--agnostic", "--iou", 0.3, "--conf", 0.05),
        "classes": ("--classes", "person,53", "--max-det", 3),
        "size": ("--size", "320,416", "--batch", 4),
        "reduced": ("--size", 320, "--reduced-decoding"),
        "onnxruntime": ("--engine", "onnxruntime"),
        "torch": ("--engine", "torch", "--precision", "fp32"),
    }.items():
        answer = part.run("predict", part.examples, *weights, "--json", "--no-draw", *words)
        part.keep_json(f"option-{name}", answer.lines)


def record_exact(part, pictures):
    """Boxes and scores to the last bit, down to low scores; alone and in a stream; and drawn in memory."""
    import cv2

    from lucidbox import Detector

    draw = named("draw", "draw")
    detector = Detector.load(str(part.weights), precision="fp32", engine="openvino")
    files = sorted(pictures.iterdir())
    found = [detector(str(path), conf=0.01) for path in files]
    part.keep_arrays("exact", columns_of(found))
    stream = detector.stream([str(path) for path in files[:40]])
    part.keep_arrays("exact-stream", columns_of([one.detections for one in stream]))
    part.keep_json("forms", [[one.to_dicts(), one.to_coco(image_id=7)] for one in found[:5]])
    image = cv2.cvtColor(cv2.imread(str(part.examples / "kitchen.jpg")), cv2.COLOR_BGR2RGB)
    part.keep_arrays("drawn", {"kitchen": draw(image, detector(image))})


def columns_of(found):
    """Arrays of many pictures' detections, one after another."""
    return {
        "counts": np.array([len(one) for one in found]),
        "boxes": np.concatenate([one.boxes for one in found]),
        "scores": np.concatenate([one.scores for one in found]),
        "classes": np.concatenate([one.classes for one in found]),
    }


# Evaluate.


def record_evaluate(part):
    """COCO's own sample under every rule and analysis, and a model run over pictures."""
    golden = part.shared / "golden" / "eval"
    truth = golden / "instances_val2014_100.json"
    predictions = golden / "instances_val2014_fakebbox100_results.json"
    record_rules(part, ("evaluate", "--annotations", truth, "--predictions", predictions))
    record_curves(part, "sample-curves", truth, predictions)
    annotations, images = part.validation / "instances.json", part.validation / "images"
    model = part.run(
        "evaluate", "--annotations", annotations, "--images", images, "--weights", part.weights,
        "--precision", "fp32",
        "--per-class", "--errors", "--missed", "--explain-gap", "--bootstrap", 20, "--json", "model.json",
        "--save-predictions", "found.json",
    )  # fmt: skip
    part.keep_text("model-words", model.output + model.words)
    part.keep_json("model", json.loads((part.work / "model.json").read_text()))
    part.keep_json("model-predictions", json.loads((part.work / "found.json").read_text()))
    record_curves(part, "model-curves", annotations, part.work / "found.json")
    worse = part.shared / "golden" / "val" / "predictions-batch1.json"
    compared = part.run(
        "evaluate", "--annotations", annotations, "--compare", worse, "found.json", "--bootstrap", 20, "--json",
        code=None,
    )  # fmt: skip
    part.keep_json("compared", [compared.code, json.loads(compared.output)])


def record_rules(part, command):
    """Numbers and tables of one result file under several rules."""
    analyses = ("--per-class", "--errors", "--bootstrap", 50, "--seed", 3, "--explain-gap")
    for name, words in {
        "analyses": (*analyses, "--plots", "plots"),
        "agnostic": ("--class-agnostic",),
        "other-rules": (
            "--iou-thresholds",
            "0.5,0.6",
            "--max-detections",
            "1,20",
            "--areas",
            "all:0:1e10,tiny:0:400",
        ),
        "classes": ("--classes", "person,car"),
        "notebook": ("--rule", "notebook"),
    }.items():
        told = part.run(*command, *words, "--json", f"{name}.json")
        part.keep_text(f"sample-{name}-words", told.output + told.words)
        part.keep_json(f"sample-{name}", json.loads((part.work / f"{name}.json").read_text()))
    plots = sorted((part.work / "plots").iterdir())
    part.keep_json("sample-plots", {path.name: array_hash(pixels_of(path)) for path in plots})


def record_curves(part, name, truth_file, predictions_file):
    """Precision, recall and score arrays, and the twelve numbers, through Python."""
    truth = named("evaluate", "load_truth")(str(truth_file))
    predictions = named("evaluate", "load_predictions")(str(predictions_file), truth)
    summary = named("evaluate", "evaluate")(truth, predictions)
    curves = {key: value for key, value in vars(summary.curves).items() if isinstance(value, np.ndarray)}
    part.keep_arrays(name, {"stats": summary.stats, **curves})


# Train.

COMMON = {"workers": 0, "threads": 1, "size": 160, "batch": 4}


def record_train(part):
    """20 steps from random weights, and 10 from a file's with other classes and another recipe."""
    data = part.work / "data.toml"
    write_subset(part.shared / "data" / "coco-train", part.work / "train", slice(0, 40))
    write_subset(part.shared / "data" / "coco-train", part.work / "val", slice(40, 52))
    data.write_text(
        "".join(
            f'[{one}]\nannotations = "{one}/instances.json"\nimages = "{one}/images"\n' for one in ("train", "val")
        )
    )
    record_training(
        part, "random", data, epochs=2,
        recipe={"nominal_batch": 8, "close_mosaic": 1, "mixup": 0.3, "copy_paste": 0.3, "degrees": 5},
    )  # fmt: skip
    teacher = part.shared / "weights" / "teacher" / "yolox_nano.onnx"
    record_training(
        part, "finetuned", data, "--weights", part.shared / "weights" / "yolo11n-finetune.pt",
        "--classes", "person,car,chair", epochs=1,
        recipe={"optimizer": "sgd", "nominal_batch": 4, "schedule": "cosine", "freeze": '["backbone.stem"]',
                "multi_scale": 0.3, "teacher": f'"{teacher}"'},
    )  # fmt: skip


def record_training(part, name, data, *words, epochs, recipe):
    """A training on one thread: losses of every step, its rows, what it told, and every file that came out."""
    settings = [word for key, value in recipe.items() for word in ("--set", f"{key}={value}")]
    common = [word for key, value in COMMON.items() for word in (f"--{key}", value)]
    told = part.run(
        "train", data, *words, *common, "--epochs", epochs, "--set", "precision=fp32", *settings,
        "--device", "cpu", "--out", name, "--json",
    )  # fmt: skip
    folder = part.work / name
    part.keep_json(f"{name}-told", told.lines)
    part.keep_text(f"{name}-words", told.words)
    part.keep_text(f"{name}-recipe", part.neutral((folder / "recipe.toml").read_text()))
    for table in ("losses", "metrics"):
        rows = list(csv.DictReader(io.StringIO((folder / f"{table}.csv").read_text())))
        part.keep_json(
            f"{name}-{table}", [{key: number_or_text(value) for key, value in row.items()} for row in rows]
        )
    for file in ("last", "best"):
        part.keep_json(f"{name}-{file}", safetensors_hashes(folder / f"{file}.safetensors"))
    # The metadata of a checkpoint hold times and folders; its tensors are the network, the average, the optimiser.
    part.keep_json(f"{name}-checkpoint", safetensors_hashes(folder / "checkpoint.safetensors")["tensors"])
    keep_graph(part, name, folder / "best.onnx")
    part.keep_json(f"{name}-files", sorted(tree_hashes(folder)))
    part.keep_json(f"{name}-sheet", array_hash(pixels_of(folder / "predictions.png")))


def number_or_text(text):
    """A cell of a CSV; numbers exactly."""
    try:
        return float(text)
    except ValueError:
        return text


def write_subset(source, folder, chosen):
    """A COCO data set of some of another's pictures, by their order."""
    document = json.loads((source / "instances.json").read_text())
    images = document["images"][chosen]
    ids = {image["id"] for image in images}
    boxes = [one for one in document["annotations"] if one["image_id"] in ids]
    (folder / "images").mkdir(parents=True)
    for image in images:
        shutil.copyfile(source / "images" / image["file_name"], folder / "images" / image["file_name"])
    subset = {"images": images, "annotations": boxes, "categories": document["categories"]}
    (folder / "instances.json").write_text(json.dumps(subset))
    return subset


# Explain.


def record_explain(part):
    """Maps of three detections by every method, their figures, and what the verb writes."""
    from lucidbox import Detector

    explain_each = named("explain", "explain_each")
    detector = Detector.load(str(part.weights), precision="fp32", size=320)
    picture = str(part.examples / "street.jpg")
    found, masking = detector(picture)[:3], named("explain", "Masking")(masks=24)
    maps, figures = {}, {}
    for method in named("explain", "METHODS"):
        for row, why in enumerate(explain_each(detector, picture, found, method=method, masking=masking)):
            maps[f"{method}-{row}"] = why.heatmap
            if method in ("odam", "odam-fine"):
                trust = why.faithfulness
                figures[f"{method}-{row}"] = [asdict(trust), why.to_dict(), trust.sentences()]
    for row, why in enumerate(explain_each(detector, picture, found, side="left")):
        maps[f"left-{row}"] = why.heatmap
    part.keep_arrays("maps", maps)
    part.keep_json("figures", figures)
    record_explain_verb(part, picture)


def record_explain_verb(part, picture):
    """What the verb says and saves: a box, a missed object, the black box, and figures over a data set."""
    common = ("--weights", part.weights, "--precision", "fp32")
    for name, words in {
        "box": ("--box", 2),
        "missed": ("--at", "200,100,300,250", "--class", "dog", "--size", 320),
        "drise": ("--method", "drise", "--masks", 12, "--seed", 5, "--size", 320),
    }.items():
        told = part.run("explain", picture, *common, *words, "--json", "--save", name)
        part.keep_text(f"verb-{name}-words", told.words)
        part.keep_json(f"verb-{name}", json.loads(told.output))
        saved = sorted((part.work / name).iterdir())
        part.keep_arrays(f"verb-{name}", {path.stem: np.load(path) for path in saved if path.suffix == ".npy"})
        pictures = {path.name: array_hash(pixels_of(path)) for path in saved if path.suffix == ".png"}
        part.keep_json(f"verb-{name}-pictures", pictures)
    measured = part.run(
        "explain", "--measure", part.examples, "--annotations", part.examples / "instances.json", *common,
        "--sample", 1, "--masks", 8, "--size", 256, "--json",
    )  # fmt: skip
    part.keep_json("verb-measure", json.loads(measured.output))


# Export.

EXPORTS = {
    "plain": ("--to", "onnx"),
    "fixed": ("--to", "onnx", "--size", 320),
    "suppressed": ("--to", "onnx", "--suppress", "--conf", 0.3, "--max-det", 50),
    "half": ("--to", "onnx", "--precision", "fp16"),
    "int8": ("--to", "onnx", "--precision", "int8", "--calibrate", 4),
    "openvino": ("--to", "openvino"),
    "torchscript": ("--to", "torchscript"),
}
SUFFIXES = {"openvino": ".xml", "torchscript": ".torchscript"}


def record_export(part):
    """Every form: what is said of it, its graph, what toolkits make of it without lucidbox; and parity."""
    inputs = fixed_inputs(part)
    for name, words in EXPORTS.items():
        path = part.work / f"{name}{SUFFIXES.get(words[1], '.onnx')}"
        pictures = ("--images", part.examples) if "int8" in words else ()
        told = part.run("export", part.weights, *words, *pictures, "--out", path.name)
        part.keep_text(f"{name}-words", told.output + told.words)
        part.keep_arrays(f"{name}-outputs", outputs_of(path, inputs))
        if path.suffix == ".onnx":
            keep_graph(part, name, path)
    part.keep_json("openvino-weights", sha256((part.work / "openvino.bin").read_bytes()))
    for name in ("half", "suppressed"):
        compared = part.run(
            "parity", part.weights, f"{name}.onnx", "--images", part.examples, "--json", "--threads", 1, code=None
        )
        part.keep_json(f"parity-{name}", [compared.code, json.loads(compared.output)])


def fixed_inputs(part):
    """Two pictures as graphs take them."""
    import cv2

    images = (cv2.imread(str(part.examples / name)) for name in ("street.jpg", "pizza.jpg"))
    return [cv2.cvtColor(cv2.resize(image, (320, 320)), cv2.COLOR_BGR2RGB)[None] for image in images]


def outputs_of(path, inputs):
    """Outputs of an artefact by name and picture, run by its own toolkit on one thread."""
    run = {".onnx": run_onnx, ".xml": run_openvino, ".torchscript": run_torchscript}[path.suffix](path)
    return {f"{name}-{row}": array for row, pixels in enumerate(inputs) for name, array in run(pixels).items()}


def run_onnx(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_outputs()]
    return lambda pixels: dict(zip(names, session.run(names, {"pixels": pixels}), strict=True))


def run_openvino(path):
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    model = openvino.Core().compile_model(str(path), "CPU", settings)
    return lambda pixels: {one.get_any_name(): array.copy() for one, array in model(pixels).items()}


def run_torchscript(path):
    import torch

    module = torch.jit.load(str(path))

    def run(pixels):
        with torch.inference_mode():
            return {f"output{row}": one.numpy() for row, one in enumerate(module(torch.from_numpy(pixels)))}

    return run


# Data and weights.


def record_data(part):
    """Check, count, split, convert there and back, and draw a sheet of a small data set; one with faults, too."""
    subset = write_subset(part.validation, part.work / "small", slice(0, 30))
    write_faulty(part.work / "faulty", subset)
    images = part.work / "small" / "images"
    for name, place in {"small": ("small",), "faulty": ("faulty/instances.json", "--images", images)}.items():
        for verb in ("check", "stats"):
            told = part.run("data", verb, *place, "--json", code=None)
            part.keep_json(f"{verb}-{name}", [told.code, json.loads(told.output)])
            shown = part.run("data", verb, *place, code=None)
            part.keep_text(f"{verb}-{name}-words", shown.output + shown.words)
    for name, words in {
        "split": ("split", "small", "parts", "--parts", "train=0.7,val=0.3", "--seed", 2),
        "yolo": ("convert", "small", "yolo", "--to", "yolo", "--pictures", "copy"),
        "back": ("convert", "yolo/data.yaml", "back", "--to", "coco"),
    }.items():
        told = part.run("data", *words, code=None)
        part.keep_text(f"{name}-words", f"{told.code}\n{told.output}{told.words}")
        made = tree_hashes(part.work / words[2])
        part.keep_json(
            f"{name}-files", {key: value for key, value in made.items() if not holds_folder(part, words[2], key)}
        )
        part.keep_json(f"{name}-texts", texts_with_folders(part, words[2]))
    record_sheets(part)


def write_faulty(folder, subset):
    """Annotations with a fault of several kinds each."""
    folder.mkdir()
    boxes = [dict(one) for one in subset["annotations"]]
    boxes[0]["bbox"] = [-30, 5, 20, 20]
    boxes[1]["bbox"] = [10, 10, 0, 5]
    boxes[2]["category_id"] = 999
    boxes[3]["image_id"] = 1
    boxes[4]["bbox"] = [10, 10, 1e6, 1e6]
    boxes[5]["id"] = boxes[6]["id"]
    images = [dict(one) for one in subset["images"]]
    images[3]["file_name"] = "missing.jpg"
    images[4]["width"] += 10
    (folder / "instances.json").write_text(json.dumps({**subset, "images": images, "annotations": boxes}))


def holds_folder(part, folder, name):
    """Whether a file names the folder of this recording, so that its bytes are no two recordings' own."""
    return str(part.out).encode() in (part.work / folder / name).read_bytes()


def texts_with_folders(part, folder):
    """Such files as texts, with words for folders."""
    names = [name for name in tree_hashes(part.work / folder) if holds_folder(part, folder, name)]
    return {name: part.neutral((part.work / folder / name).read_text()) for name in names}


def record_sheets(part):
    """Pixels of what the network will see in training and in validation."""
    (part.work / "small.toml").write_text(
        "".join(
            f'[{one}]\nannotations = "small/instances.json"\nimages = "small/images"\n' for one in ("train", "val")
        )
    )
    for name, words in {
        "train": ("--seed", 4, "--set", "mixup=0.5", "--set", "degrees=10"),
        "classes": ("--classes", "person", "--epoch", 3, "--set", "mosaic=0"),
        "val": ("--part", "val"),
    }.items():
        part.run("data", "show", "small.toml", "--save", f"{name}.png", "--size", 160, "--count", 8, *words)
        part.keep_arrays(f"sheet-{name}", {"pixels": pixels_of(part.work / f"{name}.png")})


def record_weights(part):
    """What is said of weights files, and what they become."""
    weights = part.shared / "weights"
    for path in (part.weights, *sorted(weights.glob("foreign/*.pt")), weights / "teacher" / "yolox_nano.onnx"):
        told = part.run("weights", "show", path, "--json", code=None)
        shown = json.loads(told.output) if told.code == 0 else told.words
        part.keep_json(f"show-{path.stem}", [told.code, shown])
    part.keep_text("show-words", part.run("weights", "show", part.weights).output)
    for name, words in {"plain": (), "half": ("--fp16", "--conf", 0.3, "--size", 416)}.items():
        told = part.run("weights", "convert", part.weights, f"{name}.safetensors", *words)
        part.keep_text(f"convert-{name}-words", told.output + told.words)
        part.keep_json(f"convert-{name}", safetensors_hashes(part.work / f"{name}.safetensors"))
        part.keep_json(f"convert-{name}-file", sha256((part.work / f"{name}.safetensors").read_bytes()))
    part.run("weights", "convert", "plain.safetensors", "converted.onnx")
    keep_graph(part, "converted", part.work / "converted.onnx")


# Errors.


def record_errors(part):
    """Wrong usage and bad input: exit codes and the one line that is told."""
    (part.work / "no-picture.jpg").write_text("no picture")
    picture, weights = part.examples / "street.jpg", part.shared / "weights"
    for name, words in {
        "verb": ("improve",),
        "option": ("predict", picture, "--confidence", 1),
        "missing": ("predict", "nowhere.jpg", "--no-draw"),
        "unreadable": ("predict", "no-picture.jpg", "--no-draw", "--json"),
        "conf": ("predict", picture, "--conf", 2),
        "class": ("predict", picture, "--classes", "unicorn"),
        "engine": ("predict", picture, "--engine", "steam"),
        "refused": ("predict", picture, "--weights", weights / "foreign" / "yolov8n-random.pt"),
        "size": ("predict", picture, "--size", 33),
        "explain": ("explain", picture, "--box", 99),
        "evaluate": ("evaluate", "--annotations", "nowhere.json", "--predictions", "nowhere.json"),
        "train": ("train", "nowhere.yaml"),
        "recipe": ("train", "nowhere.yaml", "--set", "epoch=3"),
        "keys": ("train", "--keys"),
        "data": ("data", "check", "nowhere"),
        "weights": ("weights", "show", "no-picture.jpg"),
        "export": ("export", part.weights, "--to", "onnx", "--precision", "int8"),
        "version": ("--version",),
    }.items():
        answer = part.run(*words, code=None)
        part.keep_text(name, f"exit code {answer.code}\n{answer.output}\n{answer.words}")


PARTS = {
    "help": record_help,
    "errors": record_errors,
    "predict": record_predict,
    "evaluate": record_evaluate,
    "train": record_train,
    "explain": record_explain,
    "export": record_export,
    "data": record_data,
    "weights": record_weights,
}
WITHOUT_MODEL = {"help", "errors", "data", "weights"}


def record(out, shared, chosen):
    """Every chosen part into a folder of its own."""
    for name in chosen:
        if (out / name).exists():
            raise SystemExit(f"{out / name} exists already: name a new folder")
    (out / "work").mkdir(parents=True, exist_ok=True)
    os.environ |= {"LUCIDBOX_CACHE": str(out / "work" / "cache"), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}
    # Commands run in other folders, where a relative path would lead to another lucidbox.
    if places := os.environ.get("PYTHONPATH"):
        os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(one).resolve()) for one in places.split(os.pathsep))
    found = machine(out / "work")
    (out / "machine.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"source: {found['source']}", flush=True)
    started = time.perf_counter()
    for name in chosen:
        part, began, busy = Part(name, out, shared), time.perf_counter(), processor_seconds()
        shutil.rmtree(part.work, ignore_errors=True)
        part.work.mkdir()
        (out / name).mkdir()
        if name not in WITHOUT_MODEL:  # converted now, so that no part says so, whichever is first
            part.run("predict", part.examples / "street.jpg", "--weights", part.weights, "--no-draw")
        PARTS[name](part)
        count = sum(len(dict(values_of(path))) for path in (out / name).iterdir())
        took, busy = time.perf_counter() - began, processor_seconds() - busy
        print(f"{name:9} {count:>9,} values, {took:6.1f} s, {busy:6.1f} s of a processor", flush=True)
    print(f"recorded in {out}, {time.perf_counter() - started:.0f} s")


def processor_seconds():
    """What this process and those it ran have used: on a busy machine, the time that counts."""
    return sum(os.times()[:4])


def machine(folder):
    """What answers may depend on besides the source; stops where commands would run another source than we do."""
    import lucidbox

    tell = [sys.executable, "-c", "import lucidbox; print(lucidbox.__file__)"]
    theirs = subprocess.run(tell, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()
    if Path(theirs).resolve() != Path(lucidbox.__file__).resolve():
        raise SystemExit(f"commands would run {theirs}, this script {lucidbox.__file__}: set PYTHONPATH")
    cpu = (
        re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
        if Path("/proc/cpuinfo").exists()
        else None
    )
    return {
        "processor": cpu[1] if cpu else platform.processor(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "source": str(Path(lucidbox.__file__).parent),
    }


# Comparing.


def compare(old, new, chosen):
    """Print what differs in each part; 0 if nothing does."""
    note_machines(old, new)
    total = 0
    for name in chosen:
        if not (old / name).exists() and not (new / name).exists():
            print(f"{name:9} not recorded in either")
            continue
        count, differences, notes = compare_part(old / name, new / name)
        verdict = f"{len(differences):,} DIFFERENCES" if differences else "identical"
        print(f"{name:9} {count:>9,} values compared: {verdict}" + (f"; {len(notes)} notes" if notes else ""))
        for line in shortened(differences):
            print(f"    {line}")
        for line in notes:
            print(f"    note: {line}")
        total += len(differences)
    print(f"{total:,} differences" if total else "nothing differs")
    return DIFFERENT if total else 0


def note_machines(old, new):
    first, second = (json.loads((folder / "machine.json").read_text()) for folder in (old, new))
    print(f"old: {first.pop('source')}\nnew: {second.pop('source')}")
    for key in sorted({*first, *second}):
        if first.get(key) != second.get(key):
            print(f"note: recorded with different {key}: {first.get(key)} and {second.get(key)}")


def compare_part(old, new):
    """Number of values, differences and notes of one part."""
    names = sorted({path.name for folder in (old, new) if folder.exists() for path in folder.iterdir()})
    count, differences, notes = 0, [], []
    for name in names:
        if not (old / name).exists() or not (new / name).exists():
            where = "new" if (old / name).exists() else "old"
            text = f"{name}: not in the {where} recording"
            (notes if where == "old" and name.startswith(NOTED) else differences).append((name, text))
            continue
        first, second = dict(values_of(old / name)), dict(values_of(new / name))
        count += len({*first, *second})
        found = [(name, text) for text in differing(name, first, second)]
        if name.startswith(NOTED):
            notes += [(name, f"{name}: {len(found)} values differ")] if found else []
        else:
            differences += found
    if old.name == "help":
        differences, more = options_gone(old, new, differences)
        notes += more
    return count, differences, [text for _, text in notes]


def options_gone(old, new, differences):
    """Differences of help: options and verbs that are gone; those that came are notes."""
    path = "options.json"
    if not ((old / path).exists() and (new / path).exists()):
        return differences, []
    before, after = (json.loads((folder / path).read_text()) for folder in (old, new))
    gone = [(path, f"{verb or 'lucidbox'} {one}: is gone") for verb, one in pairs_of(before) - pairs_of(after)]
    came = [(path, f"{verb or 'lucidbox'} {one}: is new") for verb, one in pairs_of(after) - pairs_of(before)]
    return [one for one in differences if one[0] != path] + sorted(gone), sorted(came)


def pairs_of(options):
    return {(verb, one) for verb, names in options.items() for one in ("", *names)}


def shortened(differences):
    """Lines of differences, at most so many a file."""
    by_file = {}
    for name, text in differences:
        by_file.setdefault(name, []).append(text)
    for name, texts in by_file.items():
        yield from texts[:SHOWN]
        if len(texts) > SHOWN:
            yield f"{name}: and {len(texts) - SHOWN:,} more"


def differing(name, first, second) -> Iterator[str]:
    """What two files' values do not have in common."""
    for key in first | second:
        if key not in second or key not in first:
            yield f"{name} {key}: only in the {'old' if key in first else 'new'} recording"
        elif not same(first[key], second[key]):
            yield f"{name} {key}: {told(first[key], second[key])}"


def values_of(path) -> Iterator[tuple[str, object]]:
    """All values in a file, each with its place: elements of arrays, leaves of JSON, lines of texts."""
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            for name in arrays.files:
                yield f"{name}.form", f"{arrays[name].dtype} {list(arrays[name].shape)}"
                yield from elements(name, arrays[name])
    elif path.suffix == ".json":
        yield from leaves("", json.loads(path.read_text(encoding="utf-8")))
    else:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield f"line {number}", line


def elements(name, array):
    """An array's rows as bits, so that -0, NaN and the last digit count."""
    rows = array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)
    for number, row in enumerate(rows):
        yield f"{name}[{number}]", row


def leaves(place, value):
    if isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        yield f"{place}/", f"{type(value).__name__} of {len(value)}"
        for key, one in pairs:
            yield from leaves(f"{place}/{key}", one)
    else:
        yield place, value


def same(first, second):
    """Whether two values are of one type and the same to the last bit."""
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        return first.dtype == second.dtype and first.tobytes() == second.tobytes()
    if type(first) is not type(second):
        return False
    if isinstance(first, float):
        return first.hex() == second.hex() or (math.isnan(first) and math.isnan(second))
    return bool(first == second)


def told(first, second):
    """A difference in words."""
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray) and first.shape == second.shape:
        apart = np.abs(first.astype(np.float64) - second.astype(np.float64))
        return f"{int((first != second).sum())} of {first.size} numbers differ, by at most {apart.max():.3g}"
    return f"{str(first)[:160]!r} became {str(second)[:160]!r}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="A,B", help=f"some of {','.join(PARTS)}")
    verbs = parser.add_subparsers(dest="verb", required=True)
    recording, comparing = verbs.add_parser("record"), verbs.add_parser("compare")
    recording.add_argument("out", type=Path)
    recording.add_argument("--shared", type=Path, default=HERE.parent / "shared")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    for one in (recording, comparing):
        one.add_argument("--only", metavar="A,B", default=argparse.SUPPRESS, help=f"some of {','.join(PARTS)}")
    arguments = parser.parse_args()
    chosen = arguments.only.split(",") if arguments.only else list(PARTS)
    if unknown := set(chosen) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if arguments.verb == "compare":
        return compare(arguments.old, arguments.new, chosen)
    record(arguments.out.resolve(), arguments.shared.resolve(), chosen)
    return 0


if __name__ == "__main__":
    sys.exit(main())
