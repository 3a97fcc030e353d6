"""COCO evaluation beside its peers, every run in a fresh process, in alternation.

    python benchmarks/evaluate.py [--rounds 5] [--folder /tmp/problem] [--with-slow] [--markdown FILE]

Peers (benchmark dependencies): pip install pycocotools hotcoco faster-coco-eval. Peers that are not installed
are left out. Problems come from ../shared/bench/make_coco_problem.py. Quote ratios, not seconds: machines differ.
"""

import argparse
import contextlib
import importlib.util
import io
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAKER = Path(__file__).resolve().parents[2] / "shared" / "bench" / "make_coco_problem.py"
SOURCE = Path(__file__).resolve().parents[1] / "src"
PEERS = {
    "lucidbox": "lucidbox",
    "hotcoco": "hotcoco",
    "faster-coco-eval": "faster_coco_eval",
    "pycocotools": "pycocotools",
}


class Lucidbox:
    """Ours: files to arrays, arrays to numbers."""

    def load(self, folder: Path) -> None:
        from lucidbox.evaluate import load_predictions, load_truth

        self.truth = load_truth(folder / "truth.json")
        self.predictions = load_predictions(folder / "detections.json", self.truth)

    def evaluate(self) -> list[float]:
        from lucidbox.evaluate import evaluate

        return evaluate(self.truth, self.predictions).stats.tolist()

    def bootstrap(self, resamples: int) -> None:
        from lucidbox.evaluate import evaluate
        from lucidbox.evaluate.analysis.intervals import bootstrap

        bootstrap(evaluate(self.truth, self.predictions).matching, resamples)


class CocoStyle:
    """A peer with pycocotools' interface."""

    def __init__(self, truth_class, evaluation_class):
        self.truth_class, self.evaluation_class = truth_class, evaluation_class

    def load(self, folder: Path) -> None:
        self.truth = self.truth_class(str(folder / "truth.json"))
        self.found = self.truth.loadRes(str(folder / "detections.json"))

    def evaluate(self) -> list[float]:
        evaluation = self.evaluation_class(self.truth, self.found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        return [float(value) for value in evaluation.stats[:12]]


def engine(peer: str):
    """Import a peer and wrap it."""
    if peer == "lucidbox":
        return Lucidbox()
    if peer == "hotcoco":
        import hotcoco

        return CocoStyle(hotcoco.COCO, hotcoco.COCOeval)
    if peer == "faster-coco-eval":
        from faster_coco_eval import COCO, COCOeval_faster

        return CocoStyle(COCO, COCOeval_faster)
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    return CocoStyle(COCO, COCOeval)


def measure(peer: str, folder: Path, calls: int, resamples: int) -> dict:
    """Times of one fresh process, in seconds, its peak memory in MB, and the twelve numbers."""
    started = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        tool = engine(peer)
        imported = time.perf_counter()
        tool.load(folder)
        loaded = time.perf_counter()
        stats = tool.evaluate()
        first = time.perf_counter() - loaded
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        warm = [timed(tool.evaluate) for _ in range(calls)]
        result = {"bootstrap": timed(lambda: tool.bootstrap(resamples))} if resamples else {}
    times = {"import": imported - started, "load": loaded - imported, "first": first, "peak": peak}
    return result | times | {"warm": min(warm, default=first), "stats": stats}


def timed(work) -> float:
    """Seconds a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_fresh_process(peer: str, folder: Path, calls: int, resamples: int = 0) -> dict:
    """:func:`measure` in a new interpreter, and the whole process's time."""
    command = [sys.executable, __file__, "--measure", peer, str(folder), str(calls), str(resamples)]
    started = time.perf_counter()
    output = subprocess.run(
        command, check=True, capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE), "PATH": ""}
    )
    return json.loads(output.stdout.splitlines()[-1]) | {"process": time.perf_counter() - started}


def rounds_of(peers: list[str], folder: Path, rounds: int, calls: int) -> dict[str, list[dict]]:
    """Every peer once a round, so that a busy minute hits all of them."""
    results: dict[str, list[dict]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            results[peer].append(in_fresh_process(peer, folder, calls))
    return results


def table(results: dict[str, list[dict]]) -> list[str]:
    """Medians, and evaluate's and the whole's ratio to ours; agreement with the last peer's numbers."""
    lines = [
        "| | import s | load s | evaluate s, first | evaluate s, warm | load + evaluate s | whole process s "
        "| peak MB | evaluate × ours | files in × ours | largest difference of the 12 |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    reference = results[list(results)[-1]][0]["stats"]

    def median(peer, value):
        return statistics.median(value(run) for run in results[peer])

    def whole(run):
        return run["load"] + run["first"]

    for peer, runs in results.items():
        cells = [median(peer, lambda run, key=key: run[key]) for key in ("import", "load", "first", "warm")]
        cells += [median(peer, whole), median(peer, lambda run: run["process"])]
        ratios = [
            statistics.median(value(run) / value(own) for run, own in zip(runs, results["lucidbox"], strict=False))
            for value in (lambda run: run["warm"], whole)
        ]
        gap = max(abs(a - b) for a, b in zip(runs[0]["stats"], reference, strict=True))
        shown = [f"{cell:.2f}" for cell in cells] + [f"{median(peer, lambda run: run['peak']):.0f}"]
        lines.append(f"| {peer} | {' | '.join([*shown, *(f'{one:.2f}' for one in ratios)])} | {gap:.1e} |")
    return lines


def make_problem(folder: Path, images: int, truths: int) -> Path:
    """Write a problem unless it is there."""
    if not (folder / "detections.json").exists():
        subprocess.run(
            [sys.executable, MAKER, folder, "--images", str(images), "--truths", str(truths)],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
    return folder


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--measure"]:
        peer, folder, calls, resamples = sys.argv[2:]
        print(json.dumps(measure(peer, Path(folder), int(calls), int(resamples))))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "lucidbox-coco-problem")
    parser.add_argument("--with-slow", action="store_true", help="pycocotools on the large problem too: a minute")
    parser.add_argument("--markdown", type=Path, help="also write the tables here")
    options = parser.parse_args()
    peers = [peer for peer, module in PEERS.items() if peer == "lucidbox" or importlib.util.find_spec(module)]
    large = make_problem(options.folder / "large", 5000, 36335)
    small = make_problem(options.folder / "small", 100, 727)
    fast = [peer for peer in peers if peer != "pycocotools"]
    results = rounds_of(fast, large, options.rounds, calls=3)
    if options.with_slow and "pycocotools" in peers:
        results["pycocotools"] = [in_fresh_process("pycocotools", large, 0)]
    lines = [f"5,000 pictures, 36,335 truths, 664,848 detections; medians of {options.rounds} rounds:", ""]
    lines += table(results)
    lines += [
        "",
        f"100 pictures; medians of {options.rounds} rounds:",
        "",
        *table(rounds_of(peers, small, options.rounds, 3)),
    ]
    seconds = in_fresh_process("lucidbox", large, 0, 1000)["bootstrap"]
    lines += ["", f"1,000 bootstrap resamples of the 5,000 pictures: {seconds:.1f} s"]
    print("\n".join(lines))
    if options.markdown:
        options.markdown.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
