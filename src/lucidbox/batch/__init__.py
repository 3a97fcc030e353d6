"""Detection over very many images: shards that any machine can do, each written whole, once.

``open_manifest`` says what there is, a ``BatchJob`` which shards it falls into, ``run_shard`` does one. Ray, Spark
and the command line stand on these.
"""

from lucidbox.batch.detecting import ImageItem, detect_images
from lucidbox.batch.job import BatchJob, Plan, Settings, Shard, begin
from lucidbox.batch.manifest import Manifest
from lucidbox.batch.opening import open_manifest
from lucidbox.batch.worker import ShardResult, run_shard

__all__ = [
    "ImageItem", "BatchJob", "Manifest", "Plan", "Settings", "Shard", "ShardResult", "begin", "detect_images",
    "open_manifest", "run_shard", "summary", "ray", "shipping", "spark",
]  # fmt: skip
