"""Throughput, latency, start and load of ``lucidbox serve``, beside Detector.stream and FastAPI around a Detector.

    python benchmarks/serve.py pictures/ [--weights FILE] [--rounds 3]     # throughput, latency, start
    python benchmarks/serve.py pictures/ --load 10                         # 200 clients for ten minutes

Rounds alternate: stream, serve, FastAPI, stream, ... so that all see the same machine. The load mixes good, bad,
huge, slow and aborted requests, checks every answer against the detector's own, prints the server's memory once a
minute, and ends with SIGTERM while requests are in hand.
Needs: pip install fastapi (for the comparison alone).
"""

import argparse
import collections
import contextlib
import http.client
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

FASTAPI = """
import os, sys
from fastapi import FastAPI, UploadFile
from starlette.concurrency import run_in_threadpool
import uvicorn
from lucidbox import Detector
detector = Detector.load(os.environ["WEIGHTS"] or None)
app = FastAPI()
@app.post("/v1/detect")
async def detect(file: UploadFile):
    content = await file.read()
    found = await run_in_threadpool(detector, content)
    return found.to_dicts()
@app.get("/v2/health/ready")
def ready():
    return {}
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@contextlib.contextmanager
def process(command, port, **environment):
    """A server's process once it is ready, and how many seconds that took."""
    began = time.perf_counter()
    running = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL)
    while True:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/v2/health/ready")
            if connection.getresponse().status == 200:
                break
        time.sleep(0.005)
        assert running.poll() is None, command
    try:
        yield running, time.perf_counter() - began
    finally:
        running.terminate()
        running.wait(60)


def lucidbox(port, weights, *options):
    chosen = ["--weights", weights] if weights else []
    return [sys.executable, "-m", "lucidbox", "serve", "--port", str(port), "--quiet", *chosen, *options]


def multipart(content):
    head = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\n'
    )
    return head + content + b"\r\n--b--\r\n"


FORM = {"Content-Type": "multipart/form-data; boundary=b"}


class Client:
    """A connection that stays open."""

    def __init__(self, port):
        self.port, self.connection = port, http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, content, path="/v1/detect", headers=FORM):
        self.connection.request("POST", path, content, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read(), dict(answer.getheaders())


def throughput(port, bodies, clients=8):
    """Answers a second of so many clients, who share the pictures."""
    waiting = collections.deque(bodies)

    def work(_):
        client = Client(port)
        while True:
            try:
                body = waiting.popleft()
            except IndexError:
                return
            assert client.ask(body)[0] == 200

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(work, range(clients)))
    return len(bodies) / (time.perf_counter() - began)


def stage_milliseconds(headers):
    timing = {name.lower(): value for name, value in headers.items()}.get("server-timing", "")
    return sum(float(part.partition("dur=")[2]) for part in timing.split(",") if "dur=" in part)


def latencies(port, bodies):
    """Milliseconds of each request of one client, and what HTTP adds to the server's own stages."""
    client, total, added = Client(port), [], []
    for body in bodies:
        began = time.perf_counter()
        status, _, headers = client.ask(body)
        total.append((time.perf_counter() - began) * 1000)
        assert status == 200
        added.append(total[-1] - stage_milliseconds(headers))
    return total, added


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def compare(files, weights, rounds):
    from lucidbox import Detector

    detector = Detector.load(weights)
    bodies = [multipart(file.read_bytes()) for file in files]
    rates = collections.defaultdict(list)
    ours, theirs = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        _, seconds = stack.enter_context(process(lucidbox(ours, weights), ours))
        print(f"ready after {seconds:.2f} s")
        ports = {"serve": ours}
        with contextlib.suppress(ImportError):
            import fastapi  # noqa: F401

            command = [sys.executable, "-c", FASTAPI, str(theirs)]
            stack.enter_context(process(command, theirs, WEIGHTS=weights or ""))
            ports["FastAPI"] = theirs
        for turn in range(rounds + 1):
            began = time.perf_counter()
            assert sum(1 for _ in detector.stream(list(map(str, files)))) == len(files)
            measured = {"stream": len(files) / (time.perf_counter() - began)}
            measured |= {name: throughput(port, bodies) for name, port in ports.items()}
            if turn:  # the first round warms up
                for name, rate in measured.items():
                    rates[name].append(rate)
        for name, values in rates.items():
            ratio = statistics.median(a / b for a, b in zip(values, rates["stream"], strict=True))
            print(f"{name:8s} {statistics.median(values):7.1f} pictures/s, {ratio:.2f} of stream  {values}")
        for name, port in ports.items():
            latencies(port, bodies)
            total, added = latencies(port, bodies)
            median, high = statistics.median(total), percentile(total, 0.99)
            print(f"{name:8s} one client: median {median:.1f} ms, p99 {high:.1f} ms, {high / median:.2f} times it")
            if name == "serve":
                print(
                    f"         HTTP adds {statistics.median(added):.2f} ms, p99 {percentile(added, 0.99):.2f} ms"
                )


