"""Zip files that are damaged, made to explode, or not torch's."""

import contextlib
import io
import struct
import tarfile
import zipfile
from itertools import product

import forge
import pytest
import torch
from forge import entries, zipped

from lucidbox.core.errors import WeightsError
from lucidbox.weights.reading import read_content
from lucidbox.weights.safe_pickle.archive import read_archive

STATE = {"weight": torch.arange(300.0), "more": torch.arange(7)}
SMALL = forge.saved(STATE)


@pytest.mark.parametrize("root", ["archive/", "yolo11n/", "权重 1/", "a/b/c/", "data.pkl/", "data/", ""])
def test_any_root_folder(root):
    contents = read_archive(forge.with_root(SMALL, root))
    expected = {name.removeprefix("archive/"): content for name, content in entries(SMALL).items()}
    assert contents == expected


def test_compressed_again_is_read():
    assert read_archive(zipped(entries(SMALL), zipfile.ZIP_DEFLATED)) == read_archive(SMALL)


def test_every_truncation_is_refused():
    for length in [*range(2, len(SMALL), 41), *range(len(SMALL) - 60, len(SMALL))]:
        with pytest.raises(WeightsError, match="truncated or damaged"):
            read_content(SMALL[:length], "cut.pt")


def test_truncations_of_a_whole_network_are_refused():
    real = forge.published_checkpoint()
    for percent in (1, 10, 50, 90, 99):
        with pytest.raises(WeightsError, match="truncated or damaged"):
            read_content(real[: len(real) * percent // 100], "cut.pt")
    with pytest.raises(WeightsError, match="truncated or damaged"):
        read_content(real[:-1], "cut.pt")


def test_a_changed_byte_in_any_entry_is_noticed():
    """Every entry has a checksum, so no silently changed weights."""
    with zipfile.ZipFile(io.BytesIO(SMALL)) as archive:
        starts = [(entry.header_offset, entry.file_size) for entry in archive.infolist() if entry.file_size]
    for offset, size in starts:
        header = SMALL[offset : offset + 30]
        start = offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
        changed = bytearray(SMALL)
        changed[start + size // 2] ^= 0x40
        with pytest.raises(WeightsError, match="CRC"):
            read_archive(bytes(changed))


def test_bytes_changed_anywhere_give_the_same_content_or_a_refusal():
    whole = read_archive(SMALL)
    for at in range(0, len(SMALL), 7):
        changed = bytearray(SMALL)
        changed[at] ^= 0xFF
        try:
            contents = read_archive(bytes(changed))
        except WeightsError:
            continue
        # Such bytes are padding or dates; a changed name loses an entry, which its user misses.
        assert all(whole.get(name, content) == content for name, content in contents.items())


def test_a_bomb_is_refused_before_it_explodes(monkeypatch):
    bomb = zipped(entries(SMALL) | {"archive/data/9": bytes(10**7)}, zipfile.ZIP_DEFLATED)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("inflated"))
    with pytest.raises(WeightsError, match="would inflate to 1000"):
        read_archive(bomb)


def test_a_bomb_that_lies_about_its_size_is_refused():
    bomb = zipped({"archive/data.pkl": bytes(10**7)}, zipfile.ZIP_DEFLATED)
    lying = bomb.replace((10**7).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lying != bomb
    with pytest.raises(WeightsError, match="damaged"):
        read_archive(lying)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["archive/data.pkl", "archive/data/0"])
def test_an_entry_held_twice_is_refused(name):
    """Readers differ in which one they take, so a scanner may have seen another."""
    with pytest.raises(WeightsError, match=f"holds '{name}' more than once"):
        read_archive(zipped([*entries(SMALL).items(), (name, b"other")]))


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"a.txt": b""}, "0 entries named data.pkl"),
        ({"a/data.pkl": b"", "b/data.pkl": b""}, "2 entries named data.pkl"),
        ({"a/data.pkl": b"", "a/constants.pkl": b"", "a/code/x.py": b""}, "TorchScript"),
        ({}, "0 entries"),
    ],
)
def test_other_zip_files_are_refused(contents, message):
    with pytest.raises(WeightsError, match=message):
        read_archive(zipped(contents))


