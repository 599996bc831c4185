"""Many Taps in one process, and the broker that they may share."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace

from services.clients.tap.events import Nonces
from services.clients.tap.relay import DEFAULT_NET_KEY
from services.sandbox.tap.broker import brokering
from services.sandbox.tap.device import Device
from services.sandbox.tap.dials import Dials
from services.sandbox.tap.factory import Broker, Factory
from services.sandbox.tap.tap import Tap


class Fleet:
    """Taps whose ports and serial numbers count up.

    ::

        fleet = Fleet(count=3)
        with running(build(fleet)) as control:      # services.sandbox.server, services.sandbox.tap.app
            socket.create_connection(("127.0.0.1", fleet.taps[0].tcp.port))

    Args:
        factory: the first Tap; the others differ in the serial number.
        count: how many.
        host: the address that they listen on.
        port: of the first Tap; 0 takes a free one for each.
        broker_port: starts a broker of their own and sends every relay there; 0 takes a free one.
    """

    def __init__(
        self,
        factory: Factory | None = None,
        *,
        count: int = 1,
        host: str = "127.0.0.1",
        port: int = 0,
        broker_port: int | None = None,
        dials: Dials | None = None,
        nonces: Nonces | None = None,
    ) -> None:
        first = factory or Factory()
        self.broker: tuple[str, int] | None = None
        if broker_port is not None:
            self.broker = (host, _free_port(host, broker_port))
            net_key = first.broker.net_key if first.broker else DEFAULT_NET_KEY
            first = replace(first, broker=Broker(*self.broker, net_key))
        self.host = host
        self.taps: list[Tap] = []
        try:
            for step in range(count):
                device = Device(first.numbered(step), dials=dials, nonces=nonces)
                self.taps.append(Tap(device, host=host, port=port + step if port else 0))
        except BaseException:
            self.give_up()
            raise

    def chosen(self, serial: str | None) -> Sequence[Tap]:
        """Give the Tap of this serial number, all of them for None, nothing for a stranger."""
        return [tap for tap in self.taps if serial in (None, tap.serial)]

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Let the Taps be reached for as long as the block lasts."""
        async with AsyncExitStack() as stack:
            if self.broker is not None:
                await stack.enter_async_context(brokering(*self.broker))
            stack.push_async_callback(self._stop)
            await asyncio.gather(*(tap.start() for tap in self.taps))
            yield

    def give_up(self) -> None:
        """Let go of all ports without ever having run."""
        for tap in self.taps:
            tap.tcp.give_up()

    async def _stop(self) -> None:
        await asyncio.gather(*(tap.stop() for tap in self.taps))


def _free_port(host: str, port: int) -> int:
    with closing(socket.create_server((host, port))) as probe:
        number: int = probe.getsockname()[1]
        return number
