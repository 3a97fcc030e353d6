"""The zip file that torch writes: its entries below its single root folder, which can have any name."""

import io
import struct
import zipfile
import zlib
from collections import Counter
from operator import itemgetter

from lucidbox.core.errors import WeightsError

MAX_INFLATION = 16
"""Most bytes that one byte of the file may inflate to. Torch does not compress, and weights hardly shrink."""

MAX_ENTRIES = 20_000
"""Most entries. A published YOLO11x has some 1,000, one for each tensor."""

MAX_EXTRA = 2**18
"""Most bytes of zip's "extra fields" of all entries: zipfile's time grows with the square of one's length."""

_PICKLE = "data.pkl"
_RECORD = b"PK\x01\x02"  # begins each record of the list of entries; the length of its extra field is at 30
# The other methods (bzip2, LZMA, ...) inflate all of an entry even if only a part is read.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError,
    OverflowError, IndexError,
)  # fmt: skip


def read_archive(content: bytes) -> dict[str, bytes]:
    """Every entry of a torch file: name below the root folder ("data.pkl", "data/0") → content.

    Args:
        content: all of the file.

    Raises:
        WeightsError: the zip is damaged or truncated, would inflate too much, has an entry twice, or is not what
            torch's ``save`` writes.
    """
    _check_list(content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
            _check_sizes(entries, len(content))
            root = _root([entry.filename for entry in entries])
            return {
                entry.filename.removeprefix(root): _content(archive, entry)
                for entry in entries
                if entry.filename.startswith(root)
            }
    except _DAMAGE as error:
        raise WeightsError(f"truncated or damaged ({error}); fetch or copy the file again") from None


def _check_list(content: bytes) -> None:
    """Bound the list of entries before zipfile reads it, wherever it lies."""
    entries = extra = 0
    at = content.find(_RECORD)
    while at >= 0:
        entries, extra = entries + 1, extra + int.from_bytes(content[at + 30 : at + 32], "little")
        if entries > MAX_ENTRIES or extra > MAX_EXTRA:
            raise WeightsError(
                f"a zip file of more than {MAX_ENTRIES} entries, or of long extra fields: not of torch's save"
            )
        at = content.find(_RECORD, at + 1)


def _content(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with archive.open(entry) as stream:
        # One byte more than declared: an entry that lies about its size is caught without inflating it all.
        content = stream.read(entry.file_size + 1)
    if len(content) != entry.file_size:
        raise WeightsError(f"truncated or damaged: {entry.filename!r} does not have its stated size")
    return content


def _check_sizes(entries: list[zipfile.ZipInfo], file_bytes: int) -> None:
    for entry in entries:
        if not entry.filename:
            raise WeightsError("truncated or damaged: an entry has no name; fetch or copy the file again")
        if entry.compress_type not in _METHODS:
            raise WeightsError(
                f"damaged, or not written by torch's save: {entry.filename[:200]!r} is packed with the zip method "
                f"{entry.compress_type}; fetch or copy the file again"
            )
    inflated = sum(entry.file_size for entry in entries)
    if inflated > MAX_INFLATION * file_bytes:
        raise WeightsError(
            f"refused: its {file_bytes} bytes would inflate to {inflated}, more than {MAX_INFLATION} times as many"
        )


def _root(names: list[str]) -> str:
    """The root folder with its slash, or "" where there is none."""
    name, times = max(Counter(names).items(), key=itemgetter(1), default=("", 0))
    if times > 1:
        raise WeightsError(f"refused: it holds {name!r} more than once")
    roots = [name.removesuffix(_PICKLE) for name in names if name == _PICKLE or name.endswith("/" + _PICKLE)]
    if len(roots) != 1:
        raise WeightsError(
            f"a zip file with {len(roots)} entries named {_PICKLE} instead of one: not written by torch's save"
        )
    if f"{roots[0]}constants.pkl" in names:
        raise WeightsError("a TorchScript program, not weights; give the checkpoint it was made from")
    return roots[0]
