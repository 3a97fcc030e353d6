"""Whatever is wrong: one clear line, the right exit code, and the rest of the batch done."""

import errno
import fcntl
import functools
import http.server
import json
import os
import resource
import signal
import subprocess
import threading

import numpy as np
import pytest
from PIL import Image


def lines_of(text):
    return [line for line in text.splitlines() if line]


def make(kind, folder):
    """A bad picture of the kind, and what its error says."""
    path = folder / f"{kind}.jpg"
    good = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8))
    if kind == "missing":
        return path, "no such file"
    if kind == "empty":
        path.write_bytes(b"")
        return path, "empty"
    if kind == "text":
        path.write_text("these are words")
        return path, "not a picture"
    if kind == "truncated":
        good.save(path)
        path.write_bytes(path.read_bytes()[:-900])
        return path, "truncated|incomplete|cut|ends"
    if kind == "bomb":
        path = folder / "bomb.png"
        Image.new("1", (20_000, 20_000)).save(path)
        return path, "--max-pixels"
    assert kind == "animated"
    path = folder / "animated.gif"
    good.save(path, save_all=True, append_images=[good.rotate(90), good.rotate(180)])
    return path, "animat|frames|pictures"


KINDS = ["missing", "empty", "text", "truncated", "bomb", "animated"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_picture_alone_is_bad_input(kind, predict, tmp_path):
    path, message = make(kind, tmp_path)
    code, out, err = predict(path)
    assert code == 2
    assert out == ""
    (line,) = lines_of(err)
    assert line.startswith("lucidbox: error: ")
    assert path.name in line
    assert any(part in line for part in message.split("|")), line
    assert not (tmp_path / "runs").exists()


def test_all_bad_ones_among_good_ones(predict, noise, tmp_path):
    bad = [make(kind, tmp_path)[0] for kind in KINDS]
    code, out, err = predict(noise("a.png"), *bad, noise("z.png"), "--json", "--save", tmp_path / "out")
    assert code == 1
    records = [json.loads(line) for line in out.splitlines()]
    assert [record["source"] for record in records][1:-1] == [str(path) for path in bad]
    assert ["error" in record for record in records] == [False, *[True] * len(bad), False]
    assert sum(line.startswith("lucidbox: error: ") for line in lines_of(err)) == len(bad)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "z.png"]


@pytest.mark.parametrize(("height", "width"), [(1, 1), (4000, 1), (1, 4000)])
def test_tiny_and_thin_pictures_are_pictures(height, width, predict, noise):
    code, out, err = predict(noise(height=height, width=width), "--json")
    assert code == 0, err
    record = json.loads(out)
    assert (record["height"], record["width"]) == (height, width)
    for entry in record["detections"]:
        left, top, right, bottom = entry["box"]
        assert 0 <= left <= right <= width
        assert 0 <= top <= bottom <= height


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P", "1", "I;16"])
def test_every_colour_mode_is_read(mode, predict, tmp_path):
    grey = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8))
    path = tmp_path / ("picture.jpg" if mode == "CMYK" else "picture.png")
    if mode == "I;16":
        Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(path)
    else:
        grey.convert("RGB").convert(mode).save(path)
    code, out, err = predict(path, "--json")
    assert code == 0, err
    assert json.loads(out)["width"] == 96


def test_an_empty_folder(predict, tmp_path):
    (tmp_path / "nothing").mkdir()
    code, _, err = predict(tmp_path / "nothing")
    assert code == 2
    (line,) = lines_of(err)
    assert "nothing" in line
    assert ".jpg" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "unicorn"], "class 'unicorn' is not in the model"),
        (["--conf", "7"], "conf 7.0 is not between 0 and 1"),
        (["--iou", "-1"], "iou -1.0 is not between 0 and 1"),
        (["--size", "100"], "size 100 is not a multiple of 32 up to 16384: try 96"),
        (["--size", "big"], "not a size"),
        (["--max-det", "0"], "max_det 0"),
        (["--batch", "0"], "batch 0"),
        (["--engine", "abacus"], "engine 'abacus' is unknown"),
        (["--precision", "int8"], None),
        (["--video-stride", "0"], "--video-stride 0"),
        (["--max-pixels", "0"], "--max-pixels 0"),
        (["--max-labels", "-1"], "max"),
        (["--conf", "high"], "invalid float value"),
    ],
)
def test_wrong_options_are_named_before_any_work(options, message, predict, noise, tmp_path):
    if options[0] == "--precision":
        from lucidbox.cli import main

        assert main(["predict", str(noise()), "--weights", "none.onnx", *options]) == 2
        return
    code, out, err = predict(noise(), *options)
    assert code == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err
    assert not (tmp_path / "runs").exists()


