"""What the account keeps beside its devices: device profiles, tags, the whitelist, the usage log.

Source: Device Profile APIs, Tag APIs, ``/device/whitelist/add``, ``/device/usage/get``.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

UNATTRIBUTED: Final = "UNATTRIBUTED DEVICE PROFILE"
"""The DeviceProfileUID of devices that had none sealed when they bootstrapped."""

USAGE_LOOK_BACK: Final = timedelta(days=60)
"""``/device/usage/get``: "You can only specify FromDate as old as 60 days ago"."""

USAGE_LAG: Final = timedelta(minutes=5)
"""``/device/usage/get``: "There is a 5 minute lead time before logs get updated"."""


@dataclass(kw_only=True, slots=True, eq=False)
class Profile:
    """A device profile, made in the portal; the API can only look at it and set what new devices get."""

    uid: str
    name: str
    created_at: datetime
    ca_name: str | None = None
    """The root CA whose certificates its new devices get."""

    tags: set[str] = field(default_factory=set)
    authorizations: Mapping[str, bool] | None = None
    """What a device gets at its bootstrap; None when nothing was set."""

    heartbeat: float | None = None
    changed_at: datetime | None = None


@dataclass(slots=True)
class Tags:
    """Tags know no case; each is shown as it was first written."""

    known: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def create(self, name: str, now: datetime) -> bool:
        """Make one; False when it was there."""
        if name.lower() in self.known:
            return False
        self.known[name.lower()] = (name, now)
        return True

    def keys(self, names: Iterable[str]) -> frozenset[str] | None:
        """The tags of these names, or None when one is unknown."""
        keys = frozenset(name.lower() for name in names)
        return keys if keys <= self.known.keys() else None

    def shown(self, keys: Collection[str]) -> list[str]:
        """Tags as they were first written."""
        return [name for key, (name, _) in self.known.items() if key in keys]


@dataclass(slots=True)
class Whitelist:
    """The devices that may bootstrap, also before they do; by ROTPublicUID and by IMEI."""

    uids: dict[str, datetime] = field(default_factory=dict)
    imeis: dict[str, datetime] = field(default_factory=dict)

    def holds(self, uid: str, imei: str) -> bool:
        """Whether a device is on it in either way."""
        return uid in self.uids or imei in self.imeis

    def add(self, uids: Iterable[str], imeis: Iterable[str], now: datetime) -> None:
        """Put some on it; the time of those that are on it stays."""
        for uid in uids:
            self.uids.setdefault(uid, now)
        for imei in imeis:
            self.imeis.setdefault(imei, now)

    def remove(self, uids: Iterable[str], imeis: Iterable[str]) -> None:
        """Take some off it; those that are not on it do not matter."""
        for uid in uids:
            self.uids.pop(uid, None)
        for imei in imeis:
            self.imeis.pop(imei, None)


@dataclass(slots=True)
class Usage:
    """What is billed, by device: each use with its time, for as long as anybody may ask."""

    log: dict[str, list[tuple[datetime, str]]] = field(default_factory=lambda: defaultdict(list))

    def note(self, uid: str, use: str, now: datetime) -> None:
        """Write one use down, and forget what nobody may ask for any more."""
        entries = self.log[uid]
        entries.append((now, use))
        horizon = now - USAGE_LOOK_BACK - timedelta(days=1)
        del entries[: next(number for number, (at, _) in enumerate(entries) if at >= horizon)]

    def between(self, start: datetime, end: datetime, uids: Iterable[str] | None) -> dict[str, Counter[str]]:
        """How often each device used what; devices without a use are left out."""
        chosen = list(self.log) if uids is None else [uid for uid in uids if uid in self.log]
        counts = {uid: Counter(use for at, use in self.log[uid] if start <= at < end) for uid in chosen}
        return {uid: counter for uid, counter in counts.items() if counter}
