"""Trackers: identities as the library's, times, ids, and what the default one does at crossings and gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.core.detections import Detections
from lucidbox.track import TRACKERS
from lucidbox.track.clock import Clock

PEERS = ("sort", "bytetrack", "botsort", "cbiou")
every_tracker = pytest.mark.parametrize("name", TRACKERS)


def detections(boxes, scores=None, classes=None):
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    scores = np.full(len(boxes), 0.9) if scores is None else scores
    classes = np.zeros(len(boxes), np.int64) if classes is None else np.array(classes)
    return Detections(boxes, np.asarray(scores, np.float32), classes, ("car", "truck"))


def box(x, y, width=40, height=80):
    return [x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def run(name, frames, rate=30.0, start=0.0):
    """The id of each box of each frame, 0 for none."""
    tracker, ids = TRACKERS[name](), []
    for number, boxes in enumerate(frames):
        found = tracker.update(detections(boxes), start + number / rate)
        row = np.zeros(len(boxes), int)
        row[found.kept] = found.ids
        ids.append(row.tolist())
    return ids


def renamed(ids):
    """Ids by order of appearance, so that two runs can be compared."""
    names = {0: 0}
    return [names.setdefault(one, len(names)) for one in ids]


@pytest.mark.parametrize("kind", ["regular", "uneven"])
@pytest.mark.parametrize("name", PEERS)
def test_identities_are_the_librarys(name, kind, golden_file):
    """At even times, and where intervals between frames vary; up to the ids' names."""
    data = np.load(golden_file("tracks/peer.npz"))
    ends = np.cumsum(data[f"{kind}/counts"])
    tracker, ids = TRACKERS[name](), []
    for time, end, count in zip(data[f"{kind}/times"], ends, data[f"{kind}/counts"], strict=True):
        rows = slice(end - count, end)
        found = tracker.update(detections(data[f"{kind}/boxes"][rows], data[f"{kind}/scores"][rows]), float(time))
        row = np.zeros(count, int)
        row[found.kept] = found.ids
        ids += row.tolist()
    assert renamed(ids) == renamed(data[f"{kind}/{name}"].tolist())


@every_tracker
def test_one_object_one_id(name):
    ids = run(name, [[box(100 + 4 * frame, 200)] for frame in range(30)])
    assert {one for row in ids for one in row} <= {0, 1}
    assert all(row == [1] for row in ids[3:])


@every_tracker
def test_two_that_pass_each_other_keep_their_ids(name):
    """Their heights differ by a third of a box: at the crossing they overlap by half."""
    frames = [[box(100 + 6 * frame, 200), box(460 - 6 * frame, 226)] for frame in range(60)]
    ids = run(name, frames)
    assert ids[5] == ids[-1]
    assert sorted(ids[-1]) == [1, 2]


@every_tracker
def test_found_again_after_a_gap_of_eight_frames(name):
    frames = [[box(100 + 4 * frame, 200)] if not 20 <= frame < 28 else [] for frame in range(60)]
    ids = run(name, frames)
    assert ids[-1] == ids[19] == [1]


@every_tracker
def test_after_four_thirds_of_a_second_another_id_which_is_new(name):
    seen, gone = [[box(100, 200)]] * 5, [[]] * 40
    ids = run(name, [*seen, *gone, *seen, *gone, *seen])
    named = [row[0] for row in ids if row and row[0]]
    assert sorted(set(named)) == [1, 2, 3]
    assert named == sorted(named)


@every_tracker
def test_held_are_those_that_can_come_back(name):
    tracker = TRACKERS[name]()
    for frame in range(10):
        tracker.update(detections([box(100, 200)]), frame / 30)
    assert tracker.held == (1,)
    tracker.update(detections([]), 11 / 30)
    assert tracker.held == (1,)
    tracker.update(detections([]), 9.0)
    assert tracker.held == ()


@every_tracker
def test_reset_begins_anew(name):
    tracker = TRACKERS[name]()
    first = [tracker.update(detections([box(100, 200)]), 50 + frame / 30).ids.tolist() for frame in range(6)]
    tracker.reset()
    assert [tracker.update(detections([box(100, 200)]), frame / 30).ids.tolist() for frame in range(6)] == first


@every_tracker
def test_what_is_kept_keeps_its_order(name):
    random = np.random.default_rng(0)
    tracker = TRACKERS[name]()
    for frame in range(20):
        places = random.permutation(6)
        given = detections([box(100 + 120 * place, 200) for place in places], random.uniform(0.05, 0.95, 6))
        found = tracker.update(given, frame / 30)
        assert found.detections == given[found.kept]
        assert (np.diff(found.kept) > 0).all()
        assert len(set(found.ids.tolist())) == len(found) == len(found.ids)
        assert found.seconds == frame / 30


@every_tracker
@pytest.mark.parametrize("times", [[0.0, 0.1, 0.1, 0.1], [5.0, 4.0, 3.0, 2.0]])
def test_times_that_stand_still_or_go_back(name, times):
    tracker = TRACKERS[name]()
    for time in times:
        tracker.update(detections([box(100, 200)]), time)
    assert tracker.update(detections([box(100, 200)]), max(times) + 0.04).ids.tolist() == [1]


