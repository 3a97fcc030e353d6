"""On Spark: the answers of plain predict bit for bit."""

import os
import shutil
import sys
from collections import Counter

import numpy as np
import pytest

from conftest import EXAMPLES, shared_path
from lucidbox import Detections, Detector
from lucidbox.core.detection_tables import detection_schema, pyarrow

# Spark warns of newer versions of pandas, which is not used here.
pytestmark = [pytest.mark.extended, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def spark():
    """Spark in this process's own Java, with two tasks at a time."""
    sql = pytest.importorskip("pyspark.sql", reason="pip install 'lucidbox[spark]'")
    if not shutil.which("java"):
        pytest.skip("Spark needs Java")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    options = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.log.level": "ERROR"}
    session = sql.SparkSession.builder.master("local[2]").config(map=options).getOrCreate()
    yield session
    session.stop()


def files(spark, folder, pattern="*.jpg"):
    return spark.read.format("binaryFile").option("pathGlobFilter", pattern).load(str(folder))


def same(rows, plain):
    """Whether rows say exactly what plain predict does: one a picture, bit for bit."""
    names = [row["uri"].removeprefix("file:") for row in rows]
    assert Counter(names) == Counter(result.picture.source for result in plain)
    answers = dict(zip(names, rows, strict=True))
    for result in plain:
        row, found = answers[result.picture.source], result.detections
        assert np.array(row["boxes"], np.float32).reshape(-1, 4).tobytes() == found.boxes.tobytes()
        assert np.array(row["scores"], np.float32).tobytes() == found.scores.tobytes()
        assert row["classes"] == found.classes.tolist()
        assert (row["height"], row["width"], row["error"]) == (*result.picture.size, None)


@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_the_answers_of_plain_predict(precision, spark):
    from lucidbox.batch.spark import detect

    pictures = shared_path("data/coco-val-150/images")
    plain = list(Detector.load(precision=precision).stream(pictures))
    assert len(plain) == 150
    same(detect(files(spark, pictures).repartition(4), precision=precision).collect(), plain)


def test_written_as_parquet_it_is_a_table_of_ours_but_for_the_names(spark, tmp_path):
    from lucidbox.batch.spark import detect

    (tmp_path / "torn.jpg").write_bytes((EXAMPLES / "street.jpg").read_bytes()[:500])
    (tmp_path / "empty.jpg").write_bytes(b"")  # Spark leaves these out, as docs/how-to/clusters.md says
    shutil.copy(EXAMPLES / "street.jpg", tmp_path)
    detector = Detector.load(size=320)
    detect(files(spark, tmp_path), size=320).write.parquet(str(tmp_path / "out"))
    rows = {
        row.uri.rpartition("/")[2]: row for row in Detections.from_parquet(str(tmp_path / "out"), detector.names)
    }
    assert {name for name, row in rows.items() if row.error} == {"torn.jpg"}
    assert "empty.jpg" not in rows
    street = rows["street.jpg"].detections
    assert len(street)
    assert street.boxes.tobytes() == detector(EXAMPLES / "street.jpg").boxes.tobytes()


def test_addresses_alone_are_read_by_the_tasks(spark, tmp_path):
    from lucidbox.batch.spark import detect

    frame = spark.createDataFrame([(str(EXAMPLES / "street.jpg"),), (str(tmp_path / "none.jpg"),)], "uri string")
    read, missing = detect(frame, size=320).collect()
    assert read["error"] is None
    assert "does not exist" in missing["error"]


def test_the_columns_are_those_of_the_schema(spark):
    from pyspark.sql.types import StructType

    from lucidbox.batch.spark import SCHEMA

    assert StructType.fromDDL(SCHEMA).fieldNames() == detection_schema().names
    assert pyarrow().types.is_list(detection_schema().field("boxes").type)
