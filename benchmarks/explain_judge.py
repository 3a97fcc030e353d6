"""How much more maps know than where the box is, on detections that nothing was chosen with.

    python benchmarks/explain_judge.py --weights W --images DIR --annotations JSON --out FILE
    python benchmarks/explain_judge.py --weights W --images DIR --annotations JSON --out FILE --unseen --size 416
    python benchmarks/explain_judge.py (as before) --methods vx-code --beside FILE --minutes 10 --out BASELINE

Each method's map is judged by insertion minus deletion with the usual fills (hide in grey, show in blur), which
searching methods use, and with inpainting from the border, which none may use. Beside the Gaussian
stands a second blind map, rectangles of the box's form. Ties are no wins. For every --shuffle-every th detection
maps of the same network with shuffled weights are judged, too, by the network as it is.

--unseen takes only pictures the SHA-256 of whose names begins with an odd number; those with an even one served to
choose every setting of the methods. A line a detection goes to --out as it is done: a run that was stopped goes on
where it was, and its table rests on the detections done, which come in random order.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from explain_vx_code import vx_code

from lucidbox import Detector, weights
from lucidbox.detect.predictor import Predictor
from lucidbox.engines.torch import TorchEngine
from lucidbox.evaluate import load_truth
from lucidbox.explain.curves import canvas_of, curves, gained
from lucidbox.explain.effort import Effort
from lucidbox.explain.faithfulness import KNOWS, points_inside, share_inside
from lucidbox.explain.fills import UNSEEN, USUAL
from lucidbox.explain.hooks import shuffled
from lucidbox.explain.measuring import right_detections, sampled
from lucidbox.explain.methods import METHODS, heat_maps
from lucidbox.explain.place import as_heat, centred_gaussian, rectangles
from lucidbox.explain.targets import target_of, to_image, to_input
from lucidbox.images.reading import read_image
from lucidbox.validate.inference import files_of

PAIRS = {"usual": USUAL, "unseen": UNSEEN}
BASELINE = "vx-code"
"""The rival of ``search``, with as many inferences: benchmarks/explain_vx_code.py."""


def is_odd(path):
    return int(hashlib.sha256(path.name.encode()).hexdigest()[:4], 16) % 2 == 1


def judged(detector, network, control, raw, detection, methods, effort, shuffle):
    """By map and pair: insertion minus deletion; and where each map's heat is.

    ``shuffle``: also of maps of the shuffled network, but for ``optimised``, which asks the engine at its end.
    """
    engine, target = detector.engine, target_of(raw, detection)
    height, width = raw.pixels.shape[:2]
    maps = {
        "(gaussian)": (centred_gaussian(height, width, target.box), False),
        "(rectangles)": (as_heat(-rectangles(height, width, target.box), target.box), True),
    }
    seconds, places = {}, {}
    for method in methods:
        if method == BASELINE:
            maps[BASELINE] = vx_code(engine, raw, target), False
            continue
        started = time.perf_counter()
        (reasons,) = heat_maps(method, detector.predictor, raw, [target], network, effort=effort)
        seconds[method] = time.perf_counter() - started
        maps[method] = to_input(reasons.heat, raw), METHODS[method].ordered
        own, box = to_image(reasons.heat, raw.letterbox), detection.boxes[0].tolist()
        places[method] = share_inside(own, box), points_inside(own, box)
        if shuffle and (METHODS[method].heat is not None or not METHODS[method].network):
            predictor = Predictor(TorchEngine(control, "fp32"), detector.names, detector.predictor.size)
            (answer,) = predictor.infer([raw.image], [raw.letterbox])
            (reasons,) = heat_maps(method, predictor, answer.copy(), [target], control, effort=effort)
            maps[f"{method}, shuffled"] = to_input(reasons.heat, raw), METHODS[method].ordered
    gains = {name: {} for name in maps}
    for pair, fills in PAIRS.items():
        canvas = canvas_of(engine, raw.pixels, fills)
        for name, (heat, ordered) in maps.items():
            gains[name][pair] = gained(curves(engine, canvas, heat, [target], ordered)[0])
    return {"gains": gains, "seconds": seconds, "places": places}


def error(values):
    return np.std(values, ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")


def table(lines, pair):
    """One line a map, against the Gaussian and the rectangles."""
    names = [name for name in lines[0]["gains"] if all(name in line["gains"] for line in lines)]
    values = {name: np.array([line["gains"][name][pair] for line in lines]) for name in names}
    gaussian, blocks = values["(gaussian)"], values["(rectangles)"]
    print(f"\n{pair} fills, {len(lines)} detections (± one standard error)\n")
    print("| map | beats Gaussian | mean gain over it | beats rectangles | beats odam | more than the place |")
    print("|---|---|---|---|---|---|")
    for name in names:
        better = [values[name] > gaussian, values[name] > blocks, values[name] > values.get("odam", np.inf)]
        knows = values[name] - np.maximum(gaussian, blocks) > KNOWS
        gain = values[name] - gaussian
        cells = [f"{mean:.0%} ± {spread:.0%}" for mean, spread in ((one.mean(), error(one)) for one in better)]
        cells.insert(1, f"{gain.mean():+.3f} ± {error(gain):.3f}")
        print(f"| {name} | {' | '.join(cells)} | {knows.mean():.0%} ± {error(knows):.0%} |")


def separation(lines):
    """Area under the ROC between maps of the network and maps of the shuffled one, by what is beyond the place."""
    for name in sorted({name for line in lines for name in line["gains"] if "shuffled" in name}):
        with_both = [line for line in lines if name in line["gains"]]
        for fills in PAIRS:
            own, other = (
                np.array([line["gains"][one][fills] - blind_gain(line, fills) for line in with_both])
                for one in (name.removesuffix(", shuffled"), name)
            )
            area = (own[:, None] > other).mean() + (own[:, None] == other).mean() / 2
            flagged = f"flagged {(own <= KNOWS).mean():.0%} and {(other <= KNOWS).mean():.0%}"
            print(f"{name}, {fills}, {len(with_both)} detections: area under the ROC {area:.3f}, {flagged}")


def against_baseline(lines, beside):
    """How often search does better than the baseline on the detections of both."""
    known = {(line["picture"], line["row"]): line["gains"] for line in beside}
    both = [(known[key], line["gains"]) for line in lines if (key := (line["picture"], line["row"])) in known]
    for pair in PAIRS:
        searched = np.array([ours["search"][pair] - ours["(gaussian)"][pair] for ours, _ in both])
        baseline = np.array([theirs[BASELINE][pair] - theirs["(gaussian)"][pair] for _, theirs in both])
        gains = " and ".join(f"{gain.mean():+.3f} ± {error(gain):.3f}" for gain in (searched, baseline))
        wins = (searched > baseline).mean()
        print(f"{pair} fills, {len(both)} detections: search beats vx-code on {wins:.0%}, {gains}")


def blind_gain(line, fills):
    return max(line["gains"][name][fills] for name in ("(gaussian)", "(rectangles)"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--annotations", required=True, type=Path)
    parser.add_argument("--unseen", action="store_true", help="only pictures that nothing was chosen with")
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--sample", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--methods", default="odam,odam-box,optimised,search")
    parser.add_argument("--inferences", type=int, default=600, help="of search")
    parser.add_argument("--shuffle-every", type=int, default=5, help="shuffled weights: search is slow")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so many")
    parser.add_argument("--beside", type=Path, metavar="FILE", help="lines whose search is held against vx-code")
    parser.add_argument("--out", type=Path, required=True, help="where lines are kept")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    started = time.monotonic()
    detector = Detector.load(arguments.weights, threads=arguments.threads, size=arguments.size, precision="fp32")
    network = weights.network(weights.read(arguments.weights))
    control, methods = shuffled(network), arguments.methods.split(",")
    effort = Effort(inferences=arguments.inferences)
    truth = load_truth(arguments.annotations)
    files = files_of(truth, arguments.images)
    if arguments.unseen:
        groups = drawn_unseen(detector, truth, files, arguments.sample, arguments.seed)
    else:
        groups = sampled(right_detections(detector, truth, files, print), arguments.sample, arguments.seed)
    todo = [(path, found[row], row) for path, found in groups for row in range(len(found))]
    todo = [todo[index] for index in np.random.default_rng(arguments.seed).permutation(len(todo))]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.loads(line) for line in arguments.out.read_text().splitlines()] if arguments.out.exists() else []
    done = {(line["picture"], line["row"]) for line in lines}
    for number, (path, detection, row) in enumerate(todo):
        if (path.name, row) in done:
            continue
        if time.monotonic() - started > 60 * arguments.minutes:
            break
        raw = detector.predictor.infer([read_image(path)])[0].copy()
        shuffle = number % arguments.shuffle_every == 0
        figures = judged(detector, network, control, raw, detection, methods, effort, shuffle)
        lines.append({"picture": path.name, "row": row, **figures})
        with arguments.out.open("a") as file:
            file.write(json.dumps(lines[-1]) + "\n")
    print(f"{len(lines)} of {len(todo)} detections, seed {arguments.seed}, input {arguments.size}")
    for pair in PAIRS:
        table(lines, pair)
    separation(lines)
    if arguments.beside:
        against_baseline(lines, [json.loads(line) for line in arguments.beside.read_text().splitlines()])
    for method in lines[0]["places"]:
        inside, pointing = np.array([line["places"][method] for line in lines], float).T
        seconds = [line["seconds"][method] for line in lines]
        print(
            f"{method}: heat inside {inside.mean():.3f} ± {error(inside):.3f}, pointing {pointing.mean():.3f},"
            f" {np.median(seconds):.1f} s (median)"
        )


def drawn_unseen(detector, truth, files, count, seed):
    """One right detection from each of ``count`` pictures, drawn at random among those nothing was chosen with."""
    odd = [index for index in truth.image_ids.tolist() if is_odd(files[index])]
    random, groups = np.random.default_rng(seed), []
    for path, found in right_detections(detector, truth, files, print, image_ids=random.permutation(odd).tolist()):
        groups.append((path, found[[int(random.integers(len(found)))]]))
        if len(groups) == count:
            break
    return groups


if __name__ == "__main__":
    main()
