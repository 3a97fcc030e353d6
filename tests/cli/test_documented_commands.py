"""Every verb explains itself, and every command line of README and docs is one that the parser takes."""

import re
import shlex
from pathlib import Path

import pytest

from lucidbox import cli

ROOT = Path(__file__).parents[2]
SUBVERBS = {"data": ["check", "stats", "split", "convert", "show"], "weights": ["show", "convert"]}
VERBS = [[], *([verb] for verb in cli.VERBS), *([verb, sub] for verb, subs in SUBVERBS.items() for sub in subs)]


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_help_has_examples_that_parse(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*verb, "--help"])
    assert stop.value.code == 0
    _, examples = capsys.readouterr().out.split("examples:")
    commands = [command for command in commands_of(examples) if command[:1] != ["torchrun"]]
    assert commands
    for command in commands:
        cli.parse_arguments(command)


def commands_of(text):
    """Arguments of each line that begins with lucidbox, without redirections and comments."""
    lines = re.findall(r"^(?:  |\$ )?lucidbox ((?:.*\\\n)*.+)$", text.replace("\\\n", " "), re.MULTILINE)
    for arguments in lines:
        yield shlex.split(re.split(r" [>|&] ?|\s#", arguments)[0])


def documented():
    """Every command line in a code block of README and docs."""
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples" / "README.md"]:
        for block in re.findall(r"^```.*?\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL):
            for command in commands_of(block):
                if command != ["--help"] and "..." not in command:  # else no whole command
                    yield pytest.param(command, id=f"{path.name}: {shlex.join(command)}")


@pytest.mark.parametrize("command", list(documented()))
def test_a_documented_command_parses(command):
    assert callable(cli.parse_arguments(command).run)
