"""Shared fixtures. Shapes and types of every annotated call are checked while tests run."""

import os
from pathlib import Path

import pytest

# Threads of two test processes on two cores only fight; set before any engine is imported.
os.environ.setdefault("OMP_NUM_THREADS", "2")

from jaxtyping import install_import_hook

install_import_hook("lucidbox", "shape_checking.checked")

SHARED = Path(__file__).resolve().parents[2] / "shared"


def shared_path(name: str) -> Path:
    """A path below ../shared; the test is skipped where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"../shared/{name} is absent: reference material is not part of the repository")
    return path


@pytest.fixture
def shared():
    """Function that gives a path below ../shared, or skips the test."""
    return shared_path
