"""The load: unique 400-byte u-blox notifications over keep-alive connections, in a process of its own.

Parsing is the bare minimum, because the generator shares the cores with what it measures. Closed loop: every connection
sends as soon as it has its answer. With ``--rate`` the loop is open: notifications leave at fixed times and latency
counts from the time at which one was due, so a stalled server cannot hide its queue.
"""

import argparse
import asyncio
import gc
import json
import time
from array import array
from collections import Counter, deque
from typing import Any, Final, cast

import uvloop

from tests.bench.notification import TEMPLATES, request_template

DRAIN_SECONDS: Final = 15.0


def answer_length(head: bytes) -> int | None:
    """Read how many body bytes follow a response head; None when the body comes in chunks."""
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        return int(lower[at + 17 :].split(b"\r\n", 1)[0])
    return None if b"chunked" in lower else 0


def answer_end(buffer: bytes) -> int:
    """Find where the first response of the buffer ends; -1 while it is not complete."""
    head_end = buffer.find(b"\r\n\r\n")
    if head_end < 0:
        return -1
    length = answer_length(buffer[:head_end])
    if length is None:
        last = buffer.find(b"\r\n0\r\n\r\n", head_end)
        return -1 if last < 0 else last + 7
    end = head_end + 4 + length
    return end if len(buffer) >= end else -1


class Tally:
    """What came of the requests so far, and the numbers for the next ones."""

    def __init__(self, template: bytes, first: int) -> None:
        self.template = template
        self.next_number = first
        self.statuses: Counter[int] = Counter()
        self.latencies = array("d")
        self.sent: list[tuple[str, float]] = []
        self.broken = 0
        self.started = time.monotonic()
        self.ended = self.started

    def new_request(self) -> bytes:
        """Number the next notification."""
        self.next_number += 1
        return self.template % self.next_number

    def answered(self, status: int, since: float) -> None:
        """Count an answer; only an accepted one has a latency."""
        self.ended = time.monotonic()
        self.statuses[status] += 1
        if 200 <= status < 300:
            self.latencies.append(self.ended - since)

    def summary(self) -> dict[str, Any]:
        """Sum up as plain JSON values; the times are of the machine's monotonic clock."""
        ordered = sorted(self.latencies)
        elapsed = max(self.ended - self.started, 1e-9)
        return {
            "accepted": len(ordered),
            "per_second": len(ordered) / elapsed,
            "p50_ms": percentile(ordered, 0.50) * 1000,
            "p99_ms": percentile(ordered, 0.99) * 1000,
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "broken": self.broken,
            "started": self.started,
            "ended": self.ended,
            "sent": self.sent,
        }


def percentile(ordered: list[float], share: float) -> float:
    """Give the nearest-rank percentile of sorted values; 0 when there are none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Sender(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, pool: "Pool") -> None:
        self.pool = pool
        self.buffer = b""
        self.since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport and report for work."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports are no subclass of it

    def send(self, request: bytes, since: float) -> None:
        """Send one request; its latency counts from the given time."""
        self.since = since
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect the answer and go on when it is complete."""
        buffer = self.buffer + data if self.buffer else data
        if answer_end(buffer) < 0:
            self.buffer = buffer
            return
        self.buffer = b""
        since, self.since = self.since, None
        assert since is not None
        self.pool.tally.answered(int(buffer[9:12]), since)
        self.pool.idle(self)

    def connection_lost(self, _error: Exception | None) -> None:
        """Count a request that never got its answer."""
        if self.since is not None:
            self.since = None
            self.pool.lost()


class Pool:
    """All connections, and the rule by which they send."""

    def __init__(self, tally: Tally, connections: int) -> None:
        self.tally = tally
        self.connections = connections
        self.open = True
        self.closed_loop = True
        self.waiting: deque[float] = deque()
        self.free: deque[Sender] = deque()
        self.done = asyncio.Event()

    async def connect(self, port: int) -> None:
        """Open every connection before the clock starts."""
        loop = asyncio.get_running_loop()
        for _ in range(self.connections):
            _, sender = await loop.create_connection(lambda: Sender(self), "127.0.0.1", port)
            self.free.append(sender)

    def idle(self, sender: Sender) -> None:
        """Give a free connection its next request, or put it aside."""
        if self.waiting:
            self.launch(sender, self.waiting.popleft())
        elif self.open and self.closed_loop:
            sender.send(self.tally.new_request(), time.monotonic())
        else:
            self.free.append(sender)
            self.check_done()

    def lost(self) -> None:
        """A connection broke: it is out of the pool."""
        self.tally.broken += 1
        self.connections -= 1
        self.check_done()

    def check_done(self) -> None:
        """Say so when nothing more is sent and nothing is under way."""
        if not self.open and len(self.free) >= self.connections:
            self.done.set()

    def launch(self, sender: Sender, due: float) -> None:
        """Send a notification of the open loop and remember when it was due."""
        request = self.tally.new_request()
        self.tally.sent.append((f"{self.tally.next_number:016x}", due))
        sender.send(request, due)

    async def flood(self, seconds: float) -> None:
        """Closed loop: keep every connection busy for so long."""
        self.tally.started = time.monotonic()
        for _ in range(len(self.free)):
            self.idle(self.free.popleft())
        await asyncio.sleep(seconds)

    async def pace(self, seconds: float, rate: float) -> None:
        """Open loop: one notification every 1/rate seconds."""
        self.closed_loop = False
        start = self.tally.started = time.monotonic()
        for index in range(int(seconds * rate)):
            due = start + index / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            if self.free:
                self.launch(self.free.popleft(), due)
            else:
                self.waiting.append(due)

    async def close(self) -> None:
        """Wait for the last answers, then close every connection."""
        self.open = False
        self.check_done()
        try:
            await asyncio.wait_for(self.done.wait(), DRAIN_SECONDS)
        except TimeoutError:
            self.tally.broken += self.connections - len(self.free)
        for sender in self.free:
            sender.transport.close()


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Drive one load and give its summary."""
    tally = Tally(request_template(options.kind, port=options.port, token=options.token), options.first)
    pool = Pool(tally, options.connections)
    await pool.connect(options.port)
    gc.collect()
    gc.disable()
    if options.rate:
        await pool.pace(options.seconds, options.rate)
    else:
        await pool.flood(options.seconds)
    await pool.close()
    return tally.summary()


def main() -> None:
    """Read the options, run the load, print its summary as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True, help="the whole Authorization header")
    parser.add_argument("--first", type=int, required=True, help="the number before the first device")
    parser.add_argument("--kind", choices=sorted(TEMPLATES), default="error")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0.0, help="per second, evenly; 0 floods")
    options = parser.parse_args()
    print(json.dumps(uvloop.run(run(options))))


if __name__ == "__main__":
    main()
