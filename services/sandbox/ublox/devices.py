"""One simulated device: what it is, what is wished of it, and what a heartbeat makes of the wishes.

Source: Information APIs (desired and current properties), ``/device/provisioning/*``, ``/e2e/key/rotate`` and
``/ztp/devicecertificate/*``.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Final

from services.sandbox.ublox.authorities import Authority
from services.sandbox.ublox.certificates import Certificate
from services.sandbox.ublox.rhythm import Rhythm

SERIAL_BITS: Final = 124
"""The document's sample serial number has 31 hexadecimal digits."""

_ACTIVITIES_KEPT: Final = 200
_TYPE_ALLOCATION: Final = 86_261_858

USUAL_AUTHORIZATIONS: Final = MappingProxyType({"LocalDPR": True, "ZTPV1": True})
"""What a device has that was there before the twin."""


class Action(StrEnum):
    """A certificate action that waits for the device."""

    RENEW = "RENEW"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    TRANSFER = "TRANSFER"
    INSTALL = "INSTALL"
    """The first certificate of a device that has bootstrapped."""


class Step(StrEnum):
    """What a heartbeat did; each is one activity of the device."""

    PROPERTIES = "APPLY_PROPERTIES"
    CERTIFICATE_REMOVED = "DELETE_DEVICE_CERTIFICATE"
    CERTIFICATE_INSTALLED = "INSTALL_DEVICE_CERTIFICATE"
    CERTIFICATE_IMPOSSIBLE = "INSTALL_DEVICE_CERTIFICATE_FAILED"


