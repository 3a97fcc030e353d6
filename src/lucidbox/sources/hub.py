"""Images streamed from a Hugging Face data set (extra ``hub``): ``hf:NAME[:SPLIT]``.

NAME is a data set of the hub or a local folder in a format that the ``datasets`` package reads. Its
images are taken undecoded and read by ``images`` under the same rules and limits as any file.
"""

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from lucidbox.core.errors import ImageError, LucidboxError, SourceError
from lucidbox.images.reading import MAX_PIXELS, read_image
from lucidbox.sources.items import Failure, Picture, SourceKind

_ARGUMENT = re.compile(r"hf:(?P<dataset>.+?)(?::(?P<split>[\w.-]+))?")
_PRIVACY = {"HF_HUB_DISABLE_TELEMETRY": "1", "DO_NOT_TRACK": "1", "HF_DATASETS_TRUST_REMOTE_CODE": "0"}

_IMAGE_ID = "image_id"  # what COCO's data sets on the hub call their own number of an image
_Cell = dict[str, Any] | None  # "bytes" and "path" of an undecoded image, either of which may be None


@dataclass(frozen=True)
class HubDataset:
    """The images of one split, in its order, from the first column that holds images.

    Attributes:
        dataset: name on the hub, or a folder.
        split: such as "train" or "val"; may be left out where there is only one.
        max_pixels: larger images are refused.
    """

    dataset: str
    split: str | None = None
    max_pixels: int = MAX_PIXELS
    kind: ClassVar[SourceKind] = "hub"
    count: ClassVar[int | None] = None
    live: ClassVar[bool] = False

    @classmethod
    def parse(cls, argument: str, max_pixels: int = MAX_PIXELS) -> "HubDataset":
        """From what a user typed.

        Raises:
            SourceError: no data set is named.
        """
        parts = _ARGUMENT.fullmatch(argument)
        if parts is None:
            raise SourceError(f"{argument}: names no data set; write hf:NAME or hf:NAME:SPLIT")
        return cls(parts["dataset"], parts["split"], max_pixels)

    @property
    def name(self) -> str:
        """As it is typed: ``hf:NAME:SPLIT``."""
        return f"hf:{self.dataset}:{self.split}" if self.split else f"hf:{self.dataset}"

    def __iter__(self) -> Iterator[Picture | Failure]:
        """An image, or a failure, for each row; a failure at the end if the data set cannot be read on."""
        try:
            for index, (cell, image_id) in enumerate(self._cells()):
                yield self._read(cell, index, image_id)
        except SourceError as error:
            yield Failure(self.name, error)

    def _cells(self) -> Iterator[tuple[_Cell, int | None]]:
        try:
            column, rows = self._open()
            for row in rows:
                yield row[column], row.get(_IMAGE_ID)
        except LucidboxError:
            raise
        except Exception as error:  # ``datasets`` passes on whatever its many file and network layers raise
            raise SourceError(f"{self.name}: {first_line(error)}") from error

    def _open(self) -> tuple[str, Any]:
        """Name of the image column, and the rows with that column, its images undecoded, and their ids."""
        datasets = import_datasets()
        with without_torch(datasets), without_retry_notes():
            opened = datasets.load_dataset(self.dataset, split=self.split, streaming=True)
            if isinstance(opened, dict):
                if len(opened) > 1:
                    raise SourceError(f"{self.name}: has several splits ({', '.join(opened)}); add :SPLIT")
                opened = next(iter(opened.values()))
            columns = opened.features or {}
            column = next((name for name, kind in columns.items() if isinstance(kind, datasets.Image)), None)
            if column is None:
                raise SourceError(f"{self.name}: no column is declared to hold pictures ({', '.join(columns)})")
            wanted = [column, *({_IMAGE_ID} & set(columns))]
            rows = opened.select_columns(wanted).cast_column(column, datasets.Image(decode=False))
            return column, rows

    def _read(self, cell: _Cell, index: int, image_id: int | None) -> Picture | Failure:
        source = f"{self.name}#{index}"
        try:
            pixels = read_image(content(cell, source), max_pixels=self.max_pixels, name=source)
        except ImageError as error:
            return Failure(source, error)
        file_name = Path((cell and cell["path"]) or "").name
        return Picture(pixels, source, file_name or f"{index:06d}", image_id=image_id)


def content(cell: _Cell, source: str) -> bytes | Path:
    """A cell's image: its bytes, or the path of a file here; what lies elsewhere is fetched.

    Raises:
        ImageError: there is none, or it cannot be fetched.
    """
    content, path = (cell["bytes"], cell["path"]) if cell else (None, None)
    if content is not None:
        return bytes(content)
    if path is None:
        raise ImageError(f"{source}: the row has no picture")
    if "://" not in path:
        return Path(path)
    import fsspec

    try:
        with fsspec.open(path, "rb") as file:
            return bytes(file.read())
    except Exception as error:  # one of many file systems, each with errors of its own
        raise ImageError(f"{source}: {path} cannot be fetched ({first_line(error)})") from error


def import_datasets() -> Any:
    """The package ``datasets``, with its usage reports switched off.

    Raises:
        SourceError: it is not installed.
    """
    for variable, value in _PRIVACY.items():
        os.environ.setdefault(variable, value)
    try:
        import datasets
    except ImportError as error:
        raise SourceError("reading hf: sources needs the datasets package: pip install 'lucidbox[hub]'") from error
    return datasets


@contextmanager
def without_torch(datasets: Any) -> Iterator[None]:
    """Keep ``datasets`` from importing torch, where it is installed, for a base class of its streams (2 s)."""
    installed = datasets.config.TORCH_AVAILABLE
    datasets.config.TORCH_AVAILABLE = False
    try:
        yield
    finally:
        if installed:  # else another thread is inside, and restores it
            datasets.config.TORCH_AVAILABLE = installed


@contextmanager
def without_retry_notes() -> Iterator[None]:
    """Keep messages about retries off standard error: the final error is raised."""
    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "datasets")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            if level != logging.CRITICAL:  # else another thread is inside, and restores it
                logger.setLevel(level)


def first_line(error: Exception) -> str:
    """An error's first line, or its name where it says nothing."""
    return str(error).splitlines()[0] if str(error) else type(error).__name__
