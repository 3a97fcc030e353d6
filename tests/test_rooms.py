"""What the tree of the package promises: few rooms, one meaning a public name, imports by what a room names."""

import ast
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "lucidbox"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
SHARED_NAMES = {"register", "run", "DESCRIPTION", "EXAMPLES", "detect"}
"""What every verb of the command line defines, with one meaning; and detection, whatever holds the images."""


@cache
def parsed(path):
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def named(package):
    """What a package's ``__all__`` lists: public names and public modules."""
    for node in parsed(package / "__init__.py").body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def public_definitions(path):
    """Public functions, classes, constants and type aliases that a file defines."""
    for node in parsed(path).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names = [node.name]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [target.id for target in targets if isinstance(target, ast.Name)]
        else:
            continue
        yield from (name for name in names if not name.startswith("_"))


@cache
def imported(path):
    """The dotted parts of each thing of the package that a file imports, wherever it does so, and the line."""
    things = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            things += [(f"{node.module}.{alias.name}", node.lineno) for alias in node.names]
        elif isinstance(node, ast.Import):
            things += [(alias.name, node.lineno) for alias in node.names]
    return [(name.split(".")[1:], line) for name, line in things if name.startswith("lucidbox.")]


def unnamed_part(room, parts):
    """The first part of ``lucidbox.ROOM.PARTS`` that the package before it does not name, or None."""
    package = PACKAGE / room
    for part in parts:
        if part not in named(package):
            return part
        package /= part
        if not (package / "__init__.py").exists():
            return None  # a module, all of whose public names may be taken, or a name
    return None


def test_few_entries_at_the_top():
    entries = [path.name for path in PACKAGE.iterdir() if path.name != "__pycache__"]
    assert len(entries) <= 26, sorted(entries)


def test_a_public_name_is_defined_in_one_file():
    files = defaultdict(set)
    for path in FILES:
        for name in public_definitions(path):
            files[name].add(str(path.relative_to(PACKAGE)))
    twice = {name: sorted(where) for name, where in files.items() if len(where) > 1}
    assert len(SHARED_NAMES) <= 5
    wrong = [f"{name}: {', '.join(where)}" for name, where in sorted(twice.items()) if name not in SHARED_NAMES]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("room", ROOMS)
def test_others_import_only_what_the_room_names(room):
    """``__all__`` of the room's ``__init__`` lists its public names and its public modules."""
    behind = [
        f"{path.relative_to(PACKAGE)}:{line}: {unnamed_part(room, parts)} is not named"
        for path in FILES
        if not path.is_relative_to(PACKAGE / room)
        for (where, *parts), line in imported(path)
        if where == room and unnamed_part(room, parts)
    ]
    assert not behind, "\n".join(behind)
