"""``lucidbox data`` as its users run it."""

import argparse
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lucidbox import cli
from lucidbox.cli.data import register


@pytest.fixture
def data(tmp_path, monkeypatch, capsys):
    """Function that runs ``lucidbox data`` in this process: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(cli.VERBS, "data", "check, count, split and convert data sets")

    def run(*arguments):
        try:
            code = cli.main(["data", *map(str, arguments)])
        except SystemExit as stop:
            code = stop.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def coco(tmp_path):
    """Function that writes a JSON of some boxes, two a picture, and the pictures."""

    def write(*boxes, name="coco"):
        folder = tmp_path / name
        (folder / "images").mkdir(parents=True)
        count = max(len(boxes) + 1, 2) // 2
        for number in range(1, count + 1):
            pixels = np.random.default_rng(number).integers(0, 256, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{number}.png")
        document = {
            "images": [
                {"id": number, "file_name": f"{number}.png", "width": 64, "height": 48}
                for number in range(1, count + 1)
            ],
            "annotations": [
                {
                    "id": row + 1,
                    "image_id": row // 2 + 1,
                    "category_id": 1 + row % 2,
                    "bbox": box,
                    "area": 9,
                    "iscrowd": 0,
                }
                for row, box in enumerate(boxes)
            ],
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog\x1b[31m"}],
        }
        (folder / "instances.json").write_text(json.dumps(document))
        return folder

    return write


GOOD = [[row, row, 20, 20] for row in range(16)]


def test_a_whole_set_has_no_problems(data, coco):
    coco(*GOOD)
    assert data("check", "coco") == (0, "all: 8 pictures, 16 usable objects\nno problems\n", "")


def test_problems_are_lines_with_a_summary_and_exit_code_1(data, coco, tmp_path):
    coco([0, 0, 5, 0], [60, 1, 9, 9], [1, 1, 5], [1, 1, -5, 5])
    (tmp_path / "coco" / "images" / "2.png").unlink()
    code, out, err = data("check", "coco")
    entry = "coco/instances.json: annotations"
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        f"{entry}[0] (id 1): bbox: has no area: width 5, height 0",
        f"{entry}[1] (id 2): bbox: partly outside the 64×48 picture: 5 px beyond the right edge",
        f"{entry}[2] (id 3): bbox: must be four numbers (left, top, width, height), got [1, 1, 5]",
        f"{entry}[3] (id 4): bbox: has a negative size: width -5, height 5",
        "coco/images/2.png: no such file",
        "all: 2 pictures, 1 usable objects",
        "5 problems",
        "        2  zero or negative size",
        "        1  box outside the picture",
        "        1  wrong type",
        "        1  missing picture",
    ]


def test_limit_cuts_the_list_and_not_the_counts(data, coco):
    coco(*[[0, 0, 5, 0]] * 12)
    code, out, _ = data("check", "coco", "--limit", 3)
    lines = out.splitlines()
    assert code == 1
    assert len([line for line in lines if "has no area" in line]) == 3
    assert "… and 9 more" in lines
    assert "12 problems" in lines
    assert data("check", "coco", "--limit", -1)[0] == 2


def test_check_as_json(data, coco):
    coco([0, 0, 5, 0], [1, 1, 3, 3])
    code, out, _ = data("check", "coco", "--json")
    document = json.loads(out)
    assert code == 1
    assert document["data"] == "coco"
    assert document["parts"] == [{"name": "all", "pictures": 1, "objects": 1}]
    assert document["counts"] == {"zero or negative size": 1}
    assert document["problems"] == [
        {
            "kind": "zero or negative size",
            "place": "coco/instances.json: annotations[0] (id 1)",
            "field": "bbox",
            "message": "has no area: width 5, height 0",
            "left_out": True,
        }
    ]


def test_images_in_another_folder(data, coco, tmp_path):
    folder = coco(*GOOD)
    (folder / "images").rename(tmp_path / "photos")
    code, out, _ = data("check", "coco/instances.json")
    assert code == 1
    assert "its pictures are not found in the usual places; name their folder with --images" in out
    assert data("check", "coco/instances.json", "--images", "photos")[0] == 0
    assert data("check", "coco/instances.json", "--images", "nowhere")[0] == 2


def test_truncated_json_is_a_problem_of_check_and_bad_input_of_the_others(data, coco):
    file = coco(*GOOD) / "instances.json"
    file.write_text(file.read_text()[:-40])
    assert data("check", file)[0] == 1
    for arguments in (
        ["stats", file],
        ["split", file, "o", "--parts", "a=1"],
        ["convert", file, "o", "--to", "yolo"],
    ):
        code, out, err = data(*arguments)
        assert (code, out) == (2, "")
        assert err.startswith(f"lucidbox: error: {file}: not valid JSON")
        assert err.count("\n") == 1


def test_stats_table_and_json(data, coco):
    coco(*GOOD, [5, 5, -1, 5])
    code, out, err = data("stats", "coco")
    assert code == 0
    assert "pictures       9, 1 of them without objects" in out
    assert "small  < 32²   16 (100.0 %)" in out
    assert "\x1b" not in out
    assert err == ("lucidbox: left out: 1 zero or negative size; see them with: lucidbox data check coco\n")
    code, out, _ = data("stats", "coco", "--json")
    (part,) = json.loads(out)["parts"]
    assert [one["objects"] for one in part["classes"]] == [8, 8]
    assert part["per_picture"]["most"] == 2


def test_split_then_check_and_the_same_again(data, coco, tmp_path):
    coco(*GOOD)
    code, out, err = data("split", "coco", "parts", "--parts", "train=0.75,val=0.25", "--seed", 4)
    assert (code, err) == (0, "")
    assert out.splitlines()[1:] == [
        "train         6  75.0%        12  75.0%  none",
        "val           2  25.0%         4  25.0%  none",
        "wrote parts/data.toml",
    ]
    assert data("check", "parts")[0] == 0
    code, _, err = data("split", "coco", "parts", "--parts", "train=0.75,val=0.25")
    assert code == 2
    assert "never overwritten" in err
    data("split", "coco", "again", "--parts", "train=0.75,val=0.25", "--seed", 4)
    assert (tmp_path / "again" / "val.json").read_bytes() == (tmp_path / "parts" / "val.json").read_bytes()


def test_split_says_what_becomes_of_unusable_entries(data, coco, tmp_path):
    coco(*GOOD, [5, 5, -1, 5])
    code, _, err = data("split", "coco", "parts", "--parts", "a=0.5,b=0.5")
    assert code == 0
    assert err == "lucidbox: left out: 1 zero or negative size; see them with: lucidbox data check coco\n"
    assert data("check", "parts")[0] == 0
    data("convert", "coco", "yolo", "--to", "yolo")
    label = tmp_path / "yolo" / "labels" / "train" / "1.txt"
    label.write_text(label.read_text() + "9 0.5 0.5 0.1 0.1\n")
    code, _, err = data("split", "yolo", "lists", "--parts", "a=0.5,b=0.5")
    assert code == 0
    assert err.splitlines() == [
        "lucidbox: left out: 1 class out of range; see them with: lucidbox data check yolo",
        "lucidbox: note: label files stay as they are, unusable lines included",
    ]
    assert "9 0.5" in label.read_text()


def test_convert_there_and_back(data, coco):
    coco(*GOOD)
    code, out, err = data("convert", "coco", "yolo", "--to", "yolo")
    assert (code, err) == (0, "")
    assert "not held by the format yolo:\n" in out
    assert "wrote yolo/data.yaml: 8 pictures, 16 objects\n" in out
    assert data("check", "yolo") == (0, "train: 8 pictures, 16 usable objects\nno problems\n", "")
    assert data("convert", "yolo", "back", "--to", "coco")[0] == 0
    assert data("check", "back")[0] == 0
    assert data("convert", "yolo", "again", "--to", "yolo")[0] == 2


def test_convert_says_what_it_left_out(data, coco, tmp_path):
    coco(*GOOD, [5, 5, -1, 5])
    (tmp_path / "coco" / "images" / "3.png").unlink()
    code, out, err = data("convert", "coco", "yolo", "--to", "yolo", "--pictures", "copy")
    assert code == 1
    assert "8 pictures, 14 objects" in out
    assert "coco/images/3.png: no such picture; left out" in err
    assert "left out: 1 zero or negative size" in err


def test_many_problems_of_a_kind_are_a_few_lines(data, coco, tmp_path):
    coco(*[[0, 0, 5, 0]] * 500, [1, 1, 3, 3])
    code, out, _ = data("check", "coco")
    assert code == 1
    assert len(out.splitlines()) < 20
    assert "… and 490 more: zero or negative size" in out
    assert "      500  zero or negative size" in out
    assert len(data("check", "coco", "--limit", 1000)[1].splitlines()) > 500
    assert len(json.loads(data("check", "coco", "--json")[1])["problems"]) == 500
    for file in (tmp_path / "coco" / "images").iterdir():
        file.unlink()
    code, _, err = data("convert", "coco/instances.json", "out", "--to", "yolo", "--images", "coco/images")
    assert code == 2
    assert len(err.splitlines()) < 20


def test_json_says_what_was_read_written_and_left_out(data, coco, tmp_path):
    coco(*GOOD, [5, 5, -1, 5])
    (tmp_path / "coco" / "images" / "3.png").unlink()
    code, out, _ = data("convert", "coco", "yolo", "--to", "yolo", "--json")
    document = json.loads(out)
    assert code == 1
    assert document["read"] == [{"name": "all", "pictures": 9, "objects": 16}]
    assert (document["file"], document["parts"]) == (
        "yolo/data.yaml",
        [{"name": "train", "pictures": 8, "objects": 14}],
    )
    assert document["left_out"] == {"zero or negative size": 1, "missing picture": 1}
    assert document["losses"]["annotation ids"] == 14
    code, out, _ = data("split", "yolo", "parts", "--parts", "a=0.5,b=0.5", "--json")
    assert code == 0
    assert [part["pictures"] for part in json.loads(out)["parts"]] == [4, 4]
    code, out, _ = data("stats", "coco", "--json")
    assert (code, json.loads(out)["left_out"]) == (0, {"zero or negative size": 1})


def test_a_part_that_is_named_and_missing_is_exit_code_1(data, coco, tmp_path):
    coco(*GOOD)
    data("convert", "coco", "yolo", "--to", "yolo")
    with (tmp_path / "yolo" / "data.yaml").open("a") as file:
        file.write("val: images/val\n")
    assert data("stats", "yolo")[0] == 1
    assert data("split", "yolo", "parts", "--part", "train", "--parts", "a=0.5,b=0.5")[0] == 1
    assert data("convert", "yolo", "back", "--to", "coco")[0] == 1


@pytest.mark.parametrize("verb", ["check", "stats", "split", "convert"])
def test_help_has_examples(data, verb):
    code, out, _ = data(verb, "--help")
    assert code == 0
    assert f"examples:\n  lucidbox data {verb}" in out


def test_commands_of_the_document_are_understood():
    text = (Path(__file__).parents[2] / "docs" / "reference" / "data-sets.md").read_text(encoding="utf-8")
    lines = [line.removeprefix("$ ") for line in text.splitlines()]
    commands = [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("lucidbox ")]
    parser = argparse.ArgumentParser(exit_on_error=False)
    register(parser.add_subparsers())
    assert {parser.parse_args(command).run.__name__ for command in commands} == {
        "_check",
        "_stats",
        "_split",
        "_convert",
    }


def test_the_document_shows_what_check_prints(data, coco, tmp_path):
    """The example of docs/reference/data-sets.md, from its own data set."""
    coco([60, 4, 10, 20], [4, 4, 10, 20], [4, 4, 0, 20], name="photos")
    file = tmp_path / "photos" / "instances.json"
    document = json.loads(file.read_text())
    document["images"] = [one | {"file_name": f"{one['id']:03d}.png"} for one in document["images"]]
    first, third, second = document["annotations"]
    document["annotations"] = [first | {"id": 1}, second | {"id": 2}, third | {"id": 3, "image_id": 5}]
    file.write_text(json.dumps(document))
    (tmp_path / "photos" / "images" / "1.png").rename(tmp_path / "photos" / "images" / "001.png")
    (tmp_path / "photos" / "images" / "2.png").unlink()
    text = (Path(__file__).parents[2] / "docs" / "reference" / "data-sets.md").read_text(encoding="utf-8")
    shown = text.partition("$ lucidbox data check photos\n")[2].partition("```")[0]
    assert data("check", "photos")[1].startswith(shown)


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "absent"],
        ["check"],
        ["stats", "absent.json"],
        ["convert", "a", "b"],
        ["split", "a", "b", "--parts", "x"],
    ],
)
def test_wrong_usage_is_exit_code_2_and_no_traceback(data, arguments):
    code, out, err = data(*arguments)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    assert "error: " in err
