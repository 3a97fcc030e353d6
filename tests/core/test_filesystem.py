"""Writing whole or not at all, folders never handed out twice, and where the cache is."""

import errno
import os
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lucidbox.core import temporary
from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import (
    PendingFile,
    atomic_path,
    atomic_write,
    cache_folder,
    numbered_folder,
    pending_files,
    sha256_of,
    stamp_of,
)
from lucidbox.core.temporary import remove_abandoned


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("data", "content"), [(b"\x00\xff", b"\x00\xff"), ("人\n", "人\n".encode())])
def test_written_whole_with_folders_made(tmp_path, data, content):
    atomic_write(tmp_path / "new" / "folder" / "file.bin", data)
    assert (tmp_path / "new" / "folder" / "file.bin").read_bytes() == content
    assert names(tmp_path / "new" / "folder") == ["file.bin"]


def test_older_file_is_replaced(tmp_path):
    atomic_write(tmp_path / "a", "old, and longer")
    atomic_write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new"


def test_temporary_file_is_beside_the_target_with_its_suffix(tmp_path):
    with atomic_path(tmp_path / "clip.mp4") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".mp4"
        assert temporary.name.startswith(".")
        assert not (tmp_path / "clip.mp4").exists()
        temporary.write_bytes(b"film")
    assert (tmp_path / "clip.mp4").read_bytes() == b"film"


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_any_exception_leaves_everything_as_it_was(tmp_path, failure):
    (tmp_path / "kept").write_text("before")

    def write_half():
        with atomic_path(tmp_path / "kept") as temporary:
            temporary.write_text("half")
            raise failure

    with pytest.raises(failure):
        write_half()
    assert (tmp_path / "kept").read_text() == "before"
    assert names(tmp_path) == ["kept"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX modes")
def test_mode_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "a", "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="symbolic links need rights on Windows")
def test_symbolic_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "file")
    atomic_write(tmp_path / "link", "content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "file").read_text() == "content"


def test_folder_is_not_a_file(tmp_path):
    with pytest.raises(OutputError, match="not a regular file"):
        atomic_write(tmp_path, "x")


@pytest.mark.skipif(os.name == "nt", reason="POSIX device")
def test_device_is_never_replaced():
    with pytest.raises(OutputError, match="/dev/null: cannot be written: not a regular file"):
        atomic_write("/dev/null", "x")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file.inner.txt: cannot be written: .*choose another path"):
        atomic_write(tmp_path / "file" / "inner.txt", "x")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENOSPC, "disk is full; free some space"),
        (errno.EDQUOT, "quota is used up"),
        (errno.EIO, "choose another path"),
    ],
)
def test_failure_while_flushing_says_why_and_leaves_nothing(tmp_path, monkeypatch, code, reason):
    (tmp_path / "kept").write_text("before")

    def full(_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=reason) as caught:
        atomic_write(tmp_path / "kept", "after")
    assert str(tmp_path / "kept") in str(caught.value)
    assert (tmp_path / "kept").read_text() == "before"
    assert names(tmp_path) == ["kept"]


def test_no_permission(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match="no permission to write here; choose a folder of yours"):
        atomic_write(tmp_path / "a", "x")


@pytest.mark.thorough
@pytest.mark.skipif(os.name == "nt", reason="POSIX modes and users")
def test_a_locked_folder(tmp_path):
    """A folder that must not even be looked into; root, whom nothing locks out, becomes nobody for it."""
    script = """
import os, sys
from lucidbox.core.errors import OutputError
from lucidbox.core.filesystem import atomic_write, numbered_folder
if os.geteuid() == 0:
    os.seteuid(65534)
for write in (lambda path: atomic_write(path, "x"), numbered_folder):
    try:
        write(sys.argv[1])
    except OutputError as error:
        print(error)
"""
    (tmp_path / "locked").mkdir()
    (tmp_path / "locked").chmod(0)
    target = tmp_path / "locked" / "in" / "a"
    try:
        done = subprocess.run([sys.executable, "-c", script, target], capture_output=True, text=True, timeout=60)
    finally:
        (tmp_path / "locked").chmod(0o700)
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.endswith("no permission to write here; choose a folder of yours") for line in lines)
    assert str(target) in lines[0]


