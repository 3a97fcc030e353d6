import ast
import re
import runpy
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


def test_the_tree_and_the_layers_are_what_the_files_say():
    made = runpy.run_path(str(ROOT / ".ci" / "tree.py"))
    assert made["brought_up_to_date"](PAGE) == PAGE, "run: python .ci/tree.py --write"


def test_every_file_that_is_named_is_there():
    prose = PAGE.partition("<!-- end of tree -->")[2]
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.py))`", prose))
    assert len(named) > 50
    places = [ROOT, *(path.parent for path in (ROOT / "src" / "lucidbox").rglob("__init__.py"))]
    assert not [name for name in sorted(named) if not any((place / name).exists() for place in places)]


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_imports_of_us_is_there(script):
    """They are not run here, and a name that moved would be noticed by the next who measures."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "lucidbox":
            for name in node.names:
                if not hasattr(import_module(node.module), name.name):
                    import_module(f"{node.module}.{name.name}")
