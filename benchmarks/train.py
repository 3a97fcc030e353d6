"""What a training step costs and whether bf16 learns as fp32 does.

    PYTHONPATH=src python benchmarks/train.py --data data.toml                     # step times, in alternation
    PYTHONPATH=src python benchmarks/train.py --data data.toml --curves curves.png   # 300 steps of each precision

The rival of a step is the plain one: fp32, contiguous memory, torch's default optimiser, same batches.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from lucidbox.datasets.augment.pipeline import Augmenter
from lucidbox.datasets.augment.settings import Augmentation
from lucidbox.datasets.training import open_data
from lucidbox.model import build
from lucidbox.train.loader import load_batches
from lucidbox.train.losses import detection_loss
from lucidbox.train.optimizer import choose_optimization
from lucidbox.train.processes import Processes
from lucidbox.train.recipe import Recipe
from lucidbox.train.sampling_schedule import SamplingSchedule
from lucidbox.train.schedule import Rates, rates
from lucidbox.train.train_step import TrainStep

ALONE = Processes(0, 1, torch.device("cpu"))


def batches(data, recipe, count):
    augmenter = Augmenter(data.samples(recipe.size), recipe.size, Augmentation())
    plan = SamplingSchedule(len(data.train), recipe.batch, epochs=999, mixed_epochs=999, seed=recipe.seed)
    stream = load_batches(augmenter, plan)
    return (next(stream) for _ in range(count))


class Plain:
    """The same step without any of our means: what a textbook loop does."""

    def __init__(self, classes, recipe):
        torch.manual_seed(recipe.seed)
        self.network = build("yolo11n", classes).train()
        self.optimizer = torch.optim.SGD(self.network.parameters(), lr=0.01, momentum=0.937, nesterov=True)

    def learn(self, batch):
        images = batch.images.permute(0, 3, 1, 2).contiguous().float() / 255
        loss = detection_loss(self.network(images), batch.targets, images.shape[2:])
        loss.total.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


def ours(classes, recipe):
    torch.manual_seed(recipe.seed)
    made = TrainStep(build("yolo11n", classes), recipe, 100_000, ALONE)
    made.begin()
    return made


def steps(data, recipe, rounds):
    rates_now = Rates(0.001, 0.001, 0.9, 1)
    exact, half = (ours(len(data.names), recipe.changed({"precision": name})) for name in ("fp32", "bf16"))
    rivals = {
        "plain fp32": Plain(len(data.names), recipe).learn,
        "ours fp32": lambda batch: exact.learn(batch, 0, rates_now),
        "ours bf16": lambda batch: half.learn(batch, 0, rates_now),
    }
    seconds = {name: [] for name in rivals}
    for number, batch in enumerate(batches(data, recipe, rounds + 2)):
        for name, learn in rivals.items():
            started = time.perf_counter()
            learn(batch)
            if number >= 2:
                seconds[name].append(time.perf_counter() - started)
    plain = median(seconds["plain fp32"])
    for name, measured in seconds.items():
        print(f"{name:<12} {1000 * median(measured):7.1f} ms  {median(measured) / plain:5.2f} × plain fp32")
    return median(seconds["ours bf16"])


def loss_share(data, recipe, step, rounds):
    """Assignment and loss, forward and backward down to the logits, beside the whole step."""
    torch.manual_seed(0)
    network = build("yolo11n", len(data.names)).to(memory_format=torch.channels_last).train()
    measured = []
    for batch in batches(data, recipe, rounds):
        images = batch.images.permute(0, 3, 1, 2).float() / 255
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            logits = network(images)
        logits = type(logits)(*(part.detach().requires_grad_() for part in logits))
        started = time.perf_counter()
        detection_loss(logits, batch.targets, images.shape[2:]).total.backward()
        measured.append(time.perf_counter() - started)
    print(f"assignment and loss, backward to the logits included: {1000 * median(measured):.1f} ms, "
          f"{median(measured) / step:.1%} of our bf16 step")  # fmt: skip


def curves(data, recipe, count, path):
    """The same batches learnt in both precisions, with warm-up and rates as in a training."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    history = {}
    for name, changes in (("fp32", {}), ("fp32, another seed", {"seed": 1}), ("bf16", {"precision": "bf16"})):
        changed = recipe.changed({"precision": "fp32", "optimizer": "adamw", "learning_rate": 0.001} | changes)
        made = ours(len(data.names), changed)
        chosen = choose_optimization(changed, steps=count, classes=len(data.names))
        history[name] = [
            sum(made.learn(batch, number, rates(changed, chosen, number, 200)).parts)
            for number, batch in enumerate(batches(data, changed, count))
        ]
        print(f"{name:<20} mean loss of the last 50 steps {np.mean(history[name][-50:]):.4f}", flush=True)
    smooth = {name: np.convolve(values, np.ones(20) / 20, "valid") for name, values in history.items()}
    for name, values in smooth.items():
        plt.plot(values, label=name)
    apart = np.abs(smooth["fp32"] - smooth["bf16"]).mean()
    noise = np.abs(smooth["fp32"] - smooth["fp32, another seed"]).mean()
    print(f"mean distance of smoothed curves: bf16 {apart:.4f}, another seed {noise:.4f}")
    plt.xlabel("step")
    plt.ylabel("loss (mean of 20 steps)")
    plt.legend()
    plt.savefig(path, dpi=120)
    Path(path).with_suffix(".json").write_text(json.dumps(history))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--curves", metavar="PNG")
    parser.add_argument("--steps", type=int, default=300)
    arguments = parser.parse_args()
    data = open_data(arguments.data)
    recipe = Recipe(size=arguments.size, batch=arguments.batch, nominal_batch=arguments.batch)
    if arguments.curves:
        curves(data, recipe, arguments.steps, arguments.curves)
        return
    step = steps(data, recipe, arguments.rounds)
    loss_share(data, recipe, step, arguments.rounds)


if __name__ == "__main__":
    main()
