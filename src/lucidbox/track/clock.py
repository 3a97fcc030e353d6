"""How far time has moved since the last frame, in frames of the nominal rate."""

import math
from dataclasses import dataclass

JITTER_SECONDS = 0.004
"""Frames whose interval is this close to the nominal one count as regular: clocks round to milliseconds."""


@dataclass(frozen=True)
class Step:
    """The time from one frame to the next.

    Attributes:
        frames: in frames of the nominal rate; 0 where time has not moved.
        seconds: in seconds.
        regular: whether it is the nominal interval, but for rounding.
    """

    frames: float
    seconds: float
    regular: bool


class Clock:
    """Turns the times of frames into steps."""

    def __init__(self, frame_rate: float) -> None:
        if not (math.isfinite(frame_rate) and frame_rate > 0):
            raise ValueError(f"a frame rate of {frame_rate} is not possible; give frames a second, above 0")
        self.frame_rate = frame_rate
        self.last: float | None = None

    def step(self, seconds: float) -> Step:
        """The step to a frame at ``seconds``; the first frame comes one nominal interval after nothing.

        Raises:
            ValueError: the time is not finite.
        """
        if not math.isfinite(seconds):
            raise ValueError(f"the time of a frame is {seconds}; times are finite numbers of seconds")
        seconds = float(seconds)
        passed = 1 / self.frame_rate if self.last is None else max(seconds - self.last, 0.0)
        self.last = seconds if self.last is None else max(seconds, self.last)
        frames = passed * self.frame_rate
        return Step(frames, passed, abs(frames - 1) <= JITTER_SECONDS * self.frame_rate)
