"""``lucidbox track``: follow objects through videos, and count them over lines and in zones."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.cli.detection_report import open_places, save_and_report
from lucidbox.cli.options import add_number, add_verb
from lucidbox.cli.predict import add_detecting, add_output, add_reading
from lucidbox.core.errors import OptionError, check_whole_number

if TYPE_CHECKING:
    from lucidbox.cli.track.report import TrackReport
    from lucidbox.track.tracking import TrackedResult

DESCRIPTION = """\
Follow objects through videos and cameras: each keeps its id and its colour. Lines count who crosses them, zones
who enters, leaves and stays. An object is where it stands: the middle of its box's lower edge."""

EXAMPLES = """\
sources:
  a video file, a folder or pattern of videos, a text file of sources (.txt, one a line), a camera (0), an http(s)
  or rtsp address; each is tracked by itself

lines and zones:
  coordinates are pixels of the video's first frame, x to the right, y down. "right" and "left" of a line are those
  of who looks from its first point to its second. A zone's corners follow one another around it.

examples:
  lucidbox track road.mp4 --weights yolo11n.pt
  lucidbox track road.mp4 --classes car,truck --count-line gate=0,300,768,300 --save out
  lucidbox track yard.mp4 --zone door=100,200,300,200,300,400,100,400 --trails 60 --webm
  lucidbox track 0 --count-line door=320,0,320,480 --no-draw --json > events.jsonl
  lucidbox track road.mp4 --no-draw --mot tracks.txt --plot counts.png --to cvat=tracks.xml
  lucidbox track --detections det.txt --fps 25 --mot tracks.txt

exit codes:
  0 done; 1 a part failed, the rest is done; 2 wrong usage or bad input; 130 stopped by Ctrl-C, what was done stays
"""

_FOLDER = Path("runs") / "track"


def register(verbs: Any) -> None:
    """Add the verb and its options."""
    parser = add_verb(verbs, "track", DESCRIPTION, EXAMPLES, run)
    parser.add_argument("sources", nargs="*", metavar="SOURCE", help="videos or cameras; see below")
    group = parser.add_argument_group("tracking")
    group.add_argument(
        "--tracker",
        metavar="NAME",
        help="evidence, sort, bytetrack, botsort or cbiou; see docs/explanation/trackers.md",
    )
    group.add_argument(
        "--count-line",
        metavar="NAME=x1,y1,x2,y2",
        action="append",
        default=[],
        help="count who crosses; repeatable",
    )
    group.add_argument(
        "--zone", metavar="NAME=x,y,x,y,...", action="append", default=[], help="count who is within; repeatable"
    )
    add_number(group, "--trails", "points of the way behind an object that are drawn (default: 30; 0: none)", 30)
    group.add_argument(
        "--detections",
        metavar="FILE",
        help="track boxes made elsewhere, without pictures: MOT text, or predict's JSON",
    )
    group.add_argument("--fps", type=float, metavar="F", help="of MOT text in --detections (default: 25)")
    add_detecting(parser)
    add_reading(parser.add_argument_group("reading"))
    output = parser.add_argument_group("output")
    add_output(output, str(_FOLDER))
    output.add_argument("--mot", metavar="FILE", help="MOT text of one video into a new file")
    output.add_argument("--plot", metavar="FILE", help="counts over time of one video (.png, .svg, .pdf)")
    output.add_argument(
        "--to",
        metavar="TOOL=FILE",
        action="append",
        default=[],
        help="to be corrected by hand: cvat, label-studio",
    )


def run(arguments: argparse.Namespace) -> int:
    """Track everything; 0, 1 if a part failed, 2 if nothing could be done."""
    from lucidbox.cli.track.inputs import check_single, open_input
    from lucidbox.cli.track.places import parse_lines, parse_zones
    from lucidbox.cli.track.report import TrackReport
    from lucidbox.cli.track.track_files import TrackFiles
    from lucidbox.save.writers import SaveOptions, Saver
    from lucidbox.track.drawing import TrackDrawing
    from lucidbox.track.trackers import tracker_named
    from lucidbox.track.tracking import check_names, track

    lines, zones = parse_lines(arguments.count_line), parse_zones(arguments.zone)
    check_names([*lines, *zones])
    tracker = tracker_named(arguments.tracker)
    check_whole_number("--trails", arguments.trails, least=0)
    draw = not (arguments.no_draw or arguments.detections)
    options = SaveOptions(draw, arguments.txt, arguments.crops, arguments.max_labels, arguments.webm)
    folder = Path(arguments.save) if arguments.save else _FOLDER
    files = TrackFiles(arguments.mot, arguments.plot, arguments.to)
    given = open_input(arguments, folder)
    check_single(given, {"--mot": arguments.mot, "--plot": arguments.plot, "--to": arguments.to})
    with ExitStack() as stack:
        saver = stack.enter_context(Saver(options, folder, TrackDrawing(arguments.trails)))
        saver.check_folder()
        file, bar = stack.enter_context(open_places(arguments, given.count))
        # Only where there are pictures is it told how many of the frames that came were looked at.
        stride = sys.maxsize if given.sources is None else arguments.video_stride
        report = TrackReport(arguments.json, file, bar, stride)
        report.files = stack.enter_context(files)
        tracked = track(given.results(report.unread), tracker, lines=lines, zones=zones)
        save_and_report(_shown(tracked, report), saver, report)
        if given.sources is not None:
            report.passed_over(given.sources)
        report.end(saver)
    return report.exit_code


def _shown(results: "Iterable[TrackedResult]", report: "TrackReport") -> "Iterator[TrackedResult]":
    """The same results; lines and zones must lie in the videos.

    Raises:
        OptionError: one lies outside the first video; outside a later one it is told, and the rest goes on.
    """
    from lucidbox.track.scene import is_outside

    for number, result in enumerate(results):
        size = result.picture.size
        if result.begins and size[0]:
            places = [count.place for count in result.lines] + [count.place for count in result.zones]
            for place in places:
                if is_outside(place, *size):
                    text = (
                        f"{place.name}: lies outside {result.picture.source}, whose frames are"
                        f" {size[1]}×{size[0]}; nothing can be counted there"
                    )
                    if not number:
                        raise OptionError(text)
                    report.failed(text)
        yield result
