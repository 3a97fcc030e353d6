"""One picture from standard input."""

import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lucidbox.sources import Failure, StandardInput


def png(shade=7):
    file = BytesIO()
    Image.new("RGB", (3, 2), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


def test_a_picture():
    (picture,) = StandardInput(stream=BytesIO(png()))
    assert np.array_equal(picture.pixels, np.full((2, 3, 3), (7, 0, 0)))
    assert (picture.source, picture.name, picture.frame, picture.time) == ("-", "stdin", None, None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "standard input: is empty"),
        (b"words, no picture", "standard input: not a picture"),
        (png()[:-30], "standard input: damaged or truncated"),
    ],
)
def test_what_is_no_picture(content, message):
    (failure,) = StandardInput(stream=BytesIO(content))
    assert isinstance(failure, Failure)
    assert failure.source == "-"
    assert str(failure.error).startswith(message)


def test_a_terminal_is_told_how_to_pipe():
    class Terminal(BytesIO):
        def isatty(self):
            return True

    (failure,) = StandardInput(stream=Terminal())
    assert "nothing is piped in" in str(failure.error)


@pytest.mark.thorough
def test_the_real_standard_input():
    script = "from lucidbox.sources import open_sources as o; print([p.pixels.shape for p in o(['-'])])"
    done = subprocess.run([sys.executable, "-c", script], input=png(), capture_output=True, timeout=60)
    assert done.stdout.decode().strip() == "[(2, 3, 3)]", done.stderr.decode()


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell closes it")
def test_a_closed_standard_input():
    script = "from lucidbox.sources import open_sources as o; print([str(f.error) for f in o(['-'])])"
    command = ["/bin/sh", "-c", 'exec "$0" -c "$1" <&-', sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "['standard input: is closed; try: lucidbox predict - < picture.jpg']\n", done.stderr
