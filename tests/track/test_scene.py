"""Lines and zones: what is counted, on which side, when, and for how long; by hand, by OpenCV, and by property."""

from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.track.scene import Line, Zone, is_outside
from lucidbox.track.scene_watcher import Event, SceneWatcher

SIDE = 20
DOWN = Line("gate", (100, 0), (100, 200))  # from top to bottom: who looks along it has x < 100 on the right
SQUARE = Zone("yard", ((100, 100), (200, 100), (200, 200), (100, 200)))


def standing_at(*points, label="car"):
    """Boxes of 20 pixels whose objects stand at these points."""
    boxes = np.array([(x - SIDE / 2, y - SIDE, x + SIDE / 2, y) for x, y in points], np.float32).reshape(-1, 4)
    return Detections(boxes, np.ones(len(boxes), np.float32), np.zeros(len(boxes), np.int64), (label,))


def walk(watcher, ways, times=None, held=None):
    """Events of objects 1, 2, ... whose ways are lists of points, None where one is not seen, a frame a second."""
    events = []
    for frame in range(len(ways[0])):
        seen = [(track, way[frame]) for track, way in enumerate(ways, 1) if way[frame] is not None]
        ids = np.array([track for track, _ in seen], np.int64)
        still = range(1, len(ways) + 1) if held is None else held[frame]
        time = float(frame if times is None else times[frame])
        events += watcher.update(standing_at(*(point for _, point in seen)), ids, time, still)
    return events


def test_a_crossing_has_a_side_and_the_time_between_frames():
    watcher = SceneWatcher([DOWN])
    events = walk(watcher, [[(60, 50), (80, 50), (120, 50), (140, 50)]], times=[0, 0.1, 0.5, 0.6])
    assert [(event.kind, event.side, event.time) for event in events] == [("crossed", "left", pytest.approx(0.3))]
    (count,) = watcher.lines
    assert (count.right, count.left) == (0, 1)
    assert events[0].to_dict() == {
        "event": "crossed", "line": "gate", "side": "left", "track": 1, "label": "car", "time": 0.3
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "side"),
    [
        (Line("a", (0, 100), (200, 100)), "right"),  # looking along x, what is lower in the image is on the right
        (Line("b", (200, 100), (0, 100)), "left"),
    ],
)
def test_sides_are_those_of_who_looks_along_the_line(line, side):
    (event,) = walk(SceneWatcher([line]), [[(50, 80), (50, 120)]])
    assert event.side == side


def test_beside_the_lines_ends_nobody_crosses_it():
    short = Line("short", (100, 80), (100, 120))
    watcher = SceneWatcher([short])
    assert walk(watcher, [[(80, 50), (120, 50)], [(80, 150), (120, 150)]]) == []
    assert len(walk(watcher, [[(120, 100), (80, 100)]])) == 1  # and back through it: it counts the other way


def test_a_box_that_trembles_on_the_line_is_counted_once():
    trembling = [(80, 50), *[(100 + 0.9 * (-1) ** frame, 50) for frame in range(50)], (120, 50)]
    assert [event.side for event in walk(SceneWatcher([DOWN]), [trembling])] == ["left"]
    returning = [(80, 50), *[(100.9, 50), (99, 50)] * 20, (80, 50)]
    assert walk(SceneWatcher([DOWN]), [returning]) == []


def test_who_was_hidden_on_the_way_is_counted_by_where_it_was_before_and_after():
    (event,) = walk(SceneWatcher([DOWN]), [[(60, 50), None, None, None, (140, 50)]])
    assert (event.side, event.time) == ("left", 2.0)


def test_who_appears_on_the_line_belongs_to_neither_side_yet():
    assert walk(SceneWatcher([DOWN]), [[(100, 50), (120, 50)]]) == []


def test_visits_have_the_seconds_of_the_frames_own_times():
    way = [(60, 150), (140, 150), (160, 150), (240, 150), (250, 150)]
    watcher = SceneWatcher(zones=[SQUARE])
    entered, left = walk(watcher, [way], times=[0, 0.5, 7.5, 8.25, 9])
    assert entered == Event("entered", "yard", 1, "car", 0.25)  # half of the way between the frames
    assert left == Event("left", "yard", 1, "car", 7.875, dwell=7.625)
    assert left.to_dict()["dwell"] == 7.625
    (count,) = watcher.zones
    assert (count.inside, count.entered) == (0, 1)


def test_who_is_first_seen_in_a_zone_entered_it_then_also_on_its_border():
    watcher = SceneWatcher(zones=[SQUARE])
    events = walk(watcher, [[(150, 150)], [(150, 200)], [(150, 203)]])
    assert [(event.kind, event.track) for event in events] == [("entered", 1), ("entered", 2)]
    assert watcher.zones[0].inside == 2


