"""Pixels in a notebook, in a viewer, or nowhere."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image, ImageShow

from lucidbox.core.errors import OutputError
from lucidbox.draw import show
from lucidbox.draw.showing import PAGE_WIDTH, as_jpeg, notebook_display

RED = np.full((20, 30, 3), (200, 10, 10), np.uint8)


def test_a_jpeg_has_the_colours_and_at_most_the_width_of_a_page():
    image = Image.open(io.BytesIO(as_jpeg(RED)))
    assert (image.format, image.size) == ("JPEG", (30, 20))
    assert np.abs(np.asarray(image).astype(int) - RED).max() < 12
    wide = Image.open(io.BytesIO(as_jpeg(np.zeros((10, 2 * PAGE_WIDTH, 3), np.uint8))))
    assert wide.size == (PAGE_WIDTH, 5)
    assert as_jpeg(np.zeros((0, 0, 3), np.uint8)) is None


def test_in_a_kernel_it_is_displayed(monkeypatch):
    shown = []
    display = SimpleNamespace(display=shown.append, Image=lambda **what: what)
    shell = SimpleNamespace(kernel=object())
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    show(RED)
    assert shown == [{"data": as_jpeg(RED), "format": "jpeg"}]
    # At IPython's prompt in a terminal there is no page to show it on.
    del shell.kernel
    assert notebook_display() is None


@pytest.mark.parametrize("done", [True, False])
def test_elsewhere_a_viewer_shows_it_or_the_remedy_is_told(done, monkeypatch):
    shown = []
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    monkeypatch.setattr(ImageShow, "show", lambda image: shown.append(image) or done)
    if done:
        show(RED)
    else:
        with pytest.raises(OutputError, match="--save"):
            show(RED)
    assert np.array_equal(np.asarray(shown[0]), RED)


def test_nothing_to_show_is_told():
    with pytest.raises(OutputError, match="no pixels"):
        show(np.zeros((0, 0, 3), np.uint8))
