"""A 2N location without a network: the twin's own devices and phones, and a worker that may die at any step.

A step is anything that takes time or leaves a trace: a conversation's parts, a note, a key. Before and after each,
phones walk about; a worker that dies does nothing any more, and what it has not noted is forgotten.
"""

import base64
import secrets
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final, TypeVar

from schemas.errors import TryAgain, UpstreamError
from schemas.fleet import LOCATION, TwonDevice
from schemas.jobs import Again, Awaiting, Job, Outcome
from schemas.mobile_keys import HeldKey, Origin
from schemas.secret import Secret
from schemas.twon import KeyType
from services.clients.twon import PrivateKey, keys
from services.operations import Tools
from services.operations.rotate_mobile_key import RotateMobileKey
from services.operations.twon_access import Log, SeenKey, SeenList
from services.sandbox.twon.device import Device, Model
from services.sandbox.twon.factory import counted, first_keys
from services.sandbox.twon.keys import AccessKey, new_key
from services.sandbox.twon.phones import Crowd
from tests.support.rotation import Killed

R = TypeVar("R")

PLACE: Final = "Lobby"
BEGIN: Final = datetime(2026, 5, 10, 12, 0, tzinfo=UTC)
VISITS: Final = 3
"""Of phones before and after each step."""


def entry(device: Device, **changes: Any) -> TwonDevice:
    """A device as the inventory has it."""
    known = {"serial": device.serial, "address": "http://device.invalid", "in_clear": True, "auth": "none"}
    return TwonDevice.model_validate({**known, "location": PLACE, **changes})


class Book:
    """A store of keys in memory, all or nothing as the ledger's is."""

    def __init__(self) -> None:
        self.rows: list[HeldKey] = []
        self.privates: dict[str, PrivateKey] = {}

    def of_location(self, location: str) -> Sequence[HeldKey]:
        """As of `MobileKeyStore`."""
        found = [row for row in self.rows if row.location == location]
        return sorted(found, key=lambda row: row.created_at, reverse=True)

    def make(self, location: str, kind: KeyType, *, job_id: int, now: datetime) -> HeldKey:
        """As of `MobileKeyStore`."""
        there = next((row for row in self.rows if row.waits or row.job_id == job_id), None)
        return there or self._add(keys.generate(kind), Origin.MADE, location, now, job_id)

    def keep(self, location: str, found: Sequence[tuple[PrivateKey, datetime]]) -> None:
        """As of `MobileKeyStore`."""
        for private, at in found:
            if all(row.public != private.public_text for row in self.rows):
                self._add(private, Origin.READ, location, at)

    def reveal(self, held: Sequence[HeldKey]) -> Mapping[str, PrivateKey]:
        """As of `MobileKeyStore`."""
        return {row.public: self.privates[row.public] for row in held if row.public in self.privates}

    def elsewhere(self, publics: Collection[str]) -> Sequence[HeldKey]:
        """As of `MobileKeyStore`."""
        return [row for row in self.rows if row.public in publics]

    def adopt(self, location: str, publics: Collection[str]) -> None:
        """As of `MobileKeyStore`: there is one location."""
        assert not {row.public for row in self.of_location(location)} & {*publics} & self.privates.keys()

    def settle(self, *, primary: HeldKey | None, dropped: Sequence[HeldKey], now: datetime) -> None:
        """As of `MobileKeyStore`."""
        gone = {row.id for row in dropped}
        self.rows = [replace(row, dropped_at=now) if row.id in gone else row for row in self.rows]
        known = None if primary is None else primary.id
        self.rows = [
            replace(row, primary_since=row.primary_since or now) if row.id == known else row for row in self.rows
        ]

    def standing(self) -> list[str]:
        """The public halves that were not dropped, newest first."""
        return [row.public for row in self.of_location(PLACE) if row.dropped_at is None]

    def _add(
        self, private: PrivateKey, origin: Origin, location: str, at: datetime, job_id: int | None = None
    ) -> HeldKey:
        row = HeldKey(
            id=secrets.token_hex(8),
            location=location,
            kind=private.type,
            public=private.public_text,
            origin=origin,
            created_at=at,
            job_id=job_id,
        )
        self.rows.append(row)
        self.privates[row.public] = private
        return row


