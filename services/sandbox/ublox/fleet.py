"""The state of the simulated account: its devices, its root CAs and what was told about them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final, TypeVar

from schemas.errors import InputError
from schemas.events import UID_DIGITS, canonical_uid
from services.sandbox.ublox.authorities import AUTHORITY_AGE, Authority
from services.sandbox.ublox.clock import Clock
from services.sandbox.ublox.devices import Device, Properties, State, imei_of, new_certificate
from services.sandbox.ublox.recruits import CA_DAYS_LEFT, DEFAULT_CA, DEFAULT_PROFILE, Recruits
from services.sandbox.ublox.registers import UNATTRIBUTED, Profile, Tags, Usage, Whitelist
from services.sandbox.ublox.rhythm import Rhythm

__all__ = ["CA_DAYS_LEFT", "DEFAULT_CA", "FIRST_UID", "LOOK_BACK", "MOST_DEVICES", "Fleet", "Notice", "Recruits"]

FIRST_UID: Final = 0x0002_0000_8900_0001
MOST_DEVICES: Final = 100_000
"""A bound, so that a slip of the finger does not eat the machine."""

LOOK_BACK: Final = timedelta(days=180)
"""``/notification/get``: "You can only specify FromDate as old as 180 days ago"; so long a notice is kept."""

Key = TypeVar("Key")

_NOTICES_KEPT: Final = 10_000
"""Of one device; a bound, as above."""

_NEVER: Final = Rhythm(first=datetime.max.replace(tzinfo=UTC), interval=timedelta(days=1))


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One entry of ``/notification/get``."""

    uid: str
    kind: str
    at: datetime
    document: dict[str, Any]