@pytest.mark.parametrize("write", [PendingFile, numbered_folder])
def test_a_name_that_is_too_long(tmp_path, write):
    with pytest.raises(OutputError, match="the name is too long for this file system"):
        write(tmp_path / ("x" * 300))
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let a folder in use go")
@pytest.mark.parametrize("write", [PendingFile, numbered_folder])
@pytest.mark.parametrize("path", ["a", "runs/a", "."])
def test_the_working_folder_was_removed(tmp_path, monkeypatch, write, path):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(OutputError, match="cannot be written"):
        write(path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX device")
def test_a_pipe_by_its_device_name_is_no_file():
    """/dev/stdout leads to a name such as pipe:[123], which no folder has."""
    reading, writing = os.pipe()
    try:
        with pytest.raises(OutputError, match="not a regular file; name a file"):
            PendingFile(f"/dev/fd/{writing}")
    finally:
        os.close(reading)
        os.close(writing)


def test_a_temporary_file_that_cannot_be_removed_hides_no_error(tmp_path, monkeypatch):
    def locked(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "unlink", locked)
    monkeypatch.setattr(Path, "unlink", locked)
    with pytest.raises(ZeroDivisionError), atomic_path(tmp_path / "a"):
        _ = 1 / 0


def test_error_about_another_file_is_not_ours(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a"):
        (tmp_path / "missing").read_bytes()
    assert names(tmp_path) == []


@pytest.mark.thorough
@pytest.mark.skipif(os.name == "nt", reason="resource limits are POSIX")
def test_a_write_that_really_fails_half_way(tmp_path):
    """A limit on the size of files makes the system refuse the rest of a write, as a full disk does."""
    script = (
        "import resource, signal, sys\n"
        "from lucidbox.core.errors import OutputError\n"
        "from lucidbox.core.filesystem import atomic_write\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "try:\n    atomic_write(sys.argv[1], b'x' * 50_000)\n"
        "except OutputError as error:\n    print(error)\n"
    )
    (tmp_path / "kept").write_text("before")
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "kept")], capture_output=True, text=True, check=True
    )
    assert "kept: cannot be written: the file is larger than this system allows" in done.stdout
    assert (tmp_path / "kept").read_text() == "before"
    assert names(tmp_path) == ["kept"]


def test_readers_see_the_old_file_or_the_new_one_and_nothing_between(tmp_path):
    path, versions = tmp_path / "a", (b"a" * 300_000, b"b" * 200_000)
    atomic_write(path, versions[0])
    written = threading.Event()

    def rewrite():
        for turn in range(40):
            atomic_write(path, versions[turn % 2])
        written.set()

    with ThreadPoolExecutor() as pool:
        job = pool.submit(rewrite)
        seen = set()
        while not written.is_set() and not job.done():
            seen.add(path.read_bytes())
        job.result()
    assert seen <= set(versions)


def test_numbered_folders_count_up(tmp_path):
    made = [numbered_folder(tmp_path / "runs" / "predict") for _ in range(3)]
    assert [folder.name for folder in made] == ["predict", "predict-2", "predict-3"]
    assert all(folder.is_dir() for folder in made)


def test_numbered_folder_fills_the_first_gap_and_passes_over_files(tmp_path):
    (tmp_path / "predict").write_text("a file of this name")
    (tmp_path / "predict-3").mkdir()
    assert numbered_folder(tmp_path / "predict").name == "predict-2"
    assert numbered_folder(tmp_path / "predict").name == "predict-4"
    assert (tmp_path / "predict").read_text() == "a file of this name"


def test_no_two_callers_get_one_folder(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(lambda _: numbered_folder(tmp_path / "predict"), range(64)))
    assert len(set(made)) == 64


@pytest.mark.parametrize("base", [".", "..", "", "./", "inner/.."])
def test_numbered_folder_of_a_name_that_only_points(tmp_path, monkeypatch, base):
    (tmp_path / "work" / "inner").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "work" / "inner" if base == ".." else tmp_path / "work")
    assert numbered_folder(Path(base)) == tmp_path.resolve() / "work-2"
    assert (tmp_path / "work-2").is_dir()


