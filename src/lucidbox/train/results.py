"""The files that a training writes into its folder. Only the first of several processes writes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidbox import weights as weights_files
from lucidbox.core.errors import OptionError
from lucidbox.core.filesystem import atomic_path, atomic_write, output_error
from lucidbox.model import Network
from lucidbox.train.loader import Batch
from lucidbox.train.recipe import Recipe

CHECKPOINT = "checkpoint.safetensors"
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
        >>> Results(Path("runs/first")).begin(Recipe(epochs=50))
    """

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The file with which the training is resumed."""
        return self.folder / CHECKPOINT

    def begin(self, recipe: Recipe) -> None:
        """Make the folder and write the recipe.

        Raises:
            OptionError: the folder is not empty: a training never overwrites another.
            OutputError: it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if any(self.folder.iterdir()):
                raise OptionError(f"{self.folder}: not empty; name a new folder, or go on there with --resume")
        except OSError as error:
            raise output_error(self.folder, error) from error
        atomic_write(self.folder / "recipe.toml", recipe.to_toml())

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
