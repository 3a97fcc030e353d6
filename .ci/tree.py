"""What ARCHITECTURE.md says that files say already: the tree, from the first lines of docstrings, and the layers.

python .ci/tree.py           prints the tree
python .ci/tree.py --write   puts both there; tests/test_architecture.py fails where they are out of date
"""

import ast
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


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


def layers() -> str:
    """The layers of rooms that import-linter holds, the highest first, as a block of text."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (found,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    return "```\n" + "\n".join(found) + "\n```\n"


def brought_up_to_date(document: str) -> str:
    """A document with what stands between its marks made anew."""
    for name, make in (("tree", tree), ("layers", layers)):
        begin, end = f"<!-- {name}: made by .ci/tree.py -->\n", f"<!-- end of {name} -->\n"
        before, found, rest = document.partition(begin)
        assert found, f"no mark for the {name}"
        document = before + begin + make() + end + rest.partition(end)[2]
    return document


if __name__ == "__main__":
    page = ROOT / "ARCHITECTURE.md"
    if "--write" in sys.argv:
        page.write_text(brought_up_to_date(page.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        sys.stdout.write(tree())
