"""Phones that open doors over Bluetooth: a model without sockets, clocks of its own or threads.

A phone keeps one access key for each location. At a door it picks the key by the location that the device broadcasts.
Is the key among the device's, the phone enters; is it a secondary one, the device has the phone replace it by the
primary. Is it not, the phone is locked out, which is what a rotation of keys must never bring about.

Source: 2N HTTP API manual, 5.15.1 api mobilekey config.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Any, Final, Protocol

from schemas.errors import InputError

MOST_REMEMBERED: Final = 10_000
"""How many lock-outs are remembered one by one; all are counted."""


class Door(Protocol):
    """What a phone sees of a device over Bluetooth."""

    @property
    def serial(self) -> str:
        """The serial number."""

    @property
    def location(self) -> str:
        """What it broadcasts."""

    @property
    def awake(self) -> bool:
        """Whether it runs; the network does not matter."""

    @property
    def primary(self) -> str | None:
        """The public half of the primary key."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The public halves of all keys."""

    def door(self, phone: str, *, valid: bool) -> None:
        """Note that a phone was let in or sent away."""


class Visit(StrEnum):
    """How a visit ended."""

    ENTERED = "entered"
    MOVED = "moved"
    """Entered, and got the primary key for a secondary one."""

    LOCKED_OUT = "locked_out"
    NO_ANSWER = "no_answer"
    """The device was restarting, so nothing is wrong with the key."""


class Why(StrEnum):
    """Why a phone was locked out."""

    KEY = "the device does not hold the phone's key"
    LOCATION = "the phone has no key for the location that the device broadcasts"


@dataclass(frozen=True, slots=True)
class LockOut:
    """A phone that stood before a closed door."""

    phone: str
    serial: str
    location: str
    at: float
    why: Why

    def shown(self) -> dict[str, Any]:
        """The lock-out as a JSON document."""
        return {name: getattr(self, name) for name in LockOut.__slots__}


@dataclass(slots=True)
class Phone:
    """A phone and what it holds.

    Attributes:
        name: 32 hexadecimal digits; the ``authid`` of its events.
        home: where it was paired.
        doors: serial numbers of the devices that it visits: those of its home when it was paired.
        keys: public halves by location.
    """

    name: str
    home: str
    doors: tuple[str, ...]
    keys: dict[str, str] = field(default_factory=dict)


class Crowd:
    """All phones, and where they walk.

    Args:
        doors: the devices by serial number.
        clock: tells Unix time in seconds.
        seed: of the generator that says which phone goes where.
    """

    def __init__(self, doors: Mapping[str, Door], *, clock: Callable[[], float], seed: int = 1) -> None:
        self._doors = doors
        self._clock = clock
        self._seed = seed
        self._random = Random(seed)  # noqa: S311 - decides which phone goes where; a run must be repeatable
        self.phones: list[Phone] = []
        self.visits: Counter[Visit] = Counter()
        self.lockouts: deque[LockOut] = deque(maxlen=MOST_REMEMBERED)

    def pair(self, location: str, count: int = 1) -> Sequence[Phone]:
        """Make phones that hold the primary key of a location, as of its first device.

        Raises:
            InputError: there is no device of this location, or it has no primary key.
        """
        members = [door for door in self._doors.values() if door.location == location]
        if not members:
            raise InputError([f"location: there is no device of location {location}"])
        primary = members[0].primary
        if primary is None:
            raise InputError([f"location: device {members[0].serial} of location {location} has no primary key"])
        serials = tuple(door.serial for door in members)
        paired = [Phone(self._name(), location, serials, {location: primary}) for _ in range(count)]
        self.phones.extend(paired)
        return paired

    def visit(self, phone: Phone, door: Door) -> Visit:
        """Let a phone come to a door."""
        ending = self._visited(phone, door)
        self.visits[ending] += 1
        return ending

    def step(self, visits: int = 1) -> Counter[Visit]:
        """Let phones visit doors of theirs, whichever chance picks, and say how the visits ended."""
        endings: Counter[Visit] = Counter()
        for _ in range(visits if self.phones else 0):
            phone = self._random.choice(self.phones)
            endings[self.visit(phone, self._doors[self._random.choice(phone.doors)])] += 1
        return endings

    def tour(self) -> Counter[Visit]:
        """Let every phone visit every door of its own once, in order."""
        return Counter(self.visit(phone, self._doors[serial]) for phone in self.phones for serial in phone.doors)

    def holders(self, location: str) -> Counter[str]:
        """Count the phones of a location by the key that they hold."""
        return Counter(phone.keys[location] for phone in self.phones if location in phone.keys)

    def forget(self) -> None:
        """Let there be no phones, and start the generator afresh."""
        self.phones.clear()
        self.visits.clear()
        self.lockouts.clear()
        self._random.seed(self._seed)

    def shown(self) -> dict[str, Any]:
        """Sum up as a JSON document."""
        homes = Counter(phone.home for phone in self.phones)
        return {
            "phones": len(self.phones),
            "visits": {str(ending): self.visits[ending] for ending in Visit},
            "locations": {home: {"phones": n, "keys": dict(self.holders(home))} for home, n in homes.items()},
        }

    def _visited(self, phone: Phone, door: Door) -> Visit:
        if not door.awake:
            return Visit.NO_ANSWER
        location = door.location
        held = phone.keys.get(location)
        if held is None:
            return self._locked_out(phone, door, Why.LOCATION)
        if held not in door.keys:
            door.door(phone.name, valid=False)
            return self._locked_out(phone, door, Why.KEY)
        door.door(phone.name, valid=True)
        primary = door.primary
        if primary is None or primary == held:
            return Visit.ENTERED
        phone.keys[location] = primary
        return Visit.MOVED

    def _locked_out(self, phone: Phone, door: Door, why: Why) -> Visit:
        self.lockouts.append(LockOut(phone.name, door.serial, door.location, self._clock(), why))
        return Visit.LOCKED_OUT

    def _name(self) -> str:
        return f"{self._random.getrandbits(128):032x}"
