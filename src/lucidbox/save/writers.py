"""The results of ``predict`` in one new folder: annotated images and videos, crops and text."""

import errno
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lucidbox.core.array_types import UInt8
from lucidbox.core.errors import OptionError, OutputError
from lucidbox.core.file_names import UniquePaths, without_extension
from lucidbox.core.filesystem import atomic_write, numbered_folder, output_error
from lucidbox.detect.stream import Result
from lucidbox.draw.annotate import draw
from lucidbox.save.encode import save_image, suffix_for
from lucidbox.sources import Picture

if TYPE_CHECKING:
    from lucidbox.save.video import VideoSaver

DEFAULT_FOLDER = Path("runs") / "predict"

Drawing = Callable[[Result, int | None], UInt8[np.ndarray, "h w 3"]]
"""Pixels of a result's image with its boxes on it, of which at most so many are labelled."""


def with_boxes(result: Result, max_labels: int | None) -> UInt8[np.ndarray, "h w 3"]:
    """A :data:`Drawing` of boxes and labels, coloured by class."""
    return draw(result.picture.pixels, result.detections, max_labels=max_labels)


@dataclass(frozen=True)
class SaveOptions:
    """What to write of each result.

    Attributes:
        draw: a copy of the image with its boxes; of a video, an MP4.
        webm: videos as WebM instead, which browsers play.
        text: ``labels/NAME.txt``, YOLO text; of a video ``labels/NAME/FRAME.txt``.
        crops: ``crops/CLASS/NAME-INDEX.jpg``; of a video ``crops/CLASS/NAME/FRAME-INDEX.jpg``.
        max_labels: most labels drawn on an image; None for all.

    Example:
        >>> SaveOptions(draw=False, text=True)

    Raises:
        OptionError: ``max_labels`` is negative.
    """

    draw: bool = True
    text: bool = False
    crops: bool = False
    max_labels: int | None = None
    webm: bool = False

    def __post_init__(self) -> None:
        if self.max_labels is not None and self.max_labels < 0:
            raise OptionError(f"max_labels {self.max_labels} is less than 0")

    @property
    def anything(self) -> bool:
        """Whether anything is written, so that a folder is needed."""
        return self.draw or self.text or self.crops


class Saved(NamedTuple):
    """The files that one result is in; None for what was not asked for.

    Attributes:
        image: the annotated image or video.
        text: YOLO text.
        crops: a file for each box that has pixels.
    """

    image: Path | None = None
    text: Path | None = None
    crops: tuple[Path, ...] | None = None


@dataclass
class _CurrentVideo:
    """The video or camera whose frames are being written.

    Attributes:
        source: as in ``Picture``.
        stem: its name in the folder.
        frame: index of the last frame.
        saver: writes its annotated frames; None before the first one.
    """

    source: str
    stem: PurePosixPath
    frame: int
    saver: "VideoSaver | None" = None


