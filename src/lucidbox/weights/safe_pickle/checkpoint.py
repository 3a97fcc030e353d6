"""Checkpoints from torch's ``save``, read without torch and without running anything in them."""

import re
from collections.abc import Mapping
from typing import Any

from lucidbox.core.errors import WeightsError
from lucidbox.weights.safe_pickle.archive import read_archive
from lucidbox.weights.safe_pickle.reader import read_pickle
from lucidbox.weights.safe_pickle.storages import Storage, StorageKind, check_length, storage

_KEY = re.compile(r"[A-Za-z0-9_]{1,64}", re.ASCII)


def read_checkpoint(content: bytes) -> Any:
    """The content of a torch checkpoint: dicts, lists, numbers, text, arrays, and records of foreign objects.

    Tensors and parameters are NumPy arrays (read-only; bfloat16 as the equal float32). An object of a class of
    the publisher, of ``torch.nn``, or a data-only one of numpy, pathlib and types becomes a
    :class:`~lucidbox.weights.safe_pickle.globals.Record` of what the file says about it.

    Args:
        content: all of the file.

    Raises:
        WeightsError: the file is damaged, or its pickle asks for anything else, whose name is stated.
    """
    entries = read_archive(content)
    order = entries.get("byteorder", b"little")
    if order not in (b"little", b"big"):
        raise WeightsError(f"its byte order is {order[:20]!r}; 'little' and 'big' are known")
    return read_pickle(entries["data.pkl"], Storages(entries, order == b"big").find)


def _is_usual(word: str, key: str, count: int) -> bool:
    return word == "storage" and _KEY.fullmatch(key) is not None and type(count) is int and count >= 0


class Storages:
    """The storages of an archive, each made once. A pickle refers to them by persistent ids."""

    def __init__(self, entries: Mapping[str, bytes], big_endian: bool) -> None:
        self._entries = entries
        self._big_endian = big_endian
        self._made: dict[str, tuple[StorageKind, Storage]] = {}

    def find(self, persistent_id: Any) -> Storage:
        """The storage of ("storage", kind, key, device, count)."""
        match persistent_id:
            case (str(word), StorageKind() as kind, str(key), str(), int(count)) if _is_usual(word, key, count):
                pass
            case _:
                raise WeightsError("its pickle refers to something outside it that is not a storage; refused")
        content = self._entries.get(f"data/{key}")
        if content is None:
            raise WeightsError(f"truncated or damaged: it lacks the storage {key!r} that its pickle refers to")
        check_length(kind, content, count)
        if key not in self._made:
            self._made[key] = kind, storage(kind, content, count, self._big_endian)
        known, made = self._made[key]
        if known == kind:
            return made
        # Torch never saves the same bytes under two types; each further type could be another copy of them.
        if content:
            raise WeightsError(f"its pickle refers to the storage {key!r} in two ways; torch writes no such file")
        return storage(kind, content, count, self._big_endian)
