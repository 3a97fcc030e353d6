"""``lucidbox weights show`` and ``convert``, through the command line's own entry."""

import errno
import json
import sys
from pathlib import Path

import forge
import pytest

from lucidbox.cli import main
from lucidbox.model import build
from lucidbox.model_files.metadata import LARGEST_SIDE
from lucidbox.train.recipe import Recipe
from lucidbox.weights import from_network, read, write


@pytest.fixture
def small(tmp_path):
    """A weights file of ours with two classes."""
    path = tmp_path / "small.safetensors"
    write(from_network(build("notebook", 2, base_channels=4), ["nut", "螺栓"], licence="MIT"), path)
    return path


def run(capsys, *arguments):
    code = main(["weights", *map(str, arguments)])
    output = capsys.readouterr()
    return code, output.out, output.err


def test_show_for_people(small, capsys):
    code, output, errors = run(capsys, "show", small)
    assert (code, errors) == (0, "")
    for fact in (
        "notebook, base_channels 4",
        "2: nut, 螺栓",
        "GFLOPs",
        "at 640×640",
        "licence        MIT",
        "float32",
    ):
        assert fact in output


def test_show_for_programs(small, capsys):
    code, output, _ = run(capsys, "show", small, "--json")
    found = json.loads(output)
    assert code == 0
    assert found["file"] == str(small)
    assert (found["architecture"], found["classes"], found["names"]) == ("notebook", 2, ["nut", "螺栓"])
    assert (found["licence"], found["strides"], found["size"]) == ("MIT", [8, 16, 32], 640)
    assert found["parameters"] > 0
    assert found["gflops"] > 0


def test_show_a_real_file(shared, capsys):
    path = shared("weights/yolo11n-reference.pt")
    code, output, _ = run(capsys, "show", path)
    assert code == 0
    for fact in ("yolo11n", "2,624,080", "6.5 at 640×640", "AGPL-3.0", "8, 16, 32", "person", "db231c5b066d8419"):
        assert fact in output


def test_convert_a_checkpoint_with_names(tmp_path, capsys):
    source, target, names = tmp_path / "best.pt", tmp_path / "best.safetensors", tmp_path / "names.txt"
    source.write_bytes(forge.saved({"model_state_dict": build("notebook", 2, base_channels=4).state_dict()}))
    names.write_text("nut\nbolt\n")
    code, output, _ = run(capsys, "convert", source, target, "--names", names)
    assert code == 0
    assert str(target) in output
    assert "2 classes" in output
    assert read(target).names == ("nut", "bolt")
    assert read(target).source_sha256 == read(source).source_sha256


def test_convert_to_half_the_bytes_with_a_threshold(small, tmp_path, capsys):
    target = tmp_path / "half.safetensors"
    assert run(capsys, "convert", small, target, "--fp16", "--conf", "0.3", "--size", "320")[0] == 0
    assert target.stat().st_size < 0.6 * small.stat().st_size
    assert (read(small).conf, read(target).conf) == (0.25, 0.3)
    assert (read(small).size, read(target).size) == (640, 320)
    assert "threshold      0.3" in run(capsys, "show", target)[1]


def test_every_size_that_can_be_asked_for_is_read_again(small, tmp_path, capsys):
    for size in (12288, LARGEST_SIDE):
        target = tmp_path / f"{size}.safetensors"
        assert run(capsys, "convert", small, target, "--size", size)[0] == 0
        assert read(target).size == size == Recipe(size=size).size
    code, _, errors = run(capsys, "convert", small, tmp_path / "larger.safetensors", "--size", LARGEST_SIDE + 32)
    assert (code, list(tmp_path.glob("larger*"))) == (2, [])
    assert str(LARGEST_SIDE) in errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--conf", "1.5"], "conf 1.5 is not between 0 and 1"),
        (["--size", "300"], "300"),
        (["--fp16"], "--fp16 is for safetensors"),
    ],
)
def test_what_cannot_be_stored_is_refused(options, message, small, tmp_path, capsys):
    target = tmp_path / "out.onnx"
    code, _, errors = run(capsys, "convert", small, target, *options)
    assert (code, target.exists()) == (2, False)
    assert message in errors


def test_a_wrong_number_of_names_writes_nothing(small, tmp_path, capsys):
    (tmp_path / "names.txt").write_text("nut\n")
    code, output, errors = run(
        capsys, "convert", small, tmp_path / "new.safetensors", "--names", tmp_path / "names.txt"
    )
    assert (code, output) == (2, "")
    assert errors == "lucidbox: error: 1 class names for 2 classes; the numbers must be equal\n"
    assert not (tmp_path / "new.safetensors").exists()


def test_an_existing_file_is_replaced_only_by_force(small, tmp_path, capsys):
    target = tmp_path / "there.safetensors"
    target.write_text("mine")
    code, _, errors = run(capsys, "convert", small, target)
    assert (code, target.read_text()) == (2, "mine")
    assert "--force" in errors
    assert run(capsys, "convert", small, target, "--force")[0] == 0
    assert read(target).names == ("nut", "螺栓")


