"""How faithful explanations are, beside pytorch-grad-cam's on the same network and layer, and what they cost.

    pip install --no-deps grad-cam ttach scikit-learn joblib threadpoolctl cloudpickle narwhals
    python benchmarks/explain.py --weights W --images DIR --annotations instances.json --part heat

Prints the tables of docs/explanation/explain.md, one part a run:

    heat    share of heat inside the box and pointing game beside the peer's; overlap of two people's maps
    curves  deletion, insertion and likeness to shuffled weights; --methods odam,drise for some of them
    times   a gradient method beside a forward pass, drise beside its engine

heat and curves keep a line a picture in --out: a run that was stopped goes on where it was, and its table rests on
the pictures done. They come in random order, so that these are a fair sample; --limit stops after so many.
Measured are detections above 0.5 that match an object (IoU 0.5, same class). The peer explains the sum of the
class's logits over all anchors that score above 0.25 for it; its package imports torchvision, for which
benchmarks/stubs stands in.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent / "stubs"))

from pytorch_grad_cam import EigenCAM, GradCAM, LayerCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

from lucidbox import Detector, weights
from lucidbox.cli.explain.measure import method_table
from lucidbox.core.filesystem import sha256_of
from lucidbox.evaluate import load_truth
from lucidbox.explain.batch import GAUSSIAN, image_figures, method_maps, networks_of
from lucidbox.explain.drise import Masking, drise
from lucidbox.explain.explanation import explain_targets
from lucidbox.explain.faithfulness import Faithfulness, map_overlap, points_inside, share_inside
from lucidbox.explain.hooks import landmarks, twin
from lucidbox.explain.measuring import averaged, right_detections
from lucidbox.explain.methods import QUICK_METHODS
from lucidbox.explain.targets import target_of, to_image
from lucidbox.images.reading import read_image
from lucidbox.validate.inference import files_of

OURS = tuple(name for name in QUICK_METHODS if name != "drise")
THEIRS = {"GradCAM": GradCAM, "LayerCAM": LayerCAM, "EigenCAM": EigenCAM}
PAIRED = ("ours odam", "pytorch-grad-cam GradCAM")


class Kept:
    """Lines of JSON in a file, one a picture: what was measured, and what need not be again."""

    def __init__(self, path):
        self.path = path
        # A killed run may end in half a line.
        whole = path.read_text().rpartition("\n")[0] if path.exists() else ""
        self.lines = [json.loads(line) for line in whole.splitlines()]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines))

    def add(self, line):
        self.lines.append(line)
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")


def in_turn(groups, todo, limit):
    """The pictures that are still to be done, in random order; says how far it is."""
    order = [groups[place] for place in np.random.default_rng(0).permutation(len(groups))]
    left = [(path, found) for path, found in order if todo(path.name)]
    left, started = left[:limit], time.perf_counter()
    for number, (path, found) in enumerate(left):
        yield path, found
        each = (time.perf_counter() - started) / (number + 1)
        rest = each * (len(left) - number - 1)
        print(f"\r{number + 1} of {len(left)} pictures, {rest / 60:.1f} minutes to go ", end="", file=sys.stderr)


class ClassLogits(torch.nn.Module):
    """A detector as the peer wants it: one number a class, of those anchors that found the class.

    The layers that are explained come after the backbone, so this runs once a picture, not once a map.
    """

    def __init__(self, network, images):
        super().__init__()
        self.network = twin(network).eval()
        with torch.no_grad():
            features = self.network.backbone(images)
        self.features = type(features)(*(one.requires_grad_() for one in features))

    def forward(self, images):
        logits = self.network.head(self.network.neck(self.features)).classes
        return (logits * (logits.detach().sigmoid() > 0.25)).sum(dim=2)


def their_maps(wrapped, images, raw, layer, class_id):
    """The peer's maps in the picture's own pixels, of a class at a layer."""
    maps = {}
    for name, make in THEIRS.items():
        # Anew each time: one that waits for its turn hoards what its layer puts out in everyone else's.
        with make(wrapped, [wrapped.network.get_submodule(layer)]) as cam:
            maps[name] = to_image(cam(images, [ClassifierOutputTarget(class_id)])[0], raw.letterbox)
    return maps


def maps_of_all(detector, network, path, found):
    """By method, the maps of a picture's detections in its own pixels."""
    raw = detector.predictor.infer([read_image(path)])[0].copy()
    targets = [target_of(raw, one) for one in found]
    ours = method_maps(detector.predictor, raw, targets, network, OURS)
    maps = {f"ours {name}": [to_image(heat, raw.letterbox) for heat in heats] for name, heats in ours.items()}
    images = torch.from_numpy(raw.pixels).permute(2, 0, 1)[None].float() / 255
    wrapped, by_class = ClassLogits(network, images), {}
    levels = np.cumsum([raw.pixels[::stride, ::stride, 0].size for stride in network.strides])
    for target in targets:
        layer = landmarks(network).levels[np.searchsorted(levels, target.anchor, side="right")]
        if (layer, target.class_id) not in by_class:
            by_class[layer, target.class_id] = their_maps(wrapped, images, raw, layer, target.class_id)
        for name, heat in by_class[layer, target.class_id].items():
            maps.setdefault(f"pytorch-grad-cam {name}", []).append(heat)
    return maps


