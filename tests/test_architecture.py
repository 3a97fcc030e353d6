import runpy
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_tree_of_architecture_is_what_the_files_say():
    tree = runpy.run_path(str(ROOT / ".ci" / "tree.py"))
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert tree["BEGIN"] in page
    assert page == tree["with_tree"](page), "run: python .ci/tree.py --write"