def test_no_source_is_wrong_usage(predict):
    code, _, err = predict()
    assert code == 2
    assert "SOURCE" in err


def test_weights_that_are_none(predict, noise, tmp_path):
    (tmp_path / "fake.pt").write_text("hello")
    code, _, err = predict(noise(), weights=tmp_path / "fake.pt")
    assert code == 2
    assert "fake.pt" in lines_of(err)[-1]
    code, _, err = predict(noise(), weights=tmp_path / "gone.pt")
    assert code == 2
    assert "gone.pt: no such weights file" in err


def test_damaged_weights_answering_nan(predict, noise, small_onnx, tmp_path):
    import onnx
    from onnx import numpy_helper

    model = onnx.load(small_onnx)
    kernel = next(c for c in model.graph.initializer if c.name.endswith("stem.conv.weight"))
    values = numpy_helper.to_array(kernel).copy()
    values[:] = np.nan
    kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))
    onnx.save(model, tmp_path / "nan.onnx")
    code, _, err = predict(noise(), weights=tmp_path / "nan.onnx")
    assert code == 2
    assert "NaN" in err


def test_names_that_do_not_fit_the_network(predict, noise, small_onnx, tmp_path):
    import onnx

    model = onnx.load(small_onnx)
    next(entry for entry in model.metadata_props if entry.key == "names").value = json.dumps(["one", "two"])
    onnx.save(model, tmp_path / "two.onnx")
    code, _, err = predict(noise(), weights=tmp_path / "two.onnx")
    assert code == 2
    assert "the network has 3 classes, its metadata names 2" in err


def test_a_folder_that_cannot_be_made(predict, noise, tmp_path):
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path / "file", tmp_path / "file" / "below"):
        code, _, err = predict(noise(), noise("b.png"), "--save", target)
        assert code == 2
        assert "file" in lines_of(err)[-1]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(predict, noise, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    code, _, err = predict(noise(), "--save", locked / "out")
    assert code == 2
    assert "no permission" in err


def test_a_full_disk_costs_the_saved_picture_only(process, noise, tmp_path):
    """A limit on file size stands for a full disk: the large picture's copy does not fit, the small one's does."""
    noise("in/a-large.bmp", height=400, width=600)
    noise("in/b-small.bmp", height=32, width=32)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    running = process("in", "--save", "out", "--json", preexec_fn=limit)
    out, err = running.communicate(timeout=120)
    assert running.returncode == 1, err
    assert len(out.splitlines()) == 2  # both were predicted
    assert "a-large.bmp" in err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["b-small.bmp"]


def test_a_video_that_ends_in_the_middle_of_a_frame(predict, tmp_path):
    import cv2

    path = tmp_path / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 6.0, (160, 96))
    for seed in range(6):
        writer.write(np.random.default_rng(seed).integers(0, 256, (96, 160, 3), dtype=np.uint8))
    writer.release()
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    code, out, err = predict(path, "--json", "--save", tmp_path / "out")
    assert code == 1
    assert 1 <= len(out.splitlines()) < 6
    assert "film.avi" in next(line for line in lines_of(err) if "error" in line)
    assert (tmp_path / "out" / "film.mp4").exists()


@pytest.fixture
def server():
    """A server of ours that answers 404, or not at all."""
    release = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/hang.jpg":
                release.wait(20)
            self.send_error(404)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        release.set()
        running.shutdown()


def test_an_address_that_answers_404_and_one_that_hangs(predict, server, noise, monkeypatch):
    from lucidbox.sources import addresses

    monkeypatch.setattr(addresses, "Url", functools.partial(addresses.Url, silence=1.0))
    code, out, err = predict(f"{server}/gone.jpg", f"{server}/hang.jpg", noise(), "--json")
    assert code == 1
    assert ["error" in json.loads(line) for line in out.splitlines()] == [True, True, False]
    first, second = (line for line in lines_of(err) if line.startswith("lucidbox: error"))
    assert "404" in first
    assert "hang.jpg" in second


