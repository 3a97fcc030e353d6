"""All settings of a training, in one frozen value that is checked and can be stored."""

import json
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import numpy as np

from lucidbox.core.errors import OptionError
from lucidbox.model_files.metadata import LARGEST_SIDE, STRIDE

# fmt: off
_RANGES: dict[str, tuple[float, float]] = {
    "epochs": (1, 1e6), "size": (STRIDE, LARGEST_SIDE), "batch": (1, 1e6), "nominal_batch": (1, 1e6),
    "learning_rate": (0, 10), "final_rate": (0, 1), "momentum": (0, 0.9999), "weight_decay": (0, 1),
    "warmup_epochs": (0, 1e6), "warmup_momentum": (0, 0.9999), "warmup_bias_rate": (0, 10), "clip": (0, 1e9),
    "box_gain": (0, 1e6), "class_gain": (0, 1e6), "dfl_gain": (0, 1e6), "ema_decay": (0, 1), "ema_ramp": (0, 1e9),
    "patience": (0, 1e9), "validate_every": (1, 1e6), "checkpoint_minutes": (0, 1e6),
    "mosaic": (0, 1), "close_mosaic": (0, 1e6), "mixup": (0, 1), "copy_paste": (0, 1), "hue": (0, 1),
    "saturation": (0, 1), "value": (0, 1), "translate": (0, 0.9), "scale": (0, 0.99), "degrees": (0, 180),
    "shear": (0, 80), "flip_horizontal": (0, 1), "flip_vertical": (0, 1), "multi_scale": (0, 0.9),
    "workers": (0, 256), "cache_gb": (0, 1e6), "seed": (0, 2**63 - 1), "teacher_gain": (0, 1e6),
}
# fmt: on

_BEYOND = 1e300  # whole numbers can be longer than floats


