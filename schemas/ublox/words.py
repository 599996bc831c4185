"""The words that requests and answers of u-blox Security Services share.

Source: Security Services REST APIs 1.1.29; contradictions of the document are resolved where their word stands.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

from schemas.events import canonical_uid

BATCH: Final = 100
"""Devices per call. The document says "1 to N" and nothing of N; its pages have 100."""

LONGEST_DAYS: Final = 36_500
"""Days that are still believed of a certificate's life or a heartbeat; the document allows a tenth for a life."""

UNATTRIBUTED: Final = "UNATTRIBUTED DEVICE PROFILE"
"""The DeviceProfileUID of devices into which none was sealed at their bootstrap."""

EVERY: Final = "{*}"
"""``/tag/remove``: everything on this side; as the document writes it, and with braces no tag can have this name."""

RotPublicUid = Annotated[str, BeforeValidator(canonical_uid)]


class Detail(StrEnum):
    """``/device/info/get``: which information to return."""

    CORE = "CORE"
    PROVISIONING = "PROVISIONING"
    ZTP = "ZTP"


class DeviceFilter(StrEnum):
    """``/device/list/get``: which devices to list."""

    ALL = "ALL"
    WHITELISTED = "WHITELISTED"
    BLACKLISTED = "BLACKLISTED"


class WhitelistAction(StrEnum):
    """``/device/whitelist/add``: what to do with the devices, in spite of the path."""

    ADD = "ADD"
    DELETE = "DELETE"


class RotationType(StrEnum):
    """``/e2e/key/rotate``: with every e2e call, or after some days."""

    CONTINUOUS = "CONTINUOUS"
    AUTOMATIC = "AUTOMATIC"


class NoticeType(StrEnum):
    """``/notification/get``: which notices; webhooks have other names for them."""

    STATE_CHANGE = "DEVICE_STATE_CHANGE"
    INFO_CHANGE = "DEVICE_INFO_CHANGE"
    PROPERTIES_CHANGE = "DEVICE_PROPERTIES_CHANGE"
    ERROR = "DEVICE_ERROR"


@dataclass(frozen=True, kw_only=True, slots=True)
class RotationPolicy:
    """When the E2E keys of a device change; u-blox takes 7 days where an automatic policy names none."""

    type: RotationType
    days: int | None = None


Uids = Annotated[tuple[RotPublicUid, ...], Field(min_length=1)]
"""One or more ROTPublicUIDs."""

Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
"""One or more names of any kind."""

ProfileUid = Annotated[str, Field(min_length=1)]
"""A DeviceProfileUID: of the three samples one has 21 characters and no meaning as base64, so nothing is checked."""

CaName = Annotated[str, Field(min_length=1, max_length=45, pattern=r"^[A-Za-z0-9_.-]+$")]
"""A root CA's name; no two customers of u-blox share one. The limit stands at some endpoints and is taken for all."""


_NOT_IN_TAGS: Final = frozenset('^`~<>"{}|,\\')
"""One place of the document's list is blank, which is perhaps a backslash."""


def check_tag(value: str) -> str:
    """Give a tag's name back when it may be one.

    Raises:
        ValueError: it has a sign that no tag has.
    """
    if wrong := sorted(_NOT_IN_TAGS & set(value)):
        raise ValueError(f"a tag has none of {' '.join(wrong)}")
    if value == "*":
        raise ValueError("* stands for every tag, it is none")
    return value


TagName = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(check_tag)]
"""A tag's name; its case does not matter."""

TagNames = Annotated[tuple[TagName, ...], Field(min_length=1)]


_SERIAL_DIGITS: Final = 40
"""RFC 5280: at most 20 octets."""


def _as_ublox_writes(value: object) -> object:
    digits = value.replace(":", "").lower() if isinstance(value, str) else ""
    if not digits.strip("0123456789abcdef") and 0 < len(digits.lstrip("0")) <= _SERIAL_DIGITS:
        return digits.lstrip("0")
    raise ValueError(f"a certificate's serial number is text of 1 to {_SERIAL_DIGITS} hexadecimal digits and not zero")


SerialNumber = Annotated[str, BeforeValidator(_as_ublox_writes)]
"""A certificate's serial number as u-blox writes it: lower-case, its leading zeros dropped, so often of odd length."""

SerialNumbers = Annotated[tuple[SerialNumber, ...], Field(min_length=1)]
