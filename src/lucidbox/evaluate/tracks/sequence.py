"""True and found tracks of one video, frame beside frame."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int
from lucidbox.core.assignment import best_assignment
from lucidbox.core.boxes import pairwise_iou
from lucidbox.core.errors import DataError
from lucidbox.core.matching import MATCH
from lucidbox.formats.mot import MotRows, read_mot

PEDESTRIAN = 1
DISTRACTORS = (2, 7, 8, 12)
"""MOTChallenge's classes that are neither objects nor mistakes: person on vehicle, static person, distractor,
reflection."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        truth: which of the true tracks are in it, by number from 0.
        found: which of the found tracks.
        iou: of each true box with each found box.
    """

    truth: Int[np.ndarray, " n"]
    found: Int[np.ndarray, " m"]
    iou: Float[np.ndarray, "n m"]


@dataclass(frozen=True, eq=False)
class TrackSequence:
    """All frames of a video that have boxes.

    Attributes:
        frames: in order.
        truth_boxes: how many boxes each true track has, by its number.
        found_boxes: the same of found tracks.
        notes: what to know of the files.
    """

    frames: tuple[Frame, ...]
    truth_boxes: Int[np.ndarray, " t"]
    found_boxes: Int[np.ndarray, " f"]
    notes: tuple[str, ...] = ()


def load_sequence(truth: str | Path, found: str | Path, *, mot_challenge: bool = False) -> TrackSequence:
    """True and found tracks from two files of MOT text.

    True boxes whose seventh column is 0 and found boxes with an id below 0 are left out; ``notes`` count them.

    Args:
        truth: true tracks.
        found: tracks to be judged.
        mot_challenge: count only true boxes of class 1, as MOTChallenge's benchmarks of pedestrians do, and leave
            out found boxes on those of classes 2, 7, 8 and 12.

    Raises:
        DataError: a file is malformed, or the truth has nothing to count.
    """
    true_rows, found_rows = read_mot(truth), read_mot(found, empty=True)
    counted, tracked = true_rows.scores != 0, found_rows.ids >= 0
    if mot_challenge:
        counted &= true_rows.classes == PEDESTRIAN
        tracked &= ~_on_distractors(true_rows, found_rows, tracked)
    if not counted.any():
        wanted = "class 1 in the eighth" if mot_challenge else "a number other than 0 in the seventh"
        raise DataError(f"{truth}: no box is to be counted; those that are have {wanted} column")
    notes = [*true_rows.notes, *found_rows.notes]
    notes += _notes(true_rows, found_rows, counted, tracked, mot_challenge)
    return sequence_of(
        true_rows.frames[counted], true_rows.ids[counted], true_rows.boxes[counted],
        found_rows.frames[tracked], found_rows.ids[tracked], found_rows.boxes[tracked],
        notes=tuple(notes),
    )  # fmt: skip


def sequence_of(
    truth_frames: Int[np.ndarray, " n"],
    truth_ids: Int[np.ndarray, " n"],
    truth_boxes: Float[np.ndarray, "n 4"],
    found_frames: Int[np.ndarray, " m"],
    found_ids: Int[np.ndarray, " m"],
    found_boxes: Float[np.ndarray, "m 4"],
    *,
    notes: tuple[str, ...] = (),
) -> TrackSequence:
    """A sequence from the frame, track and xyxy box of each true and each found box."""
    truth_names, truth = np.unique(truth_ids, return_inverse=True)
    found_names, found = np.unique(found_ids, return_inverse=True)
    frames = []
    for frame in np.union1d(truth_frames, found_frames):
        true_rows, found_rows = np.flatnonzero(truth_frames == frame), np.flatnonzero(found_frames == frame)
        iou = pairwise_iou(truth_boxes[true_rows], found_boxes[found_rows])
        frames.append(Frame(truth[true_rows], found[found_rows], iou))
    counts = (np.bincount(truth, minlength=len(truth_names)), np.bincount(found, minlength=len(found_names)))
    return TrackSequence(tuple(frames), *counts, notes)


def _on_distractors(truth: MotRows, found: MotRows, tracked: Bool[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
    """Which found boxes lie on a distractor, where all true boxes are assigned."""
    taken = np.zeros(len(found.ids), bool)
    for frame in np.unique(truth.frames[np.isin(truth.classes, DISTRACTORS)]):
        true_rows, found_rows = (
            np.flatnonzero(truth.frames == frame),
            np.flatnonzero((found.frames == frame) & tracked),
        )
        iou = pairwise_iou(truth.boxes[true_rows], found.boxes[found_rows])
        rows, columns = best_assignment(np.where(iou >= MATCH - np.finfo(float).eps, iou, 0.0))
        taken[found_rows[columns]] = np.isin(truth.classes[true_rows[rows]], DISTRACTORS)
    return taken


def _notes(
    truth: MotRows,
    found: MotRows,
    counted: Bool[np.ndarray, " n"],
    tracked: Bool[np.ndarray, " m"],
    mot_challenge: bool,
) -> list[str]:
    notes = []
    if not counted.all():
        notes.append(f"{truth.source}: {int((~counted).sum())} boxes are not to be counted, and left out")
    if not tracked.all():
        notes.append(f"{found.source}: {int((~tracked).sum())} boxes without a track, or on distractors, left out")
    classes = np.unique(truth.classes[counted])
    if not mot_challenge and len(classes) > 1:
        listed = ", ".join(map(str, classes[:10].tolist()))
        notes.append(f"{truth.source}: classes {listed} count alike; --mot-challenge counts class 1 alone")
    beyond = int((found.frames[tracked] > truth.frames.max()).sum())
    if beyond:
        notes.append(f"{found.source}: {beyond} boxes are in frames after the last one of {truth.source}")
    return notes
