"""Iterative stratification: splits with the same shares of classes as the whole data set.

K. Sechidis, G. Tsoumakas, I. Vlahavas: On the Stratification of Multi-Label Data, ECML PKDD 2011. An image
has several classes, so classes cannot be divided one by one; the rarest class, which is the hardest to divide
evenly, is divided first.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int


def stratify(
    presence: Bool[np.ndarray, "i c"], shares: Sequence[float], keys: Sequence[str], seed: int = 0
) -> Int[np.ndarray, " i"]:
    """Give every image to one split.

    Randomness comes from a hash of seed and key, so the result depends neither on the order of the images nor
    on the version of a library.

    Args:
        presence: which classes an image shows.
        shares: of the images that each split should get; positive, their sum 1.
        keys: distinct texts for the images, such as their file names.
        seed: another one gives another split.

    Returns:
        For each image, the index of its split.
    """
    dice = [int.from_bytes(hashlib.blake2b(f"{seed}:{key}".encode(), digest_size=8).digest()) for key in keys]
    order = np.array(sorted(range(len(keys)), key=dice.__getitem__), np.int64)
    wanted = np.array(shares, np.float64)
    room = wanted * len(keys)
    class_room = presence.sum(axis=0)[:, None] * wanted
    owners = np.full(len(keys), -1)
    waiting = presence.sum(axis=0)
    while waiting.any():
        rarest = int(np.where(waiting > 0, waiting, waiting.max() + 1).argmin())
        for picture in order[presence[order, rarest] & (owners[order] < 0)].tolist():
            _give(picture, presence[picture], class_room[rarest], dice, room, class_room, owners)
            waiting -= presence[picture]
    for picture in order[owners[order] < 0].tolist():
        _give(picture, presence[picture], room, dice, room, class_room, owners)
    return owners


def _give(
    picture: int,
    classes: Bool[np.ndarray, " c"],
    need: Float[np.ndarray, " p"],
    dice: Sequence[int],
    room: Float[np.ndarray, " p"],
    class_room: Float[np.ndarray, "c p"],
    owners: Int[np.ndarray, " i"],
) -> None:
    """Give an image to the split that needs it most; ties go to the split with most room, then to chance.

    ``room``, ``class_room`` and ``owners`` are updated.
    """
    # Sums of fractions are compared: what differs by less than rounding is a tie.
    best = np.flatnonzero(need >= need.max() - 1e-9)
    best = best[room[best] >= room[best].max() - 1e-9]
    part = best[dice[picture] % len(best)]
    owners[picture] = part
    room[part] -= 1
    class_room[classes, part] -= 1
