"""Notices that are polled, as the webhook would have carried them; and devices that u-blox has a doubt about.

Source: Security Services REST APIs 1.1.29, ``/notification/get``, ``/device/clone/get``, ``/device/suspicious/get``.
The document collapses their items. A polled notice lacks ``EventType`` and has ``NotificationType`` instead, with other
names, and none for certificates and root CAs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.events import EventType
from schemas.ublox.reading import first_uid, items, whole_text

AS_PUSHED: Final[Mapping[str, EventType]] = {
    "DEVICE_INFO_CHANGE": EventType.BOOTSTRAP,
    "DEVICE_PROPERTIES_CHANGE": EventType.PROPERTIES_CHANGE,
    "DEVICE_ERROR": EventType.ERRORS,
}
"""How the webhook calls what ``/notification/get`` tells; ``DEVICE_STATE_CHANGE`` is never pushed."""

_ENVELOPE: Final = ("ROTPublicUID", "NotificationType", "EventType", "Timestamp", "Payload")


def read_notices(document: object) -> list[dict[str, Any] | None]:
    """Read a page of ``/notification/get``: each item as the webhook would have sent it, None where it makes no sense.

    The receipt of a notice hashes its device, type, timestamp as sent and payload, so it is the same on both ways.
    """
    return [as_pushed(item) for item in items(document, "Notifications")]


def as_pushed(item: object) -> dict[str, Any] | None:
    """Write one polled notice as the webhook would have sent it."""
    if not isinstance(item, dict):
        return None
    kind = item.get("NotificationType", item.get("EventType"))
    stamp = item.get("Timestamp")
    if not isinstance(kind, str) or not isinstance(stamp, str):
        return None
    payload = item.get("Payload", {name: value for name, value in item.items() if name not in _ENVELOPE})
    pushed: dict[str, Any] = {"EventType": str(AS_PUSHED.get(kind, kind)), "Timestamp": stamp, "Payload": payload}
    return pushed if item.get("ROTPublicUID") is None else {"ROTPublicUID": item["ROTPublicUID"], **pushed}


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """A device that u-blox takes for cloned or suspicious, and why, as far as it says; `raw` is the item as sent."""

    uid: str
    reason: str
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def read_suspect(item: object) -> Suspect | None:
    """Read one item of ``ClonedEvents`` or ``SuspiciousDevices``; None when it names no device."""
    uid = first_uid(item)
    if uid is None:
        return None
    reason = whole_text(item, "Reason", "ReasonCode", "Reasons", "Timestamp") or ""
    return Suspect(uid=uid, reason=reason, raw=item if isinstance(item, dict) else {})


def read_suspects(document: object, key: str) -> list[Suspect]:
    """Read a page of ``ClonedEvents`` or ``SuspiciousDevices``; items that name no device are skipped."""
    suspects = (read_suspect(item) for item in items(document, key))
    return [suspect for suspect in suspects if suspect is not None]
