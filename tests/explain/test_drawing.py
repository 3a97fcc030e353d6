import numpy as np
import pytest

from lucidbox.explain.drawing import coloured, overlay, visualize_gradcam


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.8])
def test_the_notebooks_three_panels(alpha):
    """Recomputed with matplotlib's own jet, as the notebook draws them."""
    matplotlib = pytest.importorskip("matplotlib")
    random = np.random.default_rng(0)
    picture = random.integers(20, 200, (30, 40, 3), dtype=np.uint8)
    heat = random.random((30, 40)).astype(np.float32)
    heat[0, :2] = 0, 1
    jet = matplotlib.colormaps["jet"](heat)[..., :3]
    low, high = picture.min() / 255, picture.max() / 255
    stretched = (picture / 255 - low) / (high - low + 1e-8)
    expected = np.hstack([stretched, jet, np.clip(stretched * (1 - alpha) + jet * alpha, 0, 1)]) * 255
    found = visualize_gradcam(picture, heat, alpha)
    assert found.shape == (30, 120, 3)
    assert np.abs(found - expected).max() <= 1.01


def test_hotter_is_lighter():
    colours = coloured(np.linspace(0, 1, 256, dtype=np.float32)[None])
    lightness = colours[0].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(lightness) > -1.5).all()
    assert lightness[0] < 5
    assert lightness[-1] > 230


def test_where_nothing_is_hot_the_picture_is_grey():
    picture = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    heat = np.zeros((20, 20), np.float32)
    heat[5, 5] = 1
    shown = overlay(picture, heat)
    assert (shown[10:] == shown[10:, :, :1]).all()
    assert len(set(shown[5, 5].tolist())) > 1