def heat_part(detector, network, groups, kept, limit):
    """Share of heat inside and pointing game of every method; overlap of maps of two people."""
    done = {line["picture"] for line in kept.lines}
    for path, found in in_turn(groups, lambda name: name not in done, limit):
        line = {"picture": path.name, "heat": {}, "pairs": {}}
        people = [row for row in range(len(found)) if found.labels[row] == "person"]
        for name, heats in maps_of_all(detector, network, path, found).items():
            boxes = found.boxes.tolist()
            line["heat"][name] = [
                (share_inside(heat, box), points_inside(heat, box)) for heat, box in zip(heats, boxes, strict=True)
            ]
            if name in PAIRED:
                line["pairs"][name] = [
                    map_overlap(heats[row], heats[other]) for row in people for other in people if other > row
                ]
        kept.add(line)
    print("\n\n| method | detections | heat inside | pointing game |\n|---|---|---|---|")
    for name in kept.lines[0]["heat"]:
        figures = [figure for line in kept.lines for figure in line["heat"][name]]
        inside, pointing = np.mean(figures, axis=0)
        print(f"| {name} | {len(figures)} | {inside:.3f} | {pointing:.3f} |")
    for name in PAIRED:
        shared = np.array([pair for line in kept.lines for pair in line["pairs"][name]])
        if len(shared):
            low = np.mean(shared < 0.3)
            print(
                f"{name}: {len(shared)} pairs of people, mean overlap {shared.mean():.3f}, below 0.3 in {low:.0%}"
            )


def curves_part(detector, network, groups, kept, limit, methods):
    """Every figure of each method, and of the Gaussian."""
    networks, done = networks_of(network), {(line["picture"], line["method"]) for line in kept.lines}

    def missing(name):
        return [method for method in (GAUSSIAN, *methods) if (name, method) not in done]

    for path, found in in_turn(groups, missing, limit):
        raw = detector.predictor.infer([read_image(path)])[0].copy()
        for method, rows in image_figures(detector.predictor, raw, found, networks, missing(path.name)).items():
            figures = [dataclasses.asdict(row) for row in rows]
            kept.add({"picture": path.name, "method": method, "figures": figures})
    by_method = {}
    for line in kept.lines:
        rows = [Faithfulness(**one) for one in line["figures"]]
        by_method.setdefault(line["method"], {})[line["picture"]] = rows
    print("\n\n" + method_table([of_same_pictures(method, by_method) for method in by_method]))


def of_same_pictures(method, by_method):
    """A method's means; the Gaussian that it is compared with is that of the same pictures."""
    rows = [row for figures in by_method[method].values() for row in figures]
    gaussian = [row for picture in by_method[method] for row in by_method[GAUSSIAN][picture]]
    return averaged(method, rows, gaussian)


def timed(action):
    """Seconds that an action took."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def times_part(detector, network, path):
    """Gradient methods beside a forward pass, and drise beside its engine, taken in turns."""
    raw = detector.predictor.infer([read_image(path)])[0].copy()
    found = detector(raw.image, conf=0.0001)[:20]  # so many are rarely found above a usual threshold
    targets = [target_of(raw, one) for one in found]
    images = torch.from_numpy(raw.pixels).permute(2, 0, 1)[None].float() / 255
    masking = Masking(masks=40)
    batch = np.stack([raw.pixels] * masking.batch)

    def pass_forward():
        with torch.inference_mode():
            network(images)

    def explaining(method, count):
        made = explain_targets(
            detector.predictor, raw, list(found[:count]), targets[:count], method=method, network=network
        )
        return [one.heatmap for one in made]

    actions = {"forward": pass_forward}
    for method in OURS:
        actions[method, 1] = lambda method=method: explaining(method, 1)
        actions[method, len(found)] = lambda method=method: explaining(method, len(found))
    actions["engine"] = lambda: [detector.engine(batch) for _ in range(masking.masks // masking.batch)]
    actions["drise"] = lambda: drise(detector.engine, raw.pixels, targets[:1], masking)
    rounds = [{name: timed(action) for name, action in actions.items()} for _ in range(5)]

    def median(value):
        return statistics.median(value(each) for each in rounds)

    print(f"\nforward pass {median(lambda each: each['forward']):.3f} s")
    print(f"maps: each of {len(found)} of one picture together; one alone")
    for method in OURS:
        each_of_all = median(lambda each, name=method: each[name, len(found)]) / len(found)
        alone = median(lambda each, name=method: each[name, 1])
        ratio = median(lambda each, name=method: each[name, 1] / each["forward"])
        print(f"{method:<13} {each_of_all:.3f} s  {alone:.3f} s, {ratio:.2f} forward passes")
    share = median(lambda each: each["engine"] / each["drise"])
    print(f"drise at {share:.0%} of its engine's own throughput")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--annotations", required=True, type=Path)
    parser.add_argument("--part", choices=("heat", "curves", "times"), required=True)
    parser.add_argument("--pictures", choices=("all", "even", "odd"), default="all", help="by their order")
    parser.add_argument("--limit", type=int, help="only so many more pictures")
    parser.add_argument("--methods", default=",".join(OURS), help="of curves; any, drise too")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-explain"), help="where lines are kept")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    detector = Detector.load(arguments.weights, threads=arguments.threads)
    network = weights.network(weights.read(arguments.weights))
    truth = load_truth(arguments.annotations)
    groups = list(right_detections(detector, truth, files_of(truth, arguments.images), print))
    groups = {"all": groups, "even": groups[::2], "odd": groups[1::2]}[arguments.pictures]
    print(f"{sum(len(found) for _, found in groups)} detections in {len(groups)} pictures", flush=True)
    # Lines of other weights or other pictures are not these.
    kept = f"{arguments.part}-{arguments.pictures}-{sha256_of(arguments.weights)[:8]}.jsonl"
    if arguments.part == "times":
        times_part(detector, network, groups[0][0])
    elif arguments.part == "heat":
        heat_part(detector, network, groups, Kept(arguments.out / kept), arguments.limit)
    else:
        methods = arguments.methods.split(",")
        curves_part(detector, network, groups, Kept(arguments.out / kept), arguments.limit, methods)


if __name__ == "__main__":
    main()
