"""The state of the simulated account: its devices, its root CAs and what was told about them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final, TypeVar

from schemas.errors import InputError
from schemas.events import UID_DIGITS, canonical_uid
from services.sandbox.ublox.certificates import AUTHORITY_AGE, Authority
from services.sandbox.ublox.devices import Device, Properties, imei_of, new_certificate

FIRST_UID: Final = 0x0002_0000_8900_0001
DEFAULT_CA: Final = "sandbox-ca.example"
CA_DAYS_LEFT: Final = 3250
MOST_DEVICES: Final = 100_000
"""A bound, so that a slip of the finger does not eat the machine."""

Key = TypeVar("Key")

_PROFILE_UID: Final = "mbYbAX-CoEqE97TMFBsUKQ"
_NOTICES_KEPT: Final = 10_000
"""Of one device; a bound, as above."""

LOOK_BACK: Final = timedelta(days=180)
"""``/notification/get``: "You can only specify FromDate as old as 180 days ago"; so long a notice is kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recruits:
    """Devices to be made."""

    count: int
    first: str | None = None
    heartbeat_seconds: float | None = None
    certificate_days_left: float = 365
    ca_name: str = DEFAULT_CA
    ca_days_left: float = CA_DAYS_LEFT
    tags: frozenset[str] = frozenset()
    blacklisted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Notice:
    """One entry of ``/notification/get``."""

    uid: str
    kind: str
    at: datetime
    document: dict[str, Any]


@dataclass(kw_only=True)
class Fleet:
    """Every device by its UID, every CA by its name."""

    clock: Callable[[], datetime]
    random: Random
    devices: dict[str, Device] = field(default_factory=dict)
    authorities: dict[str, Authority] = field(default_factory=dict)
    notices: dict[str, list[Notice]] = field(default_factory=lambda: defaultdict(list))
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def recruit(self, recruits: Recruits) -> list[Device]:
        """Make new devices that have bootstrapped and hold a certificate.

        Raises:
            InputError: a UID is taken, or there would be too many; nothing was made.
        """
        uids = self._new_uids(recruits.count, recruits.first)
        authority = self.authority(recruits.ca_name, days_left=recruits.ca_days_left)
        made = [self._made(uid, recruits, authority) for uid in uids]
        self.devices.update((device.uid, device) for device in made)
        return made

    def authority(self, name: str, *, days_left: float = CA_DAYS_LEFT) -> Authority:
        """The CA of this name, founded now if there is none."""
        if name not in self.authorities:
            now = self.clock().replace(microsecond=0)
            expires_at = (now + timedelta(days=days_left)).replace(microsecond=0)
            self.authorities[name] = Authority(name=name, created_at=now - AUTHORITY_AGE, expires_at=expires_at)
        return self.authorities[name]

    def tagged(self, tags: Iterable[str]) -> list[Device] | None:
        """Devices with any of the tags, or None when a tag is on no device. Tags know no case."""
        wanted = {tag.lower() for tag in tags}
        found = [device for device in self.devices.values() if device.tags & wanted]
        return found if wanted <= frozenset[str]().union(*(device.tags for device in found)) else None

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

    def _made(self, uid: str, recruits: Recruits, authority: Authority) -> Device:
        now = self.clock().replace(microsecond=0)
        number = next(self._numbers)
        properties = Properties(heartbeat=recruits.heartbeat_seconds, changed_at=now)
        device = Device(
            uid=uid,
            number=number,
            imei=imei_of(number),
            profile_uid=_PROFILE_UID,
            certificate=None,
            desired=properties,
            current=properties,
            last_seen=now,
            tags=frozenset(tag.lower() for tag in recruits.tags),
            blacklisted=recruits.blacklisted,
        )
        left = recruits.certificate_days_left
        validity = max(365.0, left)
        issued_at = now - timedelta(days=validity - left)
        device.certificate = new_certificate(device, authority, issued_at=issued_at, days=validity, random=self.random)
        return device


def _all_of(known: Mapping[Key, Device], wanted: Iterable[Key]) -> list[Device] | None:
    found = [known.get(key) for key in dict.fromkeys(wanted)]
    return [device for device in found if device] if all(found) else None
