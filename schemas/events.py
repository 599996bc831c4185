"""What u-blox tells us: notification types, identifiers, timestamps and the key that finds a repeat.

Source: Security Services REST APIs 1.1.29, ``/notification/webhook/create`` (types and examples).
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

import orjson

T = TypeVar("T")

UID_DIGITS: Final = 16
"""A ROTPublicUID has 8 bytes, written as 16 hexadecimal digits."""

TYPE_LIMIT: Final = 128
"""Characters of a type name; the longest that is documented has 34."""


class EventType(StrEnum):
    """The six notification types of the document. Others may come and are kept as they are."""

    BOOTSTRAP = "DEVICE_BOOTSTRAP_EVENT"
    PROPERTIES_CHANGE = "DEVICE_PROPERTIES_CHANGE_EVENT"
    ERRORS = "DEVICE_ERRORS_EVENT"
    CERTIFICATE_RENEWAL = "DEVICE_CERTIFICATE_RENEWAL_EVENT"
    CERTIFICATE_EXPIRATION = "DEVICE_CERTIFICATE_EXPIRATION_EVENT"
    ROOTCA_EXPIRATION = "ROOTCA_EXPIRATION_EVENT"


class FoundType(StrEnum):
    """What Keyturn writes into its own inbox after it has looked; u-blox pushes nothing of it.

    Source: ``/device/clone/get`` and ``/device/suspicious/get``.
    """

    CLONED = "DEVICE_CLONED"
    SUSPICIOUS = "DEVICE_SUSPICIOUS"


KNOWN_TYPES: Final[frozenset[str]] = frozenset(EventType)

DEVICE_EVENTS: Final[frozenset[str]] = KNOWN_TYPES - {EventType.ROOTCA_EXPIRATION}
"""Types that always name a device; a root CA belongs to none."""


def canonical_uid(value: object) -> str:
    """Give a ROTPublicUID as 16 lower-case hexadecimal digits.

    Some endpoints send the identifier as a JSON integer: that is the hexadecimal text read as decimal with its leading
    zeros lost (``0002000089282245`` became ``2000089282245``), so it is padded, never converted.

    Raises:
        ValueError: it is neither 16 hexadecimal digits nor a whole number of at most 16 digits.
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**UID_DIGITS:
        return str(value).zfill(UID_DIGITS)
    if isinstance(value, str) and len(value) == UID_DIGITS and value.isascii():
        text = value.lower()
        if not text.strip("0123456789abcdef"):
            return text
    raise ValueError(f"ROTPublicUID must be {UID_DIGITS} hexadecimal digits, not {_shown(value)}")


def parse_timestamp(value: object) -> datetime:
    """Read any of the five forms of the document as an aware UTC time; a form without zone means UTC.

    The forms: ``2020-05-07T11:23:32``, ``2020-05-10T19:39Z``, ``2020-04-25T06:22:12+00:00``, ``2020-04-20T19:00:36Z``
    and ``2020-02-01``.

    Raises:
        ValueError: it is not an ISO 8601 time.
    """
    if not isinstance(value, str):
        raise ValueError(f"a timestamp must be ISO 8601 text, not {_shown(value)}")  # noqa: TRY004 - one kind of error for every fault
    try:
        moment = datetime.fromisoformat(value.replace("\0", "?"))  # CPython would end the text there
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"a timestamp must be ISO 8601, such as 2020-05-10T19:39Z, not {_shown(value)}") from None


@dataclass(kw_only=True, slots=True)  # not frozen: that would cost a microsecond for every delivery, twice
class Notification:
    """One notification as it was understood.

    Attributes:
        event_type: as sent; one of `EventType` or a type that we do not know.
        device: canonical ROTPublicUID, or None where the type names none.
        occurred_at: the sender's time, or None for an unknown type that has none. Minute resolution: never an order.
        payload: the ``Payload`` object as sent, with every field, known or not.
    """

    event_type: str
    device: str | None
    occurred_at: datetime | None
    payload: Mapping[str, Any]


def read_notification(document: object) -> Notification:
    """Understand a decoded body as far as is needed to accept it.

    Of a type that we do not know nothing but its name is demanded: what else it says is kept, and read where it can be.

    Raises:
        ValueError: it cannot be accepted; the text says what was expected.
    """
    if not isinstance(document, dict):
        raise ValueError(f"the body must be a JSON object, not {_shown(document)}")  # noqa: TRY004 - as in parse_timestamp
    event_type = document.get("EventType")
    if not isinstance(event_type, str) or not event_type.isprintable() or not 0 < len(event_type) <= TYPE_LIMIT:
        raise ValueError(f"EventType must be 1 to {TYPE_LIMIT} printable characters, not {_shown(event_type)}")
    uid, sent_at, payload = document.get("ROTPublicUID"), document.get("Timestamp"), document.get("Payload", {})
    if event_type not in KNOWN_TYPES:
        return Notification(
            event_type=event_type,
            device=_if_readable(canonical_uid, uid),
            occurred_at=_if_readable(parse_timestamp, sent_at),
            payload=payload if isinstance(payload, dict) else {},
        )
    if not isinstance(payload, dict):
        raise ValueError(f"Payload must be a JSON object, not {_shown(payload)}")  # noqa: TRY004 - as in parse_timestamp
    return Notification(
        event_type=event_type,
        device=canonical_uid(uid) if uid is not None or event_type in DEVICE_EVENTS else None,
        occurred_at=parse_timestamp(sent_at),
        payload=payload,
    )


def _if_readable(read: Callable[[object], T], value: object) -> T | None:
    try:
        return read(value)
    except ValueError:
        return None


def receipt_of(document: Mapping[str, Any], notification: Notification) -> str:
    """Name a notification by its content, so that a repeat gets the same receipt.

    u-blox sends no event id. Two deliveries are the same when type, canonical device id, timestamp as sent and the
    rest of the document agree, whatever the order of their keys.

    Raises:
        ValueError: the document is nested deeper than it can be written again.
    """
    named = notification.device is not None
    rest = {key: value for key, value in document.items() if not (named and key == "ROTPublicUID")}
    try:
        canonical = orjson.dumps([notification.device, rest], option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise ValueError("the body is nested too deep") from None
    return _receipt(b"event:" + canonical)


def receipt_of_raw(body: bytes) -> str:
    """Name a body that could not be understood."""
    return _receipt(b"raw:" + body)


def _receipt(content: bytes) -> str:
    return "evt_" + hashlib.sha256(content).hexdigest()[:32]


def _shown(value: object) -> str:
    """A short, safe picture of a wrong value for an error text."""
    if value is None:
        return "nothing"
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."  # noqa: PLR2004 - enough to recognise it