class Saver:
    """Writes results one by one. Leaving its block finishes the current video.

    Args:
        options: what to write.
        folder: where to write; ``runs/predict`` if None. A folder that holds something is left as it is: the
            results go into the first free one of NAME-2, NAME-3 and so on.
        drawing: makes the annotated images, called with every result in their order.

    Example:
        >>> with Saver(SaveOptions()) as saver:
        ...     for result in detector.stream(sources):
        ...         saver.save(result)
    """

    def __init__(self, options: SaveOptions, folder: Path | None = None, drawing: Drawing = with_boxes) -> None:
        self.options, self._drawing = options, drawing
        self.folder: Path | None = None  # made with the first result
        self._wanted_folder = folder
        self.has_mp4 = False  # whether a video was begun that browsers do not play
        self._names = UniquePaths()
        self._video: _CurrentVideo | None = None
        self._open = ExitStack()

    def __enter__(self) -> "Saver":
        """The saver itself; no folder is made yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the current video; after an error other than Ctrl-C, remove it."""
        self._open.__exit__(kind, error, trace)

    def check_folder(self) -> None:
        """Check before any work that the folder can be made, by the nearest folder above it that exists.

        Raises:
            OutputError: it cannot be made.
        """
        if not self.options.anything:
            return
        above = Path(self._wanted_folder or DEFAULT_FOLDER).absolute()
        try:
            if above.exists() and not above.is_dir():
                raise OutputError(f"{above}: is a file; --save takes a folder")
            while not above.exists():
                above = above.parent
            if not above.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, "not a folder", str(above))
            if not os.access(above, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "not writable", str(above))
        except OSError as error:
            raise output_error(above, error) from error

    def save(self, result: Result) -> Saved:
        """Write one result.

        Raises:
            OutputError: something cannot be written. The next result may still be saved.
        """
        if not self.options.anything:
            return Saved()
        if self.folder is None:
            self.folder = _new_folder(self._wanted_folder)
        picture = result.picture
        if picture.frame is None:
            self.finish_video()
            stem = self._claim(picture.name)
        else:
            stem = self._frame_stem(picture, picture.frame)
        text, crops = self._save_boxes(result, stem, self.folder)
        return Saved(self._draw(result, stem, self.folder) if self.options.draw else None, text, crops)

    def finish_video(self) -> None:
        """Complete the current video, if there is one, and give the file its name.

        Raises:
            OutputError: not all of its frames reached the disk.
        """
        self._video = None
        self._open.close()

    def _save_boxes(
        self, result: Result, stem: PurePosixPath, folder: Path
    ) -> tuple[Path | None, tuple[Path, ...] | None]:
        """Text and crops, as far as they are wanted."""
        if not (self.options.text or self.options.crops):
            return None, None
        from lucidbox.save.results import save_crops, txt_lines

        text, crops = None, None
        if self.options.text:
            height, width = result.picture.size
            lines = txt_lines(result.detections, width, height)
            text = folder / f"{self._names.claim(PurePosixPath('labels', stem))}.txt"
            atomic_write(text, "".join(line + "\n" for line in lines))
        if self.options.crops:
            crops = tuple(save_crops(folder, stem, result, self._names))
        return text, crops

    def _draw(self, result: Result, stem: PurePosixPath, folder: Path) -> Path:
        """Write the annotated image, or add the frame to the current video."""
        picture = result.picture
        drawn = self._drawing(result, self.options.max_labels)
        height, width = drawn.shape[:2]
        if self._video is None or picture.frame is None:
            path = folder / f"{stem}{suffix_for(Path(picture.name).suffix, height, width)}"
            save_image(path, drawn)
            return path
        path = folder / f"{self._video.stem}{'.webm' if self.options.webm else '.mp4'}"
        if self._video.saver is None:
            from lucidbox.save.video import USUAL_FPS, VideoSaver

            self.has_mp4 = self.has_mp4 or not self.options.webm
            self._video.saver = self._open.enter_context(VideoSaver(path, USUAL_FPS, (width, height)))
        self._video.saver.write(drawn, picture.time)
        return path

    def _frame_stem(self, picture: Picture, frame: int) -> PurePosixPath:
        """Name of one frame's files: its number, in a folder of the video's name, claimed at the first frame."""
        video = self._video
        # A video may be named twice: then its frame numbers start again.
        if video is None or video.source != picture.source or frame <= video.frame:
            self.finish_video()
            video = self._video = _CurrentVideo(picture.source, self._claim(picture.name), frame)
        video.frame = frame
        return video.stem / str(frame)

    def _claim(self, name: str) -> PurePosixPath:
        """A unique stem below the folder, in the subfolder that the image came from."""
        return self._names.claim(PurePosixPath(without_extension(name)))


def _new_folder(wanted: Path | None) -> Path:
    """An empty folder of this name, or of this name and a number."""
    if wanted is None:
        return numbered_folder(DEFAULT_FOLDER)
    try:
        empty = wanted.is_dir() and next(wanted.iterdir(), None) is None
    except OSError as error:
        raise output_error(wanted, error) from error
    return wanted if empty else numbered_folder(wanted)
