"""How faithful explanations are, beside pytorch-grad-cam's on the same network and layer, and what they cost.

    pip install --no-deps grad-cam ttach scikit-learn joblib threadpoolctl cloudpickle narwhals
    python benchmarks/explain.py --weights W --images DIR --annotations instances.json [--parts times,heat]

Prints the tables of docs/explain.md, each when it is done; all of it takes two hours on one core. The default was
chosen on --pictures even. Detections above 0.5 that match an object (IoU 0.5, same class). The peer explains the
sum of the class's logits over all anchors that score above 0.25 for it; its package imports torchvision, for
which benchmarks/stubs stands in.
"""

import argparse
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
from lucidbox.cli.explain_measure import table
from lucidbox.evaluate import load_truth
from lucidbox.explain.drise import Masking, drise
from lucidbox.explain.explanation import explain_targets
from lucidbox.explain.faithfulness import overlap, points_inside, share_inside
from lucidbox.explain.hooks import record
from lucidbox.explain.measuring import measure, right_detections, sampled
from lucidbox.explain.methods import DEFAULT, METHODS, OWN_LEVEL, layers_for
from lucidbox.explain.scene import look, target_of, to_picture
from lucidbox.images import read_image
from lucidbox.validation import files_of

OURS = tuple(name for name in METHODS if name != "drise")
PARTS = ("times", "heat", "curves", "drise")
THEIRS = {"GradCAM": GradCAM, "LayerCAM": LayerCAM, "EigenCAM": EigenCAM}