@dataclass(frozen=True)
class Recipe:
    """The settings of a training. The defaults are the published ones; every value is also a key of a recipe file.

    Durations are in epochs, rates per optimiser step, probabilities and shares from 0 to 1.

    Attributes:
        epochs: passes over the images.
        size: side of the square network input, pixels, a multiple of 32.
        batch: images of one forward pass, over all processes.
        nominal_batch: images of one optimiser step: gradients are accumulated until there are as many.
            ``weight_decay`` is for this number.
        optimizer: "sgd" (Nesterov), "adamw", or "auto": AdamW with a rate for the number of classes in
            trainings of up to 10,000 steps, else SGD at 0.01. In trainings of fewer than 1,000 steps from weights
            that know every class its rate is at most 0.00015, and ``freeze_norms`` is set.
        learning_rate: highest rate, after warm-up. "auto" sets its own.
        final_rate: last rate, as a share of ``learning_rate``.
        schedule: how the rate falls, "linear" or "cosine".
        momentum: of SGD; the first beta of AdamW.
        weight_decay: decay of weights, not of norms and biases.
        warmup_epochs: rates and momentum rise over this time, and over 100 batches at least.
        warmup_momentum: momentum at the start.
        warmup_bias_rate: rate of biases at the start, with SGD; with AdamW it is 0.
        clip: largest norm of all gradients together; 0 for no limit.
        box_gain, class_gain, dfl_gain: weights of the loss's parts.
        ema_decay: decay of the exponential moving average of weights, which is what is validated and saved. The
            statistics of its batch norms are measured after every epoch.
        ema_ramp: steps over which that decay is approached: decay · (1 − e^(−step / ramp)).
        patience: stop after this number of epochs without a better AP, counted from the first AP above 0; 0 for
            never.
        validate_every: epochs between validations. The last epoch is always validated.
        checkpoint_minutes: also save within an epoch, this often; 0 saves after epochs only.
        mosaic: probability of combining four images into one.
        close_mosaic: epochs at the end without mosaic, mixup and copy-paste.
        mixup: probability of blending two images.
        copy_paste: probability of pasting boxes of another image.
        hue, saturation, value: largest change, as shares.
        translate: largest shift, as a share of ``size``.
        scale: largest change of scale: factors from 1 − scale to 1 + scale.
        degrees: largest rotation, either way.
        shear: largest shear, degrees.
        flip_horizontal, flip_vertical: probabilities.
        multi_scale: batches are resized to sides from (1 − this) to (1 + this) of ``size``; 0 for never.
        precision: "fp32", "bf16", "fp16" (graphics cards), or "auto": bf16 where the hardware computes it.
        freeze: beginnings of the names of layers that are not trained, such as "backbone" or "neck.down_p4".
        freeze_norms: keep the statistics of all batch norms as they are.
        workers: processes that prepare images; 0 prepares them between steps.
        cache_gb: gigabytes of decoded images that may be kept on disk, memory-mapped.
        seed: seed of all random numbers. On one processor the same seed and recipe give the same weights.
        teacher: ONNX file of a YOLOX detector whose predictions are learnt besides the truth; "" for none. All
            classes to learn must be among its classes, by name: COCO's 80, or those described in a TOML beside it.
        teacher_gain: weight of the loss against the teacher's predictions.

    Example:
        >>> Recipe(epochs=50, batch=32).to_toml()
    """

    epochs: int = 100
    size: int = 640
    batch: int = 16
    nominal_batch: int = 64
    optimizer: Literal["sgd", "adamw", "auto"] = "auto"
    learning_rate: float = 0.01
    final_rate: float = 0.01
    schedule: Literal["linear", "cosine"] = "linear"
    momentum: float = 0.937
    weight_decay: float = 0.0005
    warmup_epochs: float = 3.0
    warmup_momentum: float = 0.8
    warmup_bias_rate: float = 0.1
    clip: float = 10.0
    box_gain: float = 7.5
    class_gain: float = 0.5
    dfl_gain: float = 1.5
    ema_decay: float = 0.9999
    ema_ramp: float = 2000.0
    patience: int = 100
    validate_every: int = 1
    checkpoint_minutes: float = 10.0
    mosaic: float = 1.0
    close_mosaic: int = 10
    mixup: float = 0.0
    copy_paste: float = 0.0
    hue: float = 0.015
    saturation: float = 0.7
    value: float = 0.4
    translate: float = 0.1
    scale: float = 0.5
    degrees: float = 0.0
    shear: float = 0.0
    flip_horizontal: float = 0.5
    flip_vertical: float = 0.0
    multi_scale: float = 0.0
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "auto"
    freeze: tuple[str, ...] = ()
    freeze_norms: bool = False
    workers: int = 2
    cache_gb: float = 0.0
    seed: int = 0
    teacher: str = ""
    teacher_gain: float = 1.0

    def __post_init__(self) -> None:
        """Convert values that mean one of the right type (3 for 3.0, a list for a tuple), and check all.

        Raises:
            OptionError: one is of the wrong type or out of range; names the key.
        """
        for field in fields(self):
            value = _converted(field.type, getattr(self, field.name))
            _check(field.name, field.type, value)
            object.__setattr__(self, field.name, value)
        if self.size % 32:
            raise OptionError(
                f"recipe: size {self.size} is not a multiple of 32: try {round(self.size / 32) * 32}"
            )

    def changed(self, changes: Mapping[str, Any]) -> "Recipe":
        """A copy with some values changed.

        Raises:
            OptionError: a key is unknown (the message has similar ones), or a value is wrong.
        """
        known = [field.name for field in fields(self)]
        for key in changes:
            if key not in known:
                raise OptionError(f"recipe: unknown key {key!r}; {_nearest(key, known)}")
        types = {field.name: field.type for field in fields(self)}
        return replace(self, **{key: _converted(types[key], value) for key, value in changes.items()})

    def to_dict(self) -> dict[str, Any]:
        """Every key and value, with lists instead of tuples, for TOML and JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}

    def to_toml(self) -> str:
        """The recipe as a file that :func:`read_recipe` reads."""
        return "".join(f"{key} = {_toml(value)}\n" for key, value in self.to_dict().items())


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe file; keys that it lacks have their defaults.

    Raises:
        OptionError: there is no such file, it is not TOML, or a key or value is wrong.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"not TOML: {error}"
        raise OptionError(f"recipe {path}: {reason}") from error
    try:
        return Recipe().changed(document)
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from error


def parse_setting(text: str) -> tuple[str, Any]:
    """Key and value of ``key=value``, the value written as in TOML; quotes around a single word are optional.

    Raises:
        OptionError: there is no "=".
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise OptionError(f"--set {text!r}: write key=value, such as mosaic=0.5")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def _check(key: str, kind: Any, value: Any) -> None:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise OptionError(f"recipe: {key} {value!r} is not one of {', '.join(get_args(kind))}")
    elif kind == tuple[str, ...]:
        if not (isinstance(value, tuple) and all(isinstance(name, str) and name for name in value)):
            raise OptionError(f"recipe: {key} {value!r} must be a list of names in quotes")
    elif type(value) is not kind:
        words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise OptionError(f"recipe: {key} {value!r} must be {words[kind]}")
    elif key in _RANGES:
        low, high = _RANGES[key]
        if not low <= value <= high:  # in this form a NaN is refused, too
            raise OptionError(f"recipe: {key} {value!r} is out of range: {low:g} to {high:g}")


def _converted(kind: Any, value: Any) -> Any:
    """The value as its key's type where it means the same: NumPy's scalars, 3 for 3.0 and 3.0 for 3, paths."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if kind in (int, float) and isinstance(value, int | float) and type(value) is not bool:
        meant = value == value // 1 if kind is int else abs(value) < _BEYOND
        return kind(value) if meant else value
    if kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    if kind == tuple[str, ...]:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return tuple(map(_plain_text, value)) if isinstance(value, Iterable) else value
    return _plain_text(value)


def _plain_text(value: Any) -> Any:
    """Subclasses of ``str``, as NumPy has them, as what they are."""
    return str(value) if isinstance(value, str) else value


def _nearest(key: str, known: list[str]) -> str:
    near = get_close_matches(key, known, n=3)
    return f"do you mean {' or '.join(near)}?" if near else f"known are {', '.join(known)}"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)  # a basic string of TOML but for one control character
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)
