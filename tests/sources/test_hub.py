"""Hugging Face data sets, from local folders of the same form as detection-datasets/coco."""

import logging
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lucidbox.core.errors import ImageError, SourceError
from lucidbox.sources import Failure, HubDataset, open_sources
from lucidbox.sources.hub import content

datasets = pytest.importorskip("datasets", reason="the extra 'hub' is not installed")


def png(shade):
    file = BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def coco(tmp_path):
    """Three rows in "val", one in "train", with the features of detection-datasets/coco."""
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "data").mkdir()
    features = datasets.Features(
        {
            "image_id": datasets.Value("int64"),
            "image": datasets.Image(),
            "width": datasets.Value("int32"),
            "height": datasets.Value("int32"),
            "objects": {
                "bbox_id": datasets.List(datasets.Value("int64")),
                "category": datasets.List(datasets.ClassLabel(names=["person", "bicycle"])),
                "bbox": datasets.List(datasets.List(datasets.Value("float64"), length=4)),
                "area": datasets.List(datasets.Value("float64")),
            },
        }
    )
    objects = {"bbox_id": [1], "category": [0], "bbox": [[0.0, 0.0, 2.0, 2.0]], "area": [4.0]}
    for split, images in {
        "val": [
            {"bytes": png(10), "path": "000000000139.png"},
            {"bytes": png(20)[:-40], "path": None},
            {"bytes": png(30), "path": None},
            None,
        ],
        "train": [{"bytes": png(40), "path": None}],
    }.items():
        rows = [
            {"image_id": index, "image": image, "width": 8, "height": 6, "objects": objects}
            for index, image in enumerate(images)
        ]
        table = pyarrow.Table.from_pylist(rows, schema=features.arrow_schema)
        parquet.write_table(table, tmp_path / "data" / f"{split}-00000-of-00001.parquet")
    return tmp_path


def test_rows_in_order_and_bad_ones_in_their_place(coco):
    first, cut, third, absent = open_sources([f"hf:{coco}:val"])
    assert np.array_equal(first.pixels, np.full((6, 8, 3), (10, 0, 0)))
    assert (first.source, first.name, first.frame) == (f"hf:{coco}:val#0", "000000000139.png", None)
    assert isinstance(cut, Failure)
    assert str(cut.error).startswith(f"hf:{coco}:val#1: damaged or truncated")
    assert third.pixels[0, 0].tolist() == [30, 0, 0]
    assert third.name == "000002"
    assert str(absent.error) == f"hf:{coco}:val#3: the row has no picture"


def test_the_pixel_limit_holds(coco):
    (item,) = open_sources([f"hf:{coco}:train"], max_pixels=47)
    assert "8×6 pixels exceed the limit of 47" in str(item.error)


def test_of_several_splits_one_must_be_named(coco):
    (item,) = open_sources([f"hf:{coco}"])
    assert isinstance(item.error, SourceError)
    assert str(item.error) == f"hf:{coco}: has several splits (train, val); add :SPLIT"


def test_an_unknown_split(coco):
    (item,) = open_sources([f"hf:{coco}:nope"])
    assert "nope" in str(item.error)
    assert "val" in str(item.error)


def test_a_folder_of_pictures_with_one_split(tmp_path):
    (tmp_path / "test").mkdir()
    for shade in (1, 2):
        (tmp_path / "test" / f"{shade}.png").write_bytes(png(shade))
    items = list(open_sources([f"hf:{tmp_path}"]))
    assert [(item.name, item.pixels[0, 0, 0]) for item in items] == [("1.png", 1), ("2.png", 2)]


def test_pictures_at_addresses_are_fetched(tmp_path):
    (tmp_path / "a.png").write_bytes(png(5))
    assert content({"bytes": None, "path": f"file://{tmp_path}/a.png"}, "row") == png(5)
    with pytest.raises(ImageError, match=r"^row: file://.*missing.* cannot be fetched"):
        content({"bytes": None, "path": f"file://{tmp_path}/missing.png"}, "row")


@pytest.mark.parametrize("cell", [None, {"bytes": None, "path": None}])
def test_rows_without_a_picture(cell):
    with pytest.raises(ImageError, match=r"^row: the row has no picture$"):
        content(cell, "row")


def test_a_data_set_without_pictures(tmp_path):
    datasets.Dataset.from_dict({"a": [1], "b": [2]}).to_parquet(tmp_path / "train.parquet")
    (item,) = open_sources([f"hf:{tmp_path}"])
    assert str(item.error) == f"hf:{tmp_path}: no column is declared to hold pictures (a, b)"


def test_errors_of_the_network_are_one_line(monkeypatch):
    def unreachable(*arguments, **options):
        raise ConnectionError("Couldn't reach 'x/y' on the Hub\nTraceback and more")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    (item,) = open_sources(["hf:x/y"])
    assert str(item.error) == "hf:x/y: Couldn't reach 'x/y' on the Hub"


def test_attempts_to_reach_the_hub_are_not_told_one_by_one(monkeypatch):
    notes = []

    class Keeper(logging.Handler):
        def emit(self, record):
            notes.append(record.getMessage())

    def unreachable(*arguments, **options):
        for name in ("huggingface_hub.utils._http", "datasets.load"):
            logging.getLogger(name).warning("Retrying in 1s [Retry 1/5].")
        raise ConnectionError("Couldn't reach 'x/y' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    keeper, loggers = Keeper(), [logging.getLogger(name) for name in ("huggingface_hub", "datasets")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(keeper)
    try:
        (item,) = open_sources(["hf:x/y"])
        assert notes == []
        assert str(item.error) == "hf:x/y: Couldn't reach 'x/y' on the Hub"
        assert [logger.level for logger in loggers] == levels
        with pytest.raises(ConnectionError):
            unreachable()
        assert len(notes) == 2  # the levels are back: what the user's own program does is told again
    finally:
        for logger in loggers:
            logger.removeHandler(keeper)


def test_a_stream_that_breaks_off_ends_with_a_failure(coco, monkeypatch):
    def breaks_off(dataset):
        yield {"image": {"bytes": png(1), "path": None}}
        raise ConnectionError("reset by peer")

    monkeypatch.setattr(datasets.IterableDataset, "__iter__", breaks_off)
    first, failure = open_sources([f"hf:{coco}:val"])
    assert first.pixels[0, 0, 0] == 1
    assert str(failure.error) == f"hf:{coco}:val: reset by peer"


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    (item,) = open_sources(["hf:x/y"])
    assert "pip install 'lucidbox[hub]'" in str(item.error)


@pytest.mark.parametrize(
    ("argument", "dataset", "split"),
    [
        ("hf:coco", "coco", None),
        ("hf:owner/coco:validation", "owner/coco", "validation"),
        (r"hf:C:\data\coco", r"C:\data\coco", None),
        (r"hf:C:\data\coco:val", r"C:\data\coco", "val"),
        ("hf:/data/a:b/coco", "/data/a:b/coco", None),
    ],
)
def test_arguments(argument, dataset, split):
    assert HubDataset.parse(argument) == HubDataset(dataset, split)


@pytest.mark.thorough
def test_torch_is_not_imported_and_telemetry_is_off(coco):
    script = """
import os, sys
from lucidbox.sources import open_sources
assert sum(1 for _ in open_sources([sys.argv[1]])) == 4
import huggingface_hub.constants
print("torch" in sys.modules, huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY)
import datasets, importlib.util
assert datasets.config.TORCH_AVAILABLE == (importlib.util.find_spec("torch") is not None)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, f"hf:{coco}:val"], capture_output=True, text=True, timeout=120
    )
    assert done.stdout.strip() == "False True", done.stderr