# --- load ---------------------------------------------------------------------------------------------------


def resident(pid):
    with Path(f"/proc/{pid}/status").open() as status:
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))


def good(client, files, expected, random_):
    row = random_.randrange(len(files))
    status, body, _ = client.ask(files[row], headers={})
    if status == 200:
        assert json.loads(body)["detections"] == expected[row], "a wrong answer"
    return status


def bad(client, files, expected, random_):
    kind = random_.randrange(5)
    content, path = files[0], "/v1/detect"
    if kind == 0:
        content = b"no picture"
    elif kind == 1:
        content = content[: len(content) // 2]
    elif kind == 2:
        path += "?conf=7"
    elif kind == 3:
        path = "/v2/models/x/infer"
    else:
        path = "/v1/explain?box=0"
    status = client.ask(content, path, {})[0]
    assert 400 <= status < 500 or status == 503, (kind, status)
    return status


def huge(client, files, expected, random_):
    status = client.ask(bytes(80 * 2**20), headers={"Connection": "close"})[0]
    assert status in (413, 429, 503), status
    return status


def slow(client, files, expected, random_):
    with socket.create_connection(("127.0.0.1", client.port), timeout=60) as connection:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(random_.randrange(20)):
            connection.sendall(b"x")
            time.sleep(0.5)
    return 0


def aborted(client, files, expected, random_):
    with socket.create_connection(("127.0.0.1", client.port), timeout=60) as connection:
        content = files[0]
        connection.sendall(
            b"POST /v1/detect HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(content)
        )
        connection.sendall(content)
        time.sleep(random_.random() * 0.2)
    return 0


def load(paths, weights, minutes, clients):
    from lucidbox import Detector

    detector, files = Detector.load(weights), [path.read_bytes() for path in paths]
    expected = [detector(content).to_dicts() for content in files]
    port, end, counts, wrong = free_port(), time.monotonic() + minutes * 60, collections.Counter(), []
    stopping = threading.Event()

    def work(number):
        random_, client = random.Random(number), Client(port)
        while time.monotonic() < end and not stopping.is_set():
            kind = random_.choices((good, bad, huge, slow, aborted), (80, 10, 0.2, 2, 8))[0]
            try:
                status = kind(client, files, expected, random_)
                counts[kind.__name__, status] += 1
                if status == 429:
                    time.sleep(random_.random())
            except AssertionError as error:
                wrong.append((kind.__name__, repr(error)))
            except (OSError, http.client.HTTPException) as error:
                if not stopping.is_set():
                    counts[kind.__name__, type(error).__name__] += 1
                client = Client(port)

    with process(lucidbox(port, weights, "--timeout", "10"), port) as (running, _):
        threads = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        while time.monotonic() < end - 1:
            time.sleep(min(60.0, max(0.1, end - 1 - time.monotonic())))
            print(
                f"{(end - time.monotonic()) / 60:5.1f} minutes left, {resident(running.pid):7.0f} MB", flush=True
            )
        stopping.set()
        running.terminate()
        code = running.wait(60)
        for thread in threads:
            thread.join()
    for (kind, status), count in sorted(counts.items(), key=str):
        print(f"{kind:8s} {status}: {count}")
    print(f"exit code {code}; wrong answers: {len(wrong)} {wrong[:5]}")
    return 1 if wrong or code else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--load", type=float, metavar="MINUTES")
    parser.add_argument("--clients", type=int, default=200)
    arguments = parser.parse_args()
    files = sorted(arguments.folder.rglob("*.jpg"))
    if arguments.load:
        return load(files, arguments.weights, arguments.load, arguments.clients)
    compare(files, arguments.weights, arguments.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
