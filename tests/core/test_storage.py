"""Names of files here and elsewhere, and writing that is whole."""

import pytest

from lucidbox.core.errors import OutputError, SourceError
from lucidbox.core.storage import (
    absolute,
    commit,
    exists,
    is_folder,
    local_path,
    open_stored,
    read_stored,
    stored_files,
    within,
)

pytest.importorskip("fsspec", reason="pip install 'lucidbox[batch]'")


@pytest.mark.parametrize(
    ("folder", "name", "place"),
    [
        ("", "a.jpg", "a.jpg"),
        ("photos", "a.jpg", "photos/a.jpg"),
        ("/photos/", "b/a.jpg", "/photos/b/a.jpg"),
        ("photos", "/other/a.jpg", "/other/a.jpg"),
        ("photos", "s3://b/a.jpg", "s3://b/a.jpg"),
        ("s3://b", "a.jpg", "s3://b/a.jpg"),
        ("s3://b/", "c/a.jpg", "s3://b/c/a.jpg"),
        ("memory://", "a.jpg", "memory://a.jpg"),
    ],
)
def test_names_within_folders(folder, name, place):
    assert within(folder, name) == place


def test_local_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert local_path("file:///a/b") == local_path("/a/b")
    assert local_path("s3://a/b") is None
    assert absolute("a") == str(tmp_path / "a")
    assert absolute("s3://a/b") == "s3://a/b"


@pytest.mark.parametrize("store", ["path", "file", "memory"])
def test_a_store(tmp_path, store, request):
    base = {"path": str(tmp_path), "file": f"file://{tmp_path}", "memory": f"memory://{request.node.name}"}[store]
    place = f"{base}/deep/a.bin"
    assert stored_files(f"{base}/deep") == []
    assert not exists(place)
    assert commit(place, b"one")
    assert not commit(place, b"two")
    assert read_stored(place) == b"one"
    assert commit(place, b"two", replace=True)
    assert commit(f"{base}/deep/.hidden", b"")
    with open_stored(place) as stream:
        stream.seek(1)
        assert stream.read() == b"wo"
    assert exists(place)
    assert is_folder(f"{base}/deep")
    assert not is_folder(place)
    assert [(one.uri, one.name) for one in stored_files(f"{base}/deep")] == [(place, "a.bin")]
    assert [one.name for one in stored_files(base, deep=True)] == ["deep/a.bin"]


def test_what_cannot_be_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/a: cannot be written"):
        commit(str(tmp_path / "file" / "a"), b"")
    with pytest.raises(SourceError, match="missing: does not exist"), open_stored(str(tmp_path / "missing")):
        pass
    with pytest.raises(SourceError, match="nowhere://a"):
        exists("nowhere://a")
    with pytest.raises(OSError, match="folder or device"):
        read_stored("/dev/zero")
    monkeypatch.setattr("lucidbox.core.storage.LONGEST_OBJECT", 5)
    (tmp_path / "file").write_text("12345")
    with pytest.raises(OSError, match="more than"):
        read_stored(str(tmp_path / "file"))
    commit("memory://long", b"12345")
    with pytest.raises(OSError, match="more than"):
        read_stored("memory://long")


def test_readers_own_errors_keep_their_names(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ZeroDivisionError), open_stored(str(tmp_path / "file")):
        1 / 0  # noqa: B018
