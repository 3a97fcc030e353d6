"""``lucidbox batch``: options, exit codes, what is said, and results read by the other verbs."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from batched import make_images, red_detector, rows_of
from lucidbox import cli

pytest.importorskip("pyarrow", reason="pip install 'lucidbox[batch]'")


@pytest.fixture
def batch(tmp_path, monkeypatch, capsys):
    """Function that runs the command line in ``tmp_path`` with a detector that finds red."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    options = {}

    def load(arguments, **settings):
        assert settings["threads"] == arguments.threads
        limits = {name: value for name, value in settings.items() if name in ("conf", "iou") and value is not None}
        detector = red_detector(tmp_path / "model", **options)
        detector.predictor = replace(detector.predictor, limits=detector.limits_with(limits))
        return detector

    monkeypatch.setattr("lucidbox.cli.batch.load_detector", load)

    def run(*arguments):
        try:
            code = cli.main([*map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_folder_by_several_workers(batch, tmp_path):
    make_images(tmp_path / "photos", 10)
    work = ("batch", "photos", "--out", "found", "--shard-size", 2)
    code, out, err = batch(*work, "--shard", "0/2")
    assert (code, out) == (0, "found: 6 pictures done now, 0 of them failed; 2 shards are still missing\n")
    assert "10 pictures in 5 shards; 3 are mine, 3 to do" in err
    assert "shard 4 of 5: 2 pictures, 0 failures" in err
    # N changes between runs: what is there is not done again, and what is missing is.
    code, out, err = batch(*work, "--shard", "0/3")
    assert (code, out) == (0, "found: 2 pictures done now, 0 of them failed; 1 shards are still missing\n")
    code, out, err = batch(*work, "--json")
    document = json.loads(out)
    assert (code, document["images"], document["written"], document["missing"]) == (0, 2, 1, 0)
    assert document["job"]["manifest"]["images"] == 10
    code, out, _ = batch(*work)
    assert (code, out) == (0, "found: 0 pictures done now, 0 of them failed; all shards are there\n")
    assert [Path(row.uri).name for row in rows_of("found")] == [f"image{number}.png" for number in range(10)]


def test_failures_are_counted(batch, tmp_path):
    make_images(tmp_path / "photos", 2)
    (tmp_path / "photos" / "bad.png").write_bytes(b"")
    (tmp_path / "photos" / "worse.png").write_bytes(b"")
    code, out, _ = batch("batch", "photos", "--out", "found")
    assert (code, out) == (1, "found: 4 pictures done now, 2 of them failed; all shards are there\n")
    code, out, _ = batch("batch", "--summary", "found")
    assert code == 1
    lines = [line.split() for line in out.splitlines()]
    assert ["pictures", "4", "of", "4,", "2", "of", "them", "failed"] in lines
    assert ["2", "is", "empty"] in lines
    assert ["2", "red"] in lines
    code, out, _ = batch("batch", "--summary", "found", "--json")
    document = json.loads(out)
    assert document["errors"] == {"is empty": 2}
    assert document["classes"] == {"red": 2}
    assert (document["images"], document["expected"], document["shards"]) == (4, 4, 1)
    assert document["images_per_second"] > 0


def test_a_changed_manifest_and_other_settings(batch, tmp_path):
    make_images(tmp_path / "photos", 2)
    batch("batch", "photos", "--out", "found")
    code, _, err = batch("batch", "photos", "--out", "found", "--conf", "0.4")
    assert (code, "conf 0.25 there, 0.4 here" in err) == (2, True)
    make_images(tmp_path / "photos", 3)
    code, _, err = batch("batch", "photos", "--out", "found")
    assert (code, "the manifest has changed" in err, err.count("\n")) == (2, True, 1)
    code, out, _ = batch("batch", "photos", "--out", "found", "--force-new")
    assert (code, out) == (0, "found: 3 pictures done now, 0 of them failed; all shards are there\n")
    assert len(rows_of("found")) == 3


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photos"], "lucidbox batch INPUT --out URI"),
        (["--out", "found"], "lucidbox batch INPUT --out URI"),
        (["photos", "--out", "found", "--shard", "4/4"], "the first is 0, the last 3"),
        (["photos", "--out", "found", "--shard", "1"], "expected I/N"),
        (["photos", "--out", "found", "--shard-size", "0"], "shard size 0"),
        (["photos", "--out", "found", "--column", "x"], "no Parquet file"),
        (["nothing", "--out", "found"], "nothing: does not exist"),
        (["", "--out", "found"], "lucidbox batch INPUT --out URI"),
        (["photos", "--summary", "found"], "stands alone"),
        (["--summary", "found"], "found: no Parquet files"),
        (["photos", "--out", "nowhere://x"], "nowhere://x"),
        (["photos", "--out", "found", "--max-pixels", "0"], "max-pixels 0"),
    ],
)
def test_wrong_usage_is_one_line(batch, tmp_path, arguments, words):
    make_images(tmp_path / "photos", 1)
    (tmp_path / "found").mkdir()
    code, out, err = batch("batch", *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert err.count("\n") == 1
    assert not list((tmp_path / "found").iterdir())


def test_results_are_evaluated_and_converted(batch, tmp_path):
    paths = make_images(tmp_path / "photos", 4)
    (tmp_path / "photos" / "bad.png").write_bytes(b"")
    assert batch("batch", "photos", "--out", "found", "--shard-size", 2)[0] == 1
    code, out, err = batch("data", "convert", "found", "labelled", "--to", "coco")
    assert (code, "4 pictures, 4 objects" in out, "1 unreadable picture" in err) == (1, True, True)
    document = json.loads((tmp_path / "labelled" / "train.json").read_text())
    assert [image["file_name"] for image in document["images"]] == [f"photos/{path.name}" for path in paths]
    assert document["annotations"][1]["bbox"] == [1, 4, 16, 16]
    code, out, err = batch(
        "evaluate", "--annotations", "labelled/train.json", "--predictions", "found", "--json", "-"
    )
    assert code == 2
    assert "1 images are not in" in err
    assert "--subset" in err
    code, out, err = batch(
        "evaluate", "--annotations", "labelled/train.json", "--predictions", "found", "--subset", "--json", "-"
    )
    assert (code, json.loads(out)["AP"]) == (0, pytest.approx(1))
    assert "1 images that" in err
    code, out, _ = batch("data", "convert", "found", "yolo", "--to", "yolo")
    assert code == 1
    assert len(list((tmp_path / "yolo" / "images" / "train").rglob("*.png"))) == 4
