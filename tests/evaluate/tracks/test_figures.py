"""HOTA, CLEAR and Identity figures: by hand, as the library ``trackers`` wrote them down, and from files."""

import numpy as np
import pytest

from lucidbox.core.errors import DataError
from lucidbox.evaluate.tracks import evaluate_tracks, load_sequence, sequence_of

FIGURES = {
    "IDSW": "switches", "Frag": "fragments", "MT": "mostly_tracked", "PT": "partly_tracked", "ML": "mostly_lost",
    "CLR_TP": "hits", "CLR_FN": "misses", "CLR_FP": "false_alarms",
}  # fmt: skip
"""Names of the library that are not ours."""


def rows(*entries):
    """Frames, ids and boxes of entries ``(frame, id, left)``: boxes are 10 wide and high."""
    table = np.array(entries, float).reshape(-1, 3)
    left = table[:, 2]
    boxes = np.stack([left, np.zeros(len(left)), left + 10, np.full(len(left), 10.0)], axis=1)
    return table[:, 0].astype(int), table[:, 1].astype(int), boxes


def figures(truth, found):
    return evaluate_tracks(sequence_of(*rows(*truth), *rows(*found)))


def test_the_truth_itself_is_perfect():
    truth = [(frame, track, 50 * track) for frame in range(1, 5) for track in (1, 2)]
    result = figures(truth, truth)
    assert result._repr_html_().count(">1.000<") == 8
    assert (result.HOTA, result.MOTA, result.IDF1, result.switches, result.LocA) == (1, 1, 1, 0, 1)
    assert result.mostly_tracked == result.truth_tracks == 2


def test_an_id_that_changes_after_half_of_the_frames():
    truth = [(frame, 1, 0) for frame in range(1, 5)]
    result = figures(truth, [(1, 8, 0), (2, 8, 0), (3, 9, 0), (4, 9, 0)])
    assert (result.switches, result.fragments, result.MOTA) == (1, 0, 0.75)
    assert result.IDF1 == 0.5  # one of the two ids counts: 2 of 4 boxes on both sides
    assert result.DetA == 1
    assert result.AssA == pytest.approx(0.5)  # each box: 2 together of 4 of either
    assert pytest.approx(0.5**0.5) == result.HOTA


def test_a_box_of_the_frame_before_goes_on_though_another_fits_better():
    truth = [(1, 1, 0), (2, 1, 0)]
    assert figures(truth, [(1, 5, 0), (2, 5, 3), (2, 6, 0)]).switches == 0


def test_misses_false_alarms_and_fragments():
    truth = [(frame, 1, 0) for frame in range(1, 6)]
    result = figures(truth, [(1, 5, 0), (2, 5, 0), (3, 5, 80), (4, 5, 0)])
    assert (result.hits, result.misses, result.false_alarms, result.fragments) == (3, 2, 1, 1)
    assert pytest.approx((3 - 1) / 5) == result.MOTA
    assert pytest.approx((6 / 9, 3 / 4, 3 / 5)) == (result.IDF1, result.IDP, result.IDR)
    assert result.partly_tracked == 1


def test_nothing_found():
    result = figures([(1, 1, 0)], [])
    assert (result.HOTA, result.MOTA, result.IDF1, result.misses, result.mostly_lost) == (0, 0, 0, 1, 1)


def test_as_the_library_wrote_them_down(golden_file):
    data = np.load(golden_file("tracks/peer.npz"))
    sides = [f"{side}_{column}" for side in ("truth", "found") for column in ("frames", "ids", "boxes")]
    for number in range(6):
        result = evaluate_tracks(sequence_of(*(data[f"figures{number}/{side}"] for side in sides)))
        ours = [getattr(result, FIGURES.get(name, name)) for name in data["names"].tolist()]
        assert np.allclose(ours, data[f"figures{number}/figures"], atol=1e-9, rtol=0), number


def write(tmp_path, name, *lines):
    path = tmp_path / name
    path.write_text("\n".join(lines))
    return path


def test_files_with_boxes_that_do_not_count(tmp_path):
    truth = write(tmp_path, "gt.txt", "1,1,0,0,10,10,1", "1,2,50,0,10,10,0", "2,1,0,0,10,10,1")
    found = write(tmp_path, "found.txt", "1,4,0,0,10,10,.9", "1,-1,50,0,10,10,.9", "3,4,0,0,10,10,.9")
    sequence = load_sequence(truth, found)
    result = evaluate_tracks(sequence)
    assert (result.truth_boxes, result.found_boxes, result.hits, result.false_alarms) == (2, 2, 1, 1)
    told = " ".join(sequence.notes)
    assert "1 boxes are not to be counted" in told
    assert "1 boxes without a track" in told
    assert "1 boxes are in frames after the last one" in told


def test_mot_challenge_counts_pedestrians_and_forgives_distractors(tmp_path):
    truth = write(tmp_path, "gt.txt", "1,1,0,0,10,10,1,1", "1,2,50,0,10,10,1,8", "1,3,90,0,10,10,1,3")
    found = write(tmp_path, "found.txt", "1,4,0,0,10,10", "1,5,50,0,10,10", "1,6,90,0,10,10")
    plain = evaluate_tracks(load_sequence(truth, found))
    strict = evaluate_tracks(load_sequence(truth, found, mot_challenge=True))
    assert (plain.truth_boxes, plain.hits, plain.false_alarms) == (3, 3, 0)
    assert (strict.truth_boxes, strict.hits, strict.false_alarms) == (1, 1, 1)
    assert "--mot-challenge" in " ".join(plain.notes)


def test_truth_of_which_nothing_counts(tmp_path):
    truth = write(tmp_path, "gt.txt", "1,1,0,0,10,10,0")
    with pytest.raises(DataError, match="no box is to be counted"):
        load_sequence(truth, truth)
