"""How every verb speaks: printable lines, JSON as UTF-8, results before files."""

import io
import json
import os
import sys

import pytest

from lucidbox.cli import main
from lucidbox.cli.console import tell, write_json

HOSTILE = "a\x1b[2J\x9b\u202eb\udcff"


def test_lines_keep_their_blanks_and_lose_what_steers_a_terminal(capsys):
    tell(f"  {HOSTILE}   1\n  二   2")
    assert capsys.readouterr().out == "  a[2Jb   1\n  二   2\n"


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_json_is_utf_8_whatever_the_terminal_has(encoding, monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding, write_through=True))
    write_json({"name": "人 ü", "stray": "\udcff"})
    assert written.getvalue() == '{"name": "人 ü", "stray": "?"}\n'.encode()


@pytest.fixture
def evaluation(tmp_path):
    """Arguments of a small evaluation."""
    image = {"id": 1, "width": 100, "height": 100, "file_name": "a.jpg"}
    truth = {"id": 1, "image_id": 1, "category_id": 7, "bbox": [10, 10, 50, 50], "area": 2500, "iscrowd": 0}
    data = {"images": [image], "annotations": [truth], "categories": [{"id": 7, "name": "人"}]}
    (tmp_path / "truth.json").write_text(json.dumps(data))
    found = [{"image_id": 1, "category_id": 7, "bbox": [10, 10, 50, 50], "score": 0.9}]
    (tmp_path / "found.json").write_text(json.dumps(found))
    return ["evaluate", "--annotations", f"{tmp_path}/truth.json", "--predictions", f"{tmp_path}/found.json"]


@pytest.mark.parametrize("option", ["--json", "--save-predictions", "--plots"])
def test_an_output_in_the_way_is_found_before_anything_is_read(option, evaluation, tmp_path, capsys):
    (tmp_path / "file").touch()
    wrong = tmp_path / "file" if option == "--plots" else tmp_path
    evaluation[2] = "missing.json"
    assert main([*evaluation, option, str(wrong)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert str(wrong) in line
    assert "cannot be written" in line
    assert "missing.json" not in line


def test_numbers_are_printed_though_a_file_fails_later(evaluation, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lucidbox.core.filesystem.check_writable", lambda path: None)
    assert main([*evaluation, "--json", str(tmp_path)]) == 2
    assert "1.000" in capsys.readouterr().out
    os.mkdir(tmp_path / "results.json")  # noqa: PTH102
    assert main([*evaluation, "--json", "--save-predictions", str(tmp_path / "results.json")]) == 2
    captured = capsys.readouterr()
    assert json.loads(captured.out)["AP"] > 0.99
    assert "results.json: cannot be written" in captured.err


def test_categories_are_chosen_by_id_name_and_all_of_one_name(evaluation, capsys):
    for classes, code in (("7", 0), ("人", 0), ("1", 2)):
        assert main([*evaluation, "--json", "--classes", classes]) == code
        capsys.readouterr()
