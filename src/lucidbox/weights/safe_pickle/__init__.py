"""Reading checkpoints without executing anything in them. Only the names below are used outside this folder."""

from lucidbox.weights.safe_pickle.checkpoint import read_checkpoint
from lucidbox.weights.safe_pickle.globals import Record
from lucidbox.weights.safe_pickle.storages import bfloat16_to_float32

__all__ = ["Record", "bfloat16_to_float32", "read_checkpoint"]
