"""The table printer, by hand."""

from lucidbox.cli.tables import Column, line, pairs, table

COLUMNS = [Column("class", 8, align="<"), Column("AP", 6, "{:.3f}"), Column("seen in", align="<", gap=3)]


def test_header_numbers_and_missing_values():
    assert table(COLUMNS, [("dog", 0.5, "COCO"), ("cat", None)], indent=2).splitlines() == [
        "  class        AP   seen in",
        "  dog       0.500   COCO",
        "  cat           –",
    ]


def test_columns_without_titles_have_no_header():
    assert (
        table([Column(width=9, text="{:,d}"), Column(align="<", gap=2)], [(1234, "crowds")]) == "    1,234  crowds"
    )
    assert pairs([("engine", "openvino")], 10) == "engine     openvino"


def test_a_value_that_is_too_long_moves_what_follows():
    assert line(COLUMNS, ("traffic light", 0.25)) == "traffic light  0.250"
