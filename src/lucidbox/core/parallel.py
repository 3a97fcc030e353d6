"""Work done by several threads, with results in the order of the items. Knows nothing of images.

The caller that takes the results drives the work: at most a stated number of items is waiting, worked on, or done
and not yet taken. So memory stays bounded, and a slow caller slows the work down.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    pool: Executor, work: Callable[[_Item], _Result], items: Iterable[_Item], room: int
) -> Generator[_Result, None, None]:
    """What ``work`` makes of each item, in the order of the items, as ``map`` gives it, but worked on ahead.

    An error, of ``work`` or of ``items`` itself, is raised in its place, after the results before it. Closing
    the generator drops what no thread has begun; what has begun, the pool's own end waits for.

    Args:
        pool: does the work. Its threads must not wait for each other's results.
        work: is called in several threads at once.
        items: the next one is taken in the thread that takes the results.
        room: most items that are waiting, worked on, or done and not yet taken.
    """
    source = iter(items)
    in_hand: deque[Future[_Result]] = deque()
    try:
        while (future := _begin(pool, work, source)) is not None:
            in_hand.append(future)
            if len(in_hand) == room:
                yield in_hand.popleft().result()
        while in_hand:
            yield in_hand.popleft().result()
    finally:
        for future in in_hand:
            future.cancel()


def in_threads(
    work: Callable[[_Item], _Result], items: Iterable[_Item], threads: int | None = None
) -> Generator[_Result, None, None]:
    """Like :func:`in_order`, with threads of its own: so many, by default twice as many as cores, at most 8."""
    threads = threads or min(8, 2 * cores())
    with ThreadPoolExecutor(threads) as pool:
        yield from in_order(pool, work, items, 2 * threads)


def _begin(pool: Executor, work: Callable[[_Item], _Result], source: Iterator[_Item]) -> Future[_Result] | None:
    """The next item's work, begun; None at the end. An item that fails to come fails in its turn."""
    try:
        return pool.submit(work, next(source))
    except StopIteration:
        return None
    except Exception as error:
        failed: Future[_Result] = Future()
        failed.set_exception(error)
        return failed
