"""Our names of YOLO11's tensors and the published ones, as one table. No torch here.

A row says that our module ``neck.top_down_p4.repeats.0.first`` is published as ``model.13.m.0.cv1``; the rest of
a name (``conv.weight``, ``bn.running_mean``, ...) is the same in both. The table has the modules of all sizes, so
a network has only some of its rows, and a published key has the same own key in all sizes.

Published files also contain ``model.23.dfl.conv.weight``: the numbers 0 to 15, with which the decoder weights a
distribution. They are never trained, so our networks have no tensor for them: a reader checks them with
:func:`check_distribution` and drops them, a writer adds them.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from itertools import product
from types import MappingProxyType

from lucidbox.core.errors import WeightsError

DISTRIBUTION_KEY = "model.23.dfl.conv.weight"
"""Published name of the fixed numbers 0 to 15, of shape 1, 16, 1, 1."""

LAYERS = MappingProxyType({
    0: "backbone.stem", 1: "backbone.down_p2", 2: "backbone.mix_p2", 3: "backbone.down_p3", 4: "backbone.mix_p3",
    5: "backbone.down_p4", 6: "backbone.mix_p4", 7: "backbone.down_p5", 8: "backbone.mix_p5",
    9: "backbone.pool_p5", 10: "backbone.attend_p5", 13: "neck.top_down_p4", 16: "neck.top_down_p3",
    17: "neck.down_p4", 19: "neck.bottom_up_p4", 20: "neck.down_p5", 22: "neck.bottom_up_p5", 23: "head",
})  # fmt: skip
"""Our module for each published layer number. Layers without tensors (doubling, joining) are left out."""

# Our name and the published name of the convolution units inside a layer; # is a number, the same in both.
_UNIT = (("", ""),)
_C3K2 = (
    ("split", "cv1"),
    ("merge", "cv2"),
    ("repeats.#.first", "m.#.cv1"),
    ("repeats.#.second", "m.#.cv2"),
    ("repeats.#.merge", "m.#.cv3"),
    ("repeats.#.repeats.#.first", "m.#.m.#.cv1"),
    ("repeats.#.repeats.#.second", "m.#.m.#.cv2"),
)
_SPPF = (("reduce", "cv1"), ("merge", "cv2"))
_C2PSA = (
    ("split", "cv1"),
    ("merge", "cv2"),
    ("repeats.#.attention.query_key_value", "m.#.attn.qkv"),
    ("repeats.#.attention.project", "m.#.attn.proj"),
    ("repeats.#.attention.position", "m.#.attn.pe"),
    ("repeats.#.expand", "m.#.ffn.0"),
    ("repeats.#.contract", "m.#.ffn.1"),
)
_HEAD = (
    ("box_branches.#.first", "cv2.#.0"),
    ("box_branches.#.second", "cv2.#.1"),
    ("class_branches.#.first.depthwise", "cv3.#.0.0"),
    ("class_branches.#.first.pointwise", "cv3.#.0.1"),
    ("class_branches.#.second.depthwise", "cv3.#.1.0"),
    ("class_branches.#.second.pointwise", "cv3.#.1.1"),
)
_PREDICTIONS = (("box_branches.#.predict", "cv2.#.2"), ("class_branches.#.predict", "cv3.#.2"))

_ROWS = dict.fromkeys((0, 1, 3, 5, 7, 17, 20), _UNIT) | {9: _SPPF, 10: _C2PSA, 23: _HEAD}
# The convolution's bias takes the norm's place in a network whose norms are folded.
_UNIT_TENSORS = (
    "conv.weight", "conv.bias",
    "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var", "bn.num_batches_tracked",
)  # fmt: skip
_PREDICTION_TENSORS = ("weight", "bias")


def to_published(own_key: str) -> str:
    """The published name of one of our tensors.

    Raises:
        WeightsError: no YOLO11 of ours has a tensor of this name.
    """
    try:
        return _published_by_own()[own_key]
    except KeyError:
        raise WeightsError(f"{own_key}: no tensor of YOLO11 has this name") from None


def from_published(key: str) -> str:
    """Our name of a published tensor.

    Raises:
        WeightsError: no published YOLO11 detector has a tensor of this name, or it is
            :data:`DISTRIBUTION_KEY`, which has no counterpart.
    """
    try:
        return _own_by_published()[key]
    except KeyError:
        raise WeightsError(f"{key}: no tensor of a published YOLO11 detector has this name") from None


def check_distribution(key: str, numbers: Sequence[float]) -> None:
    """Check that a file's fixed DFL numbers are the 0, 1, 2, ... that our decoder uses.

    Args:
        key: the tensor's name, for the message.
        numbers: its values, flattened.

    Raises:
        WeightsError: they are not.
    """
    if list(numbers) != list(range(len(numbers))):
        raise WeightsError(
            f"{key} must be the numbers 0 to {len(numbers) - 1}; this file's network decodes differently"
        )


@cache
def _published_by_own() -> dict[str, str]:
    table: dict[str, str] = {}
    for number, layer in LAYERS.items():
        for own, published in _expand(_ROWS.get(number, _C3K2)):
            table |= {_join(layer, own, name): _join(f"model.{number}", published, name) for name in _UNIT_TENSORS}
    for own, published in _expand(_PREDICTIONS):
        table |= {_join(LAYERS[23], own, name): _join("model.23", published, name) for name in _PREDICTION_TENSORS}
    return table


@cache
def _own_by_published() -> dict[str, str]:
    return {published: own for own, published in _published_by_own().items()}


def _expand(rows: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """Rows with every # replaced by 0, 1 and 2: no list of modules in YOLO11 is longer."""
    for own, published in rows:
        for numbers in product("012", repeat=own.count("#")):
            yield _fill(own, numbers), _fill(published, numbers)


def _fill(pattern: str, numbers: Iterable[str]) -> str:
    for number in numbers:
        pattern = pattern.replace("#", number, 1)
    return pattern


def _join(*parts: str) -> str:
    return ".".join(part for part in parts if part)
