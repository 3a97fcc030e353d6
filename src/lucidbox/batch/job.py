"""A job: a manifest, settings, and the shards they fall into. Everything here is the same on every machine."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lucidbox.batch.manifest import Manifest
from lucidbox.core.detection_tables import JOB_FILE, SCHEMA_VERSION, job_of, table_files
from lucidbox.core.errors import OptionError, OutputError, check_whole_number
from lucidbox.core.filesystem import sha256_of
from lucidbox.core.storage import commit, within
from lucidbox.core.version import __version__
from lucidbox.detect.tiles import Tiles, Tiling, tiling_of
from lucidbox.detector import Detector
from lucidbox.model_files import files_beside
from lucidbox.model_files.layouts.layout import Layout

_DIGITS = 12  # of a hash in a name: 48 bits tell jobs of one folder apart


@dataclass(frozen=True)
class Shard:
    """Consecutive images of a manifest: number of the shard, its first image, how many it has."""

    index: int
    first: int
    count: int


@dataclass(frozen=True)
class Plan(Sequence[Shard]):
    """The shards of a manifest: a function of its number of images and of the size alone.

    Attributes:
        images: in all.
        size: images of a shard; the last may have fewer.

    Raises:
        OptionError: the size is less than 1.
    """

    images: int
    size: int

    def __post_init__(self) -> None:
        check_whole_number("shard size", self.size)

    def __len__(self) -> int:
        return -(-self.images // self.size)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[one] for one in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        first = index * self.size
        return Shard(index, first, min(self.size, self.images - first))

    def part(self, index: int, parts: int) -> Iterator[Shard]:
        """Every ``parts``-th shard from ``index`` on: what one of so many workers does.

        Raises:
            OptionError: there is no such part.
        """
        check_whole_number("number of parts", parts)
        if not 0 <= index < parts:
            raise OptionError(f"shard {index}/{parts}: the first is 0, the last {parts - 1}")
        return (self[one] for one in range(index, len(self), parts))


@dataclass(frozen=True)
class Settings:
    """What decides which boxes are found in an image.

    Attributes:
        model: SHA-256 of the model's file.
        engine, precision: which compute; as resolved on this machine.
        size: height, width of the largest network input.
        limits: what counts as a detection.
        batch: most images that share an inference.
        square: whether every image is padded to the whole size.
        max_pixels: larger images are refused.
        names: class names.
        tiles: how images are divided; None: not at all.
        layout: how a model of another tool is run.
    """

    model: str
    engine: str
    precision: str
    size: tuple[int, int]
    limits: tuple[tuple[str, Any], ...]
    batch: int
    square: bool
    max_pixels: int
    names: tuple[str, ...]
    tiles: Tiling | None = None
    layout: Layout | None = None

    @classmethod
    def of(cls, detector: Detector, max_pixels: int, tiles: Tiles = None) -> "Settings":
        """The settings of a detector, as they work on this machine.

        Raises:
            OptionError: it was not loaded from a file.
        """
        if detector.weights is None:
            raise OptionError("a detector without a file has no hash; load it with Detector.load")
        return cls(
            model_hash(detector),
            detector.engine.name,
            detector.engine.precision,
            detector.size,
            tuple(sorted(asdict(detector.limits).items())),
            detector.batch,
            detector.predictor.square,
            max_pixels,
            detector.names,
            tiling_of(tiles),
            detector.info.layout if detector.info else None,
        )

    def stated(self) -> dict[str, Any]:
        """For people and for metadata: everything but model and names, which stand beside."""
        stated = asdict(self) | {"limits": dict(self.limits)}
        return {name: value for name, value in stated.items() if name not in ("model", "names")}

    @property
    def hash(self) -> str:
        """SHA-256 of all of it, as 64 hexadecimal digits."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()


def model_files(detector: Detector) -> tuple[Path, ...]:
    """The file of a detector's model, and those beside it that decide what it finds."""
    assert detector.weights is not None
    foreign = detector.info is not None and detector.info.layout is not None
    return (detector.weights, *files_beside(detector.weights, described=foreign))


