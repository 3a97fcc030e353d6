"""Finding the image files that annotations name, also where they were annotated elsewhere."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit


def endings(name: str) -> Iterator[str]:
    """What a stated name may be below a folder: itself, or an end of it, longest first, at last the base name.

    Example:
        >>> list(endings("s3://bucket/v1/a%20b.jpg"))
        ['s3://bucket/v1/a%20b.jpg', 'v1/a b.jpg', 'a b.jpg', 'v1/a%20b.jpg', 'a%20b.jpg']
    """
    yield name
    url = urlsplit(name).path if "://" in name else ""
    for path in dict.fromkeys((unquote(url), url) if url else (name,)):
        parts = [part for part in path.replace("\\", "/").split("/") if part]
        yield from ("/".join(parts[start:]) for start in range(len(parts)))


def locate(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The names under which images are found in a folder: as stated, else by an end that no other image has.

    What is not found keeps its name.
    """
    found = [next((end for end in endings(name) if _is_file(folder, end)), name) for name in names]
    if found == list(names):
        return tuple(names)
    counts = Counter(found)
    return tuple(
        stated if counts[end] > 1 and end != stated else end for stated, end in zip(names, found, strict=True)
    )


def count_found(folder: Path, names: Sequence[str], *, by_end: bool = False) -> int:
    """How many images are in a folder, by their stated names or by any end of them."""
    return sum(any(_is_file(folder, end) for end in (endings(name) if by_end else (name,))) for name in names)


def _is_file(folder: Path, name: str) -> bool:
    return bool(name) and os.path.isfile(os.path.join(folder, name))  # noqa: PTH113, PTH118  # once an image
