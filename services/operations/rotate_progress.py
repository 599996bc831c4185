"""What a rotation knows of itself between attempts, and how it tells where it stands.

    {"key": id, "phase": "add" | "lead", "devices": {serial: "secondary" | "primary"}, "leaves": [ids],
     "seen": [ids], "heads": [ids], "silent": {serial: since}}

`devices` holds what was seen on a device after the work on it, `seen` the keys that some device had, `heads` those
that one had as its primary key, `leaves` those that go, `silent` the devices that do not answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

SHORTEST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=5)
"""Between two looks at devices that do not answer."""


class Phase(StrEnum):
    """What is done now with the key that is to be the primary one."""

    ADD = "add"  # every device gets it as a secondary
    LEAD = "lead"  # every device has it; it becomes the primary


class Place(StrEnum):
    """Where the key was seen on a device."""

    SECONDARY = "secondary"
    PRIMARY = "primary"


@dataclass(kw_only=True, slots=True)
class Progress:
    """See the module."""

    key: str = ""
    phase: Phase = Phase.ADD
    devices: dict[str, Place] = field(default_factory=dict)
    leaves: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)
    heads: set[str] = field(default_factory=set)
    silent: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Progress":
        """Read what an earlier attempt noted."""
        return cls(
            key=document.get("key", ""),
            phase=Phase(document.get("phase", Phase.ADD)),
            devices={serial: Place(place) for serial, place in document.get("devices", {}).items()},
            leaves=set(document.get("leaves", ())),
            seen=set(document.get("seen", ())),
            heads=set(document.get("heads", ())),
            silent={serial: datetime.fromisoformat(since) for serial, since in document.get("silent", {}).items()},
        )

    def write(self) -> dict[str, Any]:
        """Give what is noted."""
        return {
            "key": self.key,
            "phase": self.phase.value,
            "devices": {serial: place.value for serial, place in self.devices.items()},
            "leaves": sorted(self.leaves),
            "seen": sorted(self.seen),
            "heads": sorted(self.heads),
            "silent": {serial: since.isoformat() for serial, since in self.silent.items()},
        }

    def turn_to(self, key: str) -> None:
        """Work with this key; what was done with another one says nothing of it."""
        if self.key not in {"", key}:
            self.phase, self.devices, self.leaves = Phase.ADD, {}, set()
        self.key = key

    def fell_silent(self, serials: Iterable[str], now: datetime) -> None:
        """These do not answer; since when is kept. All others do."""
        self.silent = {serial: self.silent.get(serial, now) for serial in serials}

    def next_look(self, now: datetime) -> datetime:
        """When to ask silent devices again: soon after one fell silent, later and later while they stay so."""
        newest = max(self.silent.values(), default=now)
        return now + min(LONGEST_PAUSE, max(SHORTEST_PAUSE, (now - newest) / 2))
