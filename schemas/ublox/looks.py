"""What we read of devices out of the answers of u-blox Security Services.

Source: Security Services REST APIs 1.1.29, ``/device/info/get``, ``/device/provisioning/get``. The document folds their
items away: what is read here comes from the samples of the webhooks, and from prose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.ublox.provisioning import ProvisioningLook, read_properties
from schemas.ublox.reading import (
    Index,
    as_whole,
    first_imei,
    first_moment,
    first_uid,
    is_whole,
    items,
    moment,
    read_pem,
    read_serial,
    values_of,
    whole_text,
)
from schemas.ublox.words import LONGEST_DAYS, RotationPolicy, RotationType

_DAYS_UNLESS_TOLD: Final = 7
"""What an automatic rotation without days means."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateLook:
    """A device certificate as u-blox tells of it.

    Attributes:
        serial: as a number, because the samples lose leading zeros.
        validity_days: its whole life.
        pem: with real line ends; nobody has looked whether it is whole.
    """

    serial: int
    ca_name: str | None
    expires_at: datetime | None
    validity_days: int | None = None
    pem: str | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceLook:
    """What one answer says of one device; None where it does not say.

    Attributes:
        uid: canonical ROTPublicUID.
        imei: 15 digits, by which the whitelist may name it.
        renewal_pending: whether the desired properties still hold a certificate action for the next heartbeat.
        desired_action: that action, as told.
        rotation: the desired policy, or the current one when the answer knows no other.
        heartbeat: how often the device calls in, or shall when the answer knows no other.
        desired_heartbeat: how often it shall.
        last_seen: when it called in last.
        authorizations: what is enabled (True) and disabled (False) on the device by now.
        desired_authorizations: what shall be.
        profile_uid: the device profile that it belongs to.
        raw: the item as sent.
    """

    uid: str
    imei: str | None = None
    blacklisted: bool | None = None
    certificate: CertificateLook | None = None
    renewal_pending: bool | None = None
    desired_action: str | None = None
    rotation: RotationPolicy | None = None
    heartbeat: timedelta | None = None
    desired_heartbeat: timedelta | None = None
    last_seen: datetime | None = None
    authorizations: Mapping[str, bool] = field(default_factory=dict)
    desired_authorizations: Mapping[str, bool] = field(default_factory=dict)
    profile_uid: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def read_device_info(document: object) -> dict[str, DeviceLook]:
    """Read an answer of ``/device/info/get``; items without a readable ROTPublicUID are skipped."""
    looks = (read_look(item) for item in items(document, "DeviceInfo"))
    return {look.uid: look for look in looks if look is not None}


def read_look(item: object) -> DeviceLook | None:
    """Read one item of ``DeviceInfo``, whatever its shape; None when it names no device."""
    uid = first_uid(item)
    if uid is None or not isinstance(item, dict):
        return None if uid is None else DeviceLook(uid=uid)
    index = Index(item)
    current, desired = _properties(index, "CurrentProperties"), _properties(index, "DesiredProperties")
    zerotouch = _zerotouch(index)
    actions = [action for group in zerotouch for action in values_of(group, "Action")]
    return DeviceLook(
        uid=uid,
        imei=first_imei(index),
        blacklisted=next((value for value in values_of(index, "IsBlacklisted") if isinstance(value, bool)), None),
        certificate=_certificate(index),
        renewal_pending=_renewal_pending(zerotouch, actions),
        desired_action=next((action for action in actions if isinstance(action, str) and action), None),
        rotation=_rotation(index),
        heartbeat=current.heartbeat or desired.heartbeat,
        desired_heartbeat=desired.heartbeat,
        last_seen=first_moment(index, "LastSeen"),
        authorizations=current.authorizations,
        desired_authorizations=desired.authorizations,
        profile_uid=whole_text(index, "DeviceProfileUID"),
        raw=item,
    )


def _properties(item: Index, key: str) -> ProvisioningLook:
    return read_properties(next(values_of(item, key), None))


def _certificate(item: Index) -> CertificateLook | None:
    """Read the certificate from the one mapping that has its serial, so that two certificates never mix."""
    for own in item.lowered:
        serial = read_serial(own.get("certificateserialnumber"))
        if serial is not None:
            ca_name = own.get("certificateauthorityname", own.get("caname"))
            return CertificateLook(
                serial=serial,
                ca_name=ca_name if isinstance(ca_name, str) else None,
                expires_at=moment(own.get("expirationdate")),
                validity_days=_life(own.get("certificatevalidity")),
                pem=read_pem(own.get("certificate")),
            )
    return None


def _life(told: object) -> int | None:
    """Read days; what no certificate can live for would stand in the way of every reckoning."""
    days = as_whole(told)
    return days if days is not None and 0 < days <= LONGEST_DAYS else None


def _zerotouch(item: Index) -> list[dict[str, Any] | list[Any]]:
    found = (group for desired in values_of(item, "DesiredProperties") for group in values_of(desired, "Zerotouch"))
    return [group for group in found if isinstance(group, dict | list)]


def _renewal_pending(groups: Sequence[dict[str, Any] | list[Any]], actions: Sequence[object]) -> bool | None:
    """Look for the Zerotouch group of the desired properties: an action in it waits for the device."""
    if any(actions):
        return True
    members = (member for group in groups for member in (group.values() if isinstance(group, dict) else group))
    return False if groups and not any(members) else None


def _rotation(item: Index) -> RotationPolicy | None:
    places = (place for key in ("DesiredProperties", "CurrentProperties") for place in values_of(item, key))
    groups = (group for place in places for group in values_of(place, "E2EKeyRotation"))
    return next((policy for group in groups if (policy := _policy(group)) is not None), None)


def _policy(group: object) -> RotationPolicy | None:
    """Read a policy in the one form in which two of the same meaning are equal."""
    try:
        kind = RotationType(whole_text(group, "Type") or "")
    except ValueError:
        return None
    if kind is RotationType.CONTINUOUS:
        return RotationPolicy(type=kind)
    days = next((value for value in values_of(group, "Days") if is_whole(value)), _DAYS_UNLESS_TOLD)
    return RotationPolicy(type=kind, days=days)