class World:
    """Devices, phones, a book and a worker.

    Args:
        count: devices.
        firmware: of each, in turn.
        first: the keys of each device; all have the same one key when left out.

    Attributes:
        silent: serial numbers of the devices that are off the network.
        logs: what the logs of devices tell, by serial number, where that is not what they noted; or why they do not.
        steps: how many there were.
        dies_at: the number of the step at which the worker dies, before or after it is done.
    """

    def __init__(
        self,
        count: int,
        *,
        firmware: Sequence[str] = ("2.49.0.1",),
        first: Sequence[tuple[AccessKey, ...]] = (),
        phones: int = 25,
        seed: int = 1,
    ) -> None:
        models = [
            Model(
                serial=counted("54-1046-0745", number),
                location=PLACE,
                firmware=firmware[number % len(firmware)],
                keys=first[number] if first else first_keys(0, 1),
            )
            for number in range(count)
        ]
        self.now = BEGIN
        self.devices = {model.serial: Device(model, clock=self._unix) for model in models}
        self.inventory = [entry(device) for device in self.devices.values()]
        self.crowd = Crowd(self.devices, clock=self._unix, seed=seed)
        self.crowd.pair(PLACE, phones)
        if first:
            self.crowd.tour()
        self.lawful = len(self.crowd.lockouts)
        self.book = Book()
        self.silent: set[str] = set()
        self.logs: dict[str, Log | UpstreamError] = {}
        self.steps = 0
        self.dies_at: tuple[int, str] | None = None
        self.dead = False
        self.jobs: dict[int, Job] = {}
        self.outcomes: dict[int, Outcome] = {}
        self._random = Random(seed)
        self.twon = DirectTwon(self)

    def _unix(self) -> float:
        return self.now.timestamp()

    @property
    def lockouts(self) -> int:
        """How many phones stood before a closed door since the beginning."""
        return len(self.crowd.lockouts) - self.lawful

    def hold(self) -> None:
        """Know the keys that the devices have."""
        for device in self.devices.values():
            known = [self.now - timedelta(days=300 + place) for place in range(4)]
            self.book.keep(PLACE, [(private(key), at) for key, at in zip(device.slots, known, strict=True) if key])

    def step(self, act: Callable[[], R]) -> R:
        """Let phones walk, do something, let phones walk; or die."""
        self._lives()
        self.steps += 1
        self.crowd.step(VISITS)
        if self.dies_at == (self.steps, "before"):
            self.dead = True
        self._lives()
        result = act()
        self.crowd.step(VISITS)
        if self.dies_at == (self.steps, "after"):
            self.dead = True
        self._lives()
        return result

    def _lives(self) -> None:
        if self.dead:
            raise Killed

    def ask(self, target: str = LOCATION + PLACE, **parameters: Any) -> int:
        """Wish for a rotation."""
        job_id = len(self.jobs) + 1
        self.jobs[job_id] = Job(
            id=job_id,
            operation=RotateMobileKey.name,
            target=target,
            parameters=parameters,
            fence=1,
            attempt=1,
            claimed_at=self.now,
            created_at=self.now,
        )
        return job_id

    def attempt(self, job_id: int) -> Outcome | None:
        """Let a worker try a job once; None when it dies of it."""
        before = self.jobs[job_id]
        job = self.jobs[job_id] = replace(before, claimed_at=self.now, fence=before.fence + 1)
        try:
            outcome = RotateMobileKey().perform([job], self._tools())[job_id]
        except Killed:
            self.dead, self.dies_at = False, None
            return None
        if self.jobs[job_id].fence != job.fence:
            return outcome
        if isinstance(outcome, Awaiting | Again) and outcome.progress is not None:
            self.jobs[job_id] = replace(self.jobs[job_id], progress=outcome.progress)
        self.outcomes[job_id] = outcome
        return outcome

    def _tools(self) -> Tools:
        return Tools(
            twon=self.twon,
            note=lambda progress: self.step(lambda: self._noted(progress)),
            clock=lambda: self.now,
            renewal_look_every=timedelta(hours=1),
            renewal_deadline=timedelta(days=14),
        )

    def _noted(self, progress: Sequence[tuple[Job, Mapping[str, Any]]]) -> set[int]:
        ours = [(job, known) for job, known in progress if self.jobs[job.id].fence == job.fence]
        for job, known in ours:
            self.jobs[job.id] = replace(self.jobs[job.id], progress=known)
        return {job.id for job, _ in ours}

    def shuffled(self, devices: Sequence[TwonDevice]) -> list[TwonDevice]:
        """The devices as they happen to be ready."""
        return self._random.sample(devices, len(devices))

    def distinct(self) -> set[tuple[str, ...]]:
        """The different lists that there are."""
        return {device.keys for device in self.devices.values()}


