"""Curves and sheets: that they are whole pictures of what was given, of any length and size."""

import builtins
import math

import numpy as np
import pytest

from lucidbox.core.detections import Detections
from lucidbox.core.errors import DataError, OptionError
from lucidbox.images.reading import read_image
from lucidbox.train.charts import prediction_sheet, training_curves
from lucidbox.train.csv_table import CsvTable

NAMES = ("cat", "dog")


def write(path, epochs, every=1, **values):
    log = CsvTable(path)
    for epoch in range(1, epochs + 1):
        validated = epoch % every == 0
        log.add(
            {
                "epoch": epoch,
                "boxes": 1 + 1 / epoch,
                "classes": 2 / epoch,
                "distributions": 1.0,
                "teacher": 0.0,
                "ap": 0.5 - 0.4 / epoch if validated else math.nan,
                "ap50": 0.7 - 0.4 / epoch if validated else math.nan,
                "rate": 0.01,
            }
            | values
        )
    log.close()


@pytest.fixture
def figure(monkeypatch):
    """The figures that are made."""
    pytest.importorskip("matplotlib")
    import matplotlib.figure

    made = []
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", wrapped(matplotlib.figure.Figure.savefig, made))
    return made


def wrapped(save, made):
    def remember(figure, *arguments, **options):
        made.append(figure)
        return save(figure, *arguments, **options)

    return remember


@pytest.mark.parametrize(("epochs", "every"), [(1, 1), (2, 1), (300, 1), (300, 7)])
def test_curves_hold_every_number_of_the_file(tmp_path, figure, epochs, every):
    write(tmp_path / "metrics.csv", epochs, every)
    training_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    image = read_image(tmp_path / "curves.png")
    assert image.shape[1] > image.shape[0] > 400
    losses, accuracy, rate = figure[0].axes
    assert [line.get_label() for line in losses.lines] == ["boxes", "classes", "distributions"]
    assert [line.get_label() for line in accuracy.lines] == ["AP", "AP50"]
    np.testing.assert_allclose(losses.lines[1].get_ydata(), 2 / np.arange(1, epochs + 1))
    validated = np.arange(every, epochs + 1, every)
    np.testing.assert_array_equal(accuracy.lines[0].get_xdata(), validated)
    np.testing.assert_allclose(accuracy.lines[0].get_ydata(), 0.5 - 0.4 / validated)
    assert f"best AP {0.5 - 0.4 / validated[-1]:.3f} in epoch {validated[-1]}" in accuracy.get_title(loc="left")
    assert len(rate.lines[0].get_xdata()) == epochs
    few = epochs <= 30
    assert (rate.lines[0].get_marker() == "o") == few


def test_curves_leave_out_what_is_not_there_or_no_number(tmp_path, figure):
    write(tmp_path / "metrics.csv", 3, every=9, boxes=math.inf, teacher=0.5)
    training_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")
    losses, accuracy, _ = figure[0].axes
    assert [line.get_label() for line in losses.lines] == ["classes", "distributions", "teacher"]
    assert not accuracy.lines
    assert "not validated" in accuracy.get_title(loc="left")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("", "not a table of numbers"),
        ("epoch,ap\n", "no epoch in it yet"),
        ("epoch,ap\n1,x\n", "not a table of numbers"),
        ("epoch,ap\n1,0.5\n2\n", "not a table of numbers"),
        ("ap\n1\n", "no epoch in it yet"),
    ],
)
def test_curves_of_what_is_no_log_are_refused(tmp_path, content, message):
    pytest.importorskip("matplotlib")
    path = tmp_path / "metrics.csv"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DataError, match=message):
        training_curves(path, tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("lucidbox.evaluate.analysis.plots.find_spec", lambda name: None)
    with pytest.raises(OptionError, match=r"lucidbox\[plots\]"):
        training_curves(tmp_path / "metrics.csv", tmp_path / "curves.png")


def found(boxes, score=0.5, class_id=0):
    count = len(boxes)
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, score, np.float32),
        np.full(count, class_id, np.int64),
        NAMES,
    )


def is_grey(image):
    return (image.max(axis=2) - image.min(axis=2)) < 8


def test_a_sheet_has_truth_on_the_left_and_prediction_on_the_right(tmp_path):
    picture = np.full((100, 200, 3), 90, np.uint8)
    original = picture.copy()
    truth, guess = found([[20, 40, 60, 90]], class_id=1), found([[120, 40, 180, 90]])
    prediction_sheet([picture], [truth], [guess], tmp_path / "sheet.png")
    sheet = read_image(tmp_path / "sheet.png")
    assert np.array_equal(picture, original)
    # Cells are 400 pixels wide, 12 apart; the picture is doubled, below a line of 28 pixels.
    left, right = sheet[28 : 28 + 200, :400], sheet[28 : 28 + 200, 412:812]
    for cell, (x1, y1, x2, y2) in ((left, (40, 80, 120, 180)), (right, (240, 80, 360, 180))):
        coloured = ~is_grey(cell)
        rows, columns = np.nonzero(coloured)
        assert (columns.min(), rows.max() + 1) == (x1, y2)
        assert coloured[y1 + 60, x2 - 1]
        assert not coloured[y1 + 60, x1 + 10 : x2 - 10].any()  # nothing inside
    assert (sheet[28:228, 824:] == 255).all()  # no second pair in the row


@pytest.mark.parametrize("count", [0, 1, 2, 3, 16, 17])
def test_a_sheet_shows_up_to_sixteen_pictures_of_any_size(tmp_path, count):
    sizes = [(40, 60), (600, 30), (1, 900), (333, 333)]
    pictures = [np.full((*sizes[number % 4], 3), 60, np.uint8) for number in range(count)]
    nothing = [found([])] * count
    prediction_sheet(pictures, nothing, nothing, tmp_path / "sheet.png")
    sheet = read_image(tmp_path / "sheet.png")
    assert sheet.shape[1] == 4 * 412
    shown = min(count, 16)
    # Each of the pictures' rows is as high as its highest picture at a longer side of 400, and 12 more.
    heights = [max(round(height * 400 / max(height, width)), 1) for height, width in sizes] * 4
    rows = [max(heights[start : min(start + 2, shown)]) + 12 for start in range(0, shown, 2)]
    assert sheet.shape[0] == 28 + sum(rows)


def test_a_sheet_needs_no_matplotlib(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *arguments):
        assert not name.startswith("matplotlib")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", refuse)
    prediction_sheet([np.zeros((8, 8, 3), np.uint8)], [found([])], [found([])], tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").exists()


def test_a_sheet_of_unequal_numbers_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="shorter"):
        prediction_sheet([np.zeros((8, 8, 3), np.uint8)] * 2, [found([])] * 2, [found([])], tmp_path / "sheet.png")
