"""What ``lucidbox predict`` writes for programs, and how it names what it saves."""

import io
import json
import sys

import jsonschema
import pytest

from conftest import TESTS
from lucidbox.cli import main
from lucidbox.images.reading import read_image

SCHEMA = json.loads((TESTS.parent / "docs" / "reference" / "predict.schema.json").read_text(encoding="utf-8"))


def records_of(text):
    """The records, each of which follows the schema."""
    records = [json.loads(line) for line in text.splitlines()]
    checker = jsonschema.Draft202012Validator(SCHEMA)
    checker.check_schema(SCHEMA)
    for record in records:
        checker.validate(record)
    return records


def test_a_record_for_every_image_and_for_what_is_passed_over(predict, noise, tmp_path):
    noise("many/a.png")
    (tmp_path / "many" / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "many" / "c.heic").touch()
    options = ("--json", "--txt", "--crops", "--max-det", "2", "--save", "out", "--json-file", "found.jsonl")
    code, out, err = predict(tmp_path / "many", *options)
    first, second, third = records_of(out)
    assert (tmp_path / "found.jsonl").read_text() == out
    assert code == 1
    assert (first["saved"], first["text"]) == ("out/a.png", "out/labels/a.txt")
    assert len(first["crops"]) == 2
    assert all((tmp_path / path).is_file() for path in (first["saved"], first["text"], *first["crops"]))
    assert list(second) == ["source", "error"]
    assert second["source"] == str(tmp_path / "many" / "b.png")
    assert third == {"source": str(tmp_path / "many"), "passed_over": {".heic": 1}}
    assert "many: 1 file of another kind passed over (.heic 1); convert them" in err


def test_images_that_are_not_read_are_an_exit_code_of_1_and_other_files_are_not(predict, noise, tmp_path):
    noise("many/a.png")
    (tmp_path / "many" / "notes.txt").touch()
    assert predict(tmp_path / "many", "--no-draw")[0] == 0
    (tmp_path / "many" / "c.heic").touch()
    assert predict(tmp_path / "many", "--no-draw")[0] == 1


def test_a_result_that_cannot_be_saved_is_printed_all_the_same(predict, noise, tmp_path, monkeypatch):
    from lucidbox.core.errors import OutputError
    from lucidbox.save.writers import Saver

    def full(self, result):
        self.folder = tmp_path
        raise OutputError("disk: cannot be written: the disk is full")

    monkeypatch.setattr(Saver, "save", full)
    code, out, _ = predict(noise("a.png"), "--json")
    (record,) = records_of(out)
    assert code == 1
    assert record["detections"]
    assert record["error"] == "disk: cannot be written: the disk is full"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-16"])
def test_json_is_utf_8_whatever_the_terminal_has(encoding, noise, small_onnx, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, write_through=True))
    path = noise("图 ü.png")
    assert main(["predict", str(path), "--weights", str(small_onnx), "--json", "--no-draw"]) == 0
    (record,) = records_of(written.getvalue().decode("utf-8"))
    assert record["source"] == str(path)


def test_crops_never_replace_an_annotated_image(predict, noise, tmp_path):
    noise("many/x.png")
    for label in ("red", "green", "blue"):
        noise(f"many/crops/{label}/x-0.jpg", seed=1)
    _, out, _ = predict(tmp_path / "many", "--recursive", "--crops", "--json", "--max-det", "1", "--save", "out")
    files = [path for record in records_of(out) for path in (record["saved"], *record["crops"])]
    assert len(files) == len(set(files)) == 8
    assert {str(path.relative_to(tmp_path)) for path in (tmp_path / "out").rglob("*.*")} == set(files)
    for record in records_of(out):
        assert read_image(tmp_path / record["saved"]).shape == (96, 160, 3)


def test_dots_of_a_name_stay_in_what_is_saved(predict, noise, tmp_path):
    noise("a.png").rename(tmp_path / "scan.2024.05.01")
    noise("b.png").rename(tmp_path / "scan.2024.05.02")
    predict(tmp_path / "scan.2024.05.01", tmp_path / "scan.2024.05.02", "--save", "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "scan.2024.05.01.jpg",
        "scan.2024.05.02.jpg",
    ]


@pytest.mark.parametrize("options", [[], ["--save", "out"]])
def test_predicting_here_twice_does_not_look_at_its_own_results(options, predict, noise):
    noise("a.png")
    for folder in ("1", "2"):
        code, out, err = predict(".", "--recursive", *options)
        assert code == 0
        assert [line.split(" ")[0] for line in out.splitlines() if " ms" in line] == ["a.png"], folder
    assert "1 folder in it passed over: results of lucidbox" in err
