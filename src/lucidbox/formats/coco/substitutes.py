"""What is taken for a value of a COCO file that is absent or written in an unusual way."""

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from lucidbox.formats.coco.outlines import box_around

_NUMERAL = re.compile("-?[0-9]{1,18}")

Substitute = Callable[[dict[str, Any], Any], tuple[Any, str] | None]
"""From an entry and its value of a wrong type: the value to take and why, as the end of a note; or None."""


def whole_fraction(field: str) -> Substitute:
    """Takes 1.0 for 1."""

    def substitute(_entry: dict[str, Any], value: Any) -> tuple[Any, str] | None:
        if type(value) is float and value.is_integer() and abs(value) < 1 << 53:
            return int(value), f"have {field} as a fraction (1.0); the whole number is taken"
        return None

    return substitute


def id_substitute(field: str) -> Substitute:
    """Takes 1.0 and "1" for 1, and other texts for a number made of the text."""
    fraction = whole_fraction(field)

    def substitute(entry: dict[str, Any], value: Any) -> tuple[Any, str] | None:
        if type(value) is not str or not value:
            return fraction(entry, value)
        if _NUMERAL.fullmatch(value):
            return int(value), f"have {field} as text; the number in it is taken"
        digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        # 53 bits: programs that hold numbers as doubles keep them.
        return int.from_bytes(digest) >> 11, f"have {field} as text; a number made of the text stands for it"

    return substitute


def image_name(entry: Mapping[str, Any]) -> str:
    """The ``file_name`` of an image; in LVIS, which has none, folder and name at the end of ``coco_url``."""
    name, url = entry.get("file_name"), entry.get("coco_url")
    if name is None and isinstance(url, str):
        name = "/".join(unquote(urlsplit(url).path).split("/")[-2:])
    return "" if name is None else str(name)


def named_by_url(entry: dict[str, Any], value: Any) -> tuple[str, str] | None:
    """:func:`image_name` where there is no ``file_name``, as a substitute for it."""
    name = image_name(entry) if not isinstance(value, (str, int, float, list, dict)) else ""
    return (name, "have no file_name; the end of coco_url is taken") if name else None


def box_of_outline(entry: dict[str, Any], value: Any) -> tuple[list[float], str] | None:
    """The box around the ``segmentation`` where there is no ``bbox``."""
    box = box_around(entry.get("segmentation")) if not isinstance(value, (str, int, float, dict)) else None
    return None if box is None else (box, "have no bbox; the box around their segmentation is taken")
