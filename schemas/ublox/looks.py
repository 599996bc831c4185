"""What we read out of the answers of u-blox Security Services.

Source: Security Services REST APIs 1.1.29, ``/device/info/get``, ``/device/list/get``, ``/notification/webhook/get``.
The document collapses the shape of their items, so a value is found by its key, in any case and wherever in the item
the key stands, the outermost first. What cannot be read is None: "the answer does not say".
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeGuard

from schemas.events import canonical_uid, parse_timestamp
from schemas.ublox.requests import RotationPolicy, RotationType

_SERIAL_DIGITS: Final = 64
"""RFC 5280 allows 40 hexadecimal digits; a few more do no harm."""

_DAYS_UNLESS_TOLD: Final = 7
"""What an automatic rotation without days means."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CertificateLook:
    """A device certificate as u-blox tells of it.

    Attributes:
        serial: as a number, because the samples lose leading zeros.
        validity_days: its whole life.
    """

    serial: int
    ca_name: str | None
    expires_at: datetime | None
    validity_days: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceLook:
    """What one answer says of one device; None where it does not say.

    Attributes:
        uid: canonical ROTPublicUID.
        renewal_pending: whether the desired properties still hold a certificate action for the next heartbeat.
        rotation: the desired policy, or the current one when the answer knows no other.
        raw: the item as sent.
    """

    uid: str
    blacklisted: bool | None = None
    certificate: CertificateLook | None = None
    renewal_pending: bool | None = None
    rotation: RotationPolicy | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookLook:
    """A registered webhook; its token is not kept."""

    url: str
    type: str | None


def read_device_info(document: object) -> dict[str, DeviceLook]:
    """Read an answer of ``/device/info/get``; items without a readable ROTPublicUID are skipped."""
    looks = (read_look(item) for item in items(document, "DeviceInfo"))
    return {look.uid: look for look in looks if look is not None}


def read_look(item: object) -> DeviceLook | None:
    """Read one item of ``DeviceInfo``, whatever its shape; None when it names no device."""
    uid = first_uid(item)
    if uid is None or not isinstance(item, dict):
        return None if uid is None else DeviceLook(uid=uid)
    return DeviceLook(
        uid=uid,
        blacklisted=next((value for value in values_of(item, "IsBlacklisted") if isinstance(value, bool)), None),
        certificate=_certificate(item),
        renewal_pending=_renewal_pending(item),
        rotation=_rotation(item),
        raw=item,
    )


def read_uids(document: object) -> list[str]:
    """Read a page of ``/device/list/get``."""
    uids = (first_uid(item) for item in items(document, "ROTPublicUIDs"))
    return [uid for uid in uids if uid is not None]


def read_total(document: object) -> int | None:
    """Read ``TotalRecords`` of a page."""
    return next((total for total in values_of(document, "TotalRecords") if _is_whole(total)), None)


def read_webhooks(document: object) -> list[WebhookLook]:
    """Read an answer of ``/notification/webhook/get``, a bare array whose items the document collapses."""
    return [
        WebhookLook(url=url, type=whole_text(item, "NotificationType", "EventType"))
        for item in items(document, "Webhooks")
        if (url := whole_text(item, "NotificationURL", "URL")) is not None
    ]


def read_text(document: object, key: str) -> str | None:
    """Read the first text under a key, such as ``AuthToken``."""
    return whole_text(document, key)


def items(document: object, key: str) -> list[Any]:
    """Give the items of an answer that may be an array, an array under a key, or one item."""
    found = document if isinstance(document, list) else next(values_of(document, key), None)
    return found if isinstance(found, list) else [] if found is None else [found]


def values_of(document: object, key: str) -> Iterator[Any]:
    """Give every value under a key, in any case, the outermost first."""
    wanted = key.lower()
    for mapping in _mappings(document):
        for name, value in mapping.items():
            if name.lower() == wanted:
                yield value


def _mappings(document: object) -> Iterator[dict[str, Any]]:
    waiting = deque([document])
    while waiting:
        node = waiting.popleft()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def whole_text(document: object, *keys: str) -> str | None:
    """Give the first text under any of the keys, in their order."""
    values = (value for key in keys for value in values_of(document, key))
    return next((value for value in values if isinstance(value, str) and value), None)


def first_uid(item: object) -> str | None:
    """Give the ROTPublicUID that an item names, or that it is."""
    for value in values_of(item, "ROTPublicUID") if isinstance(item, dict) else (item,):
        try:
            return canonical_uid(value)
        except ValueError:
            continue
    return None


def _certificate(item: object) -> CertificateLook | None:
    """Read the certificate from the one mapping that has its serial, so that two certificates never mix."""
    for mapping in _mappings(item):
        own = {name.lower(): value for name, value in mapping.items()}
        serial = read_serial(own.get("certificateserialnumber"))
        if serial is not None:
            ca_name = own.get("certificateauthorityname", own.get("caname"))
            return CertificateLook(
                serial=serial,
                ca_name=ca_name if isinstance(ca_name, str) else None,
                expires_at=_moment(own.get("expirationdate")),
                validity_days=days if _is_whole(days := own.get("certificatevalidity")) else None,
            )
    return None


def read_serial(value: object) -> int | None:
    """Read a certificate's serial; a whole number is hexadecimal text taken for a decimal, as with ROTPublicUIDs."""
    if _is_whole(value) and value < 10**_SERIAL_DIGITS:
        return int(str(value), 16)
    if not isinstance(value, str):
        return None
    digits = value.replace(":", "").lower()
    readable = 0 < len(digits) <= _SERIAL_DIGITS and not digits.strip("0123456789abcdef")
    return int(digits, 16) if readable else None


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _moment(value: object) -> datetime | None:
    try:
        return parse_timestamp(value)
    except ValueError:
        return None


def _renewal_pending(item: object) -> bool | None:
    """Look for the Zerotouch group of the desired properties: an action in it waits for the device."""
    found = (group for desired in values_of(item, "DesiredProperties") for group in values_of(desired, "Zerotouch"))
    groups = [group for group in found if isinstance(group, dict | list)]
    if any(action for group in groups for action in values_of(group, "Action")):
        return True
    members = (member for group in groups for member in (group.values() if isinstance(group, dict) else group))
    return False if groups and not any(members) else None


def _rotation(item: object) -> RotationPolicy | None:
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
    days = next((value for value in values_of(group, "Days") if _is_whole(value)), _DAYS_UNLESS_TOLD)
    return RotationPolicy(type=kind, days=days)
