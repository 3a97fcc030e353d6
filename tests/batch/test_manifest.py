"""Manifests: every form names the same images, any part of them can be read, bad ones are refused in a line."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batched import make_images, png
from lucidbox.batch import open_manifest
from lucidbox.batch import text_manifest as module
from lucidbox.core.errors import DataError, OptionError, SourceError


def write_parquet(path, **columns):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path


def uris(manifest, first=0, count=None):
    return [item.uri for item in manifest.items(first, manifest.count if count is None else count)]


def test_folder_pattern_text_and_parquet_name_the_same(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = [f"photos/{path.name}" for path in make_images(tmp_path / "photos", 12)]
    (tmp_path / "list.txt").write_text("# images\n\n" + "\n".join(names) + "\n")
    write_parquet(tmp_path / "list.parquet", uri=names)
    forms = [open_manifest(source) for source in ("photos", "photos/*.png", "list.txt", "list.parquet")]
    assert {(form.count, form.hash) for form in forms} == {(12, forms[0].hash)}
    for form in forms:
        assert uris(form) == names  # in natural order
        again = pickle.loads(pickle.dumps(form))
        monkeypatch.chdir("/")  # another process may be elsewhere
        assert uris(again, 5, 4) == names[5:9]
        assert [item.place for item in again.items(0, 2)] == [str(tmp_path / name) for name in names[:2]]
        monkeypatch.chdir(tmp_path)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r#"), max_size=5)), st.data())
def test_any_part_of_a_text_file(tmp_path_factory, lines, data):
    folder = tmp_path_factory.mktemp("lists")
    (folder / "list.txt").write_bytes("\n".join(lines).encode())
    names = [name.decode() for name in (line.encode().strip() for line in lines) if name]
    if not names:
        with pytest.raises(DataError, match="names no images"):
            open_manifest(str(folder / "list.txt"))
        return
    step = data.draw(st.integers(1, 4))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "STEP", step)
        manifest = open_manifest(str(folder / "list.txt"))
        first = data.draw(st.integers(0, len(names) - 1))
        count = data.draw(st.integers(0, len(names) - first))
        assert uris(manifest, first, count) == names[first : first + count]
    assert manifest.count == len(names)


@pytest.mark.parametrize(("first", "count"), [(0, 10), (2, 1), (2, 5), (9, 1), (3, 3), (4, 0)])
def test_any_part_of_parquet_files(tmp_path, first, count):
    folder = tmp_path / "parts"
    folder.mkdir()
    names = [f"s3://b/{number}.jpg" for number in range(10)]
    write_parquet(folder / "a.parquet", address=names[:7])
    write_parquet(folder / "b.parquet", address=names[7:])
    manifest = open_manifest(str(folder), column="address")
    assert uris(manifest, first, count) == names[first : first + count]


def test_encoded_images(tmp_path):
    # The names' column lies before the images': Parquet gives columns in its own order.
    path = write_parquet(tmp_path / "images.parquet", uri=["one", "two", None], bytes=[png(), b"", None])
    items = list(open_manifest(str(path)).items(0, 3))
    assert [item.uri for item in items] == ["one", "two", f"{path}#2"]
    named = open_manifest(str(path), column="bytes")
    items = list(named.items(0, 3))
    assert [item.data for item in items] == [png(), b"", b""]
    assert [item.uri for item in items] == ["one", "two", f"{path}#2"]
    assert [item.uri for item in named.items(1, 1)] == ["two"]


def test_hugging_faces_column_of_images(tmp_path):
    images = [{"bytes": png(), "path": "one.png"}, {"bytes": png(), "path": None}]
    path = write_parquet(tmp_path / "images.parquet", image=images)
    items = list(open_manifest(str(path), column="image").items(0, 2))
    assert [(item.uri, item.data) for item in items] == [("one.png", png()), (f"{path}#1", png())]


def test_a_name_with_brackets_that_exists_is_no_pattern(tmp_path):
    make_images(tmp_path / "photos[1]", 2)
    assert open_manifest(str(tmp_path / "photos[1]")).count == 2
    assert open_manifest(str(tmp_path / "photos[1]" / "image0.png")).count == 1


def test_what_is_passed_over_is_told(tmp_path):
    make_images(tmp_path, 1)
    for name in ("a.mp4", "b.heic", "c.csv"):
        (tmp_path / name).write_bytes(b"1")
    notes = " ".join(open_manifest(str(tmp_path)).notes)
    assert "2 files of other kinds passed over (.csv 1, .heic 1)" in notes
    assert "1 videos passed over" in notes


def test_the_hash_tells_changes(tmp_path):
    path = tmp_path / "list.txt"
    hashes = set()
    for content in ("a\nb\n", "b\na\n", "a\n", "ab\n", "a\nb\nc\n"):
        path.write_text(content)
        hashes.add(open_manifest(str(path)).hash)
    assert len(hashes) == 5


def test_in_memory(tmp_path):
    import fsspec

    filesystem = fsspec.filesystem("memory")
    filesystem.pipe_file("/photos/deep/a.png", png())
    filesystem.pipe_file("/photos/b.png", png())
    filesystem.pipe_file("/photos/notes.csv", b"1")
    filesystem.pipe_file("/list.txt", b"photos/b.png\nmemory://photos/deep/a.png\n")
    assert uris(open_manifest("memory://photos")) == ["memory://photos/b.png", "memory://photos/deep/a.png"]
    assert uris(open_manifest("memory://photos/*.png")) == ["memory:///photos/b.png"]
    listed = open_manifest("memory://list.txt")
    assert uris(listed) == ["photos/b.png", "memory://photos/deep/a.png"]


def test_bad_manifests_are_refused_in_a_line(tmp_path):
    import pyarrow as pa

    (tmp_path / "empty.txt").write_text("\n# nothing\n")
    (tmp_path / "latin.txt").write_bytes("größe.jpg".encode("latin-1"))
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "none").mkdir()
    write_parquet(tmp_path / "other.parquet", size=[1], address=["a"])
    write_parquet(tmp_path / "empty.parquet", uri=pa.array([], pa.string()))
    cases = [
        ("empty.txt", None, DataError, "names no images"),
        ("latin.txt", None, DataError, "UTF-8"),
        ("damaged.parquet", None, SourceError, "damaged.parquet"),
        ("none", None, SourceError, "no pictures"),
        ("missing.txt", None, SourceError, "does not exist"),
        ("missing", None, SourceError, "does not exist"),
        ("other.parquet", None, DataError, "no column 'bytes' or 'uri'; it has size, address"),
        ("other.parquet", "size", DataError, "must be text, or bytes of images"),
        ("empty.parquet", None, DataError, "names no images"),
        ("empty.txt", "uri", OptionError, "is no Parquet file"),
    ]
    for name, column, kind, words in cases:
        with pytest.raises(kind, match=words) as told:
            list(open_manifest(str(tmp_path / name), column=column).items(0, 1))
        assert "\n" not in str(told.value)
        assert name in str(told.value)


def test_an_unknown_kind_of_address():
    with pytest.raises(SourceError, match="nowhere://x"):
        open_manifest("nowhere://x/list.txt")
