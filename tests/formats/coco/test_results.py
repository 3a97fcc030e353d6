"""Result files: whichever way their pieces are read, the bits are those of ``json.loads``, in the file's order."""

import json

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucidbox.core.errors import DataError
from lucidbox.formats import json_text
from lucidbox.formats.coco.results import CocoResults, read_results, write_results


def expected(text):
    entries = json.loads(text)
    columns = [[entry[field] for entry in entries] for field in ("image_id", "category_id", "bbox", "score")]
    boxes = np.array(columns[2], np.float64).reshape(-1, 4)
    return np.array(columns[0], np.int64), np.array(columns[1], np.int64), boxes, np.array(columns[3], np.float64)


def assert_same(found, text):
    columns = found.image_ids, found.category_ids, found.boxes_xywh, found.scores
    for column, wanted in zip(columns, expected(text), strict=True):
        assert column.dtype == wanted.dtype
        assert column.tobytes() == wanted.tobytes()


@pytest.fixture
def parsed(monkeypatch):
    """How many pieces were given to a JSON parser."""
    pieces = []
    real = orjson.loads
    monkeypatch.setattr(orjson, "loads", lambda content: pieces.append(content) or real(content))
    return pieces


COUNT = 120
ROWS = np.random.default_rng(0).uniform(0, 1000, (COUNT, 4)).round(3).tolist()
ENTRIES = [
    {"image_id": 1 + number // 7, "category_id": number % 90, "bbox": row, "score": round(row[0] / 1000, 5)}
    for number, row in enumerate(ROWS)
]
LAYOUTS = {
    "as json writes it": json.dumps(ENTRIES),
    "compact": json.dumps(ENTRIES, separators=(",", ":")),
    "one entry a line": "[\n" + ",\n".join(map(json.dumps, ENTRIES)) + "\n]\n",
    "indented": json.dumps(ENTRIES, indent=2),
    "another order": json.dumps(
        [{"score": one["score"], "bbox": one["bbox"], "category_id": 1, "image_id": 2} for one in ENTRIES]
    ),
    "more fields": json.dumps([{"id": number, "area": 2.5, **one} for number, one in enumerate(ENTRIES)]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_uniform_files_need_no_parser(tmp_path, monkeypatch, parsed, layout):
    monkeypatch.setattr(json_text, "PIECE", 1500)
    file = tmp_path / "results.json"
    file.write_text(LAYOUTS[layout])
    assert_same(read_results(file), LAYOUTS[layout])
    assert len(parsed) <= 1  # the last piece may end with a line break


OTHERS = {
    "exponent": {"score": 1e-7},
    "seventeen digits": {"score": 0.12345678901234567},
    "long number": {"bbox": [-1234.567, 1, 2, 3]},
    "more fields": {"note": "a }, { b"},
    "escaped": {"note": 'a "}, {" b'},
    "nested": {"parts": [{"x": 1}, {"y": [{}, {}]}]},
    "huge id": {"image_id": 2**62},
}


@pytest.mark.parametrize("size", [250, 2000])
@pytest.mark.parametrize("other", OTHERS)
def test_entries_written_otherwise_are_read_among_uniform_ones(tmp_path, monkeypatch, other, size):
    monkeypatch.setattr(json_text, "PIECE", size)
    for place in (0, COUNT - 1):
        changed = [*ENTRIES[:place], ENTRIES[place] | OTHERS[other], *ENTRIES[place + 1 :]]
        file = tmp_path / "results.json"
        file.write_text(json.dumps(changed))
        assert_same(read_results(file), json.dumps(changed))


def test_text_that_looks_like_entries_is_not_taken_for_them(tmp_path, monkeypatch):
    """Objects inside an entry, and more of them than a piece has: a piece in the middle looks uniform."""
    monkeypatch.setattr(json_text, "PIECE", 1500)
    text = json.dumps([ENTRIES[0], ENTRIES[1] | {"others": ENTRIES}, ENTRIES[2]])
    file = tmp_path / "results.json"
    file.write_text(text)
    assert_same(read_results(file), text)


FIELDS = st.fixed_dictionaries(
    {
        "image_id": st.integers(0, 10**6) | st.integers(-(2**63), 2**63 - 1),
        "category_id": st.integers(1, 90),
        "bbox": st.lists(
            st.floats(0, 999).map(lambda value: round(value, 3)) | st.floats(allow_nan=False, allow_infinity=False)
            | st.integers(-99, 999), min_size=4, max_size=4,
        ),
        "score": st.floats(0, 1).map(lambda value: round(value, 5)) | st.integers(0, 1) | st.floats(0, 1),
    }
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(FIELDS, max_size=12), st.sampled_from([None, (",", ":")]), st.sampled_from([1, 50, 200]))
def test_any_numbers(tmp_path, monkeypatch, entries, separators, size):
    monkeypatch.setattr(json_text, "PIECE", size)
    text = json.dumps(entries, separators=separators)
    file = tmp_path / "results.json"
    file.write_text(text)
    assert_same(read_results(file), text)


@pytest.mark.parametrize(("field", "value"), [("image_id", 1.5), ("category_id", 2.5), ("image_id", None)])
def test_a_wrong_value_among_uniform_entries_is_named_by_its_number(tmp_path, monkeypatch, field, value):
    monkeypatch.setattr(json_text, "PIECE", 1500)
    file = tmp_path / "results.json"
    file.write_text(json.dumps([*ENTRIES[:81], ENTRIES[81] | {field: value}, *ENTRIES[82:]]))
    with pytest.raises(DataError, match=f"entry 81: {field} must be a whole number, got {json.dumps(value)}"):
        read_results(file)


def test_written_results_read_back(tmp_path):
    results = CocoResults(np.array([3]), np.array([90]), np.array([[1.0006, 2, 3, 4]]), np.array([0.123456]))
    write_results(tmp_path / "out.json", results)
    assert json.loads((tmp_path / "out.json").read_text()) == [
        {"image_id": 3, "category_id": 90, "bbox": [1.001, 2.0, 3.0, 4.0], "score": 0.12346}
    ]
    assert read_results(tmp_path / "out.json").boxes_xywh.tolist() == [[1.001, 2, 3, 4]]
