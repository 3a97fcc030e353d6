"""The cache of scaled pictures: the same samples, whatever happens to its files."""

import errno
import json
import os
import pickle
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import PIL
import pytest
from data_sets import annotation, coco, image, picture

from lucidbox.core.errors import ImageError, OutputError
from lucidbox.datasets import read_dataset
from lucidbox.datasets.training import cache, cache_files
from lucidbox.datasets.training.cache import build_cache
from lucidbox.datasets.training.images import PictureSamples

COUNT = 7
ONE = 32 * 24 * 3  # bytes of one scaled picture


@pytest.fixture
def samples(tmp_path):
    images = [image(number) for number in range(1, COUNT + 1)]
    objects = [annotation(number, number) for number in range(1, COUNT)]
    return PictureSamples(read_dataset(coco(tmp_path / "set", images, objects)).part(), 32)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def made(monkeypatch):
    """The list of pictures that were decoded for a cache."""
    decoded, write = [], cache_files.Writer.write

    def counted(self, index):
        decoded.append(index)
        return write(self, index)

    monkeypatch.setattr(cache_files.Writer, "write", counted)
    return decoded


def assert_equal(first, second):
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.boxes, other.boxes)
        assert np.array_equal(one.classes, other.classes)


def test_samples_are_the_same_bit_for_bit(samples, folder):
    cached = build_cache(samples, folder, 10**6)
    assert cached.cached == COUNT
    assert_equal(cached, samples)
    assert {path.suffix for path in folder.iterdir()} == {".bin", ".json"}


def test_real_pictures_are_the_same_bit_for_bit(coco_folder, folder):
    part = read_dataset(coco_folder).part()
    part = part.keep_pictures(np.arange(0, len(part), 6))
    samples = PictureSamples(part, 320)
    assert_equal(build_cache(samples, folder, 10**9), samples)


def test_pixels_come_from_the_file_not_from_the_pictures(samples, folder):
    expected = list(samples)
    cached = build_cache(samples, folder, 10**6)
    for index in range(COUNT):
        Path(samples.pictures.name(index)).unlink()
    assert_equal(cached, expected)


@pytest.mark.parametrize(("kept", "limit"), [(0, ONE - 1), (1, ONE), (1, 2 * ONE - 1), (4, 4 * ONE)])
def test_beyond_the_bound_pictures_are_read(samples, folder, kept, limit):
    cached = build_cache(samples, folder, limit)
    assert cached.cached == kept
    assert sum(path.stat().st_size for path in folder.glob("*.bin")) == kept * ONE
    assert_equal(cached, samples)
    Path(samples.pictures.name(COUNT - 1)).unlink()
    with pytest.raises(ImageError, match="no such file"):
        cached[COUNT - 1]


def test_numbers_that_are_no_pictures(samples, folder):
    cached = build_cache(samples, folder, 10**6)
    for index in (-1, COUNT):
        with pytest.raises(IndexError):
            cached[index]


def test_a_cache_that_is_there_is_taken(samples, folder, made):
    build_cache(samples, folder, 10**6)
    assert sorted(made) == list(range(COUNT))
    again = build_cache(samples, folder, 10**7)  # the bound plays no part while all fit
    assert len(made) == COUNT
    assert_equal(again, samples)


def test_watched_both_when_made_and_when_checked(samples, folder):
    seen = []

    def progress(items, count):
        for item in items:
            seen.append(count)
            yield item

    build_cache(samples, folder, 10**6, progress)
    assert seen == [COUNT] * COUNT
    build_cache(samples, folder, 10**6, progress)
    assert seen == [COUNT] * 2 * COUNT


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [
        (".bin", flip),
        (".bin", lambda path: path.write_bytes(path.read_bytes()[:-1])),
        (".bin", lambda path: path.write_bytes(path.read_bytes() + b"0")),
        (".bin", Path.unlink),
        (".json", Path.unlink),
        (".json", lambda path: path.write_text(path.read_text()[:-4])),
        (".json", lambda path: path.write_text("[]")),
        (".json", lambda path: path.write_text('{"checksums": [1]}')),
        (".json", lambda path: path.write_text(json.dumps({"checksums": ["x"] * COUNT}))),
    ],
)
def test_a_damaged_cache_is_made_anew(samples, folder, made, suffix, damage):
    build_cache(samples, folder, 10**6)
    (file,) = folder.glob(f"*{suffix}")
    damage(file)
    cached = build_cache(samples, folder, 10**6)
    assert len(made) == 2 * COUNT
    assert_equal(cached, samples)
    assert len(list(folder.iterdir())) == 2


