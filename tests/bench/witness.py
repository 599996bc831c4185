"""A witness on the line to an upstream: passes every byte on and notes when each device's number first goes by.

So the time of the first call is seen from outside; neither Keyturn nor the twin is asked when it was.
"""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import uvloop

from tests.bench.processes import READY_SECONDS, DidNotRun

UID: Final = re.compile(rb'"([0-9a-f]{16})"')
OVERLAP: Final = 18
"""Bytes of the last chunk that are looked at again, because a number may be cut in two."""

CHUNK: Final = 65_536


class Witness:
    """Where the witness listens, and when (monotonic seconds) it first saw each device."""

    def __init__(self, upstream_port: int) -> None:
        self.upstream_port = upstream_port
        self.port = 0
        self.first_seen: dict[str, float] = {}

    def look(self, data: bytes) -> None:
        """Note the devices that a piece of a request names."""
        now = time.monotonic()
        for uid in UID.findall(data):
            self.first_seen.setdefault(uid.decode(), now)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Join one connection to the upstream until both sides are done."""
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream_port)
        await asyncio.gather(self.forward(reader, up_writer, watched=True), self.forward(up_reader, writer))

    async def forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, watched: bool = False
    ) -> None:
        """Pass one direction on."""
        tail = b""
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                writer.write(data)
                await writer.drain()
                if watched:
                    self.look(tail + data)
                    tail = data[-OVERLAP:]
        with suppress(ConnectionError):
            writer.close()

    async def run(self, ready: threading.Event) -> None:
        """Listen until told to stop, then drop every connection."""
        self.stopped = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        await self.stopped.wait()
        server.close()


@contextmanager
def witness(upstream_port: int) -> Iterator[Witness]:
    """Run a witness in a thread of the bench, which has nothing else to do meanwhile."""
    seen = Witness(upstream_port)
    ready = threading.Event()
    thread = threading.Thread(target=lambda: uvloop.run(seen.run(ready)), name="witness", daemon=True)
    thread.start()
    if not ready.wait(READY_SECONDS):
        raise DidNotRun("the witness does not listen")
    try:
        yield seen
    finally:
        seen.loop.call_soon_threadsafe(seen.stopped.set)
        thread.join()
