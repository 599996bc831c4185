"""A Tap with its antennas: reachable, restarting, away (Tap protocol notes §5, §6.3)."""

import asyncio
from typing import Final

from services.clients.tap.enumerations import HostProtocol, WifiMode
from services.clients.tap.paths import Path
from services.sandbox.tap.deeds_of_interface import Errand
from services.sandbox.tap.device import Device
from services.sandbox.tap.relay import Relay, RelaySettings
from services.sandbox.tap.tcp import TcpPort

ALLOWED_PATH: Final = Path(1024, None, 17)
WIFI_MODE_PATH: Final = Path(1024, None, 15)
SSID_PATH: Final = Path(1024, None, 25)


class Tap:
    """One Tap at its addresses.

    Settings of the network act from the next restart, or from ``POST /1024//10`` on: what is written is read back at
    once, but lines stand and the relay stays where it is until then.
    """

    def __init__(self, device: Device, *, host: str, port: int) -> None:
        self.device = device
        self.tcp = TcpPort(device, host=host, port=port, run_errand=self.begin)
        self.relay: Relay | None = None
        self._absence: asyncio.Task[None] | None = None

    @property
    def serial(self) -> str:
        """The serial number."""
        return self.device.factory.serial

    @property
    def away(self) -> bool:
        """Whether it is restarting, or out of reach by a dial."""
        return self._absence is not None and not self._absence.done()

    async def start(self) -> None:
        """Come to life."""
        await self._appear()

    async def stop(self) -> None:
        """Be gone for good."""
        if self._absence is not None:
            self._absence.cancel()
        await self._vanish()
        self.tcp.give_up()

    async def begin(self, errand: Errand) -> None:
        """Start what is to be done once an answer is out; it goes on by itself, for it may end the line that asked."""
        if errand is Errand.RESTART:
            self.device.restart()
            self._leave(self.device.dials.reboot_seconds)
        elif not self.away:
            self._absence = asyncio.create_task(self._appear())

    async def restart(self) -> None:
        """Restart and come back."""
        await self.begin(Errand.RESTART)
        await self.returned()

    async def returned(self) -> None:
        """Wait until the Tap can be reached again."""
        while (absence := self._absence) is not None and not absence.done():
            await asyncio.wait([absence])

    def turn(self, changes: object) -> None:
        """Turn dials; one of them takes the Tap out of reach, or brings it back.

        Raises:
            InputError: a change is wrong; nothing was turned.
        """
        self.device.turn(changes)
        if isinstance(changes, dict) and "unreachable_seconds" in changes:
            self._leave(self.device.dials.unreachable_seconds)

    async def reset(self) -> None:
        """Be as at the very beginning."""
        self.device.reset()
        self._leave(0)
        await self.returned()

    def _leave(self, seconds: float) -> None:
        if self._absence is not None:
            self._absence.cancel()
        self._absence = asyncio.create_task(self._be_away(seconds))

    async def _be_away(self, seconds: float) -> None:
        await self._vanish()
        await asyncio.sleep(seconds)
        await self._appear()

    async def _vanish(self) -> None:
        await self.tcp.close()
        relay, self.relay = self.relay, None
        if relay is not None:
            await relay.close()

    async def _appear(self) -> None:
        """Be where the settings say: a line that may stay stays."""
        allowed = HostProtocol(self.device.memory.number(ALLOWED_PATH))
        if HostProtocol.WIFI in allowed and self._finds_its_network():
            await self.tcp.open()
        else:
            await self.tcp.close()
        await self._relay_by(RelaySettings.of(self.device) if HostProtocol.MQTT in allowed else None)

    async def _relay_by(self, settings: RelaySettings | None) -> None:
        relay = self.relay
        if relay is not None and relay.settings == settings:
            return
        self.relay = None
        if relay is not None:
            await relay.close()
        if settings is not None:
            self.relay = Relay(self.device, settings, run_errand=self.begin)
            self.relay.open()

    def _finds_its_network(self) -> bool:
        """Say whether the Wi-Fi network that the Tap joins exists, as far as a dial names those that do."""
        memory, networks = self.device.memory, self.device.dials.networks
        joins = memory.number(WIFI_MODE_PATH) == WifiMode.NETWORK
        return networks is None or not joins or memory.text(SSID_PATH) in networks
