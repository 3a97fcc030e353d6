"""Shards are a function of the manifest alone; a folder of results holds one job, and says so."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batched import job_of, make_images, red_detector, rows_of, run_all
from lucidbox.batch import BatchJob, Plan, Settings, begin, open_manifest
from lucidbox.core.errors import DataError, OptionError, OutputError


@given(st.integers(0, 200), st.integers(1, 60), st.integers(1, 20))
def test_shards_cover_every_image_once_for_any_number_of_workers(images, size, parts):
    plan = Plan(images, size)
    covered = [row for shard in plan for row in range(shard.first, shard.first + shard.count)]
    assert covered == list(range(images))
    assert all(0 < shard.count <= size for shard in plan)
    divided = [shard for part in range(parts) for shard in plan.part(part, parts)]
    assert sorted(divided, key=lambda shard: shard.index) == list(plan)


@pytest.mark.parametrize(("index", "parts"), [(4, 4), (-1, 4), (0, 0)])
def test_a_part_that_is_none(index, parts):
    with pytest.raises(OptionError):
        Plan(10, 1).part(index, parts)


def test_shard_size_must_be_a_whole_number():
    with pytest.raises(OptionError, match="shard size 0"):
        Plan(10, 0)


def test_settings_that_move_boxes_are_part_of_the_hash(tmp_path, detector):
    settings = Settings.of(detector, 100)
    changed = [
        Settings.of(red_detector(tmp_path, b"other"), 100),
        Settings.of(red_detector(tmp_path, square=True), 100),
        Settings.of(red_detector(tmp_path, batch=2), 100),
        Settings.of(detector, 101),
        replace(settings, precision="bf16"),
        replace(settings, engine="other"),
        replace(settings, size=(32, 64)),
        replace(settings, names=("a", "b")),
        replace(settings, limits=(("conf", 0.3),)),
    ]
    assert len({settings.hash, *(one.hash for one in changed)}) == len(changed) + 1
    assert Settings.of(red_detector(tmp_path), 100).hash == settings.hash


@pytest.fixture
def photos(tmp_path):
    make_images(tmp_path / "photos", 5)
    return tmp_path / "photos"


def test_names_hold_shard_manifest_model_and_settings(tmp_path, photos, detector):
    job = job_of(photos, tmp_path / "out", detector)
    name = job.file(job.plan[1]).rpartition("/")[2]
    hashes = [job.manifest.hash[:12], job.settings.model[:12], job.settings.hash[:12]]
    assert name == f"00000001-of-00000002-by-3-{'-'.join(hashes)}.parquet"


def test_a_changed_manifest_is_refused_unless_begun_anew(tmp_path, photos, detector):
    run_all(job_of(photos, tmp_path / "out", detector), detector)
    make_images(photos, 6)
    with pytest.raises(OptionError, match=r"manifest has changed .* \(5 images then, 6 now\).*--force-new"):
        job_of(photos, tmp_path / "out", detector)
    assert len(rows_of(tmp_path / "out")) == 5
    settings = Settings.of(detector, 10_000)
    job = BatchJob(str(tmp_path / "out"), open_manifest(str(photos)), 3, settings)
    begin(job, force_new=True)
    begin(job)  # and goes on without it
    assert job.done() == frozenset()
    run_all(job, detector)
    assert len(rows_of(tmp_path / "out")) == 6  # files of the old job lie there, unread


def test_other_settings_are_refused(tmp_path, photos, detector):
    job = job_of(photos, tmp_path / "out", detector)
    others = {
        "--shard-size 3, not 2": replace(job, shard_size=2),
        "another model": replace(job, settings=replace(job.settings, model="0" * 64)),
        "max_pixels 10000 there, 7 here": replace(job, settings=replace(job.settings, max_pixels=7)),
        "precision fp32 there, bf16 here": replace(job, settings=replace(job.settings, precision="bf16")),
        "class names": replace(job, settings=replace(job.settings, names=("a", "b"))),
    }
    for words, other in others.items():
        with pytest.raises(OptionError, match=words):
            begin(other)
    begin(job)


def test_a_job_file_of_someone_else(tmp_path, photos, detector):
    out = tmp_path / "out"
    out.mkdir()
    for content in ("{}", "no json", json.dumps({"schema": 99, "suffix": "x"})):
        (out / "_lucidbox.json").write_text(content)
        with pytest.raises(DataError, match=r"_lucidbox\.json"):
            job_of(photos, out, detector)


def test_a_folder_that_cannot_be_written(tmp_path, photos, detector):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        job_of(photos, tmp_path / "file", detector)


def test_a_detector_without_a_file(detector):
    detector.weights = None
    with pytest.raises(OptionError, match=r"Detector\.load"):
        Settings.of(detector, 1)
