"""Lines and progress bars on standard error; bars on a terminal only."""

import sys

import numpy as np
import pytest

from lucidbox.cli.console import ProgressBar, progress, say, say_error
from lucidbox.explain.drise import Masking, drise
from lucidbox.explain.targets import Target
from models import RedFinder, picture


@pytest.fixture
def terminal(monkeypatch):
    """Function after which standard error is a terminal; to be called when the test has its own."""
    return lambda: monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_nothing_is_shown_where_nobody_looks(capsys):
    assert list(progress()([1, 2, 3], 3)) == [1, 2, 3]
    bar = ProgressBar(3)
    bar.advance()
    bar.close()
    say("a line")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "lucidbox: a line\n")


def test_a_name_cannot_disturb_the_terminal(capsys):
    say_error("bad\x1b[2J\nname.jpg: no such file")
    assert capsys.readouterr().err == "lucidbox: error: bad [2J name.jpg: no such file\n"


def test_a_terminal_sees_counts_and_lines_between(terminal, capsys):
    terminal()
    for item in progress("mask")(iter("ab"), 2):
        say(f"line {item}")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "0/2" in captured.err
    assert all(line.strip() == line for line in captured.err.splitlines() if line.startswith("lucidbox"))
    assert captured.err.count("lucidbox: line ") == 2


def test_a_length_that_nobody_knows(terminal, capsys):
    terminal()
    assert list(progress()(iter("abc"), None)) == ["a", "b", "c"]
    assert "picture" in capsys.readouterr().err


def test_masks_pass_by_whoever_watches_drise():
    pixels = picture(32, 32, (8, 8, 24, 24))
    seen = []

    def progress(items, count):
        for item in items:
            seen.append((len(item), count))
            yield item

    targets = [Target(0, 1, (8.0, 8.0, 24.0, 24.0))]
    watched = drise(RedFinder(), pixels, targets, Masking(masks=10, progress=progress))
    assert seen == [(4, 3), (4, 3), (2, 3)]
    assert np.array_equal(watched, drise(RedFinder(), pixels, targets, Masking(masks=10)))
