"""Training in torch: assignment, losses, and the loop from a data set to weights. Needs the extra ``train``.

Importing this imports no torch, and neither does ``lucidbox.train.recipe``: each name is imported on first use.
Public modules besides the names below: ``processes`` (several processes), ``start`` (the first weights),
``checkpoint``, ``loader``, ``optimizer``, ``schedule``, ``sampling_schedule``, ``results``, ``records``.

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
    "Assignment", "Callbacks", "Gains", "Loss", "Outcome", "Recipe", "Rule", "TargetBoxes", "Targets", "Teacher",
    "TrainStep", "Trainer", "assign", "checkpoint", "ciou", "detection_loss", "loader", "optimizer", "processes",
    "read_recipe", "recipe", "records", "results", "sampling_schedule", "schedule", "start", "callbacks",
    "train_step", "trainer",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that a recipe can be read without torch."""
    if name not in __all__:
        raise AttributeError(f"module 'lucidbox.train' has no attribute {name!r}")
    module = import_module(f"lucidbox.train.{_HOMES.get(name, name)}")
    return getattr(module, name) if name in _HOMES else module