class DirectTwon:
    """The way to the devices of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.keys = StepwiseBook(world)

    def location(self, name: str) -> Sequence[TwonDevice]:
        """As of `TwonAccess`."""
        return [device for device in self._world.inventory if device.location == name]

    def device(self, serial: str) -> TwonDevice:
        """As of `TwonAccess`."""
        return next(device for device in self._world.inventory if device.serial == serial)

    @contextmanager
    def open(self, device: TwonDevice) -> Iterator["DirectSession"]:
        """As of `TwonAccess`."""
        yield DirectSession(self._world, self._world.devices[device.serial])

    def spread(
        self, work: Callable[[TwonDevice], R], devices: Sequence[TwonDevice], *, hurry: bool
    ) -> Generator[R, None, None]:
        """As of `TwonAccess`, one after the other."""
        assert hurry in {True, False}
        for device in self._world.shuffled(devices):
            yield work(device)


class StepwiseBook:
    """The world's book, where every write is a step."""

    def __init__(self, world: World) -> None:
        self._world = world

    def of_location(self, location: str) -> Sequence[HeldKey]:
        """As of `MobileKeyStore`."""
        return self._world.book.of_location(location)

    def make(self, location: str, kind: KeyType, *, job_id: int, now: datetime) -> HeldKey:
        """As of `MobileKeyStore`."""
        return self._world.step(lambda: self._world.book.make(location, kind, job_id=job_id, now=now))

    def keep(self, location: str, found: Sequence[tuple[PrivateKey, datetime]]) -> None:
        """As of `MobileKeyStore`."""
        self._world.step(lambda: self._world.book.keep(location, found))

    def reveal(self, held: Sequence[HeldKey]) -> Mapping[str, PrivateKey]:
        """As of `MobileKeyStore`."""
        return self._world.book.reveal(held)

    def elsewhere(self, publics: Collection[str]) -> Sequence[HeldKey]:
        """As of `MobileKeyStore`."""
        return self._world.book.elsewhere(publics)

    def adopt(self, location: str, publics: Collection[str]) -> None:
        """As of `MobileKeyStore`."""
        self._world.book.adopt(location, publics)

    def settle(self, *, primary: HeldKey | None, dropped: Sequence[HeldKey], now: datetime) -> None:
        """As of `MobileKeyStore`."""
        self._world.step(lambda: self._world.book.settle(primary=primary, dropped=dropped, now=now))


class DirectSession:
    """A line to one of the twin's devices, without a network."""

    def __init__(self, world: World, device: Device) -> None:
        self._world = world
        self.device = device

    def identify(self) -> SeenList:
        """As of `TwonSession`."""
        return self.look()

    def look(self) -> SeenList:
        """As of `TwonSession`."""
        return self._world.step(lambda: self._answered(self._seen))

    def write(self, wanted: Sequence[PrivateKey], *, location: str | None = None) -> None:
        """As of `TwonSession`."""
        document: dict[str, Any] = {} if location is None else {"location": location}
        document["keys"] = [{"type": key.type.value, "key": key.text.get_secret_value()} for key in wanted]
        self._world.step(lambda: self._answered(lambda: self.device.configure(document)))

    def phones(self) -> Log:
        """As of `TwonSession`."""
        return self._world.step(lambda: self._answered(self._phones))

    def _answered(self, act: Callable[[], R]) -> R:
        if self.device.serial in self._world.silent:
            raise TryAgain("no answer", call="/api", sent=False)
        return act()

    def _seen(self) -> SeenList:
        device = self.device
        known = [key for key in device.slots if key is not None]
        seen = [
            SeenKey(public=key.public, kind=KeyType(key.type), private=None if device.public_halves else private(key))
            for key in known
        ]
        return SeenList(location=device.location, keys=tuple(seen))

    def _phones(self) -> Log:
        told = self._world.logs.get(self.device.serial)
        if isinstance(told, UpstreamError):
            raise told
        if told is not None:
            return told
        found: dict[str, list[datetime]] = {}
        for event in entered(self.device):
            found.setdefault(event["params"]["authid"], []).append(datetime.fromtimestamp(event["utcTime"], UTC))
        oldest = min((event["utcTime"] for event in self.device.log.history), default=None)
        return Log(phones=found, begins=None if oldest is None else datetime.fromtimestamp(oldest, UTC))


def entered(device: Device) -> list[dict[str, Any]]:
    """The log's events of phones that were let in."""
    return [event for event in device.log.history if event["event"] == "MobKeyEntered" and event["params"]["valid"]]


def private(key: AccessKey) -> PrivateKey:
    """A key of the twin as our client has it; cheap, for it is known to be right."""
    return PrivateKey(type=KeyType(key.type), text=Secret(key.private), public=base64.b64decode(key.public))


def fresh_keys(count: int) -> list[AccessKey]:
    """Keys of nobody."""
    return [new_key() for _ in range(count)]
