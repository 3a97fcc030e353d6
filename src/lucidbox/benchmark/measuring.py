"""One detector over one sample: each part of the path alone, the engine alone, and the whole stream.

Rounds of several settings alternate, so that a machine's mood falls on all of them alike.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np

from lucidbox.benchmark.machine import fixed_work
from lucidbox.benchmark.pictures import ImageSample, Shot
from lucidbox.benchmark.spread import Spread
from lucidbox.core.array_types import UInt8
from lucidbox.core.html_tables import html_table
from lucidbox.core.parallel import cores
from lucidbox.detect.letterbox import Size
from lucidbox.detect.predictor import Predictor, RawPrediction
from lucidbox.detector import Detector
from lucidbox.draw.annotate import draw
from lucidbox.engines import Engine, Prediction
from lucidbox.images.reading import read_image

STAGES = ("read", "decode", "letterbox", "inference", "suppression", "drawing")

Stack = UInt8[np.ndarray, "b h w 3"]


@dataclass(frozen=True)
class Setting:
    """What is measured: how a detector is loaded. ``threads`` None leaves their number to the engine."""

    engine: str
    precision: str
    batch: int = 1
    threads: int | None = None


@dataclass(frozen=True)
class Measurement:
    """What was measured of one setting.

    Attributes:
        setting: with the precision that was computed in.
        stages: milliseconds of each of :data:`STAGES` a picture, one after the other in one thread. Empty for
            "read" of videos, whose frames come decoded.
        one_picture: milliseconds from file (or frame) to boxes, drawing left out.
        overhead: milliseconds of that which are neither reading, decoding nor inference.
        engine_rate: pictures a second of the engine alone, on letterboxed pictures, as streams use it.
        stream_rate: pictures a second from files to boxes.
        bound: pictures a second if everything overlapped perfectly:
            1 / (engine seconds a picture + core-seconds of all other stages but drawing / cores).
        bound_share: ``stream_rate`` over ``bound``, round by round.
        gigaflops: billions of operations a second of the engine alone; None where they were not counted.
    """

    setting: Setting
    stages: dict[str, Spread]
    one_picture: Spread
    overhead: Spread
    engine_rate: Spread
    stream_rate: Spread
    bound: Spread
    bound_share: Spread
    gigaflops: float | None = None

    def _repr_html_(self) -> str:
        """Milliseconds of every stage and images a second, for notebooks."""
        spreads = {f"{stage}, ms": spread for stage, spread in self.stages.items()}
        spreads |= {"one picture, ms": self.one_picture, "engine alone, pictures/s": self.engine_rate}
        spreads |= {"stream, pictures/s": self.stream_rate, "bound, pictures/s": self.bound}
        rows = [(name, one.p10, one.p50, one.p90) for name, one in spreads.items()]
        how = f"{self.setting.engine} {self.setting.precision}, batch {self.setting.batch}"
        return html_table(("", "p10", "median", "p90"), rows, how)


@dataclass
class _Clocked:
    """An engine that remembers its last answer and what it took, in seconds."""

    engine: Engine
    name: str = ""
    precision: str = ""
    seconds: float = 0.0
    answer: Prediction | None = None

    def __call__(self, images: Stack) -> Prediction:
        started = time.perf_counter()
        self.answer = self.engine(images)
        self.seconds = time.perf_counter() - started
        return self.answer


@dataclass
class _Log:
    """Measurements of one setting, as they come."""

    stages: dict[str, list[float]] = field(default_factory=lambda: {stage: [] for stage in STAGES})
    core_seconds: list[float] = field(default_factory=list)
    one_picture: list[float] = field(default_factory=list)
    overhead: list[float] = field(default_factory=list)
    engine_rate: list[float] = field(default_factory=list)
    stream_rate: list[float] = field(default_factory=list)
    bound: list[float] = field(default_factory=list)


def measure(
    detectors: dict[Setting, Detector],
    sample: ImageSample,
    rounds: int,
    operations: dict[Size, float] | None = None,
    say: Callable[[str], None] = lambda words: None,
) -> tuple[list[Measurement], list[float]]:
    """Measure every setting in every round, after a round that does not count.

    Args:
        detectors: loaded, each by its setting.
        sample: the pictures.
        rounds: how often everything is measured.
        operations: billions of operations a picture, by input shape.
        say: called with a short message before every round.

    Returns:
        What was measured, setting by setting; and milliseconds of the fixed piece of work in between.
    """
    logs = {setting: _Log() for setting in detectors}
    noise = []
    for turn in range(rounds + 1):
        say("warming up" if turn == 0 else f"round {turn} of {rounds}")
        for setting, detector in detectors.items():
            log = _Log() if turn == 0 else logs[setting]
            _one_round(detector, sample, log)
            noise += [fixed_work() for _ in range(5)]
    return [_summary(setting, detectors[setting], sample, log, operations) for setting, log in logs.items()], noise


def _one_round(detector: Detector, sample: ImageSample, log: _Log) -> None:
    start = len(log.core_seconds)
    engine = _Clocked(detector.engine, detector.engine.name, detector.engine.precision)
    predictor = replace(detector.predictor, engine=engine)
    for shot in sample.shots:
        _one_shot(predictor, engine, shot, log)
    seconds = _engine_alone(detector, sample)
    log.engine_rate.append(1 / seconds)
    log.bound.append(1 / (seconds + float(np.mean(log.core_seconds[start:])) / cores()))
    log.stream_rate.append(_stream(detector, sample))


def _one_shot(predictor: Predictor, engine: _Clocked, shot: Shot, log: _Log) -> None:
    """The stages one after the other. What the path does in one call is timed in one call, then in its parts."""
    times, busy = [time.perf_counter()], [time.thread_time()]

    def lap() -> None:
        times.append(time.perf_counter())
        busy.append(time.thread_time())

    pixels = shot.pixels
    if shot.path is not None:
        content = shot.path.read_bytes()
        lap()
        pixels = read_image(content)
        lap()
        log.stages["read"].append((times[1] - times[0]) * 1000)
        log.stages["decode"].append((times[2] - times[1]) * 1000)
    else:
        log.stages["decode"].append(shot.decoding * 1000)
    predictor([pixels])
    lap()
    whole, inference = times[-1] - times[-2], engine.seconds
    log.one_picture.append((times[-1] - times[0] + shot.decoding) * 1000)
    log.overhead.append((whole - inference) * 1000)
    log.stages["inference"].append(inference * 1000)
    letterbox = predictor.letterbox_for(pixels.shape[:2])
    letterbox.apply(pixels)
    lap()
    assert engine.answer is not None
    found = predictor.finish(RawPrediction(pixels, letterbox, engine.answer.boxes[0], engine.answer.scores[0]))
    lap()
    log.stages["letterbox"].append((times[-2] - times[-3]) * 1000)
    log.stages["suppression"].append((times[-1] - times[-2]) * 1000)
    # The processor's time, all but inference: reading and decoding, then letterbox and suppression.
    log.core_seconds.append(busy[-4] - busy[0] + busy[-1] - busy[-3] + shot.decoding)
    lap()
    draw(pixels, found)
    lap()
    log.stages["drawing"].append((times[-1] - times[-2]) * 1000)


def _engine_alone(detector: Detector, sample: ImageSample) -> float:
    """Seconds a picture of the engine as streams use it, called by as many threads, on letterboxed pictures."""
    runner = detector.stream_runner
    engine = runner.predictor_for_many.engine
    stacks = _stacks(detector, sample.shots)
    started = time.perf_counter()
    with ThreadPoolExecutor(runner.callers) as pool:
        for _ in pool.map(lambda stack: len(engine(stack).boxes), stacks):
            pass
    return (time.perf_counter() - started) / len(sample.shots)


def _stacks(detector: Detector, shots: Sequence[Shot]) -> list[Stack]:
    """Letterboxed pictures in the batches that a stream would make of them."""
    placed = [(detector.predictor.letterbox_for(shot.pixels.shape[:2]), shot.pixels) for shot in shots]
    stacks = []
    for _, run in groupby(placed, key=lambda pair: pair[0].shape):
        fitted = [letterbox.apply(pixels) for letterbox, pixels in run]
        stacks += [
            np.stack(fitted[start : start + detector.batch]) for start in range(0, len(fitted), detector.batch)
        ]
    return stacks


def _stream(detector: Detector, sample: ImageSample) -> float:
    """Pictures a second of a stream; what cannot be read was reported when the sample was taken."""
    started = time.perf_counter()
    count = sum(1 for _ in detector.stream(sample.stream, on_failure=lambda failure: None))
    return count / (time.perf_counter() - started)


def _summary(
    setting: Setting, detector: Detector, sample: ImageSample, log: _Log, operations: dict[Size, float] | None
) -> Measurement:
    engine_rate = Spread.of(log.engine_rate)
    gigaflops = None
    if operations is not None:
        shapes = [detector.predictor.letterbox_for(shot.pixels.shape[:2]).shape for shot in sample.shots]
        gigaflops = float(np.mean([operations[shape] for shape in shapes])) * engine_rate.p50
    return Measurement(
        setting,
        {stage: Spread.of(times) for stage, times in log.stages.items() if times},
        Spread.of(log.one_picture),
        Spread.of(log.overhead),
        engine_rate,
        Spread.of(log.stream_rate),
        Spread.of(log.bound),
        Spread.of([rate / bound for rate, bound in zip(log.stream_rate, log.bound, strict=True)]),
        gigaflops,
    )
