"""The files of one video's tracks: MOT text, a plot of counts, pre-annotations for CVAT and Label Studio."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path, PurePath
from types import TracebackType
from typing import TYPE_CHECKING

from lucidbox.core.errors import OptionError, OutputError
from lucidbox.core.filesystem import atomic_write, check_writable
from lucidbox.formats.mot import mot_line
from lucidbox.formats.video_tracks import VideoTracks
from lucidbox.track.summary import CountsOverTime
from lucidbox.track.tracking import TrackedResult

if TYPE_CHECKING:
    from lucidbox.save.json_lines import LineFile

TOOLS: dict[str, Callable[[VideoTracks], str]] = {
    "cvat": VideoTracks.cvat,
    "label-studio": VideoTracks.label_studio,
}
"""What ``--to`` names: programs in which tracks are corrected by hand, and how their files are written."""


class TrackFiles(AbstractContextManager["TrackFiles"]):
    """Files that hold the tracks of one video. MOT text is written as frames come, the others at the end.

    Args:
        mot: MOT text, a new file.
        plot: a figure.
        to: ``TOOL=FILE`` of :data:`TOOLS`.

    Raises:
        OptionError, OutputError: a file cannot be written, a tool is unknown, or matplotlib is not installed.
    """

    def __init__(self, mot: str | None, plot: str | None, to: Sequence[str]) -> None:
        self._mot_path, self._plot = mot, Path(plot) if plot else None
        self._tools = [_tool_and_path(text) for text in to]
        if self._plot:
            from lucidbox.benchmark.plot import check_plot

            check_plot(self._plot)
        for _, path in self._tools:
            check_writable(path)
        self._counts = CountsOverTime()
        self._tracks: VideoTracks | None = None
        self._mot: LineFile | None = None
        self._open = ExitStack()

    def __enter__(self) -> "TrackFiles":
        """Open the MOT text."""
        if self._mot_path:
            from lucidbox.save.json_lines import LineFile

            self._mot = self._open.enter_context(LineFile(self._mot_path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the MOT text its name; after an error other than Ctrl-C, remove it."""
        self._open.__exit__(kind, error, trace)

    def add(self, result: TrackedResult) -> None:
        """Write one frame, or keep what is needed of it.

        Raises:
            OutputError: the disk is full.
        """
        detections, frame = result.detections, result.picture.frame or 0
        if self._plot:
            self._counts.add(result)
        if self._tools:
            if self._tracks is None:
                self._tracks = VideoTracks(PurePath(result.picture.name).name, *result.picture.size)
            self._tracks.add(frame, result.seconds, result.ids.tolist(), detections.boxes, detections.labels)
        if self._mot:
            columns = (result.ids.tolist(), detections.boxes.tolist(), detections.scores.tolist())
            for track, box, score in zip(*columns, strict=True):
                self._mot.write_line(mot_line(frame + 1, track, box, score))

    def finish(self) -> Iterator[OutputError]:
        """Write the files that are made at the end; errors of those that cannot be written."""
        wanted: list[Callable[[], None]] = []
        if self._plot:
            from lucidbox.track.plot import plot_counts

            wanted.append(partial(plot_counts, self._counts, self._plot))
        if self._tracks is not None:
            wanted += [partial(_write, path, text_of, self._tracks) for text_of, path in self._tools]
        for write in wanted:
            try:
                write()
            except OutputError as error:
                yield error


def _write(path: Path, text_of: Callable[[VideoTracks], str], tracks: VideoTracks) -> None:
    atomic_write(path, text_of(tracks))


def _tool_and_path(text: str) -> tuple[Callable[[VideoTracks], str], Path]:
    tool, equals, path = text.partition("=")
    if not equals or not path or tool not in TOOLS:
        raise OptionError(f"--to {text}: expected TOOL=FILE, with one of the tools {', '.join(TOOLS)}")
    return TOOLS[tool], Path(path)
