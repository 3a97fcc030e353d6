"""Times whole commands: ours cold, and ours in alternation with another command, A B A B."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lucidbox.benchmark.spread import Spread
from lucidbox.core.errors import EngineError

Command = Sequence[str] | str
"""Words of a command, or a line for the shell."""


@dataclass(frozen=True)
class Duel:
    """Two commands that took turns.

    Attributes:
        ours: seconds.
        rival: seconds.
        ratio: rival over ours, of the medians: above 1 we are faster.
        ratios: the same of each turn, both being next to each other in time.
    """

    ours: Spread
    rival: Spread
    ratio: float
    ratios: Spread


def duel(ours: Command, rival: Command, turns: int, say: Callable[[str], None] = lambda words: None) -> Duel:
    """Run both commands in turn, after one turn that does not count, which fills caches.

    Raises:
        EngineError: a command fails.
    """
    pairs = []
    for turn in range(turns + 1):
        say("first turn, which does not count" if turn == 0 else f"turn {turn} of {turns}")
        pairs.append((seconds(ours), seconds(rival)))
    first, second = zip(*pairs[1:], strict=True)
    mine, theirs = Spread.of(first), Spread.of(second)
    return Duel(mine, theirs, theirs.p50 / mine.p50, Spread.of([b / a for a, b in pairs[1:]]))


def seconds(command: Command) -> float:
    """How long a command takes, its output thrown away.

    Raises:
        EngineError: it fails; the message ends with its last words.
    """
    started = time.perf_counter()
    try:
        done = subprocess.run(  # noqa: S603 - a line for the shell is what the user asked for
            command, shell=isinstance(command, str), capture_output=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise EngineError(f"{_shown(command)}: cannot be started: {error.strerror}") from error
    took = time.perf_counter() - started
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise EngineError(f"{_shown(command)}: exit code {done.returncode}: {words[-1]}")
    return took


def _shown(command: Command) -> str:
    return command if isinstance(command, str) else " ".join(command)
