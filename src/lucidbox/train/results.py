"""The files that a training writes into its folder. Only the first of several processes writes."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidbox import weights as weights_files
from lucidbox.core.errors import DataError, OptionError
from lucidbox.core.filesystem import atomic_path, atomic_write, output_error, pending_files
from lucidbox.core.locking import alone_in
from lucidbox.model import Network
from lucidbox.train.checkpoint import load_checkpoint
from lucidbox.train.loader import Batch
from lucidbox.train.recipe import Recipe, read_recipe

CHECKPOINT = "checkpoint.safetensors"
_RECIPE, _TENSORBOARD = "recipe.toml", "tensorboard"
_START = {_RECIPE, CHECKPOINT, "losses.csv", "metrics.csv", _TENSORBOARD, "mlflow.db", "mlflow-run.txt"}
"""What is in a training's folder before its first batch."""

BEST, LAST = "best.safetensors", "last.safetensors"


@dataclass(frozen=True)
class Origin:
    """What is written into weights files besides the numbers.

    Attributes:
        names: class names.
        size: longer side of the images that the network is trained for, pixels.
        licence: the licence of the weights.
        provenance: where they come from, in words.
    """

    names: tuple[str, ...]
    size: int
    licence: str
    provenance: str


@dataclass(frozen=True)
class Results:
    """The files of one training.

    Attributes:
        folder: the training's folder.

    Example:
        >>> results = Results(Path("runs/first"))
        >>> with results.alone():
        ...     results.begin(Recipe(epochs=50))
    """

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The file with which the training is resumed."""
        return self.folder / CHECKPOINT

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Make the folder if need be, and keep other trainings out; remove what a killed one left half written.

        Raises:
            OutputError: another training is at work there, or the folder cannot be made.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(self.folder, error) from error
        with alone_in(self.folder, wait=False) as alone:
            for path in pending_files(self.folder) if alone else ():
                with suppress(OSError):
                    path.unlink()
            yield

    def begin(self, recipe: Recipe) -> None:
        """Write the recipe. What a start left that failed before its first batch is removed.

        Raises:
            OptionError: the folder is not empty: a training never overwrites another.
            OutputError: it cannot be written.
        """
        try:
            if self._start_failed():
                self.remove_start()
            if any(self.folder.iterdir()):
                raise OptionError(f"{self.folder}: not empty; name a new folder, or go on there with --resume")
        except OSError as error:
            raise output_error(self.folder, error) from error
        atomic_write(self.folder / _RECIPE, recipe.to_toml())

    def _start_failed(self) -> bool:
        """Whether all in the folder is of a start that failed before its first batch: there is nothing to lose."""
        if not {path.name for path in self.folder.iterdir()} <= _START or not (self.folder / _RECIPE).is_file():
            return False
        if any(table.stat().st_size for table in self.folder.glob("*.csv")):
            return False
        with suppress(OptionError, DataError):
            text = (self.folder / _RECIPE).read_bytes().decode(errors="replace")
            ours = read_recipe(self.folder / _RECIPE).to_toml() == text  # a user's own has other words
            return ours and not (self.checkpoint.exists() and load_checkpoint(self.checkpoint).progress.batches)
        return False

    def remove_start(self) -> None:
        """Remove what a start writes before the first batch, so that another can begin here."""
        for name in _START:
            with suppress(OSError):
                (self.folder / name).unlink()
        shutil.rmtree(self.folder / _TENSORBOARD, ignore_errors=True)

    def save_weights(self, network: Network, origin: Origin, names: Sequence[str]) -> None:
        """Write a network's weights under each of these file names."""
        weights = weights_files.from_network(
            network, origin.names, licence=origin.licence, provenance=origin.provenance, size=origin.size
        )
        for name in names:
            weights_files.write(weights, self.folder / name)

    def save_refused(self, batch: Batch, number: int, rank: int) -> Path:
        """Write a process's part of a batch whose loss is not finite, as arrays; returns the file.

        Raises:
            OutputError: it cannot be written.
        """
        path = self.folder / f"refused-batch-{number}-{rank}.npz"
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                images=batch.images.numpy(),
                pictures=batch.targets.pictures.numpy(),
                classes=batch.targets.classes.numpy(),
                boxes=batch.targets.boxes.numpy(),
                indices=np.array(batch.indices),
            )
        return path

    def export_best(self) -> None:
        """Write ``best.onnx``, checked against ``best.safetensors``."""
        from lucidbox.export import export_onnx

        export_onnx(weights_files.read(self.folder / BEST), self.folder / "best.onnx")
