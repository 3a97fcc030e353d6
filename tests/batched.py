"""What tests of batch work need: images, a detector that finds red, jobs of both, a store of objects."""

from io import BytesIO

from PIL import Image

from models import RedFinder, picture

NAMES = ("blue", "red")


def png(box=(8, 8, 24, 24), size=(48, 64)):
    """An encoded image of this height, width with a red box."""
    buffer = BytesIO()
    Image.fromarray(picture(*size, box)).save(buffer, "PNG")
    return buffer.getvalue()


def make_images(folder, count):
    """Images with a red box each, no two alike; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"image{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(png((number, 4, number + 16, 20)))
    return paths


def red_detector(folder, content=b"weights", **options):
    """A detector without a network; the file that its hash is taken from holds ``content``."""
    from lucidbox import Detector

    weights = folder / f"weights-{content.hex()}"
    weights.write_bytes(content)
    return Detector(RedFinder(), NAMES, size=(64, 64), workers=2, weights=weights, **options)


def job_of(source, out, detector, shard_size=3, *, column=None, max_pixels=10_000):
    """A job of a manifest, and its results' folder is told of it."""
    from lucidbox.batch import BatchJob, Settings, begin, open_manifest

    manifest = open_manifest(str(source), column=column)
    job = BatchJob(str(out), manifest, shard_size, Settings.of(detector, max_pixels))
    begin(job)
    return job


def run_all(job, detector, **options):
    """Do every shard."""
    from lucidbox.batch import run_shard

    return [run_shard(job, shard, detector, **options) for shard in job.plan]


def rows_of(uri):
    """Every row of the results."""
    from lucidbox import Detections

    return list(Detections.from_parquet(str(uri)))
