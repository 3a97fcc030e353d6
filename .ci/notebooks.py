"""Makes notebooks/*.ipynb from notebooks/*.py: runs them, and keeps of the outputs what does not change by itself.

python .ci/notebooks.py                  those whose code has changed; of the others only the words
python .ci/notebooks.py --again          all of them, for what lucidbox itself does otherwise
python .ci/notebooks.py notebooks/2*.py  these

Needs the extra ``dev``. The scripts are what is written and reviewed; the notebooks are what is read.
"""

import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
VARIES = "varies"
"""Tag of cells whose outputs differ from run to run, such as times: they are run, nothing of them is stored."""


def inputs(script: Path) -> nbformat.NotebookNode:
    """The notebook of a script, without outputs; ids of cells are made of their texts."""
    notebook = jupytext.read(script)
    notebook.metadata = _metadata(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{number:02d}-{hashlib.sha256(cell.source.encode()).hexdigest()[:8]}"
    return notebook


def stripped(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without counts of executions, times, and the outputs of cells tagged with :data:`VARIES`."""
    notebook.metadata = _metadata(notebook)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        cell.outputs = [] if VARIES in tags else [_plain(output) for output in _joined(cell.outputs)]
    return notebook


def _metadata(notebook: nbformat.NotebookNode) -> Any:
    """Without what jupytext notes of itself, and without Python's version, which comes with running."""
    return nbformat.from_dict({"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}})


def _joined(outputs: list[Any]) -> list[Any]:
    """Texts that were printed one after the other as one: in how many pieces they arrive is chance."""
    joined: list[Any] = []
    for output in outputs:
        if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _plain(output: Any) -> Any:
    if "execution_count" in output:
        output.execution_count = None
    if output.output_type in ("display_data", "execute_result"):
        # The words for a picture that is shown anyhow have addresses in memory.
        if any(kind.startswith("image/") or kind == "text/html" for kind in output.data):
            output.data.pop("text/plain", None)
        output.metadata = {}
    return output


def with_stored_outputs(notebook: nbformat.NotebookNode, target: Path) -> bool:
    """Take the outputs of the stored notebook, if its code is the same; whether it is."""
    if not target.exists():
        return False
    stored = [cell for cell in nbformat.read(target, as_version=4).cells if cell.cell_type == "code"]
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [(cell.source, cell.metadata) for cell in code] != [(cell.source, cell.metadata) for cell in stored]:
        return False
    for cell, old in zip(code, stored, strict=True):
        cell.outputs = old.outputs
    return True


def main(scripts: list[Path], again: bool) -> None:
    """Make the notebook beside every script."""
    for script in scripts:
        started = time.perf_counter()
        notebook, target = inputs(script), script.with_suffix(".ipynb")
        if again or not with_stored_outputs(notebook, target):
            where = {"metadata": {"path": str(script.parent)}}
            NotebookClient(notebook, timeout=900, resources=where).execute()
        nbformat.write(stripped(notebook), target)
        seconds, size = time.perf_counter() - started, target.stat().st_size / 1000
        sys.stdout.write(f"{target.relative_to(ROOT)}: {seconds:.0f} s, {size:.0f} kB\n")


if __name__ == "__main__":
    named = [Path(name).resolve() for name in sys.argv[1:] if name != "--again"]
    main(named or sorted((ROOT / "notebooks").glob("*.py")), "--again" in sys.argv)
