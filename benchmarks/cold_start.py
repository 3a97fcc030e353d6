"""How long a user waits: ``lucidbox predict one.jpg`` with a cached model, beside ``python -c "import torch"``.

    python benchmarks/cold_start.py PICTURE --weights W

The two alternate; medians. Also the parts of one run, from Python's own import timer.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def seconds(command, **options):
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, **options)
    return time.perf_counter() - started


def import_times(command, folder):
    """Cumulative import time of the packages that matter, milliseconds."""
    done = subprocess.run(
        [command[0], "-X", "importtime", *command[1:]], check=True, capture_output=True, text=True, cwd=folder
    )
    found = {}
    for line in done.stderr.splitlines():
        match = re.match(r"import time:\s+(\d+) \|\s+(\d+) \|\s+(\S+)$", line)
        if match:
            found.setdefault(match[3], int(match[2]) / 1000)
    return {
        name: found[name]
        for name in ("numpy", "cv2", "openvino", "argparse", "lucidbox.detector")
        if name in found
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--runs", type=int, default=10)
    arguments = parser.parse_args()
    picture, weights = (str(Path(name).resolve()) for name in (arguments.picture, arguments.weights))
    ours = [sys.executable, "-m", "lucidbox", "predict", picture, "--weights", weights]
    torch = [sys.executable, "-c", "import torch"]
    with tempfile.TemporaryDirectory() as folder:
        seconds(ours, cwd=folder)  # converts and fills the caches
        pairs = [(seconds(ours, cwd=folder), seconds(torch)) for _ in range(arguments.runs)]
        predict, imported = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"lucidbox predict: median {predict:.3f} s, best {min(pair[0] for pair in pairs):.3f} s")
        print(f"import torch:     median {imported:.3f} s; ratio {predict / imported:.2f}")
        for name, value in import_times(ours, folder).items():
            print(f"  import {name}: {value:.0f} ms (with what it imports)")


if __name__ == "__main__":
    main()
