"""On Ray: the answers of plain predict bit for bit, whatever is lost on the way."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress

import pytest

from batched import rows_of
from conftest import EXAMPLES, shared_path
from lucidbox import Detector, cli
from lucidbox.batch import BatchJob, Settings, begin, open_manifest
from lucidbox.batch import ray as on_ray
from lucidbox.core.errors import LucidboxError
from lucidbox.images.reading import MAX_PIXELS

# Ray leaves files and sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore")


def told(arguments, capsys):
    """The exit code and the only line of ``lucidbox batch``."""
    code = cli.main(["batch", *map(str, arguments)])
    (line,) = capsys.readouterr().err.splitlines()
    return code, line


def test_ray_that_is_not_installed_is_named_with_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    on_ray.ray_package.cache_clear()
    code, line = told([EXAMPLES, "--out", tmp_path / "out", "--on", "ray"], capsys)
    assert (code, line) == (2, "lucidbox: error: Ray is not installed; pip install 'lucidbox[ray]'")
    assert not (tmp_path / "out").exists()


@pytest.mark.extended  # needs ray
@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:9", "nothing answers there"),
        ("ray://127.0.0.1:9", "nothing answers"),
        ("head", "expected auto"),
    ],
)
def test_an_address_without_ray(address, words, tmp_path, capsys):
    pytest.importorskip("ray", reason="pip install 'lucidbox[ray]'")
    code, line = told([EXAMPLES, "--out", tmp_path / "out", "--on", "ray", "--address", address], capsys)
    assert code == 2
    assert f"--address {address}: {words}" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--workers", "2"], "--workers needs --on ray"),
        (["--address", "auto"], "--address needs --on ray"),
        (["--gpus-per-worker", "1"], "--gpus-per-worker needs --on ray"),
        (["--on", "ray", "--workers", "0"], "--workers 0 is less than 1"),
        (["--on", "ray", "--gpus-per-worker", "1.5"], "--gpus-per-worker 1.5: give a whole number, or a part"),
        (["--on", "ray", "--gpus-per-worker", "nan"], "--gpus-per-worker nan: give a whole number"),
    ],
)
def test_options_that_cannot_be(options, words, tmp_path, capsys):
    code, line = told([EXAMPLES, "--out", tmp_path / "out", *options], capsys)
    assert code == 2
    assert words in line


@pytest.fixture(scope="module")
def cluster():
    """A cluster on this machine: its head, without cores for work, and three nodes of one core each."""
    pytest.importorskip("ray", reason="pip install 'lucidbox[ray]'")
    ray = on_ray.ray_package()
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        ray.init(cluster.address, log_to_driver=False, logging_level="ERROR")
        cluster.nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
        cluster.wait_for_nodes()
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def links(folder, count):
    """A folder of so many hard links to the example pictures."""
    folder.mkdir()
    pictures = sorted(EXAMPLES.glob("*.jpg"))
    for number in range(count):
        os.link(pictures[number % len(pictures)], folder / f"{number:06d}.jpg")
    return folder


def job_of(source, out, detector, shard_size):
    job = BatchJob(str(out), open_manifest(str(source)), shard_size, Settings.of(detector, MAX_PIXELS))
    begin(job)
    return job


def same(rows, plain):
    """Whether rows say exactly what plain predict does: one a picture, bit for bit."""
    assert Counter(row.uri for row in rows) == Counter(result.picture.source for result in plain)
    answers = {row.uri: row for row in rows}
    for result in plain:
        row = answers[result.picture.source]
        for name in ("boxes", "scores", "classes"):
            assert getattr(row.detections, name).tobytes() == getattr(result.detections, name).tobytes(), row.uri
        assert (row.height, row.width, row.error) == (*result.picture.size, None)


@pytest.mark.extended
@pytest.mark.parametrize("precision", ["auto", "fp32"])
def test_the_answers_of_plain_predict(precision, tmp_path, cluster):
    pictures = shared_path("data/coco-val-150/images")
    detector = Detector.load(precision=precision)
    plain = list(detector.stream(pictures))
    assert len(plain) == 150
    for workers, shard_size in ((1, 150), (2, 7)):
        job = job_of(pictures, tmp_path / f"{workers}", detector, shard_size)
        results = list(on_ray.run_shards(job, list(job.plan), detector, workers=workers))
        assert all(one.written for one in results)
        same(rows_of(job.out), plain)


@pytest.mark.extended
def test_ray_data_gives_the_same_rows(tmp_path, cluster):
    import ray

    links(tmp_path / "pictures", 40)
    (tmp_path / "pictures" / "torn.jpg").write_bytes((EXAMPLES / "street.jpg").read_bytes()[:500])
    plain = list(Detector.load(size=320).stream(tmp_path / "pictures", on_failure=lambda failure: None))
    images = ray.data.read_binary_files(str(tmp_path / "pictures"), include_paths=True)
    on_ray.detect(images, size=320, workers=2, batch_size=8).write_parquet(str(tmp_path / "out"))
    rows = rows_of(tmp_path / "out")
    (torn,) = [row for row in rows if row.error]
    assert torn.uri.endswith("torn.jpg")
    same([row for row in rows if row is not torn], plain)


@pytest.mark.extended
def test_evaluated_on_ray_the_result_does_not_depend_on_the_division(tmp_path, cluster):
    import ray

    from lucidbox.core.detection_tables import tables
    from lucidbox.evaluate import CocoEvaluator, evaluate, evaluate_table, load_truth

    pictures = shared_path("data/coco-val-150/images")
    truth, detector = load_truth(pictures.parent / "instances.json"), Detector.load(size=320)
    plain = CocoEvaluator(truth)
    names = dict(zip(truth.file_names, truth.image_ids.tolist(), strict=True))
    for result in detector.stream(pictures):
        plain.add(names[result.picture.name], result.detections)
    expected = evaluate(truth, plain.predictions()).stats.tobytes()
    begin_part, held = ray.remote(evaluate_table), ray.put(truth)
    for shard_size in (11, 75):
        job = job_of(pictures, tmp_path / f"{shard_size}", detector, shard_size)
        assert list(on_ray.run_shards(job, list(job.plan), detector))
        whole, *others = ray.get([begin_part.remote(table, held) for table in reversed(tables(job.out))])
        for part in others:
            whole.merge(part)
        assert evaluate(truth, whole.evaluator.predictions()).stats.tobytes() == expected


@pytest.mark.extended
def test_a_node_removed_in_the_middle_costs_nothing(tmp_path, cluster):
    detector = Detector.load(size=64)
    job = job_of(links(tmp_path / "pictures", 300), tmp_path / "out", detector, 10)
    done = []
    for result in on_ray.run_shards(job, list(job.plan), detector):
        done.append(result)
        if len(done) == 6:
            cluster.remove_node(cluster.nodes.pop(), allow_graceful=False)
    cluster.nodes.append(cluster.add_node(num_cpus=1))
    assert len({one.shard for one in done}) == len(done) == 30
    same(rows_of(job.out), list(detector.stream(tmp_path / "pictures")))


@pytest.mark.extended
def test_workers_that_die_every_time_are_named_and_the_rest_is_done(tmp_path, cluster, monkeypatch):
    detector = Detector.load(size=64)
    job = job_of(links(tmp_path / "pictures", 12), tmp_path / "out", detector, 4)

    def dying(job, shard, *others):
        import os

        from lucidbox.batch.ray import _do_shard

        if shard.index == 1:
            os.kill(os.getpid(), 9)
        return _do_shard(job, shard, *others)

    import ray

    # Ray's workers cannot import this file.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr(on_ray, "_do_shard", dying)
    monkeypatch.setattr(on_ray, "RETRIES", 1)
    done = []
    with pytest.raises(
        on_ray.WorkerLostError, match=r"shard 1: its worker or machine was lost 2 times \(.*memory"
    ):
        done.extend(one.shard.index for one in on_ray.run_shards(job, list(job.plan), detector))
    assert job.done() == {0, 2}


@pytest.mark.extended
def test_what_a_worker_refuses_is_one_line_here(tmp_path, cluster):
    detector = Detector.load(size=64)
    job = job_of(links(tmp_path / "pictures", 4), tmp_path / "out", detector, 4)
    (tmp_path / "out" / "_lucidbox.json").unlink()
    (tmp_path / "out").rmdir()
    (tmp_path / "out").write_text("a file in the way")
    with pytest.raises(LucidboxError) as refused:
        list(on_ray.run_shards(job, list(job.plan), detector))
    assert "\n" not in str(refused.value)
    assert "cannot be written" in str(refused.value)


def batch_on_ray(pictures, out):
    """``lucidbox batch`` on a Ray of its own, as a process."""
    arguments = [pictures, "--out", out, "--shard-size", "50", "--size", "64", "--on", "ray", "--workers", "2"]
    command = [sys.executable, "-m", "lucidbox", "batch", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)


def processes_of(driver, beginning=""):
    """Numbers of a driver and of all processes of its Ray, or of those whose command begins so."""
    listed = subprocess.run(["ps", "-eo", "pid,sid,args"], capture_output=True, text=True, check=True).stdout
    rows = (line.split(None, 2) for line in listed.splitlines()[1:])
    return [int(pid) for pid, session, args in rows if int(session) == driver and args.startswith(beginning)]


def kill(numbers):
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def files_in(out):
    return list(out.glob("*.parquet"))


def wait_for_a_shard(driver, out):
    """Wait until one more is there, or the driver has ended."""
    before = len(files_in(out))
    while len(files_in(out)) == before and driver.poll() is None:
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_again_and_again_every_picture_is_there_once(tmp_path):
    import random

    pytest.importorskip("ray", reason="pip install 'lucidbox[ray]'")
    chance = random.Random(5)
    pictures = links(tmp_path / "pictures", 2000)
    runs = int(os.environ.get("LUCIDBOX_KILLS", "20"))
    for _ in range(runs):
        driver = batch_on_ray(pictures, tmp_path / "out")
        line = driver.stderr.readline()
        assert "2000 pictures in 40 shards" in line
        for _ in range(chance.randrange(3)):  # after each of the next shards one of the workers is killed
            wait_for_a_shard(driver, tmp_path / "out")
            kill(processes_of(driver.pid, "ray::_do_shard")[:1])
        kill([driver.pid])
        kill(processes_of(driver.pid))  # Ray's agents notice only after a while that their driver is gone
        driver.communicate()
        assert not files_in(tmp_path / "out") or rows_of(tmp_path / "out")
    driver = batch_on_ray(pictures, tmp_path / "out")
    assert driver.communicate()[1]
    assert driver.returncode == 0
    same(rows_of(tmp_path / "out"), list(Detector.load(size=64).stream(pictures)))
