"""What a rotation knows of itself between attempts.

    {"key": id, "devices": {serial: "secondary" | "primary"}, "leaves": [ids],
     "lists": [[[ids], [serials]]], "silent": {serial: since}}

`devices` holds where the key was last seen, of the devices that have not been silent since; it says whom to ask first
and nothing else, for what a device has now only a look can tell. `lists` holds what each device had when it was last
seen, an empty id for a key that is not at hand; `leaves` the keys that go, `silent` the devices that do not answer.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

SHORTEST_PAUSE: Final = timedelta(seconds=5)
LONGEST_PAUSE: Final = timedelta(minutes=5)
"""Between two looks at devices that do not answer."""


class Place(StrEnum):
    """Where the key was seen on a device."""

    SECONDARY = "secondary"
    PRIMARY = "primary"


@dataclass(kw_only=True, slots=True)
class Progress:
    """See the module."""

    key: str = ""
    devices: dict[str, Place] = field(default_factory=dict)
    leaves: set[str] = field(default_factory=set)
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    silent: dict[str, datetime] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> "Progress":
        """Read what an earlier attempt noted."""
        lists = {serial: tuple(ids) for ids, serials in document.get("lists", ()) for serial in serials}
        places = document.get("devices", {}).items()
        return cls(
            key=document.get("key", ""),
            devices={serial: Place(place) for serial, place in places if serial in lists},
            leaves=set(document.get("leaves", ())),
            lists=lists,
            silent={serial: datetime.fromisoformat(since) for serial, since in document.get("silent", {}).items()},
        )

    def write(self) -> dict[str, Any]:
        """Give what is noted."""
        alike: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for serial in sorted(self.lists):
            alike[self.lists[serial]].append(serial)
        return {
            "key": self.key,
            "devices": {serial: place.value for serial, place in self.devices.items()},
            "leaves": sorted(self.leaves),
            "lists": [[list(ids), serials] for ids, serials in alike.items()],
            "silent": {serial: since.isoformat() for serial, since in self.silent.items()},
        }

    @property
    def seen(self) -> set[str]:
        """The keys that some device had when it was last seen."""
        return {key for keys in self.lists.values() for key in keys if key}

    @property
    def heads(self) -> set[str]:
        """The keys that were some device's primary key when it was last seen."""
        return {key for keys in self.lists.values() for key in keys[:1] if key}

    def turn_to(self, key: str) -> None:
        """Work with this key; what was done with another one says nothing of it."""
        if self.key not in {"", key}:
            self.devices, self.leaves = {}, set()
        self.key = key

    def fell_silent(self, serials: Iterable[str], now: datetime) -> None:
        """These do not answer; since when is kept. All others do."""
        self.silent = {serial: self.silent.get(serial, now) for serial in serials}

    def next_look(self, now: datetime) -> datetime:
        """When to ask silent devices again: soon after one fell silent, later and later while they stay so."""
        newest = max(self.silent.values(), default=now)
        return now + min(LONGEST_PAUSE, max(SHORTEST_PAUSE, (now - newest) / 2))
