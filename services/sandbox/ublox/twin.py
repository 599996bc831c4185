"""The twin itself: its parts, and what happens between them.

Everything that changes state runs on the one event loop and without an await, so each call takes effect whole or not
at all, and is counted before its answer leaves.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any, Final

import orjson

from schemas.events import EventType
from services.sandbox.turning import turned
from services.sandbox.ublox import notices
from services.sandbox.ublox.bodies import BAD_REQUEST, INVALID_UIDS, Body, Refusal
from services.sandbox.ublox.clock import Clock, VirtualClock, utc_now
from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.dials import Dials
from services.sandbox.ublox.expiries import Expiries
from services.sandbox.ublox.fleet import Fleet, Notice
from services.sandbox.ublox.heartbeat import Heartbeats
from services.sandbox.ublox.life import Life
from services.sandbox.ublox.passing import forwarded, lived
from services.sandbox.ublox.recruits import DEFAULT_CA, Recruits
from services.sandbox.ublox.shapes import (
    INVALID_DEVICE_SERIALS,
    INVALID_PROFILE,
    INVALID_SERIALS,
    INVALID_TAGS,
)
from services.sandbox.ublox.tally import Tally
from services.sandbox.ublox.timeline import Timeline
from services.sandbox.ublox.tokens import Tokens
from services.sandbox.ublox.webhooks import Hooks, Letter, Post

__all__ = ["API_KEY", "API_SECRET", "Twin", "VirtualClock", "utc_now"]

API_KEY: Final = "sandbox-key"
API_SECRET: Final = "sandbox-secret"  # noqa: S105 - made up; it opens nothing but the twin

_SELECTORS: Final = {
    "ROTPublicUIDs": (Fleet.by_uid, INVALID_UIDS),
    "TagNames": (Fleet.tagged, INVALID_TAGS),
    "DeviceSerialNumbers": (Fleet.by_device_serial, INVALID_DEVICE_SERIALS),
    "SerialNumbers": (Fleet.by_certificate_serial, INVALID_SERIALS),
    "DeviceProfileUID": (Fleet.by_profile, INVALID_PROFILE),
}


class Twin:
    """One simulated u-blox account.

    Args:
        accounts: API secret by API key; the made-up pair of this module when not given.
        dials: how it behaves at the start.
        clock: the time that tokens, certificates and events tell; with a `VirtualClock` it stands still between two
            calls of `forward`.
    """

    def __init__(
        self,
        *,
        accounts: Mapping[str, str] | None = None,
        dials: Dials | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.clock = clock
        self._first_dials = self.dials = dials or Dials()
        self.random = Random(self.dials.seed)  # noqa: S311 - decides which faults strike; a run must be repeatable
        self.serials = Random()  # noqa: S311 - never started afresh: a CA gives no serial number twice
        self.tokens = Tokens(accounts=accounts or {API_KEY: API_SECRET}, clock=clock)
        self.timeline = Timeline()
        self.life = Life(self)
        self.heartbeats = Heartbeats(
            timeline=self.timeline,
            clock=clock,
            random=self.random,
            beat=self.beat,
            interval=self.interval,
            lead=self.life.lead,
        )
        self.expiries = Expiries(
            self.timeline, clock, tell_certificate=self.life.certificate_ends, tell_authority=self.life.authority_ends
        )
        self.fleet = self._new_fleet()
        self.hooks = Hooks()
        self.tally = Tally()
        self.post = Post(self.tally.deliveries)
        self.life.dialled(self.dials)
        self._tasks: set[asyncio.Task[None]] = set()
        self._forwarding = asyncio.Lock()

    @asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Let hearts beat and the post go out for as long as the block lasts."""
        self.post.open()
        try:
            async with asyncio.TaskGroup() as group:  # a fault in the heart stops the twin loudly
                heart = group.create_task(lived(self.timeline, self.clock))
                yield
                for task in (heart, *self._tasks):
                    task.cancel()
        finally:
            self.post.close()

    async def forward(self, by: timedelta) -> None:
        """Live through a time, in order, and come back when its webhooks were delivered.

        Raises:
            InputError: the clock is not a virtual one.
        """
        async with self._forwarding:
            await forwarded(self.timeline, self.clock, self.post, by)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the calls; it is dropped when the twin stops."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def turn(self, changes: object) -> None:
        """Turn some dials and start the random generator afresh.

        Raises:
            InputError: a change is wrong; nothing was turned.
        """
        before, self.dials = self.dials, turned(self.dials, changes)
        self.random.seed(self.dials.seed)
        self.life.dialled(self.dials)
        if self.dials.heartbeat_seconds != before.heartbeat_seconds:
            self.heartbeats.rearm(self.fleet.devices.values())
        elif (self.dials.automatic_renewal, self.dials.subscription_active) != (
            before.automatic_renewal,
            before.subscription_active,
        ):
            self.plan(self.fleet.devices.values())

    async def reset(self) -> None:
        """Forget devices, roots, registrations and counts, and turn every dial back; logins stay good."""
        for task in self._tasks:
            task.cancel()
        self.timeline.clear()
        self.fleet, self.hooks = self._new_fleet(), Hooks()
        self.dials = self._first_dials
        self.life.dialled(self.dials)
        self.random.seed(self.dials.seed)
        await asyncio.to_thread(self.post.discard)
        self.tally.clear()

    def _new_fleet(self) -> Fleet:
        fleet = Fleet(clock=self.clock, random=self.serials, founded=self.expiries.watch_authority)
        fleet.authority(DEFAULT_CA)
        return fleet

    def recruit(self, recruits: Recruits) -> list[Device]:
        """Make devices and set their hearts going.

        Raises:
            InputError: they cannot be made; nothing was.
        """
        made = self.fleet.recruit(recruits)
        self.heartbeats.enlist(made)
        for device in made:
            self.expiries.watch(device)
            if recruits.bootstrapping:
                self.life.bootstrap(device)
        return made

    def strikes(self, share: float) -> bool:
        """Whether a fault of this share strikes now."""
        return share > 0 and self.random.random() < share

    def interval(self, device: Device) -> float:
        """Seconds between two heartbeats of a device."""
        return self.dials.heartbeat_seconds if device.current.heartbeat is None else device.current.heartbeat

    def chosen(self, wish: Body) -> list[Device]:
        """The devices that a body names; each call names them in exactly one of its ways.

        Raises:
            Refusal: none or two ways are used, or one device is unknown or refused: then the whole batch is.
        """
        given = [name for name in _SELECTORS if getattr(wish, name, None) is not None]
        if len(given) != 1:
            raise Refusal(400, BAD_REQUEST)
        find, fault = _SELECTORS[given[0]]
        return self._admitted(find(self.fleet, getattr(wish, given[0])), fault)

    def named(self, uids: Sequence[object]) -> list[Device]:
        """The devices with these UIDs.

        Raises:
            Refusal: one is unknown or refused.
        """
        return self._admitted(self.fleet.by_uid(uids), INVALID_UIDS)

    def _admitted(self, devices: list[Device] | None, fault: str) -> list[Device]:
        if devices is None or any(device.uid in self.dials.refused_devices for device in devices):
            raise Refusal(400, fault)
        return devices

    def plan(self, devices: Iterable[Device]) -> None:
        """After something was wished of devices: plan the heartbeats that bring it."""
        for device in devices:
            self.heartbeats.plan(device)

    def beat(self, device: Device) -> None:
        """One heartbeat of a device, unless it is silent."""
        if not device.rhythm.silent_at(self.clock()):
            self.life.beat(device)
            self.heartbeats.keep_pace(device)
            self.heartbeats.plan(device)

    def bill(self, device: Device, use: str) -> None:
        """Note something that costs."""
        self.fleet.usage.note(device.uid, use, self.clock())
        self.tally.action("billed", [device.uid])
        self.tally.billed[use] += 1

    def announce(self, document: dict[str, Any]) -> None:
        """Note an event and hand it to the post, as faithfully as the dials allow."""
        event_type = EventType(document["EventType"])
        self.tally.deliveries.add("fired")
        if kind := notices.LOGGED_AS.get(event_type):
            self.log(document["ROTPublicUID"], kind, document)
        body = orjson.dumps(document)
        for url, token in self.hooks.by_type[event_type].items():
            self._deliver(Letter(url=url, token=token, body=body, retries=self.dials.webhook_retries))

    def log(self, uid: str, kind: str, document: dict[str, Any]) -> None:
        """Keep something for ``/notification/get``."""
        self.fleet.note(Notice(uid=uid, kind=kind, at=self.clock(), document=document))

    def _deliver(self, letter: Letter) -> None:
        if self.strikes(self.dials.lost_webhooks):
            self.tally.deliveries.add("lost")
            return
        self.post.send(letter)
        if self.strikes(self.dials.doubled_webhooks):
            self.tally.deliveries.add("doubled")
            self.post.send(letter)
