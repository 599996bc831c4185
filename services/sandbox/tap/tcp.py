"""A Tap's TCP port: one segment is one response, and a port that is closed stays its own (Tap protocol notes §5.1)."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from typing import Final

from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.errors import RemoteProtocolError
from services.sandbox.server import bound
from services.sandbox.tap.deeds_of_interface import INACTIVITY_PATH, Errand
from services.sandbox.tap.device import Device, PowerCut
from services.sandbox.tap.line import Dropped, Line, Reply

DEFAULT_PORT: Final = 2000
"""What the vendor's examples use."""

MOST_LINES: Final = 64
"""How many hosts may be connected at once; the next one is hung up on."""

_PIECE: Final = 4096

RunErrand = Callable[[Errand], Awaitable[None]]


class TcpPort:
    """Listens while the Tap can be reached.

    A second socket holds the number all the time, so that a port that was chosen by the system is still free when the
    Tap comes back; it does not listen, so hosts are refused meanwhile.
    """

    def __init__(self, device: Device, *, host: str, port: int, run_errand: RunErrand) -> None:
        self.device = device
        self.host = host
        self._run_errand = run_errand
        self._holder = bound(host, port)
        self.port: int = self._holder.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def is_open(self) -> bool:
        """Whether hosts can connect."""
        return self._server is not None

    async def open(self) -> None:
        """Listen; harmless where it does already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, sock=bound(self.host, self.port), backlog=128)

    async def close(self) -> None:
        """Stop listening and hang up on everybody."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in tuple(self._writers):
            writer.close()

    def give_up(self) -> None:
        """Let go of the number too."""
        self._holder.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            if len(self._writers) >= MOST_LINES:
                return
            self._writers.add(writer)
            try:
                await self._converse(reader, writer)
            finally:
                self._writers.discard(writer)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(self.device, HostProtocol.WIFI)
        with suppress(RemoteProtocolError, Dropped, ConnectionError, TimeoutError):
            try:
                while data := await self._heard(reader):
                    for reply in line.hear(data):
                        await self._say(writer, reply)
            except PowerCut:
                await self._run_errand(Errand.RESTART)

    async def _heard(self, reader: asyncio.StreamReader) -> bytes:
        """Wait for bytes, at most for as long as a silent host may stay (``/1024//34``); 0 is for ever."""
        patience = self.device.memory.number(INACTIVITY_PATH)
        if not patience:
            return await reader.read(_PIECE)
        async with asyncio.timeout(patience):
            return await reader.read(_PIECE)

    async def _say(self, writer: asyncio.StreamWriter, reply: Reply) -> None:
        if reply.wait:
            await asyncio.sleep(reply.wait)
        if not reply.muted:
            await _write(writer, reply)
        if reply.errand is not None:
            await self._run_errand(reply.errand)


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> None:
    middle = len(reply.data) // 2
    pieces = [reply.data] if reply.gap is None else [reply.data[:middle], reply.data[middle:]]
    for number, piece in enumerate(pieces):
        if number:
            await asyncio.sleep(reply.gap or 0)
        writer.write(piece)
        await writer.drain()
