"""Are the commands in README.md and docs/ such that lucidbox takes them?

    python benchmarks/documented_commands.py [FILE.md ...]

Every line of a block marked ``sh`` that calls lucidbox (``lucidbox ...``, ``.venv/bin/lucidbox ...``, ``python -m
lucidbox ...``, ``torchrun ... -m lucidbox ...``; after ``$``, within pipes and ``&&``) goes through the parser of
the command line that ``python -m lucidbox`` runs, whatever files that is made of. Ends with 1 and a list if one is
refused.

What is not done: no verb is run, so neither files nor class names nor recipe keys (``--set``) are looked at, nor
whether options go together where a verb finds that out itself. Commands of others in these blocks are passed over,
and so are Python's blocks, commands within sentences, and what a document says that a command prints.
"""

import argparse
import contextlib
import io
import re
import runpy
import shlex
import sys
from pathlib import Path
from unittest import mock

HERE = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENDS = {"|", "||", "&&", ";", "&", "(", ")"}
REDIRECTIONS = {">", ">>", "<", ">&", "&>"}


class Parsed(BaseException):
    """Carries out of lucidbox that its arguments were taken; no handler of it must catch this."""


def commands(text):
    """Line numbers and the words after ``lucidbox`` of every call in the sh blocks of a document."""
    for block in BLOCK.finditer(text):
        first = text.count("\n", 0, block.start(1)) + 1
        for number, line in joined(block[1], first):
            yield from ((number, words) for words in calls(line))


def joined(block, number):
    """Lines with their numbers; those that end in a backslash with the next."""
    start, whole = number, ""
    for line in block.splitlines():
        whole += line.removesuffix("\\")
        if not line.endswith("\\"):
            yield start, whole
            whole, start = "", number + 1
        number += 1


def calls(line):
    """The words after ``lucidbox`` in each simple command of a line."""
    line = re.sub(r"(?<!\S)\d(?=>)", "", line.strip().removeprefix("$ "))  # the 2 of 2>&1
    reader, simple = shlex.shlex(line, posix=True, punctuation_chars=True), []
    reader.whitespace_split = True
    for word in [*reader, ";"]:
        if word in ENDS:
            if (place := place_of(simple)) is not None:
                yield without_redirections(simple[place + 1 :])
            simple = []
        else:
            simple.append(word)


def place_of(words):
    """Where lucidbox is called in a simple command, or None."""
    for place, word in enumerate(words):
        if Path(word).name == "lucidbox" and (place == 0 or words[place - 1] == "-m" or "=" in words[place - 1]):
            return place
    return None


def without_redirections(words):
    """Words that the command itself gets."""
    kept, skip = [], False
    for word in words:
        if not skip and word not in REDIRECTIONS:
            kept.append(word)
        skip = word in REDIRECTIONS
    return kept


def refusal(words):
    """What the parser says against these words, or None."""
    real = argparse.ArgumentParser.parse_args

    def parse_only(parser, *arguments, **options):
        real(parser, *arguments, **options)
        raise Parsed

    told = io.StringIO()
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", parse_only),
        mock.patch.object(sys, "argv", ["lucidbox", *words]),
        contextlib.redirect_stderr(told),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        try:
            runpy.run_module("lucidbox", run_name="__main__")
        except Parsed:
            return None
        except SystemExit as end:  # --help and --version end so, with 0
            return told.getvalue().strip().rpartition("\n")[2] if end.code else None
    return "lucidbox ended before it parsed anything"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    files = parser.parse_args().files or [HERE / "README.md", *sorted((HERE / "docs").glob("*.md"))]
    total = refused = 0
    for path in files:
        for number, words in commands(path.read_text(encoding="utf-8")):
            total += 1
            if reason := refusal(words):
                refused += 1
                print(f"{path}:{number}: lucidbox {shlex.join(words)}\n    {reason}")
    print(f"{total} commands in {len(files)} documents, {refused} refused")
    return 1 if refused or not total else 0


if __name__ == "__main__":
    sys.exit(main())
