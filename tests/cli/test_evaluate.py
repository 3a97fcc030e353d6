"""``lucidbox evaluate`` as a user calls it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_equality import crowded_problem

from lucidbox.cli import main
from lucidbox.evaluate import evaluate, save_predictions
from lucidbox.evaluate.analysis.notebook_variant import evaluate_notebook_rule


@pytest.fixture
def problem(tmp_path):
    """Paths of annotations and results, and the two as arrays."""
    truth, predictions = crowded_problem(0)
    document = {
        "images": [{"id": one} for one in truth.image_ids.tolist()],
        "categories": [{"id": one, "name": name} for one, name in enumerate(truth.category_names)],
        "annotations": [
            {"id": row + 1, "image_id": int(truth.image_ids[truth.images[row]]), "area": truth.areas[row],
             "category_id": int(truth.categories[row]), "bbox": truth.boxes_xywh[row].tolist(),
             "iscrowd": int(truth.crowds[row])}
            for row in range(len(truth))
        ],
    }  # fmt: skip
    annotations, results = tmp_path / "truth.json", tmp_path / "found.json"
    annotations.write_text(json.dumps(document))
    save_predictions(results, predictions)
    return str(annotations), str(results), truth, predictions


def run(problem, *options):
    given = () if "--compare" in options else ("--predictions", problem[1])
    return main(["evaluate", "--annotations", problem[0], *given, *options])


def test_the_table(problem, capsys):
    assert run(problem) == 0
    assert capsys.readouterr().out == f"{evaluate(*problem[2:])}\n"


def test_everything_at_once(problem, capsys, tmp_path):
    plots, saved, numbers = (str(tmp_path / name) for name in ("plots", "saved.json", "out.json"))
    options = ("--per-class", "--errors", "--bootstrap", "20", "--explain-gap", "--json", numbers)
    assert run(problem, *options, "--plots", plots, "--save-predictions", saved) == 0
    shown = capsys.readouterr().out
    for words in ("Average Precision", "at score", "localisation", "95 % confidence", "crowds dropped"):
        assert words in shown
    document = json.loads((tmp_path / "out.json").read_text())
    expected = evaluate(*problem[2:])
    assert list(document)[:13] == [*expected.stat_names, "per_class"]
    assert document["AP"] == expected.stats[0]
    assert {"errors", "bootstrap", "gap"} <= set(document)
    assert (tmp_path / "plots" / "confusion.png").exists()
    assert (tmp_path / "saved.json").read_text() == Path(problem[1]).read_text()


def test_json_to_standard_output_is_all_there_is(problem, capsys):
    assert run(problem, "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["AP50"] == evaluate(*problem[2:]).stats[1]


def test_own_rules(problem, capsys):
    rules = ("--iou-thresholds", "0.3,0.5", "--max-detections", "5,50", "--areas", "all:0:1e10,big:9216:1e10")
    assert run(problem, *rules, "--classes", "a,2", "--json", "-") == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document)[:7] == ["AP", "AP50", "AP75", "AP-big", "AR5", "AR50", "AR-big"]
    assert [one["name"] for one in document["per_class"]] == ["a", "c"]


def test_the_notebook_rule(problem, capsys):
    assert run(problem, "--rule", "notebook", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == evaluate_notebook_rule(*problem[2:]).to_dict()
    assert run(problem, "--rule", "notebook", "--classes", "b", "--iou-thresholds", "0.4", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == evaluate_notebook_rule(*problem[2:], (0.4,), (1,)).to_dict()


def test_comparison_and_its_exit_code(problem, capsys, tmp_path):
    _, results, _, predictions = problem
    random = np.random.default_rng(0)
    blurred = np.maximum(predictions.boxes_xywh + random.normal(0, 6, (len(predictions), 4)), 0)
    save_predictions(tmp_path / "worse.json", replace(predictions, boxes_xywh=blurred))
    options = ("--bootstrap", "40", "--compare")
    assert run(problem, *options, results, str(tmp_path / "worse.json")) == 3
    assert "B is worse than A" in capsys.readouterr().out
    assert run(problem, *options, str(tmp_path / "worse.json"), results) == 0
    assert "B is better than A" in capsys.readouterr().out
    assert run(problem, "--json", "-", *options, results, results) == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "no difference"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--classes", "q"), "class 'q' is not in"),
        (("--classes", "8"), "its ids run from"),
        (("--areas", "all"), "expected NAME:LOW:HIGH"),
        (("--iou-thresholds", "half"), "expected numbers with commas"),
        (("--iou-thresholds", "0.5,0.4"), "ascending"),
        (("--bootstrap", "1"), "at least 2"),
        (("--errors", "--class-agnostic"), "--class-agnostic has no meaning with --errors"),
        (("--errors", "--iou-thresholds", "0.75"), "--errors looks at IoU 0.5"),
        (("--seed", "-1", "--bootstrap", "10"), "seed must not be negative"),
        (("--max-detections", "9" * 20), "max_detections must lie between 1 and"),
        (("--classes", ""), "class '' is not in"),
        (("--batch", "2"), "--batch runs a model and needs --weights"),
        (("--engine", "torch"), "--engine runs a model and needs --weights"),
        (("--precision", "fp32"), "--precision runs a model and needs --weights"),
        (("--part", "val"), "has no parts"),
        (("--explain-gap", "--areas", "all:0:9"), "--areas has no meaning with --explain-gap"),
        (("--rule", "notebook", "--errors"), "--errors has no meaning with --rule notebook"),
        (("--plots", "x", "--compare", "a", "b"), "--plots has no meaning with --compare"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(problem, capsys, options, message):
    assert run(problem, *options) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("lucidbox: error: ")
    assert message in complaint
    assert complaint.count("\n") == 1


def test_bad_input_names_file_entry_and_field(problem, capsys, tmp_path):
    path = tmp_path / "bad.json"
    path.write_text('[{"image_id": 1.5, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]')
    assert main(["evaluate", "--annotations", problem[0], "--predictions", str(path)]) == 2
    assert f"{path}: entry 0: image_id must be a whole number, got 1.5" in capsys.readouterr().err


def test_what_is_left_out_is_said(problem, capsys, tmp_path):
    path = tmp_path / "more.json"
    path.write_text('[{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]')
    arguments = ["evaluate", "--annotations", problem[0], "--predictions", str(path)]
    assert main(arguments) == 2
    assert main([*arguments, "--subset"]) == 0
    assert "note: " in capsys.readouterr().err


@pytest.fixture
def two_classes(tmp_path):
    """Three images with objects of two classes, whose ids are 1 and 2, and the boxes that are right."""
    boxes = [[(image, label, [10 * label, 20, 30, 25 + image]) for label in (1, 2)] for image in (1, 2, 3)]
    rows = [row for image in boxes for row in image]
    document = {
        "images": [{"id": image, "width": 200, "height": 150} for image in (1, 2, 3)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {"id": number + 1, "image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3],
             "iscrowd": 0}
            for number, (image, label, box) in enumerate(rows)
        ],
    }  # fmt: skip
    (tmp_path / "truth.json").write_text(json.dumps(document))

    def write(change):
        entries = [
            {"image_id": image, "category_id": label, "bbox": box, "score": 0.9} for image, label, box in rows
        ]
        for entry in entries:
            entry.update(change(entry))
        (tmp_path / "found.json").write_text(json.dumps(entries))
        return [
            "evaluate",
            "--annotations",
            str(tmp_path / "truth.json"),
            "--predictions",
            str(tmp_path / "found.json"),
        ]

    return write


def test_a_likely_mistake_is_told_and_in_the_json(two_classes, capsys):
    def corners(entry):
        left, top, width, height = entry["bbox"]
        return {"bbox": [left, top, left + width, top + height]}

    arguments = two_classes(corners)
    assert main([*arguments, "--json", "-"]) == 0
    printed = capsys.readouterr()
    (told,) = json.loads(printed.out)["notes"]
    assert "boxes are corners (left, top, right, bottom); read so, AP would be 1.000" in told
    assert f"lucidbox: note: {told}\n" == printed.err
    # The same file twice: it is told where files are compared and under the notebook's rule, too.
    assert (
        main([*arguments[:3], "--compare", arguments[-1], arguments[-1], "--bootstrap", "20", "--json", "-"]) == 0
    )
    assert json.loads(capsys.readouterr().out)["notes"] == [told, told]
    assert main([*arguments, "--rule", "notebook"]) == 0
    assert "boxes are corners" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda entry: {"category_id": entry["category_id"] - 1}, "category ids are one too low"),
        (lambda entry: {"category_id": entry["category_id"] + 1}, "category ids are one too high"),
        (lambda entry: {"image_id": entry["image_id"] + 5}, "image ids are 5 too high"),
    ],
)
def test_unknown_ids_name_the_likeliest_cause(change, cause, two_classes, capsys):
    arguments = two_classes(change)
    assert main(arguments) == 2
    assert f"{cause}; read so, AP would be 1.000" in capsys.readouterr().err
    assert main([*arguments, "--subset", "--json", "-"]) == 0
    assert cause in json.loads(capsys.readouterr().out)["notes"][-1]


def test_unknown_ids_without_a_likely_cause_show_both_ranges(two_classes, capsys):
    assert main(two_classes(lambda entry: {"category_id": 7, "bbox": [0, 0, 3, 3]})) == 2
    said = capsys.readouterr().err
    assert "category ids run from 7 to 7, those of the annotations from 1 to 2; --subset" in said


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--help"])
    assert stopped.value.code == 0
    assert "lucidbox evaluate --annotations instances.json --predictions results.json" in capsys.readouterr().out


def test_names_from_files_send_no_signs_to_the_terminal(problem, capsys, tmp_path):
    document = json.loads(Path(problem[0]).read_text())
    document["categories"][0]["name"] = "a\x1b[31m\x07"
    path = tmp_path / "escapes\x1b[2J.json"
    del document["annotations"][0]["area"]
    path.write_text(json.dumps(document))
    assert run((str(path), *problem[1:]), "--per-class") == 0
    captured = capsys.readouterr()
    assert "a [31m" in captured.out
    assert "have no area" in captured.err
    assert "\x1b" not in captured.out + captured.err
    run((str(path), *problem[1:]), "--classes", "aa")
    assert "\x1b" not in capsys.readouterr().err


def test_a_folder_gives_the_numbers_of_its_json(problem, capsys, tmp_path):
    document = json.loads(Path(problem[0]).read_text())
    for entry in document["annotations"][::2]:
        entry["area"] = 0
    del document["annotations"][1]["area"]
    for number, picture in enumerate(document["images"]):
        picture |= {"file_name": f"{number}.png", "width": 640, "height": 640}
    folder = tmp_path / "set"
    folder.mkdir()
    path = folder / "instances.json"
    path.write_text(json.dumps(document))
    assert run((str(path), *problem[1:]), "--json", "-") == 0
    named = capsys.readouterr()
    assert run((str(folder), *problem[1:]), "--json", "-") == 0
    found = capsys.readouterr()
    assert json.loads(found.out) == json.loads(named.out)
    assert found.err == named.err
    assert "1 of" in found.err


def test_the_part_is_said_and_can_be_chosen(problem, capsys, tmp_path):
    document = json.loads(Path(problem[0]).read_text())
    for number, picture in enumerate(document["images"]):
        picture |= {"file_name": f"{number}.png", "width": 640, "height": 640}
    (tmp_path / "parts").mkdir()
    table = tmp_path / "parts" / "data.toml"
    for part in ("train", "test"):
        (table.parent / f"{part}.json").write_text(json.dumps(document))
        document["annotations"] = document["annotations"][:-40]
    table.write_text("".join(f'[{one}]\nannotations = "{one}.json"\n' for one in ("train", "test")))
    assert run((str(table), *problem[1:])) == 2
    assert "choose with --part one of: train, test" in capsys.readouterr().err
    truths = {}
    for part in ("train", "test"):
        assert run((str(table), *problem[1:]), "--part", part, "--json", "-") == 0
        captured = capsys.readouterr()
        truths[part] = json.loads(captured.out)["truths"]
        assert f"evaluated on the part {part}" in captured.err
    assert truths["train"] == truths["test"] + 40


def test_what_a_yolo_set_decided_is_said(capsys, tmp_path):
    from PIL import Image

    for kind in ("images", "labels"):
        (tmp_path / kind / "val").mkdir(parents=True)
    Image.new("RGB", (64, 64)).save(tmp_path / "images" / "val" / "1.png")
    (tmp_path / "labels" / "val" / "1.txt").write_text("0 0.5 0.5 0.2 0.2\n5 0.5 0.5 0.2 0.2\n")
    (tmp_path / "data.yaml").write_text("val: images/val\nnames: [red]\n")
    (tmp_path / "found.json").write_text("[]")
    assert run((str(tmp_path / "data.yaml"), str(tmp_path / "found.json"))) == 0, capsys.readouterr().err
    assert "left out" in capsys.readouterr().err