def test_the_target_s_form_must_be_known(small, tmp_path, capsys):
    code, _, errors = run(capsys, "convert", small, tmp_path / "new.pt")
    assert code == 2
    assert "must end in .safetensors or .onnx" in errors


def test_onnx_is_left_to_the_exporter(small, tmp_path, capsys, monkeypatch):
    from lucidbox import export

    given = []
    monkeypatch.setattr(export, "export_onnx", lambda weights, path: given.append((weights.names, path)))
    code, output, errors = run(capsys, "convert", small, tmp_path / "new.onnx")
    assert (code, output.count("\n")) == (0, 1)
    assert errors == (
        "lucidbox: writing new.onnx and checking it against the network; this takes some 20 seconds\n"
    )
    assert given == [(("nut", "螺栓"), tmp_path / "new.onnx")]


@pytest.mark.parametrize("verb", [["show"], ["convert"]])
def test_bad_files_give_one_line_and_code_2(verb, tmp_path, capsys):
    bad = tmp_path / "bad.pt"
    bad.write_bytes(forge.saved({"a": 1, "b": 2})[:-30])
    target = [tmp_path / "x.safetensors"] if verb == ["convert"] else []
    code, output, errors = run(capsys, *verb, bad, *target)
    assert (code, output) == (2, "")
    assert errors.startswith(f"lucidbox: error: {bad}: truncated or damaged")
    assert errors.count("\n") == 1
    assert not (tmp_path / "x.safetensors").exists()


def test_an_attack_gives_one_line_and_code_2(tmp_path, capsys):
    bad = tmp_path / "bad.pt"
    attack = forge.attacks(tmp_path / "marker")["os.system"]
    bad.write_bytes(
        forge.with_pickle(forge.saved({"a": 1, "b": 2}), lambda code: forge.spliced_late(code, attack.code))
    )
    code, _, errors = run(capsys, "show", bad)
    assert code == 2
    assert "'os.system'" in errors
    assert "nothing in it was run" in errors
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("arguments", [[], ["show"], ["convert", "x"], ["unknown"]])
def test_wrong_usage_is_code_2(arguments):
    with pytest.raises(SystemExit) as stop:
        main(["weights", *arguments])
    assert stop.value.code == 2


@pytest.mark.parametrize("arguments", [["--help"], ["show", "--help"], ["convert", "--help"]])
def test_help_has_examples(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["weights", *arguments])
    assert stop.value.code == 0
    assert "examples:\n  lucidbox weights" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["safetensors", "onnx"])
def test_an_overlong_target_is_refused_before_the_work(form, small, tmp_path, capsys):
    target = tmp_path / ("x" * 300 + f".{form}")
    code, output, errors = run(capsys, "convert", small, target)
    assert (code, output) == (2, "")
    assert errors.startswith(f"lucidbox: error: {target}: cannot be written: the name is too long")
    assert errors.count("\n") == 1


def test_a_target_in_a_locked_folder_is_refused(small, tmp_path, capsys, monkeypatch):
    """Root may enter every folder, so the system's answer is given by hand."""
    target = tmp_path / "locked" / "x.onnx"
    real = Path.exists

    def exists(path, **options):
        if path == target:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, **options)

    monkeypatch.setattr(Path, "exists", exists)
    code, output, errors = run(capsys, "convert", small, target)
    assert (code, output) == (2, "")
    assert errors == (
        f"lucidbox: error: {target}: cannot be written: no permission to write here; choose a folder of yours\n"
    )


@pytest.mark.parametrize("verb", [["show"], ["convert"]])
def test_sources_that_cannot_be_read_give_one_line(verb, tmp_path, capsys, monkeypatch):
    rest = [tmp_path / "out.safetensors"] if verb == ["convert"] else []
    code, _, errors = run(capsys, *verb, "x" * 300, *rest)
    assert (code, errors.count("\n")) == (2, 1)
    assert "cannot be read: File name too long" in errors

    def read_bytes(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    (tmp_path / "x.pt").touch()
    code, _, errors = run(capsys, *verb, tmp_path / "x.pt", *rest)
    assert (code, errors.count("\n")) == (2, 1)
    assert "cannot be read (Permission denied)" in errors


@pytest.mark.parametrize(
    ("package", "form"), [("safetensors.numpy", "safetensors"), ("onnx", "onnx"), ("onnxscript", "onnx")]
)
def test_a_missing_package_gives_one_line_with_the_remedy(package, form, tmp_path, capsys, monkeypatch):
    """Each stands alone: torch may be there without the packages that write files."""
    source = tmp_path / "best.pt"
    source.write_bytes(forge.saved({"model_state_dict": build("notebook", 1, base_channels=4).state_dict()}))
    for loaded in [name for name in sys.modules if name.startswith("torch.onnx._internal.exporter")]:
        monkeypatch.delitem(sys.modules, loaded)  # else onnxscript is no longer asked for
    monkeypatch.setitem(sys.modules, package, None)
    target = tmp_path / f"x.{form}"
    code, output, errors = run(capsys, "convert", source, target)
    assert (code, output) == (2, "")
    assert errors.endswith(
        f"lucidbox: error: {target}: writing it needs {package}; pip install 'lucidbox[train]'\n"
    )
    assert not target.exists()
