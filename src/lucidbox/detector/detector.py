"""The one path from pixels to boxes: read, letterbox, engine, suppress, restore."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import numpy as np

from lucidbox import bundled, engines
from lucidbox.core.array_types import Float32, UInt8
from lucidbox.core.class_names import class_ids
from lucidbox.core.detections import Detections
from lucidbox.core.errors import EngineError, OptionError
from lucidbox.core.parallel import cores
from lucidbox.detect.letterbox import Letterbox, Size, fit, parse_size
from lucidbox.detect.nms import Limits, detect
from lucidbox.detector import model_cache
from lucidbox.detector.model_cache import ModelInfo
from lucidbox.detector.static_shape import adapted, check_within, fixed_size
from lucidbox.detector.stream import Result, Stream, unread
from lucidbox.engines import Engine
from lucidbox.images.reading import from_pillow, read_image, to_rgb
from lucidbox.sources import Failure, Picture, Sources, open_sources

Color = Literal["rgb", "bgr"]
"""Channel order of an array."""

MANY = 16
"""Pictures after which a stream goes over to an engine made for many: about what making that one costs."""


class Detector:
    """Finds objects in pictures. Safe to use from several threads at once.

    Args:
        engine: runs the network.
        names: class names, by class id.
        size: height, width of the largest network input, multiples of 32.
        limits: what counts as a detection, unless a call says otherwise.
        batch: most pictures that share one inference. Only pictures of equal letterboxed shape do, so that
            a picture gets the same answer alone and in company.
        square: pad every picture to ``size`` instead of to the next multiples of 32.
        workers: pictures of a stream that are worked on at once; 1 works in the caller's thread alone. By default
            one more than there are processor cores: while it waits for its inference, another decodes.

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
    ) -> None:
        if batch < 1:
            raise OptionError(f"batch {batch} is less than 1")
        if workers is not None and workers < 1:
            raise OptionError(f"workers {workers} is less than 1")
        self.engine = engine
        self.names = tuple(names)
        self.size = size
        self.limits = limits or Limits()
        self.batch = batch
        self.square = square
        self.workers = workers or cores() + 1
        self._engine_for_many: Engine | None = None  # made when the first long stream comes
        self.weights: Path | None = None  # the file it was loaded from; explanations read the network from it
        self.info: ModelInfo | None = None  # what that file says about itself

    @classmethod
    def load(
        cls,
        weights: str | Path | None = None,
        *,
        engine: str = "auto",
        precision: str = "auto",
        size: int | str | Sequence[int] | None = None,
        batch: int = 1,
        square: bool = False,
        threads: int | None = None,
        say: Callable[[str], None] = lambda message: None,
        **limits: Any,
    ) -> "Detector":
        """A detector for a weights file.

        Args:
            weights: .pt, .safetensors, or an artefact of ours: ONNX, OpenVINO IR (.xml), TorchScript; None is the
                model that comes with lucidbox. Weights are converted to ONNX once, which is kept in the cache. An
                artefact with a fixed shape or with suppression inside keeps to those: other sizes and looser
                limits are refused.
            engine: "auto", "openvino", "onnxruntime" or "torch".
            precision: "auto", "fp32", "bf16", "fp16" or "int8"; it depends on engine, processor and file.
            size: longer side of the network's input, or height, width; by default what the model was trained for.
            batch: most pictures that share one inference.
            square: pad every picture to a square.
            threads: most processor threads, and most pictures of a stream that are worked on at once; None leaves
                it to the engine.
            say: told in a few words when something takes seconds.
            **limits: ``conf``, ``iou``, ``max_det``, ``classes`` (names or ids), ``agnostic``.

        Raises:
            WeightsError: the weights are missing or refused.
            OptionError, EngineError: something asked for is not to be had.
        """
        # What needs no model is checked before one is converted, which takes seconds.
        _changed(Limits(), {name: value for name, value in limits.items() if name != "classes"})
        if size is not None:
            parse_size(size)
        if batch < 1:
            raise OptionError(f"batch {batch} is less than 1")
        path = bundled.weights() if weights is None else Path(weights)
        form = model_cache.form_of(path)
        choice = engines.choose_engine(engine, form)
        # Torch runs the network as it is; the other engines run a graph.
        is_network = choice.name == "torch" and form != "torchscript"
        if precision == "int8" and (is_network or form == "weights"):
            raise OptionError(engines.not_in_int8(path))
        model = path if is_network else model_cache.through(path, say)
        info = model_cache.read_info(model)
        if is_network:
            info = dataclasses.replace(info, shape=None, suppression=None)
        fixed = fixed_size(info, size, batch)
        runner = engines.load_engine(choice.name, model, precision=precision, threads=threads)
        detector = cls(
            adapted(runner, info),
            info.names,
            size=fixed or parse_size(info.size if size is None else size),
            limits=_stated(info),
            batch=batch,
            square=square or fixed is not None,
            workers=threads,
        )
        detector.info = info
        detector.limits = detector._limits(limits)
        detector.weights = path
        return detector

    def __call__(self, pictures: Any, *, color: Color = "rgb", **limits: Any) -> Detections | list[Detections]:
        """Detect in one picture, or in each of a list.

        Args:
            pictures: a path, the bytes of a picture file, an array ("h w 3", "h w" or "h w 4"), a PIL image,
                or a list or tuple of these.
            color: channel order of arrays, "rgb" or "bgr".
            **limits: ``conf``, ``iou``, ``max_det``, ``classes`` (names or ids), ``agnostic``, for this call.

        Returns:
            ``Detections`` for one picture, a list of them, in order, for a list.

        Raises:
            ImageError: a picture cannot be read; the message names it.
            OptionError: a limit is out of range or a class unknown.
        """
        chosen = self._limits(limits)
        several = isinstance(pictures, (list, tuple))
        given = pictures if several else [pictures]
        images = [pixels_of(picture, color) for picture in given]
        frames = [
            self.frame_of(picture.size) if isinstance(picture, Picture) else self.frame(image)
            for picture, image in zip(given, images, strict=True)
        ]
        found: list[Detections | None] = [None] * len(images)
        for rows in self._groups(frames):
            answers = self.predict([images[row] for row in rows], [frames[row] for row in rows], chosen)
            for row, detections in zip(rows, answers, strict=True):
                found[row] = detections
        done = [detections for detections in found if detections is not None]
        return done if several else done[0]

    def stream(
        self,
        source: str | Path | Iterable[str | Path | Picture | Failure],
        *,
        on_failure: Callable[[Failure], None] | None = None,
        **limits: Any,
    ) -> Iterator[Result]:
        """Detect in every picture of a source, in order, as a call would, but several at a time.

        Reading, letterbox, inference and suppression of one picture overlap with those of others; a video is
        decoded ahead. Only a few pictures are in memory: who takes results slowly holds the stream up. Of a
        camera, frames are worked on one by one, always the newest. Leaving the loop ends all threads.

        Args:
            source: file, folder, pattern, video, camera, URL, or what ``open_sources`` gives.
            on_failure: told of each picture that cannot be read, and the stream goes on. Without it the
                first such picture raises its error.
            **limits: as for a call.

        Raises:
            SourceError: the source cannot be opened.
            ImageError: a picture cannot be read and ``on_failure`` is None.
        """
        chosen = self._limits(limits)
        if isinstance(source, (str, Path)):
            source = open_sources(source)
        live = isinstance(source, Sources) and source.live
        stream = Stream(self, chosen)
        answers = stream.one_by_one if live or self.workers == 1 else stream.overlapping
        with closing(unread(source)) as items, closing(answers(items)) as answered:
            for answer in answered:
                if not isinstance(answer, Failure):
                    yield from answer
                elif on_failure is None:
                    raise answer.error
                else:
                    on_failure(answer)

    def frame(self, image: UInt8[np.ndarray, "h w 3"]) -> Letterbox:
        """Where this picture sits in the network's input."""
        return self.frame_of((image.shape[0], image.shape[1]))

    def frame_of(self, size: Size) -> Letterbox:
        """Where a picture of this height and width sits in the network's input."""
        return fit(size, self.size, square=self.square)

    def infer(
        self,
        images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        frames: Sequence[Letterbox],
        engine: Engine | None = None,
    ) -> engines.Prediction:
        """The network's own answer, in pixels of its input, for pictures whose frames share one shape.

        Args:
            images: RGB.
            frames: where each sits in the input.
            engine: another form of the detector's engine; see :meth:`engine_for`.

        Raises:
            EngineError: the network answers with something that is not a number.
        """
        fitted = [frame.apply(image) for image, frame in zip(images, frames, strict=True)]
        predicted = (engine or self.engine)(fitted[0][None] if len(fitted) == 1 else np.stack(fitted))
        _check(predicted, len(self.names))
        return predicted

    def predict(
        self,
        images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
        frames: Sequence[Letterbox],
        limits: Limits,
        engine: Engine | None = None,
    ) -> list[Detections]:
        """The path itself, for pictures whose frames share one shape: letterbox, engine, suppress, restore."""
        predicted = self.infer(images, frames, engine)
        return [
            self.finish(boxes, scores, frame, limits)
            for boxes, scores, frame in zip(predicted.boxes, predicted.scores, frames, strict=True)
        ]

    @property
    def callers(self) -> int:
        """Threads of a stream that call the engine: one where each call takes all cores, as torch does."""
        return self.workers if isinstance(self.engine, engines.Scalable) else 1

    def for_many(self) -> Engine:
        """The engine as long streams use it: made at the first call, and kept."""
        if self._engine_for_many is None:
            self._engine_for_many = engines.for_many(self.engine)
        return self._engine_for_many

    def engine_for(self, seen: int) -> Engine:
        """The engine for this many-th picture of a stream: few are not worth making the one for many."""
        many = self.workers > 1 and seen > MANY
        return self.for_many() if many else self._engine_for_many or self.engine

    def finish(
        self,
        boxes: Float32[np.ndarray, "a 4"],
        scores: Float32[np.ndarray, "a c"],
        frame: Letterbox,
        limits: Limits,
    ) -> Detections:
        """Select, suppress and map back one picture's part of the network's answer."""
        kept_boxes, kept = detect(boxes, scores, limits)
        return Detections(frame.restore(kept_boxes), kept.scores, kept.classes, self.names)

    def _groups(self, frames: Sequence[Letterbox]) -> Iterator[list[int]]:
        """Rows of pictures that may share an inference: equal shapes, at most ``batch`` at a time."""
        by_shape: dict[Size, list[int]] = {}
        for row, frame in enumerate(frames):
            by_shape.setdefault(frame.shape, []).append(row)
        for rows in by_shape.values():
            for start in range(0, len(rows), self.batch):
                yield rows[start : start + self.batch]

    def _limits(self, changes: dict[str, Any]) -> Limits:
        """The detector's limits with some changed; classes may be names."""
        wanted = changes.get("classes")
        if wanted is not None:
            several = [wanted] if isinstance(wanted, (str, int, np.integer)) else wanted
            changes = changes | {"classes": tuple(class_ids([str(one) for one in several], self.names))}
        limits = _changed(self.limits, changes)
        if self.info and self.info.suppression:
            check_within(self.info.suppression, limits)
        return limits