def test_an_encrypted_entry_is_refused():
    locked = bytearray(SMALL)
    for at in (at for at in range(len(SMALL)) if SMALL[at : at + 4] in (b"PK\x03\x04", b"PK\x01\x02")):
        locked[at + (6 if SMALL[at + 2] == 3 else 8)] |= 1
    with pytest.raises(WeightsError, match="encrypted"):
        read_archive(bytes(locked))


@pytest.mark.filterwarnings("ignore")
def test_forms_of_before_2020_are_refused_with_advice():
    old = forge.saved(STATE, _use_new_zipfile_serialization=False)
    with pytest.raises(WeightsError, match="load it with torch's load"):
        read_content(old, "old.pt")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("pickle"))
    with pytest.raises(WeightsError, match="not a weights file"):
        read_content(buffer.getvalue(), "older.pt")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_inflate_without_limit_are_refused_unread(method, monkeypatch):
    """A bzip2 or LZMA entry inflates whole, whatever its stated size and however little is asked for."""
    bomb = zipped({"archive/data.pkl": bytes(10**7)}, method)
    lying = bomb.replace((10**7).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    harmless = zipped(entries(SMALL), method)
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("inflated"))
    for content in (bomb, lying, harmless):
        with pytest.raises(WeightsError, match=f"is packed with the zip method {method}"):
            read_archive(content)


@pytest.mark.parametrize("method", [1, 6, 9, 12, 14, 93, 95, 255])
def test_a_changed_method_is_refused(method):
    changed = bytearray(SMALL)
    directory = SMALL.index(b"PK\x01\x02")
    changed[directory + 10] = method
    with pytest.raises(WeightsError, match=f"zip method {method};"):
        read_archive(bytes(changed))


def test_an_entry_without_a_name_is_refused():
    directory = SMALL.rindex(b"PK\x01\x02")
    nameless = bytearray(SMALL)
    nameless[directory + 46] = 0  # names end at their first zero byte
    with pytest.raises(WeightsError, match="an entry has no name"):
        read_archive(bytes(nameless))


def test_any_byte_of_the_zip_s_own_records_can_be_damaged():
    """Headers, directory and end record, byte by byte: content or a refusal, never another error."""
    records = [at for at in range(len(SMALL) - 4) if SMALL[at : at + 2] == b"PK"]
    places = sorted({place for at in records for place in range(at, min(at + 60, len(SMALL)))})
    for at, value in product(places, (0, 1, 8, 12, 14, 0x7F, 0xFF)):
        changed = bytearray(SMALL)
        changed[at] = value
        with contextlib.suppress(WeightsError):
            read_archive(bytes(changed))


@pytest.mark.parametrize("error", [OSError("Invalid data stream"), IndexError("index"), struct.error("unpack")])
def test_what_zip_readers_raise_over_damage_is_a_refusal(error, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(zipfile.ZipFile, "open", fail)
    with pytest.raises(WeightsError, match="truncated or damaged"):
        read_archive(SMALL)


def listed(count, extra=b""):
    """A zip whose list of entries names one entry ``count`` times, each with an extra field."""
    head = zipfile.ZipInfo("a/data.pkl")
    record = b"PK\x01\x02" + bytes(24) + (10).to_bytes(2, "little") + len(extra).to_bytes(2, "little") + bytes(14)
    return b"PK\x03\x04" + (record + head.filename.encode() + extra) * count


def test_lists_of_very_many_entries_or_of_long_extra_fields_are_not_read(monkeypatch):
    """zipfile's time grows with the number of entries, and with the square of an extra field's length."""
    monkeypatch.setattr(zipfile, "ZipFile", None)  # it would be a TypeError
    for content in (listed(20_001), listed(10, b"\1\0\0\0" * 10_000)):
        with pytest.raises(WeightsError, match="more than 20000 entries, or of long extra fields"):
            read_archive(content)
