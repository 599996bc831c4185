"""A Tap's end of the MQTT relay (Tap protocol notes §5.2)."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.paths import Path
from services.clients.tap.relay import DEFAULT_NET_KEY, REFERENCE_SPAN, RelayPacket, Topics
from services.sandbox.tap.deeds_of_interface import Errand
from services.sandbox.tap.device import Device, PowerCut
from services.sandbox.tap.line import Dropped, Line, Reply
from services.sandbox.tap.mqtt_line import MqttLine, subscribed

MOST_SENDERS: Final = 16
"""How many hosts have a session on the relay at once; the one that has been silent longest loses its own."""

AGAIN_SECONDS: Final = 0.5
"""Between two tries to reach the broker."""

DEFAULT_MQTT_PORT: Final = 1883


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Where a Tap's relay goes; made when the Tap starts, or when its configuration is reloaded."""

    host: str
    port: int
    topics: Topics
    client_id: str
    username: str
    password: str = field(repr=False)

    @classmethod
    def of(cls, device: Device) -> Self | None:
        """Read them from the memory of a Tap; None where no broker is set, or what is set cannot be used."""
        host, port, client_id, username, password, net_key = (
            device.memory.text(Path(1024, None, resource)) for resource in range(50, 56)
        )
        serial = device.factory.serial
        if not host or not (port or str(DEFAULT_MQTT_PORT)).isdecimal():
            return None
        try:
            topics = Topics.of(serial, net_key or DEFAULT_NET_KEY)
        except LocalProtocolError:
            return None
        number = int(port or DEFAULT_MQTT_PORT)
        return cls(host, number, topics, client_id or serial, username or (serial if password else ""), password)


class Relay:
    """Answers commands that come over a broker; a host is told from another by its sender id (§14.1)."""

    def __init__(
        self, device: Device, settings: RelaySettings, *, run_errand: Callable[[Errand], Awaitable[None]]
    ) -> None:
        self.device = device
        self.settings = settings
        self.connected = asyncio.Event()
        self._run_errand = run_errand
        self._lines: OrderedDict[int, Line] = OrderedDict()
        self._reference = 0
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Go to the broker, again and again until it is reached."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Leave the broker."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        while True:
            with suppress(OSError):  # TimeoutError is one too
                await self._attend()
            self.connected.clear()
            self._lines.clear()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _attend(self) -> None:
        settings = self.settings
        async with subscribed(
            settings.topics.command,
            host=settings.host,
            port=settings.port,
            client_id=settings.client_id,
            username=settings.username,
            password=settings.password,
        ) as mqtt:
            self.connected.set()
            async for text in mqtt.messages():
                await self._handle(mqtt, text)

    async def _handle(self, mqtt: MqttLine, text: bytes) -> None:
        """Answer one message; what is no packet, or cannot be read, is not answered."""
        try:
            packet = RelayPacket.decode(text)
            for reply in self._line_of(packet.sender).hear(packet.payload, message=True):
                await self._say(mqtt, packet, reply)
        except RemoteProtocolError:
            self.device.tally.lines["unreadable relay messages"] += 1
        except Dropped:
            self.device.tally.lines["dropped relay answers"] += 1
        except PowerCut:
            await self._run_errand(Errand.RESTART)

    async def _say(self, mqtt: MqttLine, asked: RelayPacket, reply: Reply) -> None:
        if reply.wait:
            await asyncio.sleep(reply.wait)
        if not reply.muted:
            text = RelayPacket(asked.sender, self._reference_for(asked), reply.data).encode()
            mqtt.publish(self.settings.topics.answer, _spoilt(text) if reply.spoiled else text)
        if reply.errand is not None:
            await self._run_errand(reply.errand)

    def _reference_for(self, asked: RelayPacket) -> int:
        """Echo the number of the request, or count as the vendor's own relay does."""
        if self.device.dials.relay_echoes:
            return asked.reference
        self._reference = (self._reference + 1) % REFERENCE_SPAN
        return self._reference

    def _line_of(self, sender: int) -> Line:
        line = self._lines.pop(sender, None) or Line(self.device, HostProtocol.MQTT)
        self._lines[sender] = line
        if len(self._lines) > MOST_SENDERS:
            self._lines.popitem(last=False)
        return line


def _spoilt(text: bytes) -> bytes:
    """Change the last digit of the checksum."""
    return text[:-1] + (b"1" if text.endswith(b"0") else b"0")
