"""Makes notebooks/*.ipynb from notebooks/*.py: runs them, and keeps of the outputs what does not change by itself.

python .ci/notebooks.py                  all of them
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
"""Tag of cells whose outputs differ from run to run, such as times: they are run, and nothing of them is stored."""


def inputs(script: Path) -> nbformat.NotebookNode:
    """The notebook of a script, without outputs; ids of cells are made of their texts."""
    notebook = jupytext.read(script)
    notebook.metadata = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"{number:02d}-{hashlib.sha256(cell.source.encode()).hexdigest()[:8]}"
    return notebook


def stripped(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Without counts of executions, times, and the outputs of cells tagged with :data:`VARIES`."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        cell.execution_count = None
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        cell.outputs = [] if VARIES in tags else [_plain(output) for output in _joined(cell.outputs)]
    return notebook


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


def main(scripts: list[Path]) -> None:
    """Run every script as a notebook beside it."""
    for script in scripts:
        started = time.perf_counter()
        notebook = inputs(script)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(script.parent)}}).execute()
        target = script.with_suffix(".ipynb")
        nbformat.write(stripped(notebook), target)
        size = target.stat().st_size / 1000
        print(f"{target.relative_to(ROOT)}: {time.perf_counter() - started:.0f} s, {size:.0f} kB", flush=True)


if __name__ == "__main__":
    main([Path(name).resolve() for name in sys.argv[1:]] or sorted((ROOT / "notebooks").glob("*.py")))
