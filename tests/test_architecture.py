import re
import runpy
from pathlib import Path

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
