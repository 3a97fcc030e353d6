"""The analyses that ``lucidbox evaluate`` is asked for: a table and an entry of the JSON for each."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from lucidbox.cli.evaluate import report

if TYPE_CHECKING:
    from lucidbox.evaluate import Predictions, Summary
    from lucidbox.validate.model_run import ModelRun


def add_analyses(
    arguments: argparse.Namespace,
    summary: "Summary",
    model: "ModelRun | None",
    shifted: "Predictions | None",
    document: dict[str, Any],
    sections: list[str],
) -> None:
    """Add a table and an entry of the JSON for each analysis that was asked for."""
    matching = summary.matching
    if arguments.errors:
        from lucidbox.evaluate.analysis.errors import explain_errors

        errors = explain_errors(matching)
        document["errors"] = asdict(errors)
        sections.append(report.error_table(errors))
    if arguments.bootstrap is not None:
        from lucidbox.evaluate.analysis.intervals import bootstrap

        intervals = bootstrap(matching, arguments.bootstrap, arguments.seed)
        document["bootstrap"] = [asdict(one) for one in intervals]
        sections.append(report.interval_table(intervals, arguments.bootstrap, len(matching.truth.image_ids)))
    if arguments.missed and model:
        missed = model.missed(matching)
        document["missed"] = [asdict(one) for one in missed]
        sections.append(report.missed_table(missed))
    if arguments.explain_gap:
        from lucidbox.evaluate.analysis.variants import VARIANT_NUMBERS, metric_variant, metric_variants

        classes = matching.protocol.classes
        gap = metric_variants(matching.truth, matching.predictions, classes)
        if shifted is not None:
            name, seen_in = "classes kept apart by shifting boxes", "suppression with a class offset"
            gap += (metric_variant(name, seen_in, matching.truth, shifted, classes),)
        document["gap"] = [
            {"name": one.name, **dict(zip(VARIANT_NUMBERS, one.measured, strict=True))} for one in gap
        ]
        sections.append(report.gap_table(gap))
