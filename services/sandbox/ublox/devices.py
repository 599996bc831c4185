"""One simulated device: what it is, what is wished of it, and what a heartbeat makes of the wishes.

Source: Information APIs (desired and current properties), ``/e2e/key/rotate``, ``/ztp/devicecertificate/renew`` and
``/ztp/devicecertificate/update``.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from random import Random
from typing import Final

from services.sandbox.ublox.certificates import Authority, Certificate

SERIAL_BITS: Final = 124
"""The document's sample serial number has 31 hexadecimal digits."""

_ACTIVITIES_KEPT: Final = 200
_TYPE_ALLOCATION: Final = 86_261_858
_AUTHORIZATIONS: Final = ("LocalDPR", "ZTPV1")


class Action(StrEnum):
    """A certificate action that waits for the device."""

    RENEW = "RENEW"
    UPDATE = "UPDATE"


class Step(StrEnum):
    """What a heartbeat did; each is one activity of the device."""

    PROPERTIES = "APPLY_PROPERTIES"
    CERTIFICATE_REMOVED = "DELETE_DEVICE_CERTIFICATE"
    CERTIFICATE_INSTALLED = "INSTALL_DEVICE_CERTIFICATE"


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
    action: Action | None = None
    changed_at: datetime
    """ModifiedDate of desired properties, SyncDate of current ones."""


@dataclass(kw_only=True, slots=True)
class Device:
    """A device and its account-side state."""

    uid: str
    number: int
    imei: str
    profile_uid: str
    certificate: Certificate | None
    desired: Properties
    current: Properties
    last_seen: datetime
    tags: frozenset[str] = frozenset()
    blacklisted: bool = False
    key_generation: int = 0
    wished_authority: Authority | None = None
    wished_validity: int = 0
    actions_begun: int = 0
    activities: deque[tuple[datetime, Step]] = field(default_factory=lambda: deque(maxlen=_ACTIVITIES_KEPT))

    type_number: str = "SARA-R510S-01B-00"
    rot_version: str = "1"
    version: str = "12"
    authorizations: tuple[str, ...] = _AUTHORIZATIONS

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

    def wish_rotation(self, rotation: Rotation, *, heartbeat: float | None, now: datetime) -> None:
        """Set the policy at once; the device takes it, and the heartbeat that goes with it, at its next heartbeat."""
        self.desired = replace(self.desired, rotation=rotation, heartbeat=heartbeat, changed_at=now)

    def wish_certificate(self, action: Action, authority: Authority, *, validity_days: int, now: datetime) -> bool:
        """Ask for a new certificate at the next heartbeat; False when the same was awaited already."""
        begun = self.desired.action is not action
        self.wished_authority, self.wished_validity = authority, validity_days
        self.desired = replace(self.desired, action=action, changed_at=now)
        self.actions_begun += begun
        return begun

    def beat(self, now: datetime, random: Random) -> tuple[Step, ...]:
        """Do what is wished and say what was done."""
        self.last_seen = now
        steps = (*self._apply_properties(now), *self._apply_action(now, random))
        self.activities.extend((now, step) for step in steps)
        return steps

    def _apply_properties(self, now: datetime) -> tuple[Step, ...]:
        desired, current = self.desired, self.current
        if desired.heartbeat == current.heartbeat and desired.rotation == current.rotation:
            return ()
        self.current = replace(current, heartbeat=desired.heartbeat, rotation=desired.rotation, changed_at=now)
        return (Step.PROPERTIES,)

    def _apply_action(self, now: datetime, random: Random) -> tuple[Step, ...]:
        action = self.desired.action
        if action is None or self.wished_authority is None:
            return ()
        if action is Action.UPDATE and self.certificate is not None:
            self.certificate, self.key_generation = None, self.key_generation + 1
            return (Step.CERTIFICATE_REMOVED,)
        self.certificate = new_certificate(
            self, self.wished_authority, issued_at=now, days=self.wished_validity, random=random
        )
        self.desired = replace(self.desired, action=None)
        self.current = replace(self.current, action=action, changed_at=now)
        return (Step.CERTIFICATE_INSTALLED,)


def new_certificate(
    device: Device, authority: Authority, *, issued_at: datetime, days: float, random: Random
) -> Certificate:
    """A certificate with a new serial number that never outlives its CA; the device keeps its key."""
    issued_at = issued_at.replace(microsecond=0)
    expires_at = (issued_at + timedelta(days=days)).replace(microsecond=0)
    return Certificate(
        authority=authority,
        uid=device.uid,
        serial=random.getrandbits(SERIAL_BITS) | 1,
        key_generation=device.key_generation,
        issued_at=issued_at,
        expires_at=min(expires_at, authority.expires_at),
    )


def imei_of(number: int) -> str:
    """A 15-digit IMEI with a correct Luhn digit."""
    digits = f"{_TYPE_ALLOCATION:08}{number % 1_000_000:06}"
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(digits)]
    return f"{digits}{-sum(value // 10 + value % 10 for value in doubled) % 10}"
