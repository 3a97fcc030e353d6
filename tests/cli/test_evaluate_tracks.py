"""``lucidbox evaluate --tracks``: the table, JSON, notes, and options that have no meaning there."""

import json

import pytest

from lucidbox.cli import main

TRUTH = "1,1,0,0,10,10,1\n2,1,0,0,10,10,1\n2,2,50,0,10,10,0\n"


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gt.txt").write_text(TRUTH)
    (tmp_path / "mot.txt").write_text("1,7,0,0,10,10,0.9\n2,8,0,0,10,10,0.9\n")
    (tmp_path / "none.txt").write_text("")


def test_the_table_and_what_was_left_out(files, capsys):
    assert main(["evaluate", "--tracks", "gt.txt", "--predictions", "mot.txt"]) == 0
    out, err = capsys.readouterr()
    assert "IDF1        0.5000" in out
    assert "switches         1" in out
    assert "gt.txt: 1 boxes are not to be counted" in err


def test_json(files, capsys):
    assert main(["evaluate", "--tracks", "gt.txt", "--predictions", "mot.txt", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["MOTA"], document["truth_boxes"], document["found_tracks"]) == (0.5, 2, 2)


def test_a_tracker_that_found_nothing(files, capsys):
    assert main(["evaluate", "--tracks", "gt.txt", "--predictions", "none.txt"]) == 0
    assert "MOTA        0.0000" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--tracks", "gt.txt", "--predictions", "mot.txt", "--errors"], "--errors has no meaning with --tracks"),
        (["--tracks", "gt.txt", "--weights"], "--tracks needs --predictions"),
        (["--annotations", "x.json", "--predictions", "y.json", "--mot-challenge"], "needs --tracks"),
        (["--tracks", "none.txt", "--predictions", "mot.txt"], "none.txt: no boxes"),
        (["--tracks", "gt.txt", "--predictions", "mot.txt", "--mot-challenge"], "no box is to be counted"),
        (["--tracks", "nowhere.txt", "--predictions", "mot.txt"], "nowhere.txt: cannot be read"),
    ],
)
def test_refused(files, capsys, arguments, told):
    assert main(["evaluate", *arguments]) == 2
    assert told in capsys.readouterr().err
