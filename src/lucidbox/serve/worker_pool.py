"""Worker threads with a bounded queue: a request has a place, which is freed when its work has ended."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Generic, TypeVar

from lucidbox.serve.request_errors import busy, stopping

_Answer = TypeVar("_Answer")


class Job:
    """What the work of one request is told.

    Attributes:
        waited: seconds in the queue.
        alone: whether nothing else was being worked on when it began.
        dropped: set when nobody waits for the answer any more; long work looks at it and ends.
    """

    def __init__(self) -> None:
        self.waited = 0.0
        self.alone = True
        self.dropped = threading.Event()


class WorkerPool(Generic[_Answer]):
    """Runs work in threads: at most ``workers`` at once, at most ``queue`` more waiting, all others refused.

    Args:
        workers: threads.
        queue: most requests that wait.

    Example:
        >>> answer = await WorkerPool(3, 16).run(lambda job: detector(picture))
    """

    def __init__(self, workers: int, queue: int) -> None:
        self.workers, self.queue = workers, queue
        self.taken = self.running = 0
        self.stopped = False
        self._seconds = 0.1  # that recent work took on average
        self._threads = ThreadPoolExecutor(workers, "lucidbox-serve")
        self._free = asyncio.Semaphore(workers)

    def check_room(self) -> None:
        """Refuse what would not get a place now.

        Raises:
            RequestError: 429 when all places are taken, 503 when the server is being stopped.
        """
        if self.stopped:
            raise stopping()
        if self.taken >= self.workers + self.queue:
            raise busy(self._seconds * self.taken / self.workers)

    async def run(self, work: Callable[[Job], _Answer]) -> _Answer:
        """The answer of ``work``. A caller that is cancelled leaves the queue at once; work that runs, runs on."""
        self.check_room()
        self.taken += 1
        job, came = Job(), time.perf_counter()
        try:
            await self._free.acquire()
        except BaseException:
            self.taken -= 1
            raise
        job.waited, job.alone = time.perf_counter() - came, self.running == 0
        self.running += 1
        loop = asyncio.get_running_loop()
        future = self._threads.submit(work, job)
        future.add_done_callback(lambda done: self._call_back(loop, done, time.perf_counter() - came - job.waited))
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            job.dropped.set()
            raise

    def _call_back(self, loop: asyncio.AbstractEventLoop, future: "Future[_Answer]", seconds: float) -> None:
        with suppress(RuntimeError):  # the loop has been closed: nobody waits for a place
            loop.call_soon_threadsafe(self._release, seconds)

    def _release(self, seconds: float) -> None:
        self.running -= 1
        self.taken -= 1
        self._seconds += 0.1 * (seconds - self._seconds)
        self._free.release()

    def close(self) -> None:
        """End the threads when their work has ended; what waits is dropped."""
        self.stopped = True
        self._threads.shutdown(wait=False, cancel_futures=True)
