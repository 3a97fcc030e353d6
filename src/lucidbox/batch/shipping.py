"""A detector sent to other machines: its model's bytes, and how it is loaded there, the same everywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lucidbox.batch.detecting import ImageItem
from lucidbox.batch.job import Settings, model_files
from lucidbox.core.detection_tables import TableInfo
from lucidbox.core.errors import DataError, EngineError
from lucidbox.core.filesystem import atomic_write, cache_folder
from lucidbox.core.version import __version__
from lucidbox.detect.tiles import Tiles
from lucidbox.detector import Detector

_NAMES = ("uri", "path")
_CONTENTS = ("bytes", "content")
_loaded: dict[tuple[str, int | None], Detector] = {}  # of this process: the last one


@dataclass(frozen=True)
class ShippedDetector:
    """What another process needs to load the same detector, but for the model's bytes. May be pickled.

    Attributes:
        settings: what the detector must come to there.
        arguments: of ``Detector.load``, without weights and threads.
        files: names of the model's files: its own first.
    """

    settings: Settings
    arguments: dict[str, Any]
    files: tuple[str, ...]

    @property
    def info(self) -> TableInfo:
        """What a table of its detections states about itself."""
        return TableInfo(self.settings.names, self.settings.model, self.settings.stated(), __version__)

    def load(self, contents: Sequence[Any], threads: int | None) -> Detector:
        """The detector, loaded once a process; its files are kept in this machine's cache.

        Args:
            contents: bytes of the model's files, in their order.
            threads: most processor threads.

        Raises:
            EngineError: this machine's engine or precision is another one, so that boxes could differ.
            WeightsError, OptionError, OutputError: it cannot be loaded here.
        """
        key = (self.settings.hash, threads)
        if key not in _loaded:
            folder = cache_folder() / "shipped" / self.settings.model
            for name, content in zip(self.files, contents, strict=True):
                if not (folder / name).is_file():
                    atomic_write(folder / name, bytes(content))
            detector = Detector.load(folder / self.files[0], threads=threads, **self.arguments)
            self._check(Settings.of(detector, self.settings.max_pixels, self.settings.tiles))
            _loaded.clear()
            _loaded[key] = detector
        return _loaded[key]

    def _check(self, here: Settings) -> None:
        if here == self.settings:
            return
        for name, wanted in self.settings.stated().items():
            found = here.stated()[name]
            if found != wanted:
                raise EngineError(
                    f"a worker has {name} {found} where the job has {wanted}; name --engine and --precision that"
                    " all machines have, such as --precision fp32"
                )
        raise EngineError("a worker's copy of the model differs; remove 'shipped' in its cache folder")


def ship(detector: Detector, max_pixels: int, tiles: Tiles = None) -> tuple[ShippedDetector, tuple[bytes, ...]]:
    """What is sent of a detector, and the bytes of its model's files, which are best sent to a machine once.

    Raises:
        OptionError: it was not made by ``Detector.load``.
    """
    settings = Settings.of(detector, max_pixels, tiles)
    arguments = {name: value for name, value in detector.loaded_with.items() if name not in ("weights", "threads")}
    arguments["precision"] = settings.precision  # resolved here; "auto" could be another one there
    files = model_files(detector)
    contents = tuple(file.read_bytes() for file in files)
    return ShippedDetector(settings, arguments, tuple(file.name for file in files)), contents


def items_in(batch: Any) -> Iterator[ImageItem]:
    """The images of a table or record batch of Arrow's.

    Args:
        batch: has a column ``uri`` or ``path`` with addresses, or ``bytes`` or ``content`` with encoded images, or
            one of each.

    Raises:
        DataError: it has neither.
    """
    columns = batch.schema.names
    name = next((one for one in _NAMES if one in columns), None)
    content = next((one for one in _CONTENTS if one in columns), None)
    if name is None and content is None:
        raise DataError(f"no column of images: uri, path, bytes or content; there are {', '.join(columns)}")
    for row in range(batch.num_rows):
        uri = batch.column(name)[row].as_py() if name else None
        data = (batch.column(content)[row].as_py() or b"") if content else None
        yield ImageItem(uri or f"image-{row}" if data is not None else uri or "", data)
