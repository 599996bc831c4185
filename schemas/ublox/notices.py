"""Notices that are polled, as the webhook would have carried them; and what else has to be polled.

Source: Security Services REST APIs 1.1.29, ``/notification/get``, ``/ztp/rootca/get``, ``/device/clone/get``,
``/device/suspicious/get``. The document collapses their items. A polled notice lacks ``EventType`` and has
``NotificationType`` instead, with other names, and none for certificates and root CAs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.events import EventType, parse_timestamp
from schemas.ublox.looks import first_uid, items, values_of, whole_text

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
class AuthorityLook:
    """A root CA as u-blox tells of it; None where it does not say.

    Attributes:
        pem: its certificate as PEM, with real line ends.
        promised_until: creation and validity added up, which is less exact than the certificate.
    """

    name: str
    pem: str | None
    promised_until: datetime | None


def read_authorities(document: object) -> list[AuthorityLook]:
    """Read a page of ``/ztp/rootca/get``; the sample prints the line ends of the PEM as a backslash and an n."""
    looks = []
    for item in items(document, "CAs"):
        name = whole_text(item, "CAName", "CertificateAuthorityName")
        if name is not None:
            pem = whole_text(item, "Certificate")
            looks.append(AuthorityLook(name=name, pem=pem and pem.replace("\\n", "\n"), promised_until=_promised(item)))
    return looks


def _promised(item: object) -> datetime | None:
    days = next((value for value in values_of(item, "CACertificateValidity") if isinstance(value, int)), None)
    try:
        return parse_timestamp(whole_text(item, "CreatedDate")) + timedelta(days=days or 0) if days else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Suspect:
    """A device that u-blox takes for cloned or suspicious, and why, as far as it says."""

    uid: str
    reason: str


def read_suspects(document: object, key: str) -> list[Suspect]:
    """Read a page of ``ClonedEvents`` or ``SuspiciousDevices``; items that name no device are skipped."""
    named = ((first_uid(item), item) for item in items(document, key))
    return [
        Suspect(uid=uid, reason=whole_text(item, "Reason", "ReasonCode", "Reasons", "Timestamp") or "")
        for uid, item in named
        if uid is not None
    ]
