import numpy as np
import pytest

from lucidbox.core.errors import OptionError
from lucidbox.explain.gradcam import class_gradcam, gradcam

LAYER = "backbone.stage4.2.cv2"


@pytest.mark.parametrize("classes", [5, 80])
@pytest.mark.parametrize("prepared", ["training", "evaluation", "fused"])
def test_heat_maps_equal_the_notebooks(classes, prepared, golden_notebook, golden_file):
    from lucidbox.model import fuse

    network, images = golden_notebook(classes)
    network = fuse(network) if prepared == "fused" else network.train(prepared == "training")
    golden = np.load(golden_file(f"notebook/gradcam-nc{classes}.npz"))
    compared = 0
    for image in range(2):
        for name, class_id in (("none", None), ("2", 2), (str(classes - 1), classes - 1)):
            heat = class_gradcam(network, images[image : image + 1], LAYER, class_id)
            assert np.abs(heat - golden[f"image{image}/class_{name}"]).max() <= 1e-3
            compared += int(golden[f"image{image}/class_{name}"].max() > 0)
    assert compared >= 4  # a map may rightly be all zero, but not all of them are


def test_the_class_taken_is_the_notebooks(golden_notebook, golden_file):
    network, images = golden_notebook(80)
    chosen = int(np.load(golden_file("notebook/gradcam-nc80.npz"))["image1/chosen_class"])
    taken = class_gradcam(network, images[1:], LAYER)
    assert taken.max() > 0.99
    assert np.array_equal(taken, class_gradcam(network, images[1:], LAYER, chosen))
    assert not np.array_equal(taken, class_gradcam(network, images[1:], LAYER, 2))


def test_by_hand():
    activations = np.array([[[1.0, 2.0]], [[3.0, 0.0]]])
    gradients = np.array([[[0.0, 2.0]], [[-1.0, 1.0 / 3]]])  # means 1 and -1/3
    assert np.allclose(gradcam(activations, gradients), [[0.0, 2.0]])  # 1 - 1, 2 - 0


@pytest.mark.parametrize("class_id", [-1, 5])
def test_a_class_that_is_not_there(class_id, golden_notebook):
    network, images = golden_notebook(5)
    with pytest.raises(OptionError, match="ids run from 0 to 4"):
        class_gradcam(network, images[:1], LAYER, class_id)


def test_a_layer_that_is_not_there_names_near_ones(golden_notebook):
    network, images = golden_notebook(5)
    with pytest.raises(OptionError, match=r"backbone\.stage4\.2\.cv2"):
        class_gradcam(network, images[:1], "backbone.stage4.2.cv9")
