"""What a condition of the playbook sees: ``event``, and ``device``, what is at hand for the event's device."""

import re
from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any, Final

from schemas.authorities import CA_NAME
from schemas.events import Notification
from schemas.playbook import DeviceWork

FIELDS: Final = ("type", "device", "ca", "payload", "days_to_expiration", "text")
"""What ``event`` has in a condition."""

DEVICE: Final = "device"

WORK: Final = tuple(field.name for field in fields_of(DeviceWork))
"""What ``device`` has in a condition."""

MOST_VALUES: Final = 1000
"""Values of an event that a condition may see; every 64 characters of text count as one."""


def seen_of(
    notification: Notification, fields: frozenset[str], keys: frozenset[str] | None, work: DeviceWork
) -> dict[str, dict[str, Any]]:
    """Give the variables of a condition, JSON-able.

    Args:
        notification: the event.
        fields: of ``event``, those that are read.
        keys: of the payload, those that are read; None stands for all.
        work: what is at hand for the device.
    """
    payload = notification.payload
    view = {field: _READERS[field](notification) for field in fields if field != "payload"}
    if "payload" in fields:
        view["payload"] = dict(payload) if keys is None else {key: payload[key] for key in keys if key in payload}
    return {"event": view, DEVICE: {name: getattr(work, name) for name in WORK}}


def ca_of(notification: Notification) -> str | None:
    """The root CA that an event names."""
    name = notification.payload.get("CertificateAuthorityName")
    return name if isinstance(name, str) and re.fullmatch(CA_NAME, name) else None


def _days(notification: Notification) -> int | None:
    days = notification.payload.get("DaysToExpiration")
    return days if isinstance(days, int) and not isinstance(days, bool) else None


def _text(notification: Notification) -> str:
    error = notification.payload.get("Error")
    return error.lower() if isinstance(error, str) else ""


_READERS: Final[Mapping[str, Any]] = {
    "type": lambda notification: notification.event_type,
    "device": lambda notification: notification.device,
    "ca": ca_of,
    "days_to_expiration": _days,
    "text": _text,
}


def too_much(view: dict[str, Any]) -> bool:
    """Whether an event has more than conditions may see."""
    left = MOST_VALUES
    open_values: list[Any] = list(view.values())
    while open_values:
        value = open_values.pop()
        left -= 1
        if isinstance(value, dict):
            open_values.extend(value.values())
        elif isinstance(value, list):
            open_values.extend(value)
        elif isinstance(value, str):
            left -= len(value) // 64
        if left < 0 or len(open_values) > left:
            return True
    return False
