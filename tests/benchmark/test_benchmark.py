"""Parts of the benchmark whose results can be known: counts, percentiles, samples, commands. Never a time."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from lucidbox.benchmark import Measurement, Setting, Spread, duel, sample
from lucidbox.benchmark.machine import operations_of
from lucidbox.core.errors import DataError, EngineError
from lucidbox.sources import open_sources


def test_percentiles_by_hand():
    spread = Spread.of([float(value) for value in range(101)])
    assert (spread.count, spread.p10, spread.p50, spread.p90, spread.p99) == (101, 10, 50, 90, 99)
    assert spread.width == pytest.approx(1.6)
    assert Spread.of([2.0]) == Spread(1, 2.0, 2.0, 2.0, 2.0)


@pytest.mark.parametrize("size", [64, 320])
def test_operations_of_the_graph_are_those_of_the_network_and_attention(size, small_onnx, small_weights):
    from lucidbox import weights
    from lucidbox.model.fuse import fuse
    from lucidbox.model.profile import gflops
    from models import unchecked_shapes

    with unchecked_shapes():
        convolutions = gflops(fuse(weights.network(weights.read(small_weights))), size)
    cells = (size // 32) ** 2
    # Two heads: every cell's query (32 numbers) by every key, then affinities by values (64 numbers).
    attention = 2 * 2 * cells**2 * (32 + 64) / 1e9
    counted = operations_of(small_onnx, [(size, size), (size, size)])
    assert counted == {(size, size): pytest.approx(convolutions + attention, rel=1e-9)}


def test_a_sample_is_the_first_pictures_that_can_be_read(tmp_path):
    for index in range(5):
        Image.fromarray(np.full((8, 9 + index, 3), index, np.uint8)).save(tmp_path / f"{index}.png")
    (tmp_path / "1.png").write_bytes(b"no picture")
    taken = sample(open_sources(tmp_path), 4)
    assert [shot.path.name for shot in taken.shots] == ["0.png", "2.png", "3.png"]
    assert [item.source for item in taken.stream] == [str(shot.path) for shot in taken.shots]
    assert len(taken.failures) == 1
    assert "1.png" in str(taken.failures[0])


def test_of_a_video_some_frames_are_kept_and_the_stream_is_whole(tmp_path):
    path = tmp_path / "road.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for _ in range(9):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    taken = sample(open_sources(path), 4)
    assert [shot.path for shot in taken.shots] == [None] * 4
    assert all(shot.decoding > 0 for shot in taken.shots)
    assert len(list(taken.stream)) == 9


def test_large_pictures_are_fewer(tmp_path, monkeypatch):
    for index in range(5):
        Image.fromarray(np.zeros((10, 10, 3), np.uint8)).save(tmp_path / f"{index}.png")
    monkeypatch.setattr("lucidbox.benchmark.pictures._MOST_BYTES", 700)
    assert len(sample(open_sources(tmp_path), 150).shots) == 3


def test_nothing_to_measure_is_refused(tmp_path):
    with pytest.raises(DataError, match="a camera gives no picture twice"):
        sample(open_sources("camera:0"), 1)
    with pytest.raises(DataError, match=r"nothing is measured: .*gone\.jpg"):
        sample(open_sources(tmp_path / "gone.jpg"), 1)


@pytest.mark.thorough
def test_commands_take_turns(tmp_path):
    log = tmp_path / "log"
    write = "import sys; open(sys.argv[1], 'a').write(sys.argv[2])"
    result = duel(
        [sys.executable, "-c", write, str(log), "A"], f'"{sys.executable}" -c "{write}" "{log}" B', turns=3
    )
    assert log.read_text() == "AB" * 4
    assert (result.ours.count, result.rival.count, result.ratios.count) == (3, 3, 3)
    assert result.ratio == pytest.approx(result.rival.p50 / result.ours.p50)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("rival", "words"),
    [
        ("exit 7", "exit 7: exit code 7: it says nothing"),
        ("echo no such model >&2; exit 1", "exit code 1: no such"),
    ],
)
def test_a_command_that_fails_is_told_with_its_last_words(rival, words):
    with pytest.raises(EngineError, match=words):
        duel([sys.executable, "-c", ""], rival, turns=1)


@pytest.mark.thorough
def test_a_command_that_cannot_be_started_is_told():
    with pytest.raises(EngineError, match="cannot be started"):
        duel([str(Path("/nowhere/at/all"))], "true", turns=1)


def test_a_measurement_is_a_table_of_its_stages():
    same = Spread.of([2.0])
    measured = Measurement(Setting("onnx", "fp32"), {"decode": same}, same, same, same, same, same, same)
    html = measured._repr_html_()
    assert "onnx fp32, batch 1" in html
    assert html.count("2.000") == 3 * 5
