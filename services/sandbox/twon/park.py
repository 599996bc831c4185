"""Many devices in one process, and the phones that visit them."""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from time import time
from typing import Final

from schemas.errors import InputError
from services.sandbox.twon.certificates import make_identity
from services.sandbox.twon.device import Device, Model
from services.sandbox.twon.dials import Dials
from services.sandbox.twon.factory import Factory
from services.sandbox.twon.phones import Crowd
from services.sandbox.twon.station import Station
from services.sandbox.twon.tally import MOST_WRITES, Journal

_TURN: Final = 100
"""Visits between two looks at other work."""

_LAST_PORT: Final = 65_535
_FILES_PER_DEVICE: Final = 6
_FILES_BESIDE: Final = 256


class Park:
    """Devices whose ports and serial numbers count up.

    ::

        park = Park(Factory(devices=3, location="lyon").models())
        with running(build(park)) as control:      # services.sandbox.server, services.sandbox.twon.app
            httpx.get(park.stations[0].url + "/api/system/info", auth=httpx.DigestAuth("admin", "2n"))

    Args:
        models: what the devices are; one of `Factory`'s usual make when not given.
        host: the address that they listen on.
        port: of the first device; 0 takes a free one for each.
        https: each has a self-signed certificate of its own.
        dials: how they behave at the start.
        clock: tells Unix time in seconds.

    Raises:
        InputError: two devices have one serial number, or the ports run out.
        OSError: a port cannot be had.
    """

    def __init__(
        self,
        models: Sequence[Model] | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        https: bool = False,
        dials: Dials | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        models = Factory().models() if models is None else models
        _check(models, port)
        self.journal: Journal = deque(maxlen=MOST_WRITES)
        _make_room(len(models) * _FILES_PER_DEVICE + _FILES_BESIDE)
        self.stations: list[Station] = []
        try:
            for step, model in enumerate(models):
                device = Device(model, dials=dials, clock=clock, journal=self.journal)
                identity = make_identity(model.serial, host) if https else None
                self.stations.append(Station(device, host=host, port=port + step if port else 0, identity=identity))
        except BaseException:
            self.give_up()
            raise
        self.devices = {station.device.serial: station.device for station in self.stations}
        self.crowd = Crowd(self.devices, clock=clock)
        self._walk: asyncio.Task[None] | None = None

    def chosen(self, serial: str | None = None, location: str | None = None) -> Sequence[Station]:
        """Give the device of a serial number, those of a location, or all.

        Raises:
            InputError: there is none.
        """
        chosen = [
            station
            for station in self.stations
            if serial in {None, station.device.serial} and location in {None, station.device.location}
        ]
        if not chosen:
            raise InputError([f"there is no device with serial {serial or 'any'} and location {location or 'any'}"])
        return chosen

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Let the devices be reached for as long as the block lasts."""
        try:
            await asyncio.gather(*(station.start() for station in self.stations))
            yield
        finally:
            self.walk(0)
            await asyncio.gather(*(station.stop() for station in self.stations))

    def give_up(self) -> None:
        """Let go of all ports without ever having run."""
        for station in self.stations:
            station.give_up()

    def walk(self, rate: float) -> None:
        """Let phones walk about.

        Args:
            rate: visits a second; 0 lets them stand.
        """
        if self._walk is not None:
            self._walk.cancel()
        self._walk = asyncio.create_task(self._walking(rate)) if rate else None

    async def reset(self) -> None:
        """Be as at the very beginning, without phones."""
        self.walk(0)
        self.crowd.forget()
        self.journal.clear()
        await asyncio.gather(*(station.reset() for station in self.stations))

    async def _walking(self, rate: float) -> None:
        loop = asyncio.get_running_loop()
        start, made = loop.time(), 0
        while True:
            await asyncio.sleep(max(0, start + (made + 1) / rate - loop.time()))
            due = min(int((loop.time() - start) * rate) - made, _TURN)
            self.crowd.step(due)
            made += due


def _check(models: Sequence[Model], port: int) -> None:
    serials = Counter(model.serial for model in models)
    faults = [f"serial: {count} devices are {serial}" for serial, count in serials.items() if count > 1]
    if port and port + len(models) - 1 > _LAST_PORT:
        faults.append(f"port: no port is left for {len(models)} devices from {port} on")
    if faults:
        raise InputError(faults)


def _make_room(files: int) -> None:
    """Let this process have enough sockets, as far as it may."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - there is none on Windows

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