@every_tracker
def test_what_is_not_finite_is_refused(name):
    tracker = TRACKERS[name]()
    with pytest.raises(ValueError, match="finite"):
        tracker.update(detections([[0, 0, np.nan, 1]]), 0.0)
    with pytest.raises(ValueError, match="finite"):
        tracker.update(detections([[0, 0, 1, 1]], [np.inf]), 0.0)
    with pytest.raises(ValueError, match="finite"):
        tracker.update(detections([]), float("nan"))
    assert tracker.update(detections([]), 0.0).ids.tolist() == []


@every_tracker
def test_boxes_without_area_and_equal_boxes_harm_nothing(name):
    frames = [[[5, 5, 5, 5], box(100, 200), box(100, 200), [9, 9, 9, 20]]] * 10
    ids = run(name, frames)
    assert len({one for one in ids[-1] if one}) == sum(1 for one in ids[-1] if one)


@settings(max_examples=25)
@given(st.sampled_from(sorted(TRACKERS)), st.integers(0, 10_000))
def test_ids_are_never_given_twice(name, seed):
    """Not to two boxes of a frame, and not again once a track has ended; they are 1, 2, 3 and so on."""
    random = np.random.default_rng(seed)
    tracker, ended, before, ever = TRACKERS[name](), set(), set(), set()
    time = 0.0
    for _ in range(15):
        time += float(random.choice([0.01, 0.04, 0.3, 1.0]))
        many = int(random.integers(0, 5))
        boxes = [box(*random.uniform(0, 200, 2), *random.uniform(20, 60, 2)) for _ in range(many)]
        found = tracker.update(detections(boxes, random.uniform(0, 1, many)), time)
        held = set(tracker.held)
        assert len(set(found.ids.tolist())) == len(found)
        assert set(found.ids.tolist()) <= held
        assert not held & ended
        ended |= before - held
        before, ever = held, ever | held
    assert ever == set(range(1, len(ever) + 1))


@pytest.mark.parametrize("rate", [5.0, 12.5, 60.0])
def test_the_default_keeps_ids_at_any_frame_rate(rate):
    """The same two people who cross within four seconds, at 5 to 60 frames a second."""
    moments = np.arange(0, 4, 1 / rate)
    ids = run("evidence", [[box(100 + 90 * t, 200), box(460 - 90 * t, 226)] for t in moments], rate)
    assert ids[0] == ids[-1] == [1, 2]


def test_the_default_keeps_ids_where_frames_are_dropped():
    random, tracker, seen = np.random.default_rng(0), TRACKERS["evidence"](), []
    for time in np.sort(random.uniform(0, 4, 60)).tolist():
        found = tracker.update(detections([box(100 + 90 * time, 200), box(460 - 90 * time, 226)]), time)
        seen.append(found.ids.tolist())
    assert all(row == seen[0] for row in seen)


def test_the_default_names_by_evidence():
    """One score of 0.8 is enough; of scores of 0.3 several are needed; false alarms that stay alone get no id."""

    def first_named(score):
        tracker = TRACKERS["evidence"]()
        for frame in range(30):
            if len(tracker.update(detections([box(100, 200)], [score]), frame / 25)):
                return frame
        return None

    assert first_named(0.8) == 0
    assert first_named(0.4) in (1, 2)
    assert first_named(0.3) in (2, 3)
    assert first_named(0.1) is None


def test_the_default_prefers_the_track_of_the_same_class():
    """Two detections of one object, as a car and as a truck, change their order: ids stay with the classes."""
    tracker, seen = TRACKERS["evidence"](), set()
    for frame in range(20):
        classes = [0, 1] if frame % 2 else [1, 0]
        found = tracker.update(detections([box(100, 200), box(101, 200)], [0.9, 0.8], classes), frame / 25)
        seen |= set(zip(found.ids.tolist(), found.detections.classes.tolist(), strict=True))
    assert len(seen) == 2


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_impossible_frame_rates(rate):
    with pytest.raises(ValueError, match="frame rate"):
        Clock(rate)


@pytest.mark.extended
@every_tracker
def test_a_long_run_holds_only_the_tracks_that_live(name):
    """Each object lives 60 frames, and ids go on rising; the table is never longer than what can come back."""
    random, tracker, born, last = np.random.default_rng(0), TRACKERS[name](), [], 0
    longest = 0
    for frame in range(2_000):
        if frame % 10 == 0:
            born.append((frame, *random.uniform(50, 1000, 2)))
        born = [one for one in born if frame - one[0] < 60]
        found = tracker.update(detections([box(x, y) for _, x, y in born]), frame / 30)
        longest = max(longest, len(tracker.held))
        last = max(last, found.ids.max(initial=0))
    assert longest <= 12  # 60 frames of life and 30 of memory, one object in 10 frames, and chance
    assert last >= 150
