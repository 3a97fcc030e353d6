"""What int8 saves: one picture and many, in turn with bf16 and fp32 of the same graph, and where the time goes.

    lucidbox export W --to onnx --precision int8 --images TRAINING_PICTURES --out W-int8.onnx
    python benchmarks/int8.py --weights W --int8 W-int8.onnx

OpenVINO, noise of the given sizes, all cores; "many" is pictures a second of the form for many, as many callers as
cores. The profile is OpenVINO's own, of one thread, by kind of kernel.
"""

import argparse
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lucidbox.core.parallel import cores
from lucidbox.detector.loading import graph_of
from lucidbox.engines.openvino import HINTS, OpenVinoEngine, shared_core
from lucidbox.model_files import look_at

SIZES = ((640, 640), (480, 640), (320, 320))


def in_turn(engines, pixels, rounds):
    """Milliseconds of each engine: 10th percentile, median, 90th."""
    times = defaultdict(list)
    for _ in range(rounds + 3):
        for name, engine in engines.items():
            started = time.perf_counter()
            engine(pixels)
            times[name].append((time.perf_counter() - started) * 1000)
    return {name: np.percentile(values[3:], [10, 50, 90]) for name, values in times.items()}


def rate(engine, pixels, count):
    """Pictures a second from as many callers as cores."""
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(engine, [pixels] * 2 * cores()))
        started = time.perf_counter()
        list(pool.map(engine, [pixels] * count))
        return count / (time.perf_counter() - started)


def profile(path, precision, pixels, rounds):
    """Median milliseconds by kind of kernel, in one thread."""
    options = {"INFERENCE_PRECISION_HINT": HINTS[precision], "PERF_COUNT": True, "INFERENCE_NUM_THREADS": 1}
    request = shared_core().compile_model(str(path), "CPU", options).create_infer_request()
    seen = []
    for _ in range(rounds + 3):
        request.infer([pixels])
        kinds = defaultdict(float)
        for node in request.profiling_info:
            kinds[f"{node.node_type}, {node.exec_type.rsplit('_', 1)[-1]}"] += (
                node.real_time.total_seconds() * 1000
            )
        seen.append(kinds)
    return {kind: float(np.median([one[kind] for one in seen[3:]])) for kind in seen[-1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--int8", required=True, type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    graph = graph_of(look_at(arguments.weights)).path
    engines = {
        "fp32": OpenVinoEngine(graph, "fp32"),
        "bf16": OpenVinoEngine(graph, "bf16"),
        "int8": OpenVinoEngine(arguments.int8, "bf16"),
    }
    many = {name: engine.for_many() for name, engine in engines.items()}
    print("| input | precision | one picture, ms: p10 / p50 / p90 | to bf16 | many, pictures/s | to bf16 |")
    print("|---|---|---|---|---|---|")
    for size in SIZES:
        pixels = np.random.default_rng(0).integers(0, 256, (1, *size, 3), dtype=np.uint8)
        times = in_turn(engines, pixels, arguments.rounds)
        rounds = [[rate(engine, pixels, 40) for engine in many.values()] for _ in range(3)]
        rates = dict(zip(many, np.median(rounds, axis=0), strict=True))
        for name, (low, median, high) in times.items():
            print(
                f"| {size[0]} × {size[1]} | {name} | {low:.1f} / {median:.1f} / {high:.1f}"
                f" | {median / times['bf16'][1]:.2f} | {rates[name]:.1f} | {rates[name] / rates['bf16']:.2f} |",
                flush=True,
            )
    pixels = np.random.default_rng(0).integers(0, 256, (1, 640, 640, 3), dtype=np.uint8)
    for name, path in (("bf16", graph), ("int8", arguments.int8)):
        kinds = profile(path, "bf16", pixels, arguments.rounds // 2)
        print(f"\n{name}, {sum(kinds.values()):.1f} ms in one thread:", end=" ")
        largest = sorted(kinds.items(), key=lambda item: -item[1])[:9]
        print("; ".join(f"{kind} {milliseconds:.1f}" for kind, milliseconds in largest))


if __name__ == "__main__":
    main()
