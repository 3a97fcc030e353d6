"""Deterministic stand-in weights: every value follows from a tensor's name and shape alone."""

import zlib

import numpy as np


def fill(shapes, overrides=()):
    """Arrays for names and shapes; `overrides` gives single arrays as they are.

    Each tensor has a generator of its own, seeded with the CRC-32 of its name, so the order of the names does not
    matter. Values are drawn in float64 and rounded to float32 once.
    """
    return {
        name: np.asarray(overrides[name] if name in overrides else _drawn(name, shape), np.float32).reshape(shape)
        for name, shape in shapes.items()
    }


def _drawn(name, shape):
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    leaf = name.rsplit(".", 1)[-1]
    if name.endswith(("dfl.conv.weight", "dfl.project")):
        return np.arange(np.prod(shape))
    if leaf == "num_batches_tracked":
        return np.zeros(shape)
    if leaf in ("bias", "running_mean"):
        return generator.normal(0.0, 0.1, shape)
    if leaf == "running_var" or (leaf == "weight" and len(shape) == 1):  # one axis: a batch norm's scale
        return generator.uniform(0.8, 1.2, shape)
    if leaf == "weight":
        return generator.normal(0.0, np.sqrt(1 / np.prod(shape[1:])), shape)
    raise KeyError(f"no rule for {name!r}")
