"""The bounded queue, the deadline, and clients that are slow or go away, against the application itself."""

import asyncio
import contextlib

import pytest
from servers import Gate, red_detector

from lucidbox.serve import ServerSettings, app
from lucidbox.serve.worker_pool import WorkerPool


class Call:
    """One request to an ASGI application.

    Args:
        application: it.
        body: the parts of the body; None stands for a client that sends no more, and waits.
    """

    def __init__(self, application, body, path="/v1/detect", headers=()):
        self._application, self._body = application, iter(body)
        self._gone = asyncio.Event()
        self.messages = []
        headers = [(b"host", b"127.0.0.1"), *headers]
        self._scope = {
            "type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
            "headers": headers, "client": ("127.0.0.1", 1), "scheme": "http", "server": ("127.0.0.1", 80),
            "root_path": "", "http_version": "1.1", "asgi": {"version": "3.0"},
        }  # fmt: skip
        self.task = asyncio.ensure_future(application(self._scope, self._receive, self._send))
        self._last = False

    async def _receive(self):
        part = None if self._last else next(self._body, None)
        if part is None:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        self._last = part is LAST or getattr(part, "last", False)
        return {"type": "http.request", "body": bytes(part), "more_body": not self._last}

    async def _send(self, message):
        self.messages.append(message)

    def leave(self):
        self._gone.set()

    async def status(self):
        await asyncio.wait_for(self.task, 20)
        return self.messages[0]["status"]

    def header(self, name):
        return dict(self.messages[0]["headers"]).get(name.encode(), b"").decode()


class Whole(bytes):
    """A part of a body after which nothing comes."""

    last = True


LAST = Whole(b"")


async def until(condition):
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never became so")


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


def run(main, gate, **settings):
    """Run a coroutine function with the application whose engine waits at the gate; two workers."""

    async def whole():
        application = app({"red": red_detector(gate)}, ServerSettings(**settings))
        try:
            await main(application)
        finally:
            gate.open.set()
            await until(lambda: application.service.pool.taken == 0)
            application.service.close()
        assert application.service.in_hand == 0
        assert application.service.uploads.held == 0

    asyncio.run(whole())


def test_a_full_queue_refuses_at_once(gate, red):
    async def main(application):
        pool = application.service.pool
        taken = [Call(application, [Whole(red)]) for _ in range(5)]
        await until(lambda: pool.taken == 5)
        refused = Call(application, [None])  # its body is not even read
        assert await refused.status() == 429
        assert int(refused.header("retry-after")) >= 1
        assert pool.running == 2
        assert pool.taken == 5
        gate.open.set()
        assert [await call.status() for call in taken] == [200] * 5
        assert await Call(application, [Whole(red)]).status() == 200
        assert b'rejected_total{reason="full"} 1.0' in application.service.metrics.text()

    run(main, gate, queue=3)


def test_no_answer_in_time_is_503(gate, red):
    async def main(application):
        calls = [Call(application, [Whole(red)]) for _ in range(4)]
        assert [await call.status() for call in calls] == [503] * 4
        assert calls[0].header("retry-after") == "1"
        # Those that waited have freed their places; two are still being worked on.
        assert application.service.pool.taken == 2

    run(main, gate, timeout=0.3)


def test_a_client_that_goes_away_frees_its_place(gate, red):
    async def main(application):
        pool = application.service.pool
        working = [Call(application, [Whole(red)]) for _ in range(2)]
        await until(lambda: pool.running == 2)
        waiting = [Call(application, [Whole(red)]) for _ in range(2)]
        await until(lambda: pool.taken == 4)
        waiting[0].leave()
        await until(lambda: pool.taken == 3)
        working[0].leave()
        with contextlib.suppress(Exception):
            await working[0].task
        assert pool.taken == 3  # its thread works on: the place is free when it has ended
        gate.open.set()
        assert await working[1].status() == await waiting[1].status() == 200
        await until(lambda: pool.taken == 0)
        assert gate.calls == 3

    run(main, gate, queue=2)


def test_a_slow_upload_is_cut_off(gate, red):
    async def main(application):
        slow = Call(application, [red[:10], red[10:20], None])
        await until(lambda: application.service.uploads.held == 20)
        assert await slow.status() == 408
        assert slow.header("connection") == "close"

    run(main, gate, timeout=0.3)


def test_a_client_that_leaves_while_it_sends_is_forgotten(gate, red):
    async def main(application):
        half = Call(application, [red[:10], None])
        await until(lambda: application.service.uploads.held == 10)
        half.leave()
        await half.task
        assert application.service.uploads.held == 0

    run(main, gate)


def test_uploads_together_are_bounded(gate):
    async def main(application):
        held = [Call(application, [b"x" * 100, None]) for _ in range(8)]
        await until(lambda: application.service.uploads.held == 800)
        one_more = Call(application, [b"x" * 100, None])
        assert await one_more.status() == 429
        for call in held:
            call.leave()
            await call.task

    run(main, gate, max_bytes=100)


def test_told_to_stop_it_takes_nothing_new_and_answers_what_it_has(gate, red):
    async def main(application):
        begun = [Call(application, [Whole(red)]) for _ in range(3)]
        await until(lambda: application.service.pool.taken == 3)
        application.service.stop()
        assert await Call(application, [Whole(red)]).status() == 503
        gate.open.set()
        assert [await call.status() for call in begun] == [200] * 3

    run(main, gate)


def test_an_explanation_that_nobody_waits_for_ends(gate, red):
    async def main(application):
        gate.open.set()
        call = Call(application, [Whole(red)], "/v1/explain")
        explainers = application.service.explainers
        await until(lambda: explainers.running == 1 and gate.calls > 3)
        call.leave()
        await until(lambda: explainers.taken == 0)
        assert gate.calls < 60

    run(main, gate)


def test_a_pool_keeps_at_most_its_workers_busy():
    async def main():
        pool, most = WorkerPool(3, 100), 0

        async def one():
            nonlocal most
            await pool.run(lambda job: None)
            most = max(most, pool.running)

        await asyncio.gather(*(one() for _ in range(50)))
        await until(lambda: pool.taken == pool.running == 0)
        assert most <= 3
        pool.close()

    asyncio.run(main())