class ClassLogits(torch.nn.Module):
    """A detector as the peer wants it: one number a class, of those anchors that found the class."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, images):
        logits = self.network(images).classes
        return (logits * (logits.detach().sigmoid() > 0.25)).sum(dim=2)


def their_maps(wrapped, scene, layer, class_id, cache):
    """The peer's maps in the picture's own pixels; one a class and layer."""
    if (layer, class_id) not in cache:
        images = torch.from_numpy(scene.pixels).permute(2, 0, 1)[None].float() / 255
        maps = cache.setdefault((layer, class_id), {})
        for name, make in THEIRS.items():
            # Anew each time: one that waits for its turn hoards what its layer puts out in everyone else's.
            with make(wrapped, [wrapped.network.get_submodule(layer)]) as cam:
                maps[name] = to_picture(cam(images, [ClassifierOutputTarget(class_id)])[0], scene.frame)
    return cache[layer, class_id]


def where_the_heat_is(detector, network, groups):
    """Share of heat inside and pointing game of every method; overlap of maps of two people."""
    wrapped = ClassLogits(network)
    layers = layers_for(network, OWN_LEVEL)
    rows, shared, apart = {}, [], []
    for number, (path, found) in enumerate(groups):
        scene = look(detector, read_image(path))
        targets = [target_of(scene, one) for one in found]
        recording = record(network, scene.pixels, layers)
        maps = {
            f"ours {name}": [
                one.heatmap for one in explain_targets(scene, list(found), targets, method=name, network=network)
            ]
            for name in OURS
        }
        cache = {}
        for target in targets:
            theirs = their_maps(wrapped, scene, recording.own_layer(target), target.class_id, cache)
            for name, heat in theirs.items():
                maps.setdefault(f"pytorch-grad-cam {name}", []).append(heat)
        for name, heats in maps.items():
            for heat, one in zip(heats, found, strict=True):
                box = one.boxes[0].tolist()
                rows.setdefault(name, []).append((share_inside(heat, box), points_inside(heat, box)))
        people = [row for row in range(len(found)) if found.labels[row] == "person"]
        for index, row in enumerate(people):
            for other in people[index + 1 :]:
                shared.append(overlap(maps[f"ours {DEFAULT}"][row], maps[f"ours {DEFAULT}"][other]))
                apart.append(
                    overlap(maps["pytorch-grad-cam GradCAM"][row], maps["pytorch-grad-cam GradCAM"][other])
                )
        if number % 40 == 39:  # so that a run that is stopped has said something
            print(f"\nafter {number + 1} pictures", flush=True)
            print_heat(rows, shared, apart)
    print_heat(rows, shared, apart)


def print_heat(rows, shared, apart):
    """The table of what was measured up to now."""
    print("\n| method | detections | heat inside | pointing game |\n|---|---|---|---|")
    for name, figures in rows.items():
        inside, pointing = np.mean(figures, axis=0)
        print(f"| {name} | {len(figures)} | {inside:.3f} | {pointing:.3f} |")
    low = np.mean(np.array(shared) < 0.3)
    print(f"\n{len(shared)} pairs of people: mean overlap {np.mean(shared):.3f}, below 0.3 in {low:.0%}", end="; ")
    print(f"GradCAM {np.mean(apart):.3f}", flush=True)


def times(detector, network, path):
    """A gradient method beside a forward pass, and drise beside its engine, taken in turns."""
    scene = look(detector, read_image(path))
    found = detector(scene.picture, conf=0.0001)[:20]  # so many are rarely found above a usual threshold
    targets = [target_of(scene, one) for one in found]
    images = torch.from_numpy(scene.pixels).permute(2, 0, 1)[None].float() / 255
    forward, alone, together, engine, masked = [], [], [], [], []
    masking = Masking(masks=40)
    batch = np.stack([scene.pixels] * masking.batch)

    def timed(into, action):
        started = time.perf_counter()
        action()
        into.append(time.perf_counter() - started)

    def pass_forward():
        with torch.inference_mode():
            network(images)

    for _ in range(5):
        timed(forward, pass_forward)
        timed(alone, lambda: explain_targets(scene, [found[0]], targets[:1], network=network)[0].heatmap)
        timed(
            together,
            lambda: [one.heatmap for one in explain_targets(scene, list(found), targets, network=network)],
        )
        timed(engine, lambda: [detector.engine(batch) for _ in range(masking.masks // masking.batch)])
        timed(masked, lambda: drise(detector.engine, scene.pixels, targets[:1], masking))
    one, all_of_them = statistics.median(alone), statistics.median(together)
    print(f"\nforward pass {statistics.median(forward):.3f} s; one detection explained {one:.3f} s")
    print(f"ratio {statistics.median(a / f for a, f in zip(alone, forward, strict=True)):.2f}")
    print(f"{len(found)} together {all_of_them:.3f} s, {all_of_them / len(found):.3f} s each")
    share = statistics.median(e / m for e, m in zip(engine, masked, strict=True))
    print(f"drise at {share:.0%} of its engine's own throughput", flush=True)


def drise_figures(detector, groups):
    """D-RISE with 1,000 masks on a few detections, and the Gaussian on the same ones."""
    print("\n" + table(measure(detector, None, groups, ["drise"])), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--annotations", required=True, type=Path)
    parser.add_argument("--parts", default=",".join(PARTS), help="any of times, heat, curves, drise")
    parser.add_argument("--pictures", choices=("all", "even", "odd"), default="all", help="by their order")
    parser.add_argument("--sample", type=int, help="only so many detections in the tables, at random")
    parser.add_argument("--drise", type=int, default=8, help="detections explained by drise")
    parser.add_argument("--methods", default=",".join(OURS), help="of the deletion and insertion table")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    parts = arguments.parts.split(",")
    torch.set_num_threads(arguments.threads)
    detector = Detector.load(arguments.weights, threads=arguments.threads)
    network = weights.network(weights.read(arguments.weights))
    truth = load_truth(arguments.annotations)
    groups = list(right_detections(detector, truth, files_of(truth, arguments.images), print))
    groups = {"all": groups, "even": groups[::2], "odd": groups[1::2]}[arguments.pictures]
    print(f"{sum(len(found) for _, found in groups)} detections in {len(groups)} pictures", flush=True)
    if "times" in parts:
        times(detector, network, groups[0][0])
    if "heat" in parts:
        where_the_heat_is(detector, network, sampled(groups, arguments.sample))
    if "curves" in parts:
        chosen = sampled(groups, arguments.sample)
        print("\n" + table(measure(detector, network, chosen, arguments.methods.split(","))), flush=True)
    if "drise" in parts:
        drise_figures(detector, sampled(groups, arguments.drise, seed=1))


if __name__ == "__main__":
    main()