@dataclass(kw_only=True)
class Fleet:
    """Every device by its UID, every CA by its name, every profile by its UID."""

    clock: Clock
    random: Random
    founded: Callable[[Authority], object] = lambda _: None
    """Told of every CA that there is from now on."""

    devices: dict[str, Device] = field(default_factory=dict)
    authorities: dict[str, Authority] = field(default_factory=dict)
    profiles: dict[str, Profile] = field(default_factory=dict)
    tags: Tags = field(default_factory=Tags)
    whitelist: Whitelist = field(default_factory=Whitelist)
    usage: Usage = field(default_factory=Usage)
    notices: dict[str, list[Notice]] = field(default_factory=lambda: defaultdict(list))
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.profile(DEFAULT_PROFILE, name="Sandbox profile")

    def recruit(self, recruits: Recruits) -> list[Device]:
        """Make new devices; unless they are bootstrapping, they have bootstrapped and hold a certificate.

        Raises:
            InputError: a UID is taken, there would be too many, or the profile is unknown; nothing was made.
        """
        uids = self._new_uids(recruits.count, recruits.first)
        if recruits.profile_uid is not None and recruits.profile_uid not in self.profiles:
            raise InputError([f"profile_uid: {recruits.profile_uid} is not known"])
        authority = self.authority(recruits.ca_name, days_left=recruits.ca_days_left)
        made = [
            self._made(uid, recruits, authority, heartbeat=heartbeat, life=life)
            for uid, heartbeat, life in zip(uids, recruits.heartbeats(), recruits.lives(), strict=True)
        ]
        self.devices.update((device.uid, device) for device in made)
        if not recruits.blacklisted:
            self.whitelist.add(uids, (), self.clock())
        return made

    def authority(self, name: str, *, days_left: float = CA_DAYS_LEFT) -> Authority:
        """The CA of this name; one that has been there for long if there is none."""
        if name not in self.authorities:
            now = self.clock().replace(microsecond=0)
            expires_at = (now + timedelta(days=days_left)).replace(microsecond=0)
            self.found(Authority(name=name, created_at=now - AUTHORITY_AGE, expires_at=expires_at))
        return self.authorities[name]

    def found(self, authority: Authority) -> Authority:
        """Take a CA into the account."""
        self.authorities[authority.name] = authority
        self.founded(authority)
        return authority

    def profile(self, uid: str, *, name: str, ca_name: str | None = None) -> Profile:
        """Make a device profile, or link an existing one to another CA."""
        profile = self.profiles.setdefault(uid, Profile(uid=uid, name=name, created_at=self.clock()))
        profile.name, profile.ca_name = name, ca_name
        return profile

    def blacklisted(self, device: Device) -> bool:
        """Whether a device is not on the whitelist. Invented: there is nothing between the two."""
        return not self.whitelist.holds(device.uid, device.imei)

    def signed_by(self, authority: Authority) -> list[Device]:
        """Devices that hold a certificate of this CA."""
        return [d for d in self.devices.values() if d.certificate and d.certificate.authority is authority]

    def tagged(self, tags: Iterable[str]) -> list[Device] | None:
        """Devices with any of the tags, or None when a tag does not exist."""
        wanted = self.tags.keys(tags)
        return None if wanted is None else [device for device in self.devices.values() if device.tags & wanted]

    def by_profile(self, uid: str) -> list[Device] | None:
        """Devices of a profile, or None when there is no such profile."""
        if uid != UNATTRIBUTED and uid not in self.profiles:
            return None
        wanted = None if uid == UNATTRIBUTED else uid
        return [device for device in self.devices.values() if device.profile_uid == wanted]

    def by_device_serial(self, serials: Iterable[str]) -> list[Device] | None:
        """Devices with these DeviceSerialNumbers, or None when one is unknown."""
        known = {device.device_serial_number: device for device in self.devices.values()}
        return _all_of(known, serials)

    def by_certificate_serial(self, serials: Iterable[str]) -> list[Device] | None:
        """Devices whose certificate has one of these serial numbers, or None when one is unknown."""
        known = {device.certificate.serial: device for device in self.devices.values() if device.certificate}
        try:
            return _all_of(known, [int(serial, 16) for serial in serials])
        except ValueError:
            return None

    def by_uid(self, uids: Iterable[object]) -> list[Device] | None:
        """Devices with these UIDs, each once, or None when one is unknown or no UID at all."""
        try:
            return _all_of(self.devices, [canonical_uid(uid) for uid in uids])
        except ValueError:
            return None

    def note(self, notice: Notice) -> None:
        """Keep a notification for ``/notification/get``; those of a device that nobody can ask for are forgotten."""
        kept = self.notices[notice.uid]
        kept.append(notice)
        old = next(number for number, one in enumerate(kept) if notice.at - one.at <= LOOK_BACK)
        del kept[: max(old, len(kept) - _NOTICES_KEPT)]

    def _new_uids(self, wanted: int, first: str | None) -> list[str]:
        start = int(first, 16) if first else max((int(uid, 16) + 1 for uid in self.devices), default=FIRST_UID)
        if len(self.devices) + wanted > MOST_DEVICES:
            raise InputError([f"count: the twin holds at most {MOST_DEVICES} devices"])
        if start + wanted > 16**UID_DIGITS:
            raise InputError([f"first: {wanted} devices do not fit after it"])
        uids = [f"{number:0{UID_DIGITS}x}" for number in range(start, start + wanted)]
        if taken := [uid for uid in uids if uid in self.devices]:
            raise InputError([f"first: {uid} is taken" for uid in taken[:10]])
        return uids

    def _made(
        self, uid: str, recruits: Recruits, authority: Authority, *, heartbeat: float | None, life: tuple[float, float]
    ) -> Device:
        now = self.clock().replace(microsecond=0)
        number = next(self._numbers)
        properties = Properties(heartbeat=heartbeat, changed_at=now)
        for tag in recruits.tags:
            self.tags.create(tag, now)
        device = Device(
            uid=uid,
            number=number,
            imei=imei_of(number),
            profile_uid=recruits.profile_uid,
            certificate=None,
            desired=properties,
            current=properties,
            last_seen=now,
            rhythm=_NEVER,
            tags=frozenset(tag.lower() for tag in recruits.tags),
            state=State.ALLOCATED if recruits.bootstrapping else State.ACTIVATED,
        )
        if not recruits.bootstrapping:
            whole, left = life
            issued_at = now - timedelta(days=whole - left)
            device.certificate = new_certificate(device, authority, issued_at=issued_at, days=whole, random=self.random)
        return device


def _all_of(known: Mapping[Key, Device], wanted: Iterable[Key]) -> list[Device] | None:
    found = [known.get(key) for key in dict.fromkeys(wanted)]
    return [device for device in found if device] if all(found) else None
