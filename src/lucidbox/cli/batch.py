"""``lucidbox batch``: find objects in very many pictures, resumable, on one machine or many."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lucidbox.cli.console import ProgressBar, progress, say, tell, write_json
from lucidbox.cli.options import (
    TILES,
    add_flag,
    add_number,
    add_option,
    add_options,
    add_verb,
    load_detector,
    tiles_of,
)
from lucidbox.core.errors import OptionError, check_whole_number

if TYPE_CHECKING:
    from lucidbox.batch import BatchJob, Shard, ShardResult
    from lucidbox.batch.summary import BatchSummary
    from lucidbox.detector import Detector

DESCRIPTION = """\
Find objects in very many pictures. They are divided into shards; each becomes one Parquet file, written whole or
not at all. Run it again after whatever happened, here or on any number of machines: shards that are there are not
done again."""

EXAMPLES = """\
input, by path or address (s3://, gs://, hdfs://, ... with fsspec's package for each):
  a folder; a pattern ('photos/*.jpg', quoted); a text file (.txt) with one path or address a line; Parquet files
  with a column of addresses, or of encoded pictures. Relative names in a manifest begin at its own folder.

examples:
  lucidbox batch photos/ --out found
  lucidbox batch s3://bucket/list.txt --out s3://bucket/found --weights yolo11n.onnx --conf 0.4
  lucidbox batch list.parquet --column address --out found --shard 3/16     # the fourth of 16 workers
  lucidbox batch list.txt --out found --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT
  lucidbox batch s3://bucket/list.txt --out s3://bucket/found --on ray --address auto
  lucidbox batch --summary s3://bucket/found

exit codes:
  0 done; 1 done, and some pictures could not be read: their rows say why; 2 wrong usage or bad input, or results
  cannot be written: what was done stays, and the same command goes on; 130 stopped by Ctrl-C
"""

SHARD_SIZE = 10_000


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "batch", DESCRIPTION, EXAMPLES, run)
    parser.add_argument("input", nargs="?", metavar="INPUT", help="what to look at; see below")
    work = parser.add_argument_group("work")
    work.add_argument("--out", metavar="URI", help="folder of the results, new or of the same work")
    work.add_argument(
        "--shard",
        metavar="I/N",
        default="0/1",
        help="do every N-th shard from I on, counted from 0 (default: 0/1)",
    )
    add_number(work, "--shard-size", f"pictures of a shard, which is one file (default: {SHARD_SIZE})", SHARD_SIZE)
    work.add_argument(
        "--column", metavar="NAME", help="of Parquet: addresses or encoded pictures (default: bytes, else uri)"
    )
    add_flag(work, "--force-new", "begin anew in a folder of other work, whose files stay and are no longer read")
    add_number(work, "--max-pixels", "refuse larger pictures (default: 178956970)")
    work.add_argument("--summary", metavar="URI", help="say what a folder of results holds, and do nothing else")
    add_option(work, "--json", help="what was done, or the summary, as one JSON object on standard output")
    _add_cluster(parser.add_argument_group("on a cluster"))
    model = parser.add_argument_group("model")
    add_options(model, "--weights", "--layout", "--names", "--size", "--engine", "--precision", "--threads")
    add_option(model, "--batch", default=1, help="most pictures of one shape at once (default: 1)")
    add_options(model, *TILES)
    limits = parser.add_argument_group("what counts")
    add_options(limits, "--conf", "--iou", "--max-det", "--classes")
    add_flag(limits, "--agnostic", "suppress across classes")


def _add_cluster(group: Any) -> None:
    group.add_argument("--on", choices=["ray"], help="do the shards on Ray (extra: ray)")
    group.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="of the cluster's head, or auto for the cluster of this machine (default: one is started here)",
    )
    add_number(group, "--workers", "most shards at a time (default: what the cluster has room for)")
    group.add_argument(
        "--gpus-per-worker",
        type=float,
        metavar="N",
        help="graphics cards of a worker (default: none; 0.5: half one)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do the shards, or sum up; 0, or 1 if there are failures."""
    if arguments.summary is not None:
        return _summary(arguments)
    with ExitStack() as stack:
        _check_cluster(arguments)
        detector, job = detector_and_job(arguments)
        if arguments.on:
            from lucidbox.batch.ray import connected

            stack.enter_context(connected(arguments.address))
        index, parts = _part(arguments.shard)
        mine = list(job.plan.part(index, parts))
        done = job.done()
        missing = [shard for shard in mine if shard.index not in done]
        shards = "1 shard" if len(job.plan) == 1 else f"{len(job.plan)} shards"
        say(f"{job.manifest.count} pictures in {shards}; {len(mine)} are mine, {len(missing)} to do")
        return _told(_work(arguments, job, missing, detector), job, arguments.json)


def _check_cluster(arguments: argparse.Namespace) -> None:
    """Refuse options of a cluster that cannot be used, before anything slow is begun.

    Raises:
        OptionError: names the option.
    """
    for name in ("address", "workers", "gpus_per_worker"):
        if getattr(arguments, name) is not None and not arguments.on:
            raise OptionError(f"--{name.replace('_', '-')} needs --on ray")
    if arguments.workers is not None:
        check_whole_number("--workers", arguments.workers)
    cards = arguments.gpus_per_worker or 0
    if not (0 <= cards < 1 or (cards < 1000 and cards == int(cards))):
        raise OptionError(f"--gpus-per-worker {cards:g}: give a whole number, or a part of one card such as 0.5")
    if arguments.on:
        from lucidbox.batch.ray import check_address

        check_address(arguments.address)


def detector_and_job(arguments: argparse.Namespace) -> "tuple[Detector, BatchJob]":
    """The detector that was asked for, and the job, which the folder of results agrees to.

    Raises:
        OptionError: an option is missing, or the folder holds other work.
        SourceError, DataError: the input cannot be read or is empty.
        OutputError: the folder of results cannot be written.
    """
    from lucidbox.batch import BatchJob, Plan, Settings, begin, open_manifest
    from lucidbox.cli.predict import limits_of
    from lucidbox.core.detection_tables import pyarrow
    from lucidbox.detect.tiles import tiling_of
    from lucidbox.images.reading import MAX_PIXELS

    if not arguments.input or not arguments.out:
        raise OptionError("say what to look at and where results go: lucidbox batch INPUT --out URI")
    _part(arguments.shard)
    Plan(0, arguments.shard_size)
    pyarrow()  # is missed before anything is written
    most = MAX_PIXELS if arguments.max_pixels is None else arguments.max_pixels
    check_whole_number("max-pixels", most)
    tiles = tiles_of(arguments)
    manifest = open_manifest(arguments.input, column=arguments.column)
    for note in manifest.notes:
        say(note)
    detector = load_detector(arguments, batch=arguments.batch, threads=arguments.threads, **limits_of(arguments))
    job = BatchJob(arguments.out, manifest, arguments.shard_size, Settings.of(detector, most, tiling_of(**tiles)))
    begin(job, force_new=arguments.force_new)
    return detector, job


def _part(text: str) -> tuple[int, int]:
    """Index and number of parts of ``--shard``.

    Raises:
        OptionError: it is malformed or there is no such part.
    """
    from lucidbox.batch import Plan

    index, slash, parts = text.partition("/")
    if not (slash and index.isdecimal() and parts.isdecimal()):
        raise OptionError(f"--shard {text}: expected I/N, as in 0/4 for the first of four workers")
    Plan(0, 1).part(int(index), int(parts))
    return int(index), int(parts)


def _work(
    arguments: argparse.Namespace, job: "BatchJob", shards: "list[Shard]", detector: "Detector"
) -> "list[ShardResult]":
    results = []
    with closing(ProgressBar(sum(shard.count for shard in shards))) as bar:
        work = _on_ray if arguments.on else _here
        for result in work(arguments, job, shards, detector, bar):
            results.append(result)
            say(_line(result, job))
    return results


def _here(
    arguments: argparse.Namespace, job: "BatchJob", shards: "list[Shard]", detector: "Detector", bar: ProgressBar
) -> "Iterator[ShardResult]":
    from lucidbox.batch import run_shard

    return (run_shard(job, shard, detector, advance=bar.advance) for shard in shards)


def _on_ray(
    arguments: argparse.Namespace, job: "BatchJob", shards: "list[Shard]", detector: "Detector", bar: ProgressBar
) -> "Iterator[ShardResult]":
    from lucidbox.batch.ray import fits, run_shards
    from lucidbox.core.storage import absolute

    threads, cards = arguments.threads or 1, arguments.gpus_per_worker or 0
    if not fits(threads, cards):
        wanted = (
            f"--threads {threads} --gpus-per-worker {cards:g}: no machine has so many cores and graphics cards"
        )
        if arguments.address is None:
            raise OptionError(f"{wanted}; ask for fewer")
        say(f"{wanted}; waiting for one to join the cluster")
    for result in run_shards(
        replace(job, out=absolute(job.out)),
        shards,
        detector,
        workers=arguments.workers,
        threads=threads,
        gpus_per_worker=cards,
    ):
        for _ in range(result.shard.count):
            bar.advance()
        yield result


def _line(result: "ShardResult", job: "BatchJob") -> str:
    """One shard, for a person."""
    what = f"shard {result.shard.index} of {len(job.plan)}"
    if not result.images:
        return f"{what}: done by another worker"
    rate = result.images / result.seconds
    lost = "" if result.written else "; another worker was faster"
    return f"{what}: {result.images} pictures, {result.failures} failures, {rate:.1f} a second{lost}"


def _told(results: "list[ShardResult]", job: "BatchJob", as_json: bool) -> int:
    """Say what this run did; 1 if pictures failed."""
    images, failures = sum(one.images for one in results), sum(one.failures for one in results)
    missing = len(job.plan) - len(job.done())
    document = {
        "out": job.out, "images": images, "failures": failures, "shards": len(job.plan),
        "written": sum(one.written for one in results), "missing": missing,
        "notes": job.manifest.notes, "job": job.stated(),
    }  # fmt: skip
    if as_json:
        write_json(document)
    else:
        rest = f"{missing} shards are still missing" if missing else "all shards are there"
        tell(f"{job.out}: {images} pictures done now, {failures} of them failed; {rest}")
    return 1 if failures else 0


def _summary(arguments: argparse.Namespace) -> int:
    from lucidbox.batch.summary import summarise_results

    if arguments.input is not None or arguments.out is not None:
        raise OptionError("--summary URI stands alone: it reads results and does nothing else")
    found = summarise_results(arguments.summary, progress("file"))
    if arguments.json:
        write_json(found.to_dict())
    else:
        tell(_described(found))
    return 1 if found.failures else 0


def _described(found: "BatchSummary") -> str:
    """A summary for a person."""
    from lucidbox.cli.tables import Column, pairs, table
    from lucidbox.core.text import printable

    of_shards = "" if found.shards is None else f" of {found.shards:,d}"
    of_images = "" if found.expected is None else f" of {found.expected:,d}"
    rate = "" if found.rate is None else f"; {found.rate:.1f} pictures a second and worker"
    facts = [
        ("files", f"{found.files:,d}{of_shards}"),
        ("pictures", f"{found.images:,d}{of_images}, {found.failures:,d} of them failed"),
        ("boxes", f"{found.boxes:,d}"),
        ("time", f"{found.seconds:.1f} s of all workers together{rate}"),
        ("version", ", ".join(found.versions)),
    ]
    counted = [Column(width=9, text="{:,d}"), Column(align="<", gap=2)]
    counts = (
        table(counted, ((count, printable(name)) for name, count in what.items()), indent=2)
        for what in (found.errors, found.classes)
        if what
    )
    return "\n\n".join([pairs(facts, 10), *counts])
