"""Whether predictions are better than others for objects of each size, by resampling the images for both alike."""

from dataclasses import replace

from lucidbox.evaluate.analysis.intervals import Comparison, Interval, compare_paired
from lucidbox.evaluate.evaluation import match_all
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, Protocol
from lucidbox.evaluate.summary import area_suffix
from lucidbox.evaluate.truth import Truth


def compare_sizes(
    truth: Truth,
    first: Predictions,
    second: Predictions,
    protocol: Protocol = COCO,
    resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """:func:`compare_paired`, and after its numbers AP of each area range that has a truth: APs, APm, APl.

    Raises:
        OptionError: as for :func:`compare_paired`.
    """
    compared: Comparison | None = None
    for area in protocol.areas:
        rules = replace(protocol, areas=(area,))
        one, other = (match_all(truth, predictions, rules) for predictions in (first, second))
        if compared is None:
            compared = compare_paired(one, other, resamples, seed)
        elif one.positives[0].any():
            name = f"AP{area_suffix(area.name)}"
            compared = _extended(compared, compare_paired(one, other, resamples, seed), name)
    assert compared is not None, "a protocol has at least one area range"
    return compared


def _extended(compared: Comparison, sized: Comparison, name: str) -> Comparison:
    """A comparison with the AP of another, under a name."""

    def with_ap(numbers: tuple[Interval, ...], others: tuple[Interval, ...]) -> tuple[Interval, ...]:
        return *numbers, *(replace(one, name=name) for one in others if one.name == "AP")

    return replace(
        compared,
        first=with_ap(compared.first, sized.first),
        second=with_ap(compared.second, sized.second),
        differences=with_ap(compared.differences, sized.differences),
    )
