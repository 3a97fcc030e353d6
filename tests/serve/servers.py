"""Helpers of several tests: engines, detectors, picture files, and ``lucidbox serve`` in a process of its own."""

import io
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from models import RedFinder

EXAMPLES = Path(__file__).parents[2] / "examples"
BOX = [40, 30, 90, 80]


def encoded(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


class Gate(RedFinder):
    """An engine that finds red when it is let."""

    def __init__(self):
        super().__init__()
        self.open, self.calls = threading.Event(), 0

    def __call__(self, images):
        self.calls += 1
        assert self.open.wait(30)
        return super().__call__(images)


def red_detector(engine=None, workers=2):
    from lucidbox import Detector

    return Detector(engine or RedFinder(), ["blue", "red"], size=(160, 160), workers=workers)


class Server:
    """``lucidbox serve`` in a process of its own, on a free port.

    Attributes:
        url: its address.
        lines: what it has printed on standard error.
    """

    def __init__(self, *arguments):
        command = [sys.executable, "-m", "lucidbox", "serve", "--port", "0", *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.lines = []
        for line in self.process.stderr:
            self.lines.append(line)
            if " at http" in line:
                break
        else:
            raise AssertionError("".join(self.lines))
        self.url = self.lines[-1].split()[-1].rstrip("/")
        self.port = int(self.url.rpartition(":")[2])

    def stop(self, wait=20):
        """Ends it by SIGTERM: its exit code, and its access log."""
        self.process.terminate()
        out, error = self.process.communicate(timeout=wait)
        self.lines.append(error)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()]


def is_red(box):
    return np.abs(np.array(box) - BOX).max() < 1.5
