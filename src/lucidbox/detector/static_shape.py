"""What an exported graph is fixed to, and what a detector must therefore keep to."""

from collections.abc import Sequence

from lucidbox.core.errors import EngineError, OptionError
from lucidbox.detect.letterbox import Size, parse_size
from lucidbox.detect.nms import Limits
from lucidbox.detector.model_cache import ModelInfo
from lucidbox.engines import Engine
from lucidbox.engines.static_shape import FixedBatchEngine, GraphEngine, SuppressedEngine
from lucidbox.model_files.file_format import Suppression


def fixed_size(info: ModelInfo, size: int | str | Sequence[int] | None, batch: int) -> Size | None:
    """The size that a model is fixed to; None where it takes any.

    Raises:
        OptionError: another size, or a larger batch, is asked for.
    """
    if info.shape is None:
        return None
    fixed = info.shape[1:]
    if size is not None and parse_size(size) != fixed:
        raise OptionError(f"size {size}: this model is fixed to {fixed[0]},{fixed[1]}; leave the size out")
    if batch > info.shape[0]:
        raise OptionError(f"batch {batch}: this model is fixed to batches of {info.shape[0]}; ask for no more")
    return fixed


def adapted(runner: Engine, info: ModelInfo) -> Engine:
    """The engine, with what its graph is fixed to hidden behind the protocol.

    Raises:
        EngineError: the graph states a suppression that this engine cannot have run.
    """
    engine = runner
    if info.suppression:
        if not isinstance(runner, GraphEngine):
            raise EngineError(f"a model with suppression inside is not for {runner.name}; export it without")
        engine = SuppressedEngine(runner, len(info.names))
    return FixedBatchEngine(engine, info.shape[0]) if info.shape else engine


def check_within(inside: Suppression, limits: Limits) -> None:
    """What a graph has suppressed cannot come back.

    Raises:
        OptionError: a limit would need boxes that the graph does not give.
    """
    if limits.conf < inside.conf or limits.max_det > inside.max_det:
        raise OptionError(
            f"this model suppresses by itself, at conf {inside.conf:g} and max_det {inside.max_det}; conf"
            f" {limits.conf:g} and max_det {limits.max_det} need an export without --suppress, or with these"
        )
    if limits.iou != inside.iou or limits.agnostic:
        raise OptionError(
            f"this model suppresses by itself, class by class at iou {inside.iou:g}; another iou, or suppression"
            " across classes, needs an export without --suppress"
        )
