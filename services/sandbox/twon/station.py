"""A device at its address: it listens, is off the network, restarts."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Final

from services.sandbox.server import bound
from services.sandbox.twon.certificates import Identity
from services.sandbox.twon.desk import Ending, serve
from services.sandbox.twon.device import Device
from services.sandbox.twon.dials import Offline
from services.sandbox.twon.line import converse

_PIECE: Final = 65_536
_BACKLOG: Final = 128
_TRIES: Final = 200
_TRY_AGAIN_SECONDS: Final = 0.01

Host = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Station:
    """Listens while the device can be reached.

    A second socket holds the number all the time, so that a port that was chosen by the system is still free when the
    device comes back; it does not listen, so clients are refused meanwhile.

    Args:
        device: who answers.
        host: the address to listen on.
        port: 0 takes a free one.
        identity: for HTTPS; None is plain HTTP.

    Raises:
        OSError: the port cannot be had.
    """

    def __init__(self, device: Device, *, host: str, port: int, identity: Identity | None = None) -> None:
        self.device = device
        self.host = host
        self.identity = identity
        self._holder = bound(host, port)
        self.port: int = self._holder.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._lines: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._absence: asyncio.Task[None] | None = None
        self._settling = asyncio.Lock()
        self._presence = 0

    @property
    def url(self) -> str:
        """The root URL, without a slash at its end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.identity else 'http'}://{host}:{self.port}"

    @property
    def is_listening(self) -> bool:
        """Whether clients can connect."""
        return self._server is not None

    async def start(self) -> None:
        """Come to life."""
        await self._settle()

    async def stop(self) -> None:
        """Be gone for good."""
        if self._absence is not None:
            self._absence.cancel()
        self.device.awake = False
        await self._settle()
        self.give_up()

    def give_up(self) -> None:
        """Let go of the number too."""
        self._holder.close()

    async def turn(self, changes: object) -> None:
        """Turn dials; one of them takes the device off the network, or brings it back.

        Raises:
            InputError: a change is wrong; nothing was turned.
        """
        before = self.device.dials.offline
        self.device.turn(changes)
        if self.device.dials.offline is not before:
            await self._settle()

    async def reboot(self) -> None:
        """Restart, and come back."""
        self.device.restart()
        self._leave()
        await self._returned()

    async def reset(self) -> None:
        """Be as at the very beginning."""
        self.device.reset()
        self._leave()
        await self._returned()

    def _leave(self) -> None:
        if self._absence is not None:
            self._absence.cancel()
        self.device.awake = False
        self._close()
        self._absence = asyncio.create_task(self._be_away())

    async def _returned(self) -> None:
        while (absence := self._absence) is not None and not absence.done():
            await asyncio.wait([absence])

    async def _be_away(self) -> None:
        await asyncio.shield(self._settle())  # half done, a listener would be lost
        await asyncio.sleep(self.device.dials.reboot_seconds)
        self.device.awake = True
        await asyncio.shield(self._settle())

    async def _settle(self) -> None:
        """Be on the network as state and dials say; connections that stand are lost."""
        async with self._settling:
            await self._vanish()
            if self.device.awake:
                await self._appear()

    async def _vanish(self) -> None:
        """Stop listening and hang up on everybody."""
        self._close()
        lines = dict(self._lines)
        for line, writer in lines.items():
            writer.transport.abort()
            line.cancel()
        if lines:
            await asyncio.wait(lines)

    def _close(self) -> None:
        self._presence += 1
        server, self._server = self._server, None
        if server is not None:
            server.close()

    async def _appear(self) -> None:
        offline = self.device.dials.offline
        if offline is Offline.NO:
            await self._listen(self._attend)
        elif offline is Offline.SILENT:
            await self._listen(self._ignore, secure=False)

    async def _listen(self, host: Host, *, secure: bool = True) -> None:
        context = self.identity.context if self.identity and secure else None
        listener, presence = await self._listener(), self._presence
        meet = partial(self._meet, host, presence)
        server = await asyncio.start_server(meet, sock=listener, ssl=context, backlog=_BACKLOG)
        if presence == self._presence:
            self._server = server
        else:
            server.close()

    async def _listener(self) -> socket.socket:
        """Bind once more; an event loop may close the listener before this one a turn later."""
        for _ in range(_TRIES):
            with suppress(OSError):
                return bound(self.host, self.port)
            await asyncio.sleep(_TRY_AGAIN_SECONDS)
        return bound(self.host, self.port)

    async def _meet(
        self, host: Host, presence: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line = asyncio.current_task()
        if presence != self._presence or line is None:  # it was accepted just before the device went away
            writer.transport.abort()
            return
        self._lines[line] = writer
        try:
            with suppress(ConnectionError, TimeoutError):
                await host(reader, writer)
        finally:
            del self._lines[line]
            writer.close()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.device.tally.connections += 1
        ending = await converse(reader, writer, partial(serve, self.device))
        if ending is Ending.CUT:
            writer.transport.abort()
        elif ending is Ending.MUTE:
            await self._hold(reader)
        elif ending is Ending.REBOOT:
            self.device.restart()
            self._leave()

    async def _ignore(self, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        self.device.tally.offline_connections += 1
        await self._hold(reader)

    async def _hold(self, reader: asyncio.StreamReader) -> None:
        """Say nothing until the client hangs up."""
        with self.device.tally.holding():
            while await reader.read(_PIECE):
                pass
