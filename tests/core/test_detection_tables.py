"""Detections in Parquet come back bit for bit; what is no such file is refused in a line."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lucidbox import Detections
from lucidbox.core.detection_tables import (
    DetectionTable,
    TableInfo,
    detection_schema,
    record_batch,
    tables,
)
from lucidbox.core.detections import DetectionRow
from lucidbox.core.errors import DataError, SourceError

pq = pytest.importorskip("pyarrow.parquet", reason="pip install 'lucidbox[batch]'")
pa = pytest.importorskip("pyarrow", reason="pip install 'lucidbox[batch]'")

NAMES = ("a", "b", "c")
INFO = TableInfo(NAMES)
floats = st.floats(width=32, allow_nan=False)


@st.composite
def rows(draw):
    """What rows are made of; making them here would call the shape checker, which draws random numbers."""
    count = draw(st.integers(0, 4))
    found = (
        draw(arrays.arrays(np.float32, (count, 4), elements=floats)),
        draw(arrays.arrays(np.float32, count, elements=floats)),
        draw(arrays.arrays(np.int64, count, elements=st.integers(0, 2))),
    )
    text = st.text(st.characters(codec="utf-8"), max_size=5)
    return draw(text), draw(st.none() | text), found, draw(st.none() | text)


def write(path, several, info=INFO):
    schema = detection_schema(info)
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, len(several), 3):
            group = record_batch(several[start : start + 3])
            writer.write_batch(group.replace_schema_metadata(schema.metadata))
    return str(path)


@settings(max_examples=25)
@given(st.lists(rows(), max_size=8), st.integers(1, 4))
def test_rows_come_back_bit_for_bit(tmp_path_factory, several, at_once):
    several = [
        DetectionRow(uri, sha256, 4, 5, Detections(*found, NAMES), error, None)
        for uri, sha256, found, error in several
    ]
    path = write(tmp_path_factory.mktemp("rows") / "a.parquet", several)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lucidbox.core.detection_tables._AT_ONCE", at_once)  # slices of row groups, too
        found = list(Detections.from_parquet(path))
    assert len(found) == len(several)
    for one, other in zip(found, several, strict=True):
        assert (one.uri, one.sha256, one.width, one.height, one.error) == (
            other.uri, other.sha256, other.width, other.height, other.error,
        )  # fmt: skip
        assert one.detections.boxes.tobytes() == other.detections.boxes.tobytes()
        assert one.detections == other.detections


def test_the_schema_is_what_the_documents_say(tmp_path):
    none = DetectionRow("u", None, None, None, Detections.empty(NAMES), "e", None)
    schema = pq.read_schema(write(tmp_path / "a.parquet", [none], TableInfo(NAMES, "m", {"conf": 1}, "9", 1.5, 1)))
    assert {field.name: str(field.type) for field in schema} == {
        "uri": "string",
        "sha256": "string",
        "width": "int32",
        "height": "int32",
        "boxes": "list<element: fixed_size_list<element: float not null>[4]>".replace(" not null", ""),
        "scores": "list<element: float>",
        "classes": "list<element: int32>",
        "error": "string",
        "milliseconds": "float",
    }
    assert json.loads(schema.metadata[b"lucidbox"]) == {
        "names": ["a", "b", "c"], "model": "m", "settings": {"conf": 1}, "lucidbox": "9", "seconds": 1.5,
        "failures": 1, "schema": 1,
    }  # fmt: skip


def test_names_may_be_given_where_a_file_states_none(tmp_path):
    none = DetectionRow("u", None, 1, 1, Detections.empty(NAMES), None, None)
    pq.write_table(pa.Table.from_batches([record_batch([none])]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="states no class names"):
        list(Detections.from_parquet(str(tmp_path)))
    (row,) = Detections.from_parquet(str(tmp_path), NAMES)
    assert row.detections.names == NAMES


def test_bad_files(tmp_path):
    none = DetectionRow("u", None, 1, 1, Detections.empty(NAMES), None, None)
    newer = write(tmp_path / "newer.parquet", [none], TableInfo(NAMES, lucidbox="7", schema=2))
    pq.write_table(pa.table({"uri": ["a"]}), tmp_path / "other.parquet")
    (tmp_path / "half.parquet").write_bytes((tmp_path / "newer.parquet").read_bytes()[:100])
    cases = {
        newer: (DataError, r"schema 2; .* version that wrote it \(7\)"),
        str(tmp_path / "other.parquet"): (DataError, "no column 'sha256'"),
        str(tmp_path / "half.parquet"): (SourceError, "half.parquet"),
        str(tmp_path / "missing.parquet"): (SourceError, "does not exist"),
    }
    for path, (kind, words) in cases.items():
        with pytest.raises(kind, match=words):
            list(DetectionTable(path).rows())
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no Parquet files"):
        tables(str(tmp_path / "empty"))