def model_hash(detector: Detector) -> str:
    """SHA-256 of the file of a detector's model; where several make it up, of their hashes."""
    hashes = [sha256_of(file) for file in model_files(detector)]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


@dataclass(frozen=True)
class BatchJob:
    """Which images, looked at how, in shards of which size, with results where. May be pickled.

    Attributes:
        out: path or address of the folder of results.
        manifest: the images.
        shard_size: images of a shard.
        settings: what decides on boxes.
    """

    out: str
    manifest: Manifest
    shard_size: int
    settings: Settings

    @property
    def plan(self) -> Plan:
        """All shards."""
        return Plan(self.manifest.count, self.shard_size)

    @property
    def suffix(self) -> str:
        """How the names of this job's files end, and of no other job's."""
        hashes = (self.manifest.hash, self.settings.model, self.settings.hash)
        parts = "-".join(one[:_DIGITS] for one in hashes)
        return f"-of-{len(self.plan):08d}-by-{self.shard_size}-{parts}.parquet"

    def file(self, shard: Shard) -> str:
        """Where a shard's result goes."""
        return within(self.out, f"{shard.index:08d}{self.suffix}")

    def done(self) -> frozenset[int]:
        """Numbers of the shards whose results are there: one listing of the folder.

        Raises:
            SourceError: it cannot be listed.
        """
        return frozenset(int(one.name.partition("-")[0]) for one in table_files(self.out, {"suffix": self.suffix}))

    def stated(self) -> dict[str, Any]:
        """What the folder's job file says."""
        return {
            "schema": SCHEMA_VERSION,
            "suffix": self.suffix,
            "lucidbox": __version__,
            "manifest": {
                "source": self.manifest.source,
                "base": self.manifest.base,
                "images": self.manifest.count,
                "hash": self.manifest.hash,
            },
            "shards": len(self.plan),
            "shard_size": self.shard_size,
            "model": self.settings.model,
            "settings": self.settings.stated(),
            "names": list(self.settings.names),
        }


def begin(job: BatchJob, *, force_new: bool = False) -> None:
    """Say in the folder which job it holds; if it does already, make sure that it is this one.

    Args:
        job: to be done.
        force_new: if the folder holds another job, let it hold this one; files of the other stay, unread.

    Raises:
        OptionError: the folder holds another job; names what differs.
        OutputError: the folder cannot be written.
    """
    place = within(job.out, JOB_FILE)
    content = (json.dumps(job.stated(), indent=1, ensure_ascii=False) + "\n").encode()
    if job_of(job.out) is None:
        commit(place, content)
    there = job_of(job.out)  # others may begin at the same time: what stands there now counts for all
    if there is None:
        raise OutputError(f"{place}: vanished right after it was written; choose a folder that keeps files")
    if there["suffix"] == job.suffix:
        return
    if not force_new:
        raise OptionError(f"{job.out}: {_difference(there, job.stated())}")
    commit(place, content, replace=True)


def _difference(there: dict[str, Any], here: dict[str, Any]) -> str:
    """What differs between a folder's job and this one, and what to do."""
    remedy = "choose another --out, or add --force-new to begin anew in this one"
    if there.get("manifest", {}).get("hash") != here["manifest"]["hash"]:
        old, new = there.get("manifest", {}).get("images"), here["manifest"]["images"]
        return f"the manifest has changed since this folder was begun ({old} images then, {new} now); {remedy}"
    if there.get("shard_size") != here["shard_size"]:
        return f"was begun with --shard-size {there.get('shard_size')}, not {here['shard_size']}; {remedy}"
    if there.get("model") != here["model"]:
        return f"holds results of another model; {remedy}"
    old, new = _flat(there.get("settings", {})), _flat(here["settings"])
    changed = [f"{name} {old.get(name)} there, {new[name]} here" for name in new if old.get(name) != new[name]]
    return f"holds results of other settings ({', '.join(changed) or 'class names'}); {remedy}"


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with the limits beside the others, as JSON gives them back."""
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    limits = plain.pop("limits", {})
    return {**plain, **limits}
