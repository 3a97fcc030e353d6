"""``Detector``: what users hold. Images in any form go in, detections come out."""

import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError, check_whole_number
from lucidbox.core.forking import forks_wait_for_libraries
from lucidbox.core.parallel import cores
from lucidbox.detect.letterbox import CENTRED, Letterbox, Size, parse_size
from lucidbox.detect.nms import Limits
from lucidbox.detect.predictor import Predictor
from lucidbox.detect.stream import Result, StreamRunner
from lucidbox.detector import loading
from lucidbox.detector.inputs import Color, lazy_items, pixels_of
from lucidbox.detector.limits import changed_limits, limits_for, stated_limits
from lucidbox.engines import Engine
from lucidbox.images.reading import ImageSource
from lucidbox.model_files import ModelFile, bundled, look_at
from lucidbox.model_files.metadata import ModelInfo
from lucidbox.sources import Failure, LazyItem, Picture, Sources, open_sources
from lucidbox.sources.items import lazy

if TYPE_CHECKING:
    from lucidbox.detect.tiles import Tiles, Tiling


class Detector:
    """Finds objects in images. Safe to use from several threads at once.

    A forked process may use that of its parent, if no thread of the parent detected when it was forked. Torch,
    as the engine or for gradients, refuses where it has worked in the parent: it might wait for ever.

    Args:
        engine: runs the network.
        names: class names, by class id.
        size: height, width of the largest network input, multiples of 32.
        limits: what counts as a detection, unless a call says otherwise.
        batch: most images that share one inference. Only images of equal letterboxed shape do, so that
            an image gets the same answer alone and in a batch.
        square: pad every image to ``size`` instead of to the next multiples of 32.
        workers: images of a stream that are worked on concurrently; 1 works in the caller's thread alone. By
            default one more than there are processor cores: while it waits for its inference, another decodes.
        weights: the file it was loaded from; explanations read the network from it.
        info: what that file states about itself.

    Attributes:
        predictor: the path from pixels to detections.
        stream_runner: runs the predictor over streams.

    Example:
        >>> detector = Detector.load("yolo11n.pt")
        >>> for box in detector("street.jpg"):
        ...     print(box.labels, box.boxes)
    """

    def __init__(
        self,
        engine: Engine,
        names: Sequence[str],
        *,
        size: Size = (640, 640),
        limits: Limits | None = None,
        batch: int = 1,
        square: bool = False,
        workers: int | None = None,
        weights: Path | None = None,
        info: ModelInfo | None = None,
    ) -> None:
        forks_wait_for_libraries()  # OpenCV's threads enlarge and shrink pictures
        check_whole_number("batch", batch)
        if workers is not None:
            check_whole_number("workers", workers)
        placement = info.layout.placement if info and info.layout else CENTRED
        square = square or placement.anchor == "stretch"
        self.predictor = Predictor(engine, tuple(names), size, limits or Limits(), square, placement)
        self.stream_runner = StreamRunner(self.predictor, batch, workers or cores() + 1)
        self.batch = batch
        self.weights = weights
        self.info = info
        self._loaded_with: dict[str, Any] | None = None

    @classmethod
    def load(
        cls,
        weights: str | Path | ModelFile | None = None,
        *,
        engine: str = "auto",
        precision: str = "auto",
        size: int | str | Sequence[int] | None = None,
        batch: int = 1,
        square: bool = False,
        threads: int | None = None,
        layout: str | None = None,
        names: Sequence[str] | None = None,
        say: Callable[[str], None] = lambda message: None,
        **limits: Any,
    ) -> "Detector":
        """A detector for a weights file.

        Args:
            weights: .pt, .safetensors, or a file of ours that engines run: ONNX, OpenVINO IR (.xml), TorchScript;
                None is the model that comes with lucidbox. Weights are converted to ONNX once, which is kept in
                the cache. A graph with a fixed shape or with suppression inside keeps to those: other sizes and
                looser limits are refused.
            engine: "auto", "openvino", "onnxruntime" or "torch".
            precision: "auto", "fp32", "bf16", "fp16" or "int8"; it depends on engine, processor and file.
            size: longer side of the network's input, or height, width; by default what the model was trained for.
            batch: most images that share one inference.
            square: pad every image to a square.
            threads: most processor threads, and most images of a stream that are worked on concurrently; None
                leaves it to the engine.
            layout: what a model that lucidbox did not write is, where its file does not decide: one of
                ``lucidbox.model_files.layouts.layout.KINDS``.
            names: class names of such a model, where its file does not state them.
            say: called with a short message before something that takes seconds, and with what is assumed.
            **limits: ``conf``, ``iou``, ``max_det``, ``classes`` (names or ids), ``agnostic``.

        Raises:
            WeightsError: the weights are missing or refused.
            OptionError, EngineError: something that is asked for is not to be had.
        """
        # What needs no model is checked before one is converted, which takes seconds.
        changed_limits(Limits(), {name: value for name, value in limits.items() if name != "classes"})
        if size is not None:
            parse_size(size)
        check_whole_number("batch", batch)
        given: dict[str, Any] = {
            "engine": engine,
            "precision": precision,
            "size": size,
            "batch": batch,
            "square": square,
        }
        given |= {"layout": layout, "names": names}
        file = (
            weights
            if isinstance(weights, ModelFile)
            else look_at(
                bundled.weights() if weights is None else Path(weights),
                layout=layout,
                names=tuple(names) if names else None,
            )
        )
        model = loading.load(file, engine=engine, precision=precision, size=size, threads=threads, say=say)
        detector = cls(
            model.engine,
            model.info.names,
            size=model.size,
            limits=limits_for(model.info, model.info.names, stated_limits(model.info), limits),
            batch=batch,
            square=square or model.fixed,
            workers=threads,
            weights=file.path,
            info=model.info,
        )
        path = None if weights is None else file.path.absolute()
        detector._loaded_with = {"weights": path, **given, "threads": threads, **limits}
        return detector

    def __reduce__(self) -> tuple[Callable[..., "Detector"], tuple[dict[str, Any]]]:
        """What pickle keeps: the arguments of :meth:`load`, so that another process loads the same file.

        Raises:
            OptionError: it was not made by :meth:`load`.
        """
        return _load, (self.loaded_with,)

    @property
    def loaded_with(self) -> dict[str, Any]:
        """The arguments of :meth:`load` by which another process loads the same.

        Raises:
            OptionError: it was not made by :meth:`load`.
        """
        if self._loaded_with is None:
            raise OptionError("only a detector made by Detector.load can be pickled: it is loaded anew")
        return self._loaded_with

    @property
    def engine(self) -> Engine:
        """Runs the network."""
        return self.predictor.engine

    @property
    def names(self) -> tuple[str, ...]:
        """Class names, by class id."""
        return self.predictor.names

    @property
    def size(self) -> Size:
        """Height, width of the largest network input."""
        return self.predictor.size

    @property
    def limits(self) -> Limits:
        """What counts as a detection, unless a call says otherwise."""
        return self.predictor.limits

    def __call__(
        self,
        pictures: Any,
        *,
        color: Color = "rgb",
        tiles: "Tiles" = None,
        tile_overlap: float | None = None,
        **limits: Any,
    ) -> Detections | list[Detections]:
        """Detects in one image, or in each of a list.

        Args:
            pictures: a path, the bytes of an image file, the file itself, open, an array ("h w 3", "h w" or
                "h w 4"), a PIL image, or a list or tuple of these.
            color: channel order of arrays, "rgb" or "bgr".
            tiles: also look at overlapping tiles of each image, for objects that are small in it: a tile's side in
                pixels of the image, or height, width; "auto" goes by the sizes of image and network.
            tile_overlap: share of a tile that the next has, too; 0.2 by default.
            **limits: ``conf``, ``iou``, ``max_det``, ``classes`` (names or ids), ``agnostic``, for this call.

        Returns:
            ``Detections`` for one image, a list of them, in order, for a list.

        Raises:
            ImageError: an image cannot be read; the message names it.
            OptionError: a limit is out of range, a class unknown, or tiles cannot be.
        """
        chosen, tiling = self.limits_with(limits), _tiling_of(tiles, tile_overlap)
        several = isinstance(pictures, (list, tuple))
        given = pictures if several else [pictures]
        images = [pixels_of(picture, color) for picture in given]
        if tiling is not None:
            whole = (
                picture if isinstance(picture, Picture) else Picture(image, "image", "image")
                for picture, image in zip(given, images, strict=True)
            )
            tiled = [result.detections for result in _results(self._answers(map(lazy, whole), chosen, tiling))]
            return tiled if several else tiled[0]
        letterboxes = [
            self.predictor.letterbox_for(picture.size if isinstance(picture, Picture) else image.shape[:2])
            for picture, image in zip(given, images, strict=True)
        ]
        answers: dict[int, Detections] = {}
        for rows in self._groups(letterboxes):
            together = self.predictor([images[row] for row in rows], [letterboxes[row] for row in rows], chosen)
            answers.update(zip(rows, together, strict=True))
        return [answers[row] for row in range(len(images))] if several else answers[0]

    def stream(
        self,
        source: str | Path | Iterable[ImageSource | Picture | Failure],
        *,
        on_failure: Callable[[Failure], None] | None = None,
        tiles: "Tiles" = None,
        tile_overlap: float | None = None,
        **limits: Any,
    ) -> Iterator[Result]:
        """Detects in every image of a source, in order, as a call would, but several at a time.

        Reading, letterbox, inference and suppression of one image overlap with those of others; a video is
        decoded ahead. Only a few images are in memory: a slow caller slows the stream down. Of a
        camera, frames are worked on one by one, always the newest. Leaving the loop ends all threads.

        Args:
            source: file, folder, pattern, video, camera, URL, what ``open_sources`` gives, or a list of these
                and of image files' bytes, or open files.
            on_failure: called with each image that cannot be read, and the stream goes on. Without it the
                first such image raises its error; what a camera loses before it goes on is a warning.
            tiles: as for a call.
            tile_overlap: as for a call.
            **limits: as for a call.

        Raises:
            OptionError: a limit is out of range, a class unknown, or tiles cannot be.
            SourceError: the source cannot be opened.
            ImageError: an image cannot be read and ``on_failure`` is None.

        Example:
            >>> for result in detector.stream("road.mp4"):
            ...     print(result.picture.frame, len(result.detections))
        """
        if isinstance(source, (str, Path)):
            source = open_sources(source)
        live = isinstance(source, Sources) and source.live
        with closing(lazy_items(source)) as items:
            answers = self.answers(items, live=live, tiles=tiles, tile_overlap=tile_overlap, **limits)
            yield from _results(answers, on_failure)

    def answers(
        self,
        items: Iterable[LazyItem],
        *,
        live: bool = False,
        tiles: "Tiles" = None,
        tile_overlap: float | None = None,
        **limits: Any,
    ) -> Generator[Result | Failure, None, None]:
        """What is found in each item of a stream, or its failure: one answer an item, in their order.

        Args:
            items: are read when they are called, by several threads.
            live: only the newest item counts: none is read ahead.
            tiles: as for a call.
            tile_overlap: as for a call.
            **limits: as for a call.

        Raises:
            OptionError: a limit is out of range, a class unknown, or tiles cannot be.
        """
        return self._answers(items, self.limits_with(limits), _tiling_of(tiles, tile_overlap), live)

    def _answers(
        self, items: Iterable[LazyItem], limits: Limits, tiling: "Tiling | None", live: bool = False
    ) -> Generator[Result | Failure, None, None]:
        runner = self.stream_runner
        if runner.workers == 1 or (live and tiling is None):
            found = runner.one_by_one(items, limits, tiling)
        else:
            found = runner.overlapping(items, limits, tiling, live=live)
        with closing(found):
            for answer in found:
                if isinstance(answer, Failure):
                    yield answer
                else:
                    yield from answer

    def _groups(self, letterboxes: Sequence[Letterbox]) -> Iterator[list[int]]:
        """Rows of images that may share an inference: equal shapes, at most ``batch`` at a time."""
        by_shape: dict[Size, list[int]] = {}
        for row, letterbox in enumerate(letterboxes):
            by_shape.setdefault(letterbox.shape, []).append(row)
        for rows in by_shape.values():
            for start in range(0, len(rows), self.batch):
                yield rows[start : start + self.batch]

    def limits_with(self, changes: dict[str, Any]) -> Limits:
        """The detector's limits with some changed; classes may be names.

        Raises:
            OptionError: a limit is unknown or out of range, or a class is not in the model.
        """
        return limits_for(self.info, self.names, self.limits, changes)


def _load(arguments: dict[str, Any]) -> Detector:
    return Detector.load(**arguments)


def _tiling_of(tiles: "Tiles", tile_overlap: float | None) -> "Tiling | None":
    """How images are divided, if they are: only then is what knows of tiles imported."""
    if tiles is None and tile_overlap is None:
        return None
    from lucidbox.detect.tiles import tiling_of

    return tiling_of(tiles, tile_overlap)


def _results(
    answers: Generator[Result | Failure, None, None], on_failure: Callable[[Failure], None] | None = None
) -> Generator[Result, None, None]:
    """Results alone; failures are told, warned of or raised, as :meth:`Detector.stream` says."""
    with closing(answers):
        for answer in answers:
            if not isinstance(answer, Failure):
                yield answer
            elif on_failure is not None:
                on_failure(answer)
            elif answer.passing:
                warnings.warn(str(answer.error), stacklevel=3)
            else:
                raise answer.error