def test_who_is_lost_in_a_zone_left_it_when_last_seen_and_that_is_told_when_its_track_ends():
    watcher = SceneWatcher(zones=[SQUARE])
    way = [(150, 150), (150, 160), None, None, None]
    events = walk(watcher, [way], held=[[1], [1], [1], [1], []])
    assert events[1:] == [Event("left", "yard", 1, "car", 1.0, dwell=1.0)]
    assert watcher.zones[0].inside == 0


def test_a_box_that_trembles_on_a_border_is_one_visit():
    way = [(150, 150), *[(100 + 0.9 * (-1) ** frame, 150) for frame in range(50)], (50, 150)]
    assert [event.kind for event in walk(SceneWatcher(zones=[SQUARE]), [way])] == ["entered", "left"]


def test_without_lines_and_zones_nothing_is_kept():
    watcher = SceneWatcher()
    walk(watcher, [[(1, 1)] * 3])
    assert not watcher._known


places = st.tuples(st.integers(-50, 250), st.integers(-50, 250))
ways = st.lists(st.lists(places, min_size=12, max_size=12), min_size=1, max_size=4)


@settings(max_examples=20)
@given(ways)
def test_crossings_of_an_endless_line_are_the_changes_of_sides(ways):
    """Right minus left is how many more objects stand on the right at the end; margins apart."""
    assume(all(abs(x - 100) > 2 for way in ways for x, _ in way))
    watcher = SceneWatcher([Line("gate", (100, -1000), (100, 1000))])
    walk(watcher, ways)
    (count,) = watcher.lines
    changes = sum(int(way[-1][0] < 100) - int(way[0][0] < 100) for way in ways)
    assert count.right - count.left == changes
    assert count.right + count.left == sum(
        (before[0] < 100) != (after[0] < 100) for way in ways for before, after in pairwise(way)
    )


@settings(max_examples=20)
@given(ways, st.lists(places, min_size=3, max_size=6, unique=True))
def test_who_is_in_a_zone_is_who_opencv_says(ways, corners):
    try:
        zone = Zone("zone", tuple(corners))
    except OptionError:
        assume(False)
    outline = np.array(corners, np.float32)
    depths = [[cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in way] for way in ways]
    assume(all(abs(depth) > 1.1 for way in depths for depth in way))
    watcher = SceneWatcher(zones=[zone])
    events = walk(watcher, ways)
    (count,) = watcher.zones
    assert count.inside == sum(way[-1] > 0 for way in depths)
    visits = sum(way[0] > 0 for way in depths)
    visits += sum(before < 0 < after for way in depths for before, after in pairwise(way))
    assert count.entered == visits == sum(event.kind == "entered" for event in events)
    assert count.entered - count.inside == sum(event.kind == "left" for event in events)


@pytest.mark.parametrize(
    ("corners", "word"),
    [
        (((0, 0), (10, 0)), "2 corners"),
        (((0, 0), (10, 10), (10, 0), (0, 10)), "crosses or touches itself"),
        (((0, 0), (10, 0), (5, 0)), "crosses or touches itself"),
        (((0, 0), (0, 0), (10, 0), (10, 10)), "crosses or touches itself"),
        (((0, 0), (10, 0), (10, 10), (0, 10), (5, 0)), "crosses or touches itself"),
        (((0, 0), (10, 0), (10, 10), (10, -5)), "crosses or touches itself"),
        (((0, 0), (float("nan"), 0), (10, 10)), "number of pixels"),
    ],
)
def test_a_zone_that_is_none_is_refused(corners, word):
    with pytest.raises(OptionError, match=f"zone yard: .*{word}"):
        Zone("yard", corners)


def test_zones_may_be_dents_and_may_run_either_way_round():
    dent = ((0, 0), (40, 0), (40, 40), (20, 10), (0, 40))
    for corners in (dent, dent[::-1]):
        watcher = SceneWatcher(zones=[Zone("dent", corners)])
        walk(watcher, [[(5, 10)], [(20, 30)], [(35, 10)]])
        assert watcher.zones[0].inside == 2


def test_a_line_needs_two_ends():
    with pytest.raises(OptionError, match="both ends are the same point"):
        Line("gate", (1, 1), (1, 1))
    with pytest.raises(OptionError, match="number of pixels"):
        Line("gate", (1, float("inf")), (1, 1))


@pytest.mark.parametrize(
    ("place", "outside"),
    [
        (Line("l", (-10, 50), (300, 50)), False),
        (Line("l", (-10, -10), (-1, 300)), True),
        (Line("l", (0, 250), (300, 250)), True),
        (Line("l", (-30, 20), (20, -30)), True),  # cuts the corner off outside
        (Line("l", (-10, 20), (20, -10)), False),
        (Zone("z", ((-50, -50), (500, -50), (500, 500), (-50, 500))), False),  # around the whole image
        (Zone("z", ((210, 0), (300, 0), (300, 50))), True),
        (Zone("z", ((190, 0), (300, 0), (300, 50))), False),
    ],
)
def test_what_lies_outside_an_image(place, outside):
    assert is_outside(place, 100, 200) is outside