def test_another_decoder_makes_another_cache(samples, folder, monkeypatch):
    first = build_cache(samples, folder, 10**6)
    monkeypatch.setattr(PIL, "__version__", "0")
    assert build_cache(samples, folder, 10**6).path != first.path


def test_another_size_or_changed_pictures_make_another_cache(samples, folder, made, tmp_path):
    part = read_dataset(tmp_path / "set" / "instances.json").part()
    first = build_cache(samples, folder, 10**6)
    smaller = PictureSamples(part, 64)
    assert_equal(build_cache(smaller, folder, 10**6), smaller)
    picture(part.path(2), seed=99)
    second = build_cache(PictureSamples(part, 32), folder, 10**6)
    assert len(made) == 3 * COUNT
    assert first.path != second.path
    assert_equal(second, PictureSamples(part, 32))


def test_older_caches_go_when_there_is_no_room_for_all(samples, folder, tmp_path):
    part = read_dataset(tmp_path / "set" / "instances.json").part()
    for moment, size in enumerate((32, 64), 1):
        path = build_cache(PictureSamples(part, size), folder, 10**6).path
        os.utime(path, (moment, moment))
    strangers = [folder / "notes.txt", folder / "pictures-2024.bin"]
    for stranger in strangers:
        stranger.write_text("not a cache")
    room = COUNT * (96 * 72 * 3 + 64 * 48 * 3)
    newest = build_cache(PictureSamples(part, 96), folder, room)
    left = sorted(path.stat().st_size // COUNT for path in set(folder.glob("*.bin")) - set(strangers))
    assert left == [64 * 48 * 3, 96 * 72 * 3]  # the one of 32 was used the longest ago
    assert newest.path.exists()
    assert len(list(folder.glob("*.json"))) == 2
    assert all(stranger.exists() for stranger in strangers)


def test_the_bound_holds_where_a_cache_is_only_taken(samples, folder, tmp_path, made):
    other = build_cache(
        PictureSamples(read_dataset(tmp_path / "set" / "instances.json").part(), 64), folder, 10**6
    )
    first = build_cache(samples, folder, 10**6)
    decoded = len(made)
    again = build_cache(samples, folder, COUNT * ONE)
    assert (again.path, len(made)) == (first.path, decoded)
    assert not other.path.exists()
    assert len(list(folder.iterdir())) == 2


def test_a_cache_that_cannot_be_removed_is_left(samples, folder, tmp_path, monkeypatch):
    other = build_cache(
        PictureSamples(read_dataset(tmp_path / "set" / "instances.json").part(), 64), folder, 10**6
    )
    unlink = Path.unlink

    def in_use(path, *arguments, **options):
        if path.stem == other.path.stem:
            raise PermissionError(errno.EACCES, "in use")
        unlink(path, *arguments, **options)

    monkeypatch.setattr(Path, "unlink", in_use)
    assert_equal(build_cache(samples, folder, COUNT * ONE), samples)
    assert other.path.exists()


def test_what_a_killed_maker_left_is_removed(samples, folder):
    folder.mkdir()
    (folder / ".lucidbox-0123456789ab.bin").write_bytes(b"half a cache")
    (folder / ".lucidbox-notes.of.theirs.txt").write_text("somebody else's")
    build_cache(samples, folder, 10**6)
    assert {path.suffix for path in folder.iterdir()} == {".bin", ".json", ".txt"}
    assert len(list(folder.glob("*.bin"))) == 1
    assert not list(folder.glob(".*.bin"))


def test_a_cache_that_another_process_just_made_is_taken(samples, folder, made, monkeypatch):
    alone_in = cache.alone_in

    @contextmanager
    def after_another(place):
        monkeypatch.setattr(cache, "alone_in", alone_in)
        build_cache(samples, folder, 10**6)
        with alone_in(place) as alone:
            yield alone

    monkeypatch.setattr(cache, "alone_in", after_another)
    assert_equal(build_cache(samples, folder, 10**6), samples)
    assert len(made) == COUNT


def test_a_cache_that_goes_meanwhile_does_not_end_a_training(samples, folder):
    expected = list(samples)
    cached = build_cache(samples, folder, 10**6)
    copied = pickle.dumps(cached)
    cached.path.write_bytes(b"shorter")
    assert_equal(pickle.loads(copied), samples)
    cached.path.unlink()
    assert_equal(pickle.loads(copied), samples)
    mapped = build_cache(samples, folder, 10**6)
    mapped.path.unlink()
    for index in range(COUNT):
        Path(samples.pictures.name(index)).unlink()
    assert_equal(mapped, expected)  # what is mapped already stays


def test_unreadable_pictures_fail_as_they_do_without(samples, folder, made):
    path = Path(samples.pictures.name(1))
    path.write_bytes(path.read_bytes()[:-100])
    for _ in range(2):
        cached = build_cache(samples, folder, 10**6)
        assert cached.cached == COUNT - 1
        with pytest.raises(ImageError, match=r"002\.png: damaged or truncated"):
            cached[1]
        assert np.array_equal(cached[2].image, samples[2].image)
    assert len(made) == COUNT  # nor is the cache made anew because of it


@pytest.mark.parametrize("place", ["reserve", "write", "index"])
def test_a_full_disk_leaves_nothing_behind(samples, folder, monkeypatch, place):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    if place == "reserve":
        monkeypatch.setattr(os, "posix_fallocate", full)
    elif place == "write":
        monkeypatch.setattr(cache_files.Writer, "write", full)
    else:

        def refused(path, data):
            raise OutputError(f"{path}: cannot be written: the disk is full; free some space or write elsewhere")

        monkeypatch.setattr(cache_files, "atomic_write", refused)
    with pytest.raises(OutputError, match=r"the disk is full; free some space.*or train with a smaller cache_gb$"):
        build_cache(samples, folder, 10**6)
    assert list(folder.iterdir()) == []


def test_a_disk_that_cannot_promise_space(samples, folder, monkeypatch):
    def unsupported(*arguments):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "posix_fallocate", unsupported)
    assert_equal(build_cache(samples, folder, 10**6), samples)


def test_interrupted_while_it_is_made(samples, folder, monkeypatch):
    def interrupted(self, index):
        raise KeyboardInterrupt

    monkeypatch.setattr(cache_files.Writer, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_cache(samples, folder, 10**6)
    assert list(folder.iterdir()) == []


def test_a_folder_that_cannot_be_written(samples, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a part of this path is a file"):
        build_cache(samples, tmp_path / "file" / "cache", 10**6)


def test_a_copy_for_a_worker_has_no_pixels(samples, folder):
    cached = build_cache(samples, folder, 10**6)
    before = len(pickle.dumps(cached))
    sample = cached[3]
    assert len(pickle.dumps(cached)) == before < 10_000
    assert np.array_equal(pickle.loads(pickle.dumps(cached))[3].image, sample.image)


def test_images_cannot_be_written_into(samples, folder):
    with pytest.raises(ValueError, match="read-only"):
        build_cache(samples, folder, 10**6)[0].image[:] = 0


def test_no_pictures_within_the_bound_need_no_pixels(samples, folder):
    cached = build_cache(samples, folder, 0)
    assert cached.cached == 0
    assert_equal(cached, samples)
