"""The heartbeats: which one of a device is the next that has anything to do.

Source: ``/device/provisioning/set`` ("Provisioning will happen on the devices' next security heartbeat"). Sandbox
devices call every two seconds, so that nobody waits for a day.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from random import Random

from services.sandbox.ublox.clock import Clock
from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.rhythm import Rhythm, Silence
from services.sandbox.ublox.timeline import Timeline


class Heartbeats:
    """Plans the heartbeats for which something waits, and computes the others.

    Args:
        beat: lets a device act; it plans the next one.
        interval: seconds between two heartbeats of a device.
        lead: from when on a device renews its certificate of itself; None for never.
    """

    def __init__(
        self,
        *,
        timeline: Timeline,
        clock: Clock,
        random: Random,
        beat: Callable[[Device], object],
        interval: Callable[[Device], float],
        lead: Callable[[Device], datetime | None],
    ) -> None:
        self._timeline = timeline
        self._clock = clock
        self._random = random
        self._beat = beat
        self._interval = interval
        self._lead = lead
        self._silences: Mapping[str, Sequence[Silence]] = {}

    def enlist(self, devices: Iterable[Device]) -> None:
        """Give each device a first heartbeat somewhere within its interval, as a real fleet is spread."""
        now = self._clock()
        for device in devices:
            interval = self._interval(device)
            device.rhythm = Rhythm(
                first=now + timedelta(seconds=interval * self._random.random()),
                interval=timedelta(seconds=interval),
                silences=self._silences.get(device.uid, ()),
            )
            self.plan(device)

    def rearm(self, devices: Iterable[Device]) -> None:
        """Deal the times out anew, after the intervals changed."""
        for device in devices:
            self.seen(device)
            self.enlist([device])

    def keep_pace(self, device: Device) -> None:
        """After a heartbeat: the next ones follow from here when the interval has changed."""
        interval = timedelta(seconds=self._interval(device))
        if interval != device.rhythm.interval:
            device.rhythm = replace(device.rhythm, first=self._clock() + interval, interval=interval)

    def hush(self, devices: Mapping[str, Device], silences: Mapping[str, Sequence[Silence]]) -> None:
        """Let devices be silent from now on as told, and others speak again; their rhythm stays."""
        before, self._silences = self._silences, silences
        now = self._clock()
        for uid in before.keys() | silences.keys():
            device = devices.get(uid)
            if device is None or before.get(uid) == silences.get(uid):
                continue
            self.seen(device)  # what was silent until now stays so when the list no longer tells of it
            following = replace(device.rhythm, silences=()).next_after(now) or now
            device.rhythm = replace(device.rhythm, first=following, silences=silences.get(uid, ()))
            self.plan(device)

    def seen(self, device: Device) -> datetime:
        """When the device last called in."""
        last = device.rhythm.last_until(self._clock())
        if last is not None:
            device.last_seen = max(device.last_seen, last)
        return device.last_seen

    def next_in(self, device: Device) -> float:
        """Seconds until the next heartbeat of this device; 0 when there is none any more."""
        now = self._clock()
        following = device.rhythm.next_after(now)
        return (following - now).total_seconds() if following else 0.0

    def plan(self, device: Device) -> None:
        """Plan the next heartbeat that has anything to do; an earlier plan for the device is void."""
        now, lead = self._clock(), None
        if not device.waits:
            lead = self._lead(device)
            if lead is None:
                device.planned = None
                return
        moment = device.rhythm.next_after(max(now, lead or now))
        if moment is not None and moment != device.planned:
            self._timeline.at(moment, partial(self._planned, device, moment))
        device.planned = moment

    def _planned(self, device: Device, moment: datetime) -> None:
        if device.planned == moment:
            device.planned = None
            self._beat(device)