def _stated(info: ModelInfo) -> Limits:
    """The limits that a model brings."""
    return Limits(**dataclasses.asdict(info.suppression)) if info.suppression else Limits(conf=info.conf)


def _changed(limits: Limits, changes: dict[str, Any]) -> Limits:
    """Limits with some changed; None means unchanged.

    Raises:
        OptionError: a limit is unknown or out of range.
    """
    given = {name: value for name, value in changes.items() if value is not None}
    unknown = set(given) - {field.name for field in dataclasses.fields(Limits)}
    if unknown:
        raise OptionError(f"unknown limit {sorted(unknown)[0]!r}; there are conf, iou, max_det, classes, agnostic")
    return dataclasses.replace(limits, **given)


def pixels_of(picture: Any, color: Color) -> UInt8[np.ndarray, "h w 3"]:
    """RGB pixels of whatever a caller calls a picture."""
    if isinstance(picture, (str, Path, bytes)):
        return read_image(picture)
    if isinstance(picture, Picture):
        return picture.pixels
    if type(picture).__module__.startswith("PIL."):  # asked without importing Pillow
        return from_pillow(picture)
    return to_rgb(np.asarray(picture), color)


def _check(predicted: engines.Prediction, classes: int) -> None:
    """Damaged weights answer with what is no number, perhaps at one level's anchors only.

    Raises:
        EngineError: the answer is not a number, or not of this many classes.
    """
    if predicted.scores.shape[2] != classes:
        raise EngineError(f"the network has {predicted.scores.shape[2]} classes, its metadata names {classes}")
    # The largest of some numbers and a NaN is NaN: one sweep, without an array of flags.
    if np.isnan(predicted.scores.max(initial=0)) or np.isnan(predicted.boxes.max(initial=0)):
        raise EngineError("the network answers NaN: its weights are damaged, or --precision is too low for them")
