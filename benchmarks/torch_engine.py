"""Our torch engine on a processor, beside an eager forward of the same network as it is usually run.

    python benchmarks/torch_engine.py --weights W [--runs 20]

Eager: batch norms unfused, contiguous tensors, fp32, in inference mode, decoding included. Ours: what
``--engine torch`` does, from uint8 pixels to NumPy boxes and scores. One picture of 640 x 640, in turn.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from lucidbox import weights
from lucidbox.engines.torch import TorchEngine
from lucidbox.model import Detecting


def milliseconds(function):
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    network = weights.network(weights.read(arguments.weights))
    eager = Detecting(network).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (1, 640, 640, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).contiguous()
    engines = {precision: TorchEngine(network, precision, device="cpu") for precision in ("fp32", "bf16")}
    calls = {"eager, fp32": lambda: eager(images)}
    calls |= {f"engine, {name}": lambda engine=engine: engine(pixels) for name, engine in engines.items()}
    times = {name: [] for name in calls}
    with torch.inference_mode():
        for turn in range(arguments.runs + 3):
            for name, call in calls.items():
                took = milliseconds(call)
                if turn >= 3:
                    times[name].append(took)
    base = statistics.median(times["eager, fp32"])
    print("| forward | median, ms | p10 to p90 | ratio |")
    print("|---|---|---|---|")
    for name, values in times.items():
        low, high = np.percentile(values, (10, 90))
        middle = statistics.median(values)
        print(f"| {name} | {middle:.1f} | {low:.1f} to {high:.1f} | {middle / base:.2f} |")


if __name__ == "__main__":
    main()
