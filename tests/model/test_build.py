import pytest
import torch

from lucidbox.core.errors import OptionError
from lucidbox.model import ARCHITECTURES, build


def test_every_listed_architecture_is_built_with_its_name():
    with torch.device("meta"):
        for name in ARCHITECTURES:
            network = build(name, classes=7)
            assert (network.architecture, network.classes, network.strides, network.bins) == (
                name,
                7,
                (8, 16, 32),
                16,
            )


@pytest.mark.parametrize(
    ("name", "options"), [("yolo11s", {}), ("yolo11n", {"class_width": 80}), ("notebook", {"base_channels": 8})]
)
def test_a_network_says_how_to_build_another_like_it(name, options):
    first = build(name, 3, **options)
    second = build(first.architecture, first.classes, **first.options)
    shapes = {key: tensor.shape for key, tensor in first.state_dict().items()}
    assert {key: tensor.shape for key, tensor in second.state_dict().items()} == shapes


@pytest.mark.parametrize(
    ("name", "classes", "width"),
    [("yolo11n", 80, 80), ("yolo11n", 3, 64), ("yolo11n", 200, 100), ("yolo11x", 3, 384)],
)
def test_the_published_width_of_class_branches_is_no_option(name, classes, width):
    with torch.device("meta"):
        for network in (build(name, classes), build(name, classes, class_width=width)):
            assert (network.options, network.form) == ({}, {"class_width": width})
            assert network.head.class_branches[2].predict.in_channels == width
        assert build(name, classes, class_width=72).options == {"class_width": 72}


def test_the_notebook_has_64_base_channels_unless_told_otherwise():
    with torch.device("meta"):
        assert build("notebook").options == {"base_channels": 64}
        assert build("notebook").backbone.stem.conv.out_channels == 64
        assert build("notebook", base_channels=16).backbone.stem.conv.out_channels == 16


def test_built_without_memory_then_filled():
    with torch.device("meta"):
        network = build("yolo11n", 2)
    source = build("yolo11n", 2)
    network.load_state_dict(source.state_dict(), assign=True)
    images = torch.rand(1, 3, 64, 64)
    assert torch.equal(network.eval()(images).boxes, source.eval()(images).boxes)


@pytest.mark.parametrize(
    ("name", "classes", "options", "message"),
    [
        ("yolo12n", 80, {}, "'yolo12n' is unknown; use one of yolo11n, .*yolo11x, notebook"),
        ("n", 80, {}, "'n' is unknown"),
        ("yolo11n", 0, {}, "0 classes"),
        ("notebook", -1, {}, "-1 classes"),
        ("yolo11n", 80, {"base_channels": 16}, "yolo11n has no option base_channels"),
        ("notebook", 80, {"depth": 2}, "no option depth; it has base_channels"),
        ("yolo11n", 80, {"class_width": 0}, "class_width 0; it must be at least 1"),
        ("notebook", 80, {"base_channels": 1}, "base_channels 1; it must be at least 2"),
    ],
)
def test_what_cannot_be_built_is_named(name, classes, options, message):
    with pytest.raises(OptionError, match=message):
        build(name, classes, **options)
