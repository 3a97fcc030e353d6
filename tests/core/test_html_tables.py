"""Values as they show themselves in notebooks."""

import re

import numpy as np

from lucidbox.core.detections import Detections
from lucidbox.core.html_tables import MOST_ROWS, html_table


def cells(html):
    return re.findall(r"<td[^>]*>(.*?)</td>", html)


def test_numbers_are_short_and_what_is_missing_is_a_dash():
    assert cells(html_table("abcd", [("x", 0.12345, 326.04, None)])) == ["x", "0.123", "326.0", "–"]


def test_nothing_from_a_file_is_markup():
    hostile = "<script>alert(1)</script>\x1b[2J\u202e"
    html = html_table((hostile,), [(hostile,)], hostile, hostile)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 4
    assert not {"\x1b", "\u202e"} & set(html)


def test_of_many_rows_the_first_are_shown_and_the_others_counted():
    html = html_table(("row",), [(row,) for row in range(MOST_ROWS + 7)])
    assert cells(html)[-1] == "and 7 more"
    assert len(cells(html)) == MOST_ROWS + 1


def test_detections_are_a_table():
    boxes, scores = np.array([[1, 2, 30, 40]], np.float32), np.array([0.5], np.float32)
    found = Detections(boxes, scores, np.array([1]), ("a", "<b>"))
    assert cells(found._repr_html_()) == ["0", "&lt;b&gt;", "0.500", "1.000", "2.000", "30.0", "40.0"]
    assert "0 detections" in Detections.empty(("a",))._repr_html_()
