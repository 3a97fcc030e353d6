"""The site, built once for the tests of it."""

import subprocess
import sys

import pytest
from code_blocks import DOCS

from conftest import once


@pytest.fixture(scope="session")
def site(cache_folder):
    """The folder of the built site; warnings are errors. Tests are skipped where the extra ``docs`` is absent."""
    pytest.importorskip("sphinx", reason="needs the extra docs")
    folder = cache_folder / "site"
    with once(cache_folder, folder.name):
        if not (folder / "llms.txt").exists():
            command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", str(DOCS), str(folder)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
    return folder
