"""``track``: videos one by one, frames of changing size, and what is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError, SourceError
from lucidbox.detect.stream import Result
from lucidbox.draw.annotate import track_colour
from lucidbox.sources import Picture
from lucidbox.track import TRACKERS, Line, Zone, track
from lucidbox.track.drawing import TrackDrawing
from lucidbox.track.summary import CountsOverTime, VideoSummary


def frame(number, *boxes, size=(100, 200), source="road.mp4", time=None):
    found = np.array(boxes, np.float32).reshape(-1, 4)
    many = len(found)
    detections = Detections(found, np.full(many, 0.9, np.float32), np.zeros(many, np.int64), ("car",))
    pixels = np.zeros((*size, 3), np.uint8)
    return Result(Picture(pixels, source, source, number, number / 30 if time is None else time), detections, 1.0)


def moving(frames=10, source="road.mp4", scale=1.0):
    """A box that moves 3 pixels a frame."""
    return [frame(n, [scale * x for x in (20 + 3 * n, 40, 50 + 3 * n, 60)], source=source) for n in range(frames)]


@pytest.mark.parametrize("tracker", TRACKERS)
def test_an_object_keeps_its_id_and_each_video_begins_anew(tracker):
    results = list(track([*moving(), *moving(source="other.mp4"), *moving(source="other.mp4")], tracker))
    assert [result.begins for result in results] == [n % 10 == 0 for n in range(30)]
    assert {track_id for result in results for track_id in result.ids.tolist()} == {1}
    for begin in (0, 10, 20):  # within three frames it is known, and stays so
        assert all(result.ids.tolist() == [1] for result in results[begin + 3 : begin + 10])
        assert results[begin + 9].held == {1}


def test_a_tracker_of_ones_own_is_reset_before_each_video():
    tracker = TRACKERS["sort"]()
    for _ in range(2):
        assert [result.ids.tolist() for result in track(moving(), tracker)][-1] == [1]


def test_frames_of_changing_size_are_scaled_to_the_first_ones(tmp_path):
    plain = moving()
    doubled = [
        replace(
            result,
            picture=replace(result.picture, pixels=np.zeros((200, 400, 3), np.uint8)),
            detections=replace(result.detections, boxes=result.detections.boxes * 2),
        )
        for result in plain[5:]
    ]
    wanted, got = list(track(plain)), list(track(plain[:5] + doubled))
    for one, other in zip(wanted, got, strict=True):
        assert other.picture.pixels.shape == (100, 200, 3)
        assert other.detections == one.detections
        assert other.ids.tolist() == one.ids.tolist()


def test_a_still_picture_has_no_tracks():
    still = replace(frame(0), picture=Picture(np.zeros((4, 4, 3), np.uint8), "photo.jpg", "photo.jpg"))
    with pytest.raises(SourceError, match=r"photo\.jpg: a still picture has no tracks"):
        list(track([still]))


def test_what_cannot_be_asked_for_is_told_at_once():
    with pytest.raises(OptionError, match=r"tracker 'magic' is unknown; there are .*sort"):
        track([], "magic")
    line = Line("gate", (0, 0), (1, 1))
    with pytest.raises(OptionError, match="gate: two lines or zones have this name"):
        track([], lines=[line], zones=[Zone("gate", ((0, 0), (1, 0), (1, 1)))])


def test_times_are_the_frames_own():
    """Half of the frames are missing; the crossing is at the same time all the same."""
    line = Line("gate", (70, 0), (70, 100))
    every = moving(20)
    (all_frames,) = [event for result in track(every, lines=[line]) for event in result.events]
    (half,) = [event for result in track(every[::2], lines=[line]) for event in result.events]
    assert half.time == pytest.approx(all_frames.time, abs=1e-6)


def test_one_frame_is_a_video(tmp_path):
    (result,) = track(moving(1), lines=[Line("gate", (70, 0), (70, 100))])
    assert (result.begins, result.events) == (True, ())


def test_a_summary_counts_tracks_by_their_commonest_class():
    results = list(track(moving(12), zones=[Zone("all", ((-9, -9), (400, -9), (400, 200), (-9, 200)))]))
    flickering = [
        replace(result, detections=replace(result.detections, names=("bus",) if n == 5 else ("car",)))
        for n, result in enumerate(results)
    ]
    summary = VideoSummary(flickering[0])
    for result in flickering:
        summary.add(result)
    assert summary.to_dict() == {
        "frames": 12,
        "seconds": pytest.approx(11 / 30, abs=1e-3),
        "tracks": {"car": 1},
        "lines": {},
        "zones": {"all": {"entered": 1, "left": 0, "inside": 1, "mean_dwell": None, "longest_dwell": None}},
    }


def test_counts_over_time_hold_one_number_a_second():
    counts = CountsOverTime()
    line = Line("gate", (70, 0), (70, 100))
    late = [replace(one, picture=replace(one.picture, time=n * 0.4)) for n, one in enumerate(moving(20))]
    for result in track(late, TRACKERS["sort"](), lines=[line]):
        counts.add(result)
    assert len(counts.objects) == len(counts.lines["gate, right"]) == 8
    assert counts.lines["gate, left"][-1] == counts.lines["gate, left"].tolist()[-1] == 1
    assert sorted(counts.lines["gate, left"]) == counts.lines["gate, left"].tolist()


def test_counts_over_a_long_time_are_of_longer_steps():
    counts = CountsOverTime()
    times = [0, 1, 5000, 5001, 10**9]
    line = Line("gate", (70, 0), (70, 100))
    for n, result in enumerate(track(moving(5), lines=[line])):
        counts.add(replace(result, seconds=float(times[n]), ids=np.arange(n + 1)))
    assert counts.step * 4096 > 10**9 >= counts.step * 2048
    assert len(counts.objects) <= 4096
    assert (counts.objects[0], counts.objects[-1]) == (4, 5)


def test_boxes_that_are_not_finite_are_in_no_track():
    odd = [frame(n, [20 + 3 * n, 40, 50 + 3 * n, 60], [np.nan, 0, 5, np.inf]) for n in range(10)]
    results = list(track(odd))
    assert results[-1].ids.tolist() == [1]
    assert all(np.isfinite(result.detections.boxes).all() for result in results)


def test_time_never_runs_backwards():
    odd = [replace(one, picture=replace(one.picture, time=abs(1 - n * 0.1))) for n, one in enumerate(moving(30))]
    results = list(track(odd, zones=[Zone("z", ((40, 0), (90, 0), (90, 99), (40, 99)))]))
    assert sorted(result.seconds for result in results) == [result.seconds for result in results]
    assert all((event.dwell or 0) >= 0 for result in results for event in result.events)


def drawn(results, **options):
    drawing = TrackDrawing(**options)
    return [drawing(result) for result in results]


def has(pixels, colour):
    return bool((pixels == np.array(colour, np.uint8)).all(axis=2).any())


def test_a_box_has_the_colour_of_its_id_and_the_pixels_given_stay_as_they_were():
    results = list(track(moving()))
    images = drawn(results, trails=0)
    assert has(images[-1], track_colour(1))
    assert not any(result.picture.pixels.any() for result in results)
    assert track_colour(1) == track_colour(1)
    assert len({track_colour(number) for number in range(24)}) == 24


def test_a_trail_is_as_long_as_asked_for_and_goes_when_the_track_ends():
    unseen = [frame(n) for n in range(10, 80)]
    results = list(track(moving() + unseen))
    without, with_trails = drawn(results, trails=0), drawn(results, trails=4)
    more = [int((one != other).any(axis=2).sum()) for one, other in zip(with_trails, without, strict=True)]
    assert not has(without[12], track_colour(1))
    assert more[12] == more[20] > 0  # lost for a moment: the way is still there
    assert more[-1] == 0
    longer = (drawn(results, trails=8)[12] != without[12]).any(axis=2).sum()
    assert longer > more[12] + 3 * 3


def test_lines_and_zones_are_drawn_with_their_counts():
    line, zone = Line("gate", (100, 0), (100, 90)), Zone("yard", ((5, 5), (60, 5), (60, 90), (5, 90)))
    plain = drawn(track(moving()), trails=0)[-1]
    image = drawn(track(moving(), lines=[line], zones=[zone]), trails=0)[-1]
    assert has(image, (255, 255, 255))
    assert has(image, (240, 228, 66))
    assert (image != plain).any(axis=2).sum() > 500
    far = Line("far", (-1e6, 50), (1e6, 50))
    assert drawn(track(moving(), lines=[far]))[-1].shape == (100, 200, 3)


def test_a_tracked_result_shows_ids_lines_and_zones():
    line = Line("gate", (100, 0), (100, 90))
    results = list(track(moving(), lines=[line]))
    assert np.array_equal(results[-1].plot(), drawn(results[-1:], trails=0)[0])
    assert has(results[-1].plot(), track_colour(1))
    assert results[-1]._repr_jpeg_() is not None
