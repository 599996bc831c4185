"""The heartbeats: a heap of times at which devices call in.

Source: ``/device/provisioning/set`` ("Provisioning will happen on the devices' next security heartbeat"). Sandbox
devices call every two seconds, so that nobody waits for a day.
"""

import asyncio
import heapq
import time
from collections.abc import Callable, Iterable
from random import Random
from typing import Final

from services.sandbox.ublox.devices import Device

_BATCH: Final = 200
"""Heartbeats between two looks at other work, so that calls are answered meanwhile."""

_SHORTEST_SLEEP: Final = 0.01


class Heartbeats:
    """Calls `beat` for every device at its time."""

    def __init__(self, beat: Callable[[Device], object], interval: Callable[[Device], float], random: Random) -> None:
        self._beat = beat
        self._interval = interval
        self._random = random
        self._due: list[tuple[float, str, Device]] = []
        self._changed = asyncio.Event()

    def enlist(self, devices: Iterable[Device]) -> None:
        """Give each device a first heartbeat somewhere within its interval, as a real fleet is spread."""
        now = time.monotonic()
        self._due += [(now + self._interval(d) * self._random.random(), d.uid, d) for d in devices]
        heapq.heapify(self._due)
        self._changed.set()

    def rearm(self) -> None:
        """Deal the times out anew, after the intervals changed."""
        devices = [device for _, _, device in self._due]
        self._due.clear()
        self.enlist(devices)

    def dismiss(self) -> None:
        """Forget every device."""
        self._due.clear()

    def next_in(self, device: Device) -> float:
        """Seconds until the next heartbeat of this device."""
        return next((max(0.0, due - time.monotonic()) for due, _, known in self._due if known is device), 0.0)

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            self._changed.clear()
            beaten = self._beat_due(time.monotonic())
            await asyncio.sleep(0)
            if beaten < _BATCH:
                await self._rest()

    def _beat_due(self, now: float) -> int:
        beaten = 0
        while self._due and self._due[0][0] <= now and beaten < _BATCH:
            _, uid, device = self._due[0]
            self._beat(device)
            heapq.heapreplace(self._due, (now + self._interval(device), uid, device))
            beaten += 1
        return beaten

    async def _rest(self) -> None:
        """Sleep until the next heartbeat, or until a change."""
        pause = max(_SHORTEST_SLEEP, self._due[0][0] - time.monotonic()) if self._due else None
        try:
            await asyncio.wait_for(self._changed.wait(), pause)
        except TimeoutError:
            return