class State(StrEnum):
    """How a device came out of its bootstrap: ALLOCATED when it was not whitelisted."""

    ACTIVATED = "ACTIVATED"
    ALLOCATED = "ALLOCATED"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotation:
    """An end-to-end key rotation policy; `days` is None for CONTINUOUS."""

    type: str
    days: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Properties:
    """What can be desired of a device and become current. `heartbeat` None follows the twin's dial."""

    heartbeat: float | None = None
    rotation: Rotation | None = None
    authorizations: Mapping[str, bool] = field(default_factory=lambda: USUAL_AUTHORIZATIONS)
    action: Action | None = None
    changed_at: datetime
    """ModifiedDate of desired properties, SyncDate of current ones."""

    def agrees_with(self, other: "Properties") -> bool:
        """Whether a heartbeat has nothing to apply but a certificate action."""
        return (self.heartbeat, self.rotation, self.authorizations) == (
            other.heartbeat,
            other.rotation,
            other.authorizations,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateWish:
    """What the next heartbeat shall do about the certificate; `authority` signs the new one."""

    action: Action
    authority: Authority | None = None
    validity_days: float = 0
    automatic: bool = False
    """Nobody asked: the CA's own renewal lead has come."""


@dataclass(kw_only=True, slots=True, eq=False)
class Device:
    """A device and its account-side state."""

    uid: str
    number: int
    imei: str
    profile_uid: str | None
    certificate: Certificate | None
    desired: Properties
    current: Properties
    last_seen: datetime
    rhythm: Rhythm
    tags: frozenset[str] = frozenset()
    state: State = State.ACTIVATED
    key_generation: int = 0
    wish: CertificateWish | None = None
    actions_begun: int = 0
    keys_derived: int = 0
    planned: datetime | None = None
    """The heartbeat for which something waits."""

    activities: deque[tuple[datetime, Step]] = field(default_factory=lambda: deque(maxlen=_ACTIVITIES_KEPT))

    type_number: str = "SARA-R510S-01B-00"
    rot_version: str = "1"
    version: str = "12"

    @property
    def serial_number(self) -> str:
        """The module's serial number."""
        return str(200_000 + self.number)

    @property
    def device_serial_number(self) -> str:
        """The number that the maker sealed into the device."""
        return str(123_000_000 + self.number)

    @property
    def updating(self) -> bool:
        """Whether a certificate update is still under way, which bars other certificate calls."""
        return self.desired.action is Action.UPDATE

    @property
    def waits(self) -> bool:
        """Whether its next heartbeat has anything to do."""
        return self.wish is not None or not self.desired.agrees_with(self.current)

    def refers_to(self, authority: Authority) -> bool:
        """Whether the CA is in its current or desired properties."""
        current = self.certificate is not None and self.certificate.authority is authority
        return current or (self.wish is not None and self.wish.authority is authority)

    def wish_rotation(self, rotation: Rotation, *, heartbeat: float | None, now: datetime) -> None:
        """Set the policy at once; the device takes it, and the heartbeat that goes with it, at its next heartbeat."""
        self.desired = replace(self.desired, rotation=rotation, heartbeat=heartbeat, changed_at=now)

    def wish_properties(self, authorizations: Mapping[str, bool], heartbeat: float | None, *, now: datetime) -> None:
        """Desire these authorizations beside the others, and a heartbeat unless it is None."""
        self.desired = replace(
            self.desired,
            authorizations={**self.desired.authorizations, **authorizations},
            heartbeat=self.desired.heartbeat if heartbeat is None else heartbeat,
            changed_at=now,
        )

    def forget_properties(self, now: datetime) -> None:
        """Desire what is there, and the usual heartbeat."""
        self.desired = replace(self.desired, authorizations=self.current.authorizations, heartbeat=None, changed_at=now)

    def wish_certificate(self, wish: CertificateWish, now: datetime) -> bool:
        """Ask for something at the next heartbeat; False when the same was awaited already."""
        begun = self.wish is None or (self.wish.action, self.wish.authority) != (wish.action, wish.authority)
        self.wish = wish
        self.desired = replace(self.desired, action=wish.action, changed_at=now)
        return begun

    def beat(self, now: datetime, random: Random) -> tuple[Step, ...]:
        """Do what is wished and say what was done."""
        self.last_seen = now
        steps = (*self._apply_properties(now), *self._apply_wish(now, random))
        self.activities.extend((now, step) for step in steps)
        return steps

    def _apply_properties(self, now: datetime) -> Iterable[Step]:
        desired = self.desired
        if desired.agrees_with(self.current):
            return ()
        self.current = replace(desired, action=self.current.action, changed_at=now)
        return (Step.PROPERTIES,)

    def _apply_wish(self, now: datetime, random: Random) -> Iterable[Step]:
        wish = self.wish
        if wish is None:
            return ()
        if self.certificate is not None and wish.action in {Action.UPDATE, Action.DELETE}:
            self.certificate, self.key_generation = None, self.key_generation + 1
            if wish.action is Action.DELETE:
                self._fulfilled(wish, now)
            return (Step.CERTIFICATE_REMOVED,)
        self._fulfilled(wish, now)
        if wish.authority is None:
            return ()
        if wish.authority.expires_at <= now:
            return (Step.CERTIFICATE_IMPOSSIBLE,)
        self.certificate = new_certificate(self, wish.authority, issued_at=now, days=wish.validity_days, random=random)
        return (Step.CERTIFICATE_INSTALLED,)

    def _fulfilled(self, wish: CertificateWish, now: datetime) -> None:
        self.wish = None
        self.desired = replace(self.desired, action=None)
        self.current = replace(self.current, action=wish.action, changed_at=now)


def new_certificate(
    device: Device, authority: Authority, *, issued_at: datetime, days: float, random: Random
) -> Certificate:
    """A certificate with a new serial number that never outlives its CA; the device keeps its key."""
    issued_at = issued_at.replace(microsecond=0)
    expires_at = (issued_at + timedelta(days=days)).replace(microsecond=0)
    serial = random.getrandbits(SERIAL_BITS) | 1
    authority.issued[serial] = device.uid
    return Certificate(
        authority=authority,
        uid=device.uid,
        serial=serial,
        key_generation=device.key_generation,
        issued_at=issued_at,
        expires_at=min(expires_at, authority.expires_at),
    )


def imei_of(number: int) -> str:
    """A 15-digit IMEI with a correct Luhn digit."""
    digits = f"{_TYPE_ALLOCATION:08}{number % 1_000_000:06}"
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(digits)]
    return f"{digits}{-sum(value // 10 + value % 10 for value in doubled) % 10}"
