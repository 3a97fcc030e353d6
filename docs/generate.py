"""Parts of pages that are made from the code, as Markdown: asked for by ``<!-- made: KIND ARGUMENT -->``."""

import argparse
import importlib
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from lucidbox import cli

HERE = Path(__file__).parent
MARKER = re.compile(r"^<!-- made: (\w+) ?(\S*) -->$", re.MULTILINE)


def filled(text: str, *, directives: bool) -> str:
    """A page's source with all that is made from the code.

    Args:
        text: the source.
        directives: Python's documentation as directives for Sphinx; else as plain Markdown.
    """

    def made(match: re.Match[str]) -> str:
        kind, argument = match.groups()
        if kind == "verb":
            return "\n".join(verb(argument))
        if kind == "schema":
            return "\n".join(schema(HERE / "reference" / argument))
        return "\n".join(autodoc(argument) if directives else plain(argument))

    return MARKER.sub(made, text)


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every verb that can be called, such as ``data check``, and its parser."""
    verbs = argparse.ArgumentParser(prog="lucidbox").add_subparsers()
    for name in cli.VERBS:
        importlib.import_module(f"lucidbox.cli.{name}").register(verbs)
        parser = verbs.choices[name]
        inner = next(
            (action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None
        )
        if inner:
            yield from ((f"{name} {sub}", below) for sub, below in inner.choices.items())
        else:
            yield name, parser


def verb(name: str) -> Iterator[str]:
    """A verb, or all below it: what it does, its usage, its options by group, its examples."""
    for full, parser in parsers():
        if full.split()[0] != name:
            continue
        yield from (f"## {full}", "", "```text", *block(parser.description or ""), "```", "")
        formatter = argparse.HelpFormatter(parser.prog, width=84)
        formatter.add_usage(parser.usage, parser._actions, parser._mutually_exclusive_groups)
        yield from ("```text", *block(formatter.format_help()), "```", "")
        for group in parser._action_groups:
            if group._group_actions:
                yield from (f"**{group.title}**", "")
            for action in group._group_actions:
                metavar = action.metavar or action.dest.upper()
                value = " ".join(metavar) if isinstance(metavar, tuple) else metavar
                takes = "" if action.nargs == 0 or not action.option_strings else f" {value}"
                names = ", ".join(f"`{option}{takes}`" for option in action.option_strings) or f"`{value}`"
                text = formatter._expand_help(action) if action.help else ""
                yield from (names, f": {escaped(text)}", "")
        yield from ("```text", *block(parser.epilog or ""), "```", "")


def block(text: str) -> list[str]:
    """Lines of a text without empty ones at its ends."""
    return text.strip("\n").splitlines()


def escaped(text: str) -> str:
    """A text in which Markdown and HTML see nothing of their own."""
    return re.sub(r"([\\`*_<>|\[\]$])", r"\\\1", text)


def schema(path: Path) -> Iterator[str]:
    """The entries of a JSON Schema's objects, a table an object."""
    content = json.loads(path.read_text(encoding="utf-8"))
    kinds = content["$defs"]
    for title, kind in kinds.items():
        if "properties" not in kind:
            continue
        yield from (f"## {title}", "", escaped(kind.get("description", "")), "")
        yield from ("| entry | type | |", "|---|---|---|")
        for name, entry in kind["properties"].items():
            always = "" if name in kind.get("required", ()) else " (not always there)"
            text = entry.get("description") or kinds.get(type_of(entry), {}).get("description", "")
            yield f"| `{name}` | {escaped(type_of(entry))}{always} | {escaped(text)} |"
        yield ""


def type_of(entry: dict[str, object]) -> str:
    """The type of a schema's entry in words."""
    if "const" in entry:
        return json.dumps(entry["const"])
    if "enum" in entry:
        return " or ".join(json.dumps(value) for value in entry["enum"])
    if "$ref" in entry:
        return str(entry["$ref"]).rpartition("/")[2]
    kind = entry.get("type", "any")
    kinds = " or ".join(kind) if isinstance(kind, list) else str(kind)
    return f"{kinds} of {type_of(entry['items'])}" if isinstance(entry.get("items"), dict) else kinds


def public(name: str) -> Iterator[tuple[str, object]]:
    """What a package's ``__all__`` names, but for modules; of a module, what it defines."""
    module = importlib.import_module(name)
    for member in getattr(module, "__all__", None) or vars(module):
        value = getattr(module, member, None)  # modules that a room names need not be imported yet
        home = getattr(value, "__module__", None) if inspect.isclass(value) or inspect.isfunction(value) else None
        if home and not member.startswith("_") and (hasattr(module, "__all__") or home == name):
            yield member, value


def autodoc(name: str) -> Iterator[str]:
    """A module's public classes and functions, as directives of Sphinx."""
    yield from (summary(importlib.import_module(name)), "", "```{eval-rst}")
    for member, value in public(name):
        if inspect.isclass(value):
            yield from (f".. autoclass:: {name}.{member}", "   :members:", "   :special-members: __call__", "")
        else:
            yield from (f".. autofunction:: {name}.{member}", "")
    yield "```"


def plain(name: str) -> Iterator[str]:
    """The same as Markdown: signatures and docstrings."""
    yield from (summary(importlib.import_module(name)), "")
    for member, value in public(name):
        yield from described(f"{name}.{member}", value)
        for inner, part in vars(value).items() if inspect.isclass(value) else ():
            function = getattr(part, "__func__", part)
            if inspect.isfunction(function) and (inner == "__call__" or not inner.startswith("_")):
                yield from described(f"{name}.{member}.{inner}", function)


def described(name: str, value: object) -> Iterator[str]:
    """One class or function."""
    try:
        signature = str(inspect.signature(value))
    except ValueError:  # an exception's is Python's own
        signature = "(...)"
    yield from ("```text", f"{name}{signature}", "", *block(inspect.getdoc(value) or ""), "```", "")


def summary(module: ModuleType) -> str:
    """What a module is, in one sentence."""
    return escaped(inspect.getdoc(module).splitlines()[0]).replace("\\`\\`", "`")
