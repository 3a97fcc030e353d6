from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.core.errors import OptionError
from lucidbox.detect.predictor import View
from lucidbox.detect.tiles import MOST_VIEWS, Tiling, tiling_of

NETWORK = (640, 640)


def test_full_hd_by_hand():
    views = Tiling((640, 640)).views((1080, 1920), NETWORK)
    assert views[0] == View(0, 0, 1920, 1080)
    # A step is at most 512: four columns, spread evenly, and two rows.
    assert [view.left for view in views[1:5]] == [0, 427, 853, 1280]
    assert [view.top for view in views[1::4]] == [0, 440]
    assert {view.size for view in views[1:]} == {NETWORK}
    assert len(views) == 1 + 4 * 2


@given(
    image=st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    size=st.tuples(st.integers(100, 900), st.integers(100, 900)),
    overlap=st.floats(0, 0.9),
)
def test_tiles_cover_the_image_are_alike_and_overlap_enough(image, size, overlap):
    try:
        whole, *tiles = Tiling(size, overlap).views(image, NETWORK)
    except OptionError:
        assert image[0] * image[1] / (size[0] * size[1] * (1 - overlap) ** 2) > MOST_VIEWS / 9
        return
    assert whole == View(0, 0, image[1], image[0])
    if not tiles:
        assert image[0] <= size[0]
        assert image[1] <= size[1]
        return
    assert {tile.size for tile in tiles} == {(min(size[0], image[0]), min(size[1], image[1]))}
    assert len(set(tiles)) == len(tiles)
    for side in (0, 1):
        starts = sorted({tile[side] for tile in tiles})
        length, reach = tiles[0].size[1 - side], image[1 - side]
        assert starts[0] == 0
        assert starts[-1] + length == reach
        # Rounding to pixels takes at most one from an overlap.
        assert all(b - a <= max(1, length * (1 - overlap)) + 1 for a, b in pairwise(starts))
    assert len(tiles) == len({tile.left for tile in tiles}) * len({tile.top for tile in tiles})


@pytest.mark.parametrize("image", [(480, 640), (640, 640), (960, 960), (1, 1)])
def test_auto_leaves_images_of_about_the_networks_size_alone(image):
    assert len(Tiling().views(image, NETWORK)) == 1


def test_auto_takes_the_networks_size():
    assert {view.size for view in Tiling().views((2000, 961), (640, 320))[1:]} == {(640, 320)}
    assert len(Tiling().views((961, 640), NETWORK)) == 1 + 2


def test_a_tile_larger_than_the_image_is_the_whole_image():
    assert Tiling((700, 700)).views((600, 650), NETWORK) == (View(0, 0, 650, 600),)
    # Larger in one direction: cut to the image there.
    assert {view.size for view in Tiling((700, 700)).views((600, 1400), NETWORK)[1:]} == {(600, 700)}


def test_views_are_no_copies():
    image = np.zeros((50, 60, 3), np.uint8)
    part = View(10, 20, 30, 45).of(image)
    assert part.shape == (25, 20, 3)
    assert np.shares_memory(part, image)


def test_forms_in_which_tiles_are_asked_for():
    assert tiling_of(None) is None
    assert tiling_of("auto") == Tiling()
    assert tiling_of(640) == tiling_of("640") == tiling_of((640, 640)) == Tiling((640, 640))
    assert tiling_of("384,640", 0.1) == tiling_of([384, 640], 0.1) == Tiling((384, 640), 0.1)


@pytest.mark.parametrize(
    ("tiles", "overlap", "words"),
    [
        ("640", 1.0, "tile overlap 1 is not a share from 0 to below 1"),
        ("640", 20, "tile overlap 20 is not a share"),
        ("640", -0.1, "tile overlap -0.1 is not a share"),
        ("640", float("nan"), "tile overlap nan is not a share"),
        (None, 0.2, "without tiles has no meaning"),
        ("many", None, "tiles 'many': give auto, one number of pixels, or HEIGHT,WIDTH"),
        ("1,2,3", None, "tiles '1,2,3'"),
        ("", None, "tiles ''"),
        ("31", None, "tiles of 31 pixels are too small: give at least 32"),
        (0, None, "tiles of 0 pixels"),
        ("640,-1", None, "tiles of -1 pixels"),
    ],
)
def test_what_cannot_be_is_refused(tiles, overlap, words):
    with pytest.raises(OptionError) as refusal:
        tiling_of(tiles, overlap)
    assert words in str(refusal.value)


def test_a_million_tiles_are_refused_before_any_is_made():
    with pytest.raises(OptionError, match="1000000 tiles of 32,32 pixels in an image of 32000x32000; at most"):
        Tiling((32, 32), 0).views((32_000, 32_000), NETWORK)
    with pytest.raises(OptionError, match="less overlap"):
        Tiling((640, 640), 0.999).views((2000, 2000), NETWORK)
