"""Training in torch: assignment, losses, and the loop from a data set to weights. Needs the extra ``train``.

Importing this imports no torch, and neither does ``lucidbox.train.recipe``: names come on first use.

Example:
    >>> data = open_data("data.yaml")
    >>> trainer = Trainer(data, build("yolo11n", len(data.names)), Recipe(epochs=50), Path("runs/first"))
    >>> outcome = trainer.run()

    >>> loss = detection_loss(network(images), targets, size=(640, 640))
    >>> loss.total.backward()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lucidbox.train.assigner import Assignment, Rule, TargetBoxes, assign
    from lucidbox.train.callbacks import Callbacks, Outcome
    from lucidbox.train.complete_iou import ciou
    from lucidbox.train.losses import Gains, Loss, Targets, detection_loss
    from lucidbox.train.recipe import Recipe, read_recipe
    from lucidbox.train.teacher import Teacher
    from lucidbox.train.train_step import TrainStep
    from lucidbox.train.trainer import Trainer

_HOMES = {
    "Assignment": "assigner", "Rule": "assigner", "TargetBoxes": "assigner", "assign": "assigner",
    "ciou": "complete_iou",
    "Gains": "losses", "Loss": "losses", "Targets": "losses", "detection_loss": "losses",
    "Recipe": "recipe", "read_recipe": "recipe", "TrainStep": "train_step", "Teacher": "teacher",
    "Outcome": "callbacks", "Trainer": "trainer", "Callbacks": "callbacks",
}  # fmt: skip

__all__ = [
    "Assignment",
    "Gains",
    "TrainStep",
    "Loss",
    "Outcome",
    "Recipe",
    "Rule",
    "Targets",
    "Teacher",
    "Trainer",
    "TargetBoxes",
    "Callbacks",
    "assign",
    "ciou",
    "detection_loss",
    "read_recipe",
]


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that a recipe can be read without torch."""
    if name in _HOMES:
        return getattr(import_module(f"lucidbox.train.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'lucidbox.train' has no attribute {name!r}")
