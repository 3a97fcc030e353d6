"""``lucidbox benchmark``: what is shown, and exit codes."""

import json

import pytest

from lucidbox.cli import main


@pytest.fixture
def benchmark(small_onnx, capsys):
    """Function that runs the verb, briefly: exit code, standard output, standard error."""

    def run(*arguments, weights=small_onnx):
        code = main(
            ["benchmark", *map(str, arguments), "--weights", str(weights), "--rounds", "1", "--size", "96"]
        )
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.extended
def test_engines_and_batches_side_by_side_as_json_and_as_a_plot(benchmark, noise, tmp_path):
    folder = noise("pictures/a.png").parent
    noise("pictures/b.png", seed=1)
    (folder / "broken.png").write_bytes(b"no picture")
    code, out, err = benchmark(
        folder, "--engine", "openvino,onnxruntime", "--precision", "fp32", "--batch", "1,2", "--cold", 0, "--json",
        "--plot", tmp_path / "speed.svg",
    )  # fmt: skip
    document = json.loads(out)
    assert code == 0
    assert [(one["setting"]["engine"], one["setting"]["batch"]) for one in document["settings"]] == [
        ("openvino", 1), ("openvino", 2), ("onnxruntime", 1), ("onnxruntime", 2),
    ]  # fmt: skip
    assert document["pictures"] == 2
    assert document["cold_seconds"] is None
    assert document["machine"]["noise"]["count"] == 5 + 2 * 4 * 5
    for one in document["settings"]:
        assert one["one_picture"]["count"] == 2
        assert {name: times["count"] for name, times in one["stages"].items()} == dict.fromkeys(
            ("read", "decode", "letterbox", "inference", "suppression", "drawing"), 2
        )
        assert one["bound_share"]["p50"] == pytest.approx(one["stream_rate"]["p50"] / one["bound"]["p50"])
        assert one["peak_share"] == pytest.approx(one["gigaflops"] / document["machine"]["peaks"]["fp32"])
    assert "left out: " in err
    assert (tmp_path / "speed.svg").read_text().startswith("<?xml")


@pytest.mark.extended
def test_the_table_has_every_part_and_the_cold_start(benchmark, noise):
    code, out, _ = benchmark(noise(), "--cold", 1)
    assert code == 0
    for words in ("overhead", "of bound", "of peak", "noise: ", "suppression", "cold: lucidbox predict"):
        assert words in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--batch", "1,x"), "--batch 1,x: expected numbers with commas between"),
        (("--threads", "0"), "threads 0 is not between"),
        (("--threads", "1000"), "threads 1000 is not between"),
        (("--engine", "tensorflow"), "'tensorflow' is unknown"),
        (("--pictures", "0"), "--pictures 0 is less than 1"),
        (("--against", "true", "--batch", "1,2"), "--against takes one engine"),
        (("--against", "true", "--threads", "2"), "--threads is not for --against"),
        (("--against", "echo no model >&2; exit 5"), "exit code 5: no model"),
        (("--cold", "0", "--plot", "speed.doc"), "speed.doc: no form that can be drawn"),
    ],
)
def test_what_cannot_be_measured_is_one_line(options, words, benchmark, noise, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = benchmark(noise(), *options)
    assert (code, out) == (2, "")
    assert words in err.splitlines()[-1]
    assert not (tmp_path / "speed.doc").exists()


def test_a_faster_command_is_3(benchmark, noise):
    code, out, _ = benchmark(noise(), "--against", "true", "--json")
    document = json.loads(out)
    assert code == 3
    assert document["ratio"] < 1
    assert document["commands"][0].split()[1:4] == ["-m", "lucidbox", "predict"]
    assert document["commands"][1] == "true"


def test_a_slower_command_is_0(benchmark, noise, monkeypatch):
    monkeypatch.setattr("lucidbox.benchmark.against.seconds", lambda command: 2.0 if command == "theirs" else 0.5)
    code, out, _ = benchmark(noise(), "--against", "theirs")
    assert code == 0
    assert "the other takes 4.00 times as long" in out
