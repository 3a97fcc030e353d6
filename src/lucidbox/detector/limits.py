"""The limits of a detector: those that its model brings, changed as far as the model can keep them."""

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from lucidbox.core.errors import OptionError
from lucidbox.detect.nms import Limits
from lucidbox.model_files.metadata import ModelInfo, Suppression


def limits_for(info: ModelInfo | None, names: Sequence[str], limits: Limits, changes: dict[str, Any]) -> Limits:
    """Limits with some changed, if the model can give what they ask for; classes may be names."""
    wanted = changes.get("classes")
    if wanted is not None:
        from lucidbox.core.class_names import class_ids

        changes = changes | {"classes": tuple(class_ids(wanted, names))}
    limits = changed_limits(limits, changes)
    if info and info.suppression:
        _check_within(info.suppression, limits)
    return limits


def stated_limits(info: ModelInfo) -> Limits:
    """The limits that a model brings."""
    if info.suppression and not info.layout:
        return Limits(**asdict(info.suppression))
    most = info.suppression.max_det if info.suppression else Limits.max_det
    return Limits(info.conf, info.iou, min(most, Limits.max_det))


def changed_limits(limits: Limits, changes: dict[str, Any]) -> Limits:
    """Limits with some changed; None means unchanged.

    Raises:
        OptionError: a limit is unknown or out of range.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    unknown = set(given) - {field.name for field in fields(Limits)}
    if unknown:
        raise OptionError(f"unknown limit {sorted(unknown)[0]!r}; there are conf, iou, max_det, classes, agnostic")
    return replace(limits, **given)


def _check_within(inside: Suppression, limits: Limits) -> None:
    """Refuse limits that need boxes which the graph has suppressed.

    Raises:
        OptionError: a limit would need boxes that the graph does not give.
    """
    if limits.conf < inside.conf or limits.max_det > inside.max_det:
        raise OptionError(
            f"this model suppresses by itself, at conf {inside.conf:g} and max_det {inside.max_det}; conf"
            f" {limits.conf:g} and max_det {limits.max_det} need an export without --suppress, or with these"
        )
    if inside.iou == 1 and (limits.iou < 1 or limits.agnostic):
        raise OptionError(
            "this model suppresses by itself, at an overlap that its file does not state; for another iou, or"
            " suppression across classes, export it without"
        )
    if limits.iou != inside.iou or limits.agnostic:
        raise OptionError(
            f"this model suppresses by itself, class by class at iou {inside.iou:g}; another iou, or suppression"
            " across classes, needs an export without --suppress"
        )