def held_up(running):
    """The program, which from now on waits for who reads its lines: it cannot be done before it is stopped."""
    fcntl.fcntl(running.stdout, fcntl.F_SETPIPE_SZ, 4096)
    return running


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="pipes have one size here")
@pytest.mark.parametrize("stop", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.extended)])
def test_ctrl_c_keeps_what_was_done_and_leaves_nothing_half_written(stop, process, noise, tmp_path):
    first = noise("in/000.png").read_bytes()
    for index in range(1, 400):
        (tmp_path / f"in/{index:03d}.png").write_bytes(first)
    running = held_up(
        process("in", "--save", "out", "--json", "--json-file", "found.jsonl", start_new_session=True)
    )
    for _ in range(5):
        running.stdout.readline()
    running.send_signal(stop)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "Traceback" not in err
    assert "stopped; what was done so far stays" in err
    saved = sorted((tmp_path / "out").iterdir())
    assert 4 <= len(saved) < 400
    assert all(path.name.endswith(".png") and not path.name.startswith(".") for path in saved)
    for path in saved:
        Image.open(path).load()
    records = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert len(records) >= len(saved)


def test_a_reader_that_goes_away_is_no_error(process, noise, tmp_path):
    for index in range(30):
        noise(f"in/{index:03d}.png", seed=index)
    running = process("in", "--no-draw", "--json", stdout=subprocess.PIPE)
    running.stdout.readline()
    running.stdout.close()
    assert running.wait(timeout=60) == 0
    assert "Traceback" not in running.stderr.read()
    running.stderr.close()


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="pipes have one size here")
def test_interrupted_video_is_playable(process, tmp_path):
    import cv2

    writer = cv2.VideoWriter(
        str(tmp_path / "long.mp4"), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 6.0, (160, 96)
    )
    for seed in range(300):
        writer.write(np.random.default_rng(seed).integers(0, 256, (96, 160, 3), dtype=np.uint8))
    writer.release()
    running = held_up(process("long.mp4", "--save", "out", "--json", start_new_session=True))
    for _ in range(8):
        running.stdout.readline()
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130
    made = cv2.VideoCapture(str(tmp_path / "out" / "long.mp4"))
    assert 7 <= made.get(cv2.CAP_PROP_FRAME_COUNT) < 300
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["long.mp4"]


def test_the_same_video_named_twice_is_two_videos(predict, tmp_path):
    import cv2

    writer = cv2.VideoWriter(
        str(tmp_path / "clip.mp4"), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 6.0, (160, 96)
    )
    for seed in range(3):
        writer.write(np.random.default_rng(seed).integers(0, 256, (96, 160, 3), dtype=np.uint8))
    writer.release()
    still = tmp_path / "clip-0.jpg"
    Image.fromarray(np.random.default_rng(9).integers(0, 256, (96, 160, 3), dtype=np.uint8)).save(still)
    code, _, _ = predict(tmp_path / "clip.mp4", tmp_path / "clip.mp4", still, "--txt", "--save", tmp_path / "out")
    assert code == 0
    for name in ("clip.mp4", "clip-2.mp4"):
        assert cv2.VideoCapture(str(tmp_path / "out" / name)).get(cv2.CAP_PROP_FRAME_COUNT) == 3
    labels = tmp_path / "out" / "labels"
    assert sorted(path.relative_to(labels).as_posix() for path in labels.rglob("*.txt")) == [
        "clip-0.txt", "clip-2/0.txt", "clip-2/1.txt", "clip-2/2.txt", "clip/0.txt", "clip/1.txt", "clip/2.txt",
    ]  # fmt: skip


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
def test_standard_output_on_a_full_disk_is_one_line(process, noise):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        running = process(noise(), "--json", "--no-draw", stdout=full)
        _, err = running.communicate(timeout=60)
    assert running.returncode == 2
    assert "Traceback" not in err
    assert "standard output cannot be written" in err


def test_errors_are_one_line_whatever_a_name_holds(predict, noise):
    code, _, err = predict(noise(), weights="a\nb.pt")
    assert code == 2
    assert len(lines_of(err)) == 1


@pytest.mark.parametrize("content", [b"", b"these are words", b"\x80\x02}q\x00."])
def test_odd_weights_files_get_the_true_reason(content, predict, noise, tmp_path):
    (tmp_path / "odd.pt").write_bytes(content)
    code, _, err = predict(noise(), weights=tmp_path / "odd.pt")
    (line,) = lines_of(err)
    assert code == 2
    assert "odd.pt" in line
    assert "made by lucidbox" not in line


@pytest.mark.parametrize("place", [(), ("/tmp/half",)])
def test_a_full_disk_that_is_not_standard_output_s_is_told_so(place, monkeypatch, capsys):
    from lucidbox.cli import main

    def full(arguments):
        raise OSError(errno.ENOSPC, "No space left on device", *place)

    monkeypatch.setattr("lucidbox.cli.doctor.run", full)
    assert main(["doctor"]) == 2
    told = capsys.readouterr().err
    assert "standard output" not in told
    assert "the disk is full" in told
    assert "TMPDIR" in told
