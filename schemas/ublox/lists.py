"""What we read of profiles, the whitelist, tags, webhooks, activities and usage.

Source: Security Services REST APIs 1.1.29. The document folds all of these items away: they are plain text or objects
with members of likely names, and what else they hold is kept in `raw`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from schemas.events import UID_DIGITS, canonical_uid
from schemas.ublox.reading import first_imei, first_moment, first_uid, items, values_of, whole_text


@dataclass(frozen=True, kw_only=True, slots=True)
class ProfileLook:
    """A device profile; `ca_name` is the root CA that it is linked to, where that is told."""

    uid: str
    name: str | None = None
    tags: tuple[str, ...] = ()
    ca_name: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class WhitelistLook:
    """An entry of the whitelist, by one or both of its ids."""

    uid: str | None = None
    imei: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookLook:
    """A registered webhook; its token is not kept."""

    url: str
    type: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ActivityLook:
    """A command that a device carried out, or did not."""

    at: datetime | None = None
    command: str | None = None
    result: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


def read_profile(item: object) -> ProfileLook | None:
    """Read one item of ``DeviceProfiles``; None when it names no profile."""
    if isinstance(item, str) and item:
        return ProfileLook(uid=item)
    uid = whole_text(item, "DeviceProfileUID", "ProfileUID", "UID")
    if uid is None or not isinstance(item, dict):
        return None
    return ProfileLook(
        uid=uid,
        name=whole_text(item, "ProfileName", "Name"),
        tags=tuple(_texts(item, "TagNames", "Tags")),
        ca_name=whole_text(item, "CAName", "CertificateAuthorityName"),
        raw=item,
    )


def read_whitelisted(item: object) -> WhitelistLook | None:
    """Read one item of ``DeviceWhitelist``; None when it names no device."""
    uid, imei = first_uid(item), first_imei(item) or whole_text(item, "IMEI")
    if uid is None and imei is None and (told := whole_text(item, "Id")):  # with a Type, as in the CSV form
        try:
            uid = canonical_uid(told)
        except ValueError:
            imei = told
    if uid is None and imei is None:
        return None
    return WhitelistLook(uid=uid, imei=imei, raw=item if isinstance(item, dict) else {})


def read_tag(item: object) -> str | None:
    """Read one item of ``Tags``; None when it names none."""
    if isinstance(item, str):
        return item or None
    return whole_text(item, "TagName", "Name")


def read_webhook(item: object) -> WebhookLook | None:
    """Read one registration; None when it has no URL."""
    url = whole_text(item, "NotificationURL", "URL")
    return None if url is None else WebhookLook(url=url, type=whole_text(item, "NotificationType", "EventType"))


def read_webhooks(document: object) -> list[WebhookLook]:
    """Read an answer of ``/notification/webhook/get``, a bare array."""
    looks = (read_webhook(item) for item in items(document, "Webhooks"))
    return [look for look in looks if look is not None]


def read_activity(item: object) -> ActivityLook:
    """Read one item of ``Activities``."""
    return ActivityLook(
        at=first_moment(item, "Timestamp", "Date", "ExecutedDate"),
        command=item if isinstance(item, str) else whole_text(item, "Command", "Activity", "Name"),
        result=whole_text(item, "Result", "Status", "State"),
        raw=item if isinstance(item, dict) else {},
    )


def read_usage(document: object) -> dict[str, Mapping[str, Any]]:
    """Read the map of ``/device/usage/get`` by ROTPublicUID; the key of the sample has lost its leading zeros."""
    pairs = document.items() if isinstance(document, dict) else ()
    read = ((_key(name), value) for name, value in pairs)
    return {uid: value for uid, value in read if uid is not None and isinstance(value, dict)}


def _key(name: str) -> str | None:
    try:
        return canonical_uid(name.zfill(UID_DIGITS) if name.isascii() and name.isdigit() else name)
    except ValueError:
        return None


def _texts(item: object, *keys: str) -> Iterator[str]:
    for told in (value for key in keys for value in values_of(item, key)):
        named = (read_tag(each) for each in (told if isinstance(told, list) else [told]))
        yield from (name for name in named if name is not None)
