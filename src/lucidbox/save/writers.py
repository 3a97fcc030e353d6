"""What ``predict`` leaves on disk: annotated pictures and videos, crops and text, in one new folder."""

import errno
import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import TracebackType

from lucidbox.core.errors import OptionError, OutputError
from lucidbox.core.filesystem import atomic_write, numbered_folder, output_error
from lucidbox.detect.stream import Result
from lucidbox.draw.annotate import draw
from lucidbox.save.results import UniqueNames, VideoSaver, save_crops, save_image, suffix_for, txt_lines
from lucidbox.sources import Picture, Source, Sources

DEFAULT_FOLDER = Path("runs") / "predict"


@dataclass(frozen=True)
class SaveOptions:
    """What to write of each result.

    Attributes:
        draw: a copy of the picture with boxes; of a video, an MP4.
        text: ``labels/NAME.txt``, in YOLO's form; of a video ``labels/NAME/FRAME.txt``.
        crops: ``crops/CLASS/NAME-INDEX.jpg``; of a video ``crops/CLASS/NAME/FRAME-INDEX.jpg``.
        max_labels: most labels drawn on a picture; None for all.

    Raises:
        OptionError: ``max_labels`` is negative.
    """

    draw: bool = True
    text: bool = False
    crops: bool = False
    max_labels: int | None = None

    def __post_init__(self) -> None:
        if self.max_labels is not None and self.max_labels < 0:
            raise OptionError(f"max_labels {self.max_labels} is less than 0")

    @property
    def anything(self) -> bool:
        """Whether a folder is needed at all."""
        return self.draw or self.text or self.crops


@dataclass
class _Moving:
    """The video or camera being written.

    Attributes:
        source: as in ``Picture``.
        stem: its name in the folder.
        frame: index of the last frame that came.
        frames: the writer of its frames, once there is one.
    """

    source: str
    stem: PurePosixPath
    frame: int
    frames: VideoSaver | None = None


class Saver:
    """Writes results as they come. Use it as a context manager: leaving it finishes the video in hand.

    Args:
        wanted: what to write.
        sources: where results come from; tells videos' frame rates.
        folder: where to write; ``runs/predict`` if None. One that holds something already is left alone: the
            results go beside it, into the first free of NAME-2, NAME-3 and so on.
    """

    def __init__(self, wanted: SaveOptions, sources: Sources, folder: Path | None = None) -> None:
        self.wanted = wanted
        self.folder: Path | None = None
        self._chosen = folder
        self._videos: dict[str, Source] = {
            part.name: part for part in sources.parts if part.kind in ("video", "camera")
        }
        self._names: dict[Path, UniqueNames] = {}
        self._moving: _Moving | None = None
        self._open = ExitStack()

    def __enter__(self) -> "Saver":
        """Nothing is made before the first result."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the video in hand; after an error other than Ctrl-C, remove what is unfinished."""
        self._open.__exit__(kind, error, trace)

    def check_folder(self) -> None:
        """Find out before any work whether the folder can be made: the nearest one above that exists tells.

        Raises:
            OutputError: it cannot.
        """
        if not self.wanted.anything:
            return
        above = Path(self._chosen or DEFAULT_FOLDER).absolute()
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

    def save(self, result: Result) -> Path | None:
        """Write what is wanted of one result.

        Returns:
            The annotated picture or video, if drawing is wanted.

        Raises:
            OutputError: something cannot be written. The next result can be tried all the same.
        """
        if not self.wanted.anything:
            return None
        if self.folder is None:
            self.folder = _new_folder(self._chosen)
        picture, detections = result.picture, result.detections
        if picture.frame is None:
            self.finish_video()
            stem = self._claim(picture.name)
        else:
            stem = self._frame_stem(picture, picture.frame)
        if self.wanted.text:
            height, width = picture.size
            lines = txt_lines(detections, width, height)
            atomic_write(self.folder / "labels" / f"{stem}.txt", "".join(line + "\n" for line in lines))
        if self.wanted.crops:
            save_crops(self.folder / "crops", str(stem), picture.pixels, detections)
        return self._draw(result, stem) if self.wanted.draw else None

    def finish_video(self) -> None:
        """Close the video in hand, if there is one, under its final name.

        Raises:
            OutputError: not all of its frames reached the disk.
        """
        self._moving = None
        self._open.close()

    def _draw(self, result: Result, stem: PurePosixPath) -> Path:
        """The annotated picture, or its frame added to the video in hand."""
        assert self.folder is not None
        picture = result.picture
        drawn = draw(picture.pixels, result.detections, max_labels=self.wanted.max_labels)
        height, width = drawn.shape[:2]
        if self._moving is None or picture.frame is None:
            path = self.folder / f"{stem}{suffix_for(Path(picture.name).suffix, height, width)}"
            save_image(path, drawn)
            return path
        path = self.folder / f"{self._moving.stem}.mp4"
        if self._moving.frames is None:
            rate = getattr(self._videos.get(picture.source), "frames_per_second", None) or 25.0
            self._moving.frames = self._open.enter_context(VideoSaver(path, rate, (width, height)))
        self._moving.frames.write(drawn)
        return path

    def _frame_stem(self, picture: Picture, frame: int) -> PurePosixPath:
        """Name of one frame's files, in a folder of the video's name, which its first frame claims."""
        moving = self._moving
        # The same video may be named twice: then its frames begin anew.
        if moving is None or moving.source != picture.source or frame <= moving.frame:
            self.finish_video()
            moving = self._moving = _Moving(picture.source, self._claim(picture.name), frame)
        moving.frame = frame
        return moving.stem / str(frame)

    def _claim(self, name: str) -> PurePosixPath:
        """A stem below the folder that no other result has, in the subfolder that the picture came from."""
        assert self.folder is not None
        wanted = PurePosixPath(name)
        place = self.folder / wanted.parent
        if place not in self._names:
            self._names[place] = UniqueNames()
        return wanted.parent / self._names[place].claim(wanted.stem)


def _new_folder(wanted: Path | None) -> Path:
    """An empty folder of this name, or of this name and a number."""
    if wanted is None:
        return numbered_folder(DEFAULT_FOLDER)
    try:
        empty = wanted.is_dir() and next(wanted.iterdir(), None) is None
    except OSError as error:
        raise output_error(wanted, error) from error
    return wanted if empty else numbered_folder(wanted)
