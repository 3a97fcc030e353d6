"""The tree at the head of ARCHITECTURE.md, made from the first line of every module's docstring.

python .ci/tree.py           prints it
python .ci/tree.py --write   puts it into ARCHITECTURE.md; tests/test_architecture.py fails where it is out of date
"""

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- tree: made by .ci/tree.py -->\n", "<!-- end of tree -->\n"


def summary(file: Path) -> str:
    """The first line of a module's docstring, without its full stop."""
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    return text.partition("\n")[0].rstrip(".")


def lines(folder: Path, indent: int) -> list[str]:
    """A line for each file of a folder, then its folders, each with its own lines."""
    files = [file for file in sorted(folder.glob("*.py")) if file.name != "__init__.py"]
    found = [f"{' ' * indent + file.name:<32} {summary(file)}" for file in files]
    for inner in sorted(path for path in folder.iterdir() if (path / "__init__.py").exists()):
        found.append(f"{' ' * indent + inner.name + '/':<32} {summary(inner / '__init__.py')}")
        found += lines(inner, indent + 2)
    return found


def tree() -> str:
    """The whole tree as a block of text."""
    package = ROOT / "src" / "lucidbox"
    head = f"{'src/lucidbox/':<32} {summary(package / '__init__.py')}"
    return "```\n" + "\n".join([head, *lines(package, 2)]) + "\n```\n"


def with_tree(document: str) -> str:
    """A document with the tree between its two marks brought up to date."""
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + tree() + END + after


if __name__ == "__main__":
    page = ROOT / "ARCHITECTURE.md"
    if "--write" in sys.argv:
        page.write_text(with_tree(page.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(tree())
