"""All figures of a sequence."""

from dataclasses import asdict, dataclass
from typing import Any

from lucidbox.core.html_tables import html_table
from lucidbox.evaluate.tracks.clear import clear
from lucidbox.evaluate.tracks.hota import hota
from lucidbox.evaluate.tracks.identity import identity_counts
from lucidbox.evaluate.tracks.sequence import TrackSequence

FIGURE_MEANINGS = {
    "HOTA": "detection and association together, mean over IoU 0.05 … 0.95",
    "DetA": "detection accuracy",
    "AssA": "association accuracy",
    "LocA": "mean IoU of matches",
    "MOTA": "1 less misses, false alarms and switches, at IoU 0.5",
    "IDF1": "boxes under the right identity, at IoU 0.5",
    "IDP": "of these, precision",
    "IDR": "and recall",
    "switches": "identities that changed",
}
"""What the figures of the table are."""


@dataclass(frozen=True)
class TrackSummary:
    """How well objects are followed; names and figures as TrackEval's."""

    HOTA: float
    DetA: float
    AssA: float
    DetRe: float
    DetPr: float
    AssRe: float
    AssPr: float
    LocA: float
    MOTA: float
    MOTP: float
    IDF1: float
    IDP: float
    IDR: float
    switches: int
    fragments: int
    mostly_tracked: int
    partly_tracked: int
    mostly_lost: int
    hits: int
    misses: int
    false_alarms: int
    truth_tracks: int
    truth_boxes: int
    found_tracks: int
    found_boxes: int
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """All figures by name, for JSON."""
        return {**asdict(self), "notes": list(self.notes)}

    def _repr_html_(self) -> str:
        """The main figures, for notebooks."""
        return html_table(
            ("figure", "", "meaning"),
            [(name, getattr(self, name), meaning) for name, meaning in FIGURE_MEANINGS.items()],
        )

    def __str__(self) -> str:
        """A table of the main figures, and one line of counts."""
        figures = [(name, getattr(self, name), meaning) for name, meaning in FIGURE_MEANINGS.items()]
        lines = [
            f"{name:<10}{value:>8}  {meaning}" if isinstance(value, int) else f"{name:<10}{value:>8.4f}  {meaning}"
            for name, value, meaning in figures
        ]
        counts = (
            f"{self.truth_boxes} true boxes of {self.truth_tracks} objects: {self.hits} found, "
            f"{self.misses} missed, {self.false_alarms} false alarms; {self.found_tracks} tracks; "
            f"{self.mostly_tracked} objects mostly tracked, {self.partly_tracked} partly, "
            f"{self.mostly_lost} mostly lost"
        )
        return "\n".join([*lines, "", counts])


def evaluate_tracks(sequence: TrackSequence) -> TrackSummary:
    """HOTA, CLEAR and Identity figures of a sequence."""
    higher, counts, same = hota(sequence), clear(sequence), identity_counts(sequence)
    return TrackSummary(
        HOTA=float(higher.hota.mean()),
        DetA=float(higher.det_a.mean()),
        AssA=float(higher.ass_a.mean()),
        DetRe=float(higher.det_re.mean()),
        DetPr=float(higher.det_pr.mean()),
        AssRe=float(higher.ass_re.mean()),
        AssPr=float(higher.ass_pr.mean()),
        LocA=float(higher.loc_a.mean()),
        MOTA=counts.mota,
        MOTP=counts.motp,
        IDF1=same.idf1,
        IDP=same.idp,
        IDR=same.idr,
        switches=counts.switches,
        fragments=counts.fragments,
        mostly_tracked=counts.mostly_tracked,
        partly_tracked=counts.partly_tracked,
        mostly_lost=counts.mostly_lost,
        hits=counts.hits,
        misses=counts.misses,
        false_alarms=counts.false_alarms,
        truth_tracks=len(sequence.truth_boxes),
        truth_boxes=int(sequence.truth_boxes.sum()),
        found_tracks=len(sequence.found_boxes),
        found_boxes=int(sequence.found_boxes.sum()),
        notes=sequence.notes,
    )
