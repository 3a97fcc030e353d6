"""Ctrl-C and other signals that ask a training to stop, turned into a flag."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass
class Interruption:
    """Whether a signal has asked to stop; a second Ctrl-C ends the program at once.

    A second signal of another kind does not: a terminal that closes and its shell both send one.
    """

    wanted: bool = False
    _waiting: bool = False

    def _ask(self, number: int, frame: FrameType | None) -> None:
        at_once = self._waiting or (self.wanted and number == signal.SIGINT)
        self.wanted, self._waiting = True, False
        if at_once:
            raise KeyboardInterrupt

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """In the block, which only waits, each of the signals raises KeyboardInterrupt at once."""
        self._waiting = True
        try:
            if self.wanted:  # it came just before
                raise KeyboardInterrupt
            yield
        finally:
            self._waiting = False


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """In the block, Ctrl-C, SIGTERM and SIGHUP only set a flag; outside the main thread nothing changes."""
    asked = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, asked._ask) for number in SIGNALS}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