def test_numbered_folder_beside_the_root():
    root = Path.cwd().anchor
    with pytest.raises(OutputError, match="nothing can be made beside the root"):
        numbered_folder(root)


def test_numbered_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        numbered_folder(tmp_path / "file" / "runs" / "predict")


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"LUCIDBOX_CACHE": "/else/where", "XDG_CACHE_HOME": "/xdg"}, "/else/where"),
        ("linux", {"LUCIDBOX_CACHE": "~/mine"}, "/home/me/mine"),
        ("linux", {"LUCIDBOX_CACHE": "", "XDG_CACHE_HOME": "/xdg"}, "/xdg/lucidbox"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/lucidbox"),
        ("darwin", {}, "/home/me/Library/Caches/lucidbox"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/lucidbox/cache"),
        ("win32", {}, "/home/me/AppData/Local/lucidbox/cache"),
    ],
)
@pytest.mark.skipif(os.name == "nt", reason="paths are written the POSIX way")
def test_cache_folder(monkeypatch, platform, variables, expected):
    for name in ("LUCIDBOX_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(expected)


@pytest.mark.skipif(os.name == "nt", reason="POSIX users")
@pytest.mark.parametrize("chosen", ["", "~/mine"])
def test_cache_folder_without_a_home(monkeypatch, chosen):
    """As in a container that runs as a user id of its own."""
    import pwd

    def unknown(user):
        raise KeyError(user)

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LUCIDBOX_CACHE", chosen)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(OutputError, match="no home folder is known; name a folder in LUCIDBOX_CACHE"):
        cache_folder()


def test_sha256_is_the_standards_example(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert sha256_of(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_stamp_tells_changes_of_a_file(tmp_path):
    file = tmp_path / "a"
    absent = stamp_of(file)
    file.write_text("one")
    os.utime(file, ns=(1, 1))
    first = stamp_of(file)
    assert stamp_of(file) == first
    os.utime(file, ns=(1, 2))
    later = stamp_of(file)
    file.write_text("longer")
    os.utime(file, ns=(1, 2))
    assert len({absent, first, later, stamp_of(file)}) == 4


def test_files_whose_writer_was_killed_are_found(tmp_path):
    (tmp_path / "whole.bin").write_text("")
    pending = PendingFile(tmp_path / "half.bin")
    assert pending_files(tmp_path) == [pending.temporary]
    pending.discard()
    assert pending_files(tmp_path) == []


HOLD = """
import sys, time
from pathlib import Path
from lucidbox.core.filesystem import PendingFile
from lucidbox.core.temporary import temporary_folder
with temporary_folder(Path(sys.argv[1])):
    PendingFile(Path(sys.argv[1]) / "half.bin")
    print("writing", flush=True)
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_what_a_killed_writer_left_is_removed_and_what_is_being_written_stays(tmp_path):
    (tmp_path / ".lucidbox-notes.of.mine").write_text("not ours")
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline() == b"writing\n"
        left = set(pending_files(tmp_path))
        assert len(left) == 3
        remove_abandoned(tmp_path)
        assert set(pending_files(tmp_path)) == left
        writer.kill()
    remove_abandoned(tmp_path)  # once a process and folder
    assert set(pending_files(tmp_path)) == left
    temporary._looked_through.clear()
    with atomic_path(tmp_path / "whole.bin") as half:
        remove_abandoned(tmp_path)
        temporary._looked_through.clear()
        assert set(pending_files(tmp_path)) == {half, tmp_path / ".lucidbox-notes.of.mine"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_where_a_lock_keeps_its_own_holder_out_nothing_is_locked_or_removed(tmp_path, monkeypatch):
    """As on SMB shares: any reading or writing through another descriptor is an error."""
    left = tmp_path / ".lucidbox-0123456789ab.txt"
    left.write_text("maybe in use")
    opened = Path.open

    def refused(path, mode="r", **options):
        if options.get("buffering") == 0:
            raise PermissionError(errno.EACCES, "locked")
        return opened(path, mode, **options)

    monkeypatch.setattr(Path, "open", refused)
    pending = PendingFile(tmp_path / "a.txt")
    assert pending._lock is None
    pending.temporary.write_text("whole")
    pending.commit()
    assert (tmp_path / "a.txt").read_text() == "whole"
    assert left.exists()
