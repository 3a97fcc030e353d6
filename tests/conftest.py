"""Shared fixtures. Shapes and types of every annotated call are checked while tests run."""

import hashlib
import os
import shutil
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings

# Threads of two test processes on two cores only wait for each other; set before any engine is imported.
# A worker inherits what the process that starts it has set here, so its own number must replace that.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
else:
    os.environ.setdefault("OMP_NUM_THREADS", "2")
# FFmpeg reads its level once a process, at its first use, which may be a test's own.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import shape_checking

# Every module is compiled once, not again by each of the processes that tests start, whatever the shell says.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# All but the reader of pickles, which has no shapes, and a call for each of a file's many instructions.
_SOURCE = Path(__file__).parents[1] / "src" / "lucidbox"
_FILES = [*_SOURCE.iterdir(), *(_SOURCE / "weights").iterdir()]
_CHECKED = [path.relative_to(_SOURCE.parent).with_suffix("") for path in _FILES if path.name != "weights"]
shape_checking.install([".".join(path.parts) for path in _CHECKED if path.name != "safe_pickle"])
# No test fails because the machine is busy.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

TESTS = Path(__file__).resolve().parent
GOLDEN, EXAMPLES, SHARED = TESTS / "golden", TESTS.parent / "examples", TESTS.parents[1] / "shared"

THOROUGH = (
    *("engines", "explain", "export", "model", "train", "weights"),
    *("model_files/test_bundled.py", "cli/test_data_show.py", "cli/test_parity.py", "cli/test_train.py"),
)
"""Folders and files of tests that need torch."""
CONVERSIONS = {"small_weights", "small_onnx", "bundled_onnx", "reference_onnx"}
"""Fixtures that need torch."""


@cache
def is_thorough(path):
    """Whether a file, or a folder, is all of tests that need torch."""
    return any((TESTS / name) in (path, *path.parents) for name in THOROUGH)


PAGES = "documents/test_code_blocks.py::test_every_block_of_a_page_runs"
"""A test that is long for most of its parameters, which may go to several workers."""


def pytest_collection_modifyitems(items):
    """Mark as quick what needs no torch and is not marked slow, extended or thorough: ``pytest -m quick``.

    Files of long tests come first, so that no worker waits for another at the end.
    """
    for item in items:
        if is_thorough(item.path) or CONVERSIONS.intersection(item.fixturenames):
            item.add_marker("thorough")
        if not any(item.get_closest_marker(name) for name in ("slow", "extended", "thorough")):
            item.add_marker("quick")
    long = {item.path for item in items if not item.get_closest_marker("quick")}
    items.sort(key=lambda item: (PAGES not in item.nodeid, item.path not in long))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A worker takes whole files, but for the pages of documents, in the order above."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class LongestFirst(LoadFileScheduling):
        def _split_scope(self, nodeid):
            return nodeid if PAGES in nodeid else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return LongestFirst(config, log)


def pytest_ignore_collect(collection_path, config):
    """Let a quick run not even import the tests that need torch."""
    return True if config.option.markexpr == "quick" and is_thorough(collection_path) else None


def shared_path(name: str) -> Path:
    """A path below ../shared; the test is skipped where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/{name} is absent: reference material is not part of the repository")
    return path


def golden_path(name: str) -> Path:
    """A file of reference numbers in tests/golden or ../shared/golden; the test is skipped where both lack it."""
    path = GOLDEN / name
    return path if path.exists() else shared_path(f"golden/{name}")


@pytest.fixture
def shared():
    """Function that gives a path below ../shared, or skips the test."""
    return shared_path


@pytest.fixture
def golden_file():
    """Function that gives the path of a file of reference numbers, or skips the test."""
    return golden_path


@pytest.fixture
def coco_folder():
    """Real pictures with COCO's annotations: the 150 of ../shared, or the four of examples/ where it is absent."""
    folder = SHARED / "data" / "coco-val-150"
    return folder if folder.exists() else EXAMPLES


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """Tests have a cache of their own; the user's is left alone."""
    # Beside the folders of parallel workers, so that they share what is slow to make.
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "lucidbox-cache"
    folder.mkdir(exist_ok=True)
    os.environ["LUCIDBOX_CACHE"] = str(folder)
    return folder


def once(cache_folder, name):
    """A lock: what several workers need is made by the first that comes, and found by the others."""
    return FileLock(cache_folder / f"{name}.lock")


@pytest.fixture(scope="session")
def small_weights(cache_folder):
    """A safetensors file of a small three-class network with random weights."""
    from lucidbox import weights
    from models import NAMES, lively_network

    path = cache_folder / "small.safetensors"
    with once(cache_folder, path.name):
        if not path.exists():
            made = weights.from_network(lively_network(), NAMES, licence="CC0-1.0", provenance="random numbers")
            weights.write(made, path)
    return path


@pytest.fixture(scope="session")
def converted(cache_folder, request):
    """Function that gives the ONNX file made of a weights file; making it takes 20 seconds.

    It is in the cache that all tests share, and kept for later runs, as long as nothing that makes it has changed.
    """
    from lucidbox.detector.loading import graph_of
    from lucidbox.model_files import look_at
    from lucidbox.model_files.cache import path_for
    from models import unchecked_shapes

    def convert(path):
        with once(cache_folder, path.name), unchecked_shapes():
            place, kept = path_for(path), None
            if hasattr(request.config, "cache"):  # pytest's own, which -p no:cacheprovider switches off
                kept = request.config.cache.mkdir("converted") / what_converts() / place.name
                for other in kept.parents[1].iterdir():
                    if other != kept.parent:
                        shutil.rmtree(other, ignore_errors=True)
                if kept.exists():
                    place.parent.mkdir(exist_ok=True)
                    shutil.copy(kept, place)
            graph = graph_of(look_at(path)).path
            if kept and not kept.exists():
                kept.parent.mkdir(exist_ok=True)
                unfinished = shutil.copy(graph, kept.with_suffix(".unfinished"))
                Path(unfinished).rename(kept)
        return graph

    return convert


@cache
def what_converts():
    """A name for all that a conversion depends on but the weights: our source, and the packages."""
    content = hashlib.sha256(repr([version(name) for name in ("torch", "onnx", "onnxscript", "numpy")]).encode())
    for path in sorted(_SOURCE.rglob("*.py")):
        content.update(path.read_bytes())
    return content.hexdigest()[:16]


@pytest.fixture(scope="session")
def small_onnx(small_weights, converted):
    """The small network as ONNX."""
    return converted(small_weights)


@pytest.fixture(scope="session")
def bundled_onnx(converted):
    """The bundled network as the ONNX file that its safetensors file is converted to."""
    from lucidbox.model_files import bundled

    return converted(bundled.SAFETENSORS)


@pytest.fixture(scope="session")
def reference_onnx(converted):
    """The reference YOLO11n as ONNX; the test is skipped where ../shared is absent."""
    return converted(shared_path("weights/yolo11n-reference.pt"))
