"""The notebooks are what their scripts say, and what is stored of their outputs does not change by itself."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("jupytext", "nbclient"):
    pytest.importorskip(package, reason=f"{package} is not installed; pip install -e '.[dev]'")
nbformat = pytest.importorskip("nbformat")

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "notebooks").glob("*.py"))
MAKER = runpy.run_path(str(ROOT / ".ci" / "notebooks.py"))
CHANGING = re.compile(r"0x[0-9a-f]{6,}|(?<![\w./])/(?:home|root|tmp|work|usr|mnt|Users)/|\d{4}-\d\d-\d\d[T ]\d\d:")
"""Addresses in memory, absolute paths, dates with times."""


def stored(script):
    return nbformat.read(script.with_suffix(".ipynb"), as_version=4)


def test_there_are_five():
    assert [script.stem[0] for script in SCRIPTS] == list("12345")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_notebook_is_in_step_with_its_script(script):
    written, made = MAKER["inputs"](script), stored(script)
    assert [(cell.id, cell.cell_type, cell.source, cell.metadata) for cell in written.cells] == [
        (cell.id, cell.cell_type, cell.source, cell.metadata) for cell in made.cells
    ], f"run: python .ci/notebooks.py notebooks/{script.name}"
    assert made.metadata == written.metadata


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_nothing_that_changes_is_stored(script):
    notebook = stored(script)
    assert script.with_suffix(".ipynb").stat().st_size < 1_000_000
    for cell in notebook.cells:
        outputs = cell.get("outputs", [])
        assert cell.get("execution_count") is None
        assert not (outputs and MAKER["VARIES"] in cell.metadata.get("tags", []))
        for output in outputs:
            assert output.output_type in ("stream", "display_data", "execute_result")
            assert output.get("name", "stdout") == "stdout", "warnings are not for readers"
            assert output.get("execution_count") is None
            texts = [output.get("text", ""), *(v for k, v in output.get("data", {}).items() if "text/" in k)]
            assert not [found for text in texts for found in CHANGING.findall(text)]
    kinds = {
        kind for cell in notebook.cells for output in cell.get("outputs", []) for kind in output.get("data", ())
    }
    assert kinds & {"image/png", "image/jpeg"}, "pictures are stored"


def test_the_install_cell_is_one_and_works_on_colab_alone(monkeypatch, tmp_path):
    cells = {next(cell.source for cell in stored(script).cells if cell.cell_type == "code") for script in SCRIPTS}
    (install,) = cells
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
    monkeypatch.chdir(tmp_path)
    exec(install, {})
    assert not commands
    monkeypatch.setitem(sys.modules, "google.colab", object())
    with pytest.raises(AssertionError, match="address"):
        exec(install, {})
    (tmp_path / "lucidbox").mkdir()
    exec(install.replace('REPOSITORY = ""', 'REPOSITORY = "https://example.org/lucidbox"'), {})
    assert [command[:2] for command in commands] == [["git", "clone"], [sys.executable, "-m"]]
    assert Path.cwd() == tmp_path / "lucidbox"
