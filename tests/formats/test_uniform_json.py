"""Uniform JSON read by NumPy: bit for bit what a JSON parser gives, or refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.formats.uniform_json import SPARE_BYTES, EntryTemplate, NotUniformError


def read(text, template=None):
    template = template or EntryTemplate.of(text.encode())
    return template.read(np.frombuffer(text.encode() + bytes(SPARE_BYTES), np.uint8))


def bits(values):
    return np.asarray(values, np.float64).view(np.int64).tolist()


def pair(number, other="1"):
    """Two entries of one field."""
    return f'{{"a": {number}}}, {{"a": {other}}}'


def test_fields_and_columns():
    text = '{"image_id": 7, "bbox": [1.5, 2, -3.25, 0.001]}, {"image_id": 42, "bbox": [0.5, 20, 7.0, -0.0]}'
    assert EntryTemplate.of(text.encode()).fields == {"image_id": 0, "bbox": [1, 2, 3, 4]}
    columns = read(text)
    assert [column.dtype.kind for column in columns] == ["i", "f", "i", "f", "f"]
    assert [column.tolist() for column in columns] == [[7, 42], [1.5, 0.5], [2, 20], [-3.25, 7], [0.001, 0]]


@pytest.mark.parametrize(
    "number", ["0", "-1", "0.0", "-0.0", "12345678", "1234.567", "-123.456", "0.999999", "-7"]
)
def test_numbers_that_are_read(number):
    assert bits(read(pair(number))[0]) == bits([json.loads(number), 1])


# The last three have a meaning, which is left to a JSON parser; the others have none.
REFUSED = ["01", "-01", ".5", "5.", "-", "-.5", "1.2.3", "1-2", "--1", "1 2", "true", '"1"', "", "/", "1/2", ":"]
REFUSED += ["123456789", "1e5", "-0"]


@pytest.mark.parametrize("number", REFUSED)
def test_everything_else_is_refused(number):
    template = EntryTemplate.of(pair("1").encode())
    for text in (pair(number), pair("1.5", number)):
        with pytest.raises(NotUniformError):
            read(text, template)


@pytest.mark.parametrize(
    "text",
    [
        '{"b": 1}, {"a": 1}', '{"a": 1},{"a": 1}', '{"a": 1}, {"a": 1, "b": 2}', '{"a": 1}, {"a": 1},', "",
        '{"a": 1}, 5', '{"a": 1}, {"a": {"a": 1}', ' {"a": 1}, {"a": 2}', '{"a": 1}, {"a": 2} ',
        '{"a": 1} {"a": 2}', '{"a": 1}, {"a": 2', '{"a": 1}, ', '{"a ": 1}, {"a": 2}',
    ],
)  # fmt: skip
def test_other_texts_than_the_template_are_refused(text):
    with pytest.raises(NotUniformError):
        read(text, EntryTemplate.of(pair("1").encode()))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", '{"a": 1}',
        '{"a": {"b": 1}}, {"a": {"b": 1}}', r'{"a\"": 1}, {"a\"": 1}', '{"a}": 1}, {"a}": 1}',
        '{"a": x}, {}',
    ],
)  # fmt: skip
def test_no_template(text):
    with pytest.raises(ValueError):  # noqa: PT011  # a JSON error, or NotUniformError
        EntryTemplate.of(text.encode())


def test_a_key_with_digits_and_text_that_is_always_the_same():
    text = '{"x1": 1, "by": "v1.2", "y2": 2.5, "ok": true}, {"x1": 30, "by": "v1.2", "y2": 4.5, "ok": true}'
    assert [column.tolist() for column in read(text)] == [[1, 30], [2.5, 4.5]]
    with pytest.raises(NotUniformError):
        read(text.replace("v1.2", "v1.3", 1), EntryTemplate.of(text.encode()))


NUMBERS = (
    st.integers(-(10**7) + 1, 10**8 - 1).map(str)
    | st.floats(-1e5, 1e5).map(lambda value: f"{value:.3f}"[:8].rstrip("."))
    | st.floats(0, 1).map(lambda value: f"{value:.5f}")
    | st.floats().map(json.dumps)
    | st.integers().map(str)
    | st.sampled_from(
        ["1e5", "1E-3", "-0", "0.1e+2", "null", "true", '"a"', "9007199254740993", "00", "1.", "NaN"]
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=4), st.sampled_from([", ", ",", ",\n  "]))
def test_what_is_read_is_what_json_reads(rows, separator):
    """Numbers of every kind: the same bits as ``json.loads``, or refused."""
    text = separator.join(f'{{"a": {first}, "b": [{second}]}}' for first, second in rows)
    try:
        columns = read(text, EntryTemplate.of(f'{{"a": 1, "b": [2]}}{separator}{{"a"'.encode()))
    except NotUniformError:
        return
    entries = json.loads(f"[{text}]")
    assert bits(columns[0]) == bits([entry["a"] for entry in entries])
    assert bits(columns[1]) == bits([entry["b"][0] for entry in entries])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**8 - 1), min_size=2, max_size=50), st.integers(1, 7))
def test_decimals_are_rounded_as_json_rounds_them(mantissas, decimals):
    texts = [f"{value // 10**decimals}.{value % 10**decimals:0{decimals}d}"[:8] for value in mantissas]
    texts = [text if not text.endswith(".") else "0.5" for text in texts]
    (column,) = read(", ".join(f'{{"a": {text}}}' for text in texts))
    assert bits(column) == bits([json.loads(text) for text in texts])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=6), st.integers(0, 40), st.integers(0, 6))
def test_damage_is_refused_or_means_nothing(damage, place, cut):
    """Whatever is put in place of some bytes, text that is read is JSON, with the numbers of its entries."""
    good = b'{"a": 12, "b": [3.5]}, {"a": 7, "b": [40.25]}'
    text = good[:place] + damage + good[place + cut :]
    try:
        columns = EntryTemplate.of(good).read(np.frombuffer(text + bytes(SPARE_BYTES), np.uint8))
    except NotUniformError:
        return
    entries = json.loads(b"[" + text + b"]")
    assert bits(columns[0]) == bits([entry["a"] for entry in entries])
    assert bits(columns[1]) == bits([entry["b"][0] for entry in entries])
