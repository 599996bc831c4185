"""Requests for what u-blox knows of devices; they change nothing."""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from schemas.events import parse_timestamp
from schemas.ublox.requests.base import UbloxRequest
from schemas.ublox.words import Detail, Names, NoticeType, ProfileUid, RotPublicUid, TagNames, Uids


def _time(value: str) -> str:
    parse_timestamp(value)
    return value


Time = Annotated[str, AfterValidator(_time)]
"""ISO 8601, such as 2020-02-01T00:00:00+00:00."""

Day = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"), AfterValidator(_time)]


class DeviceInfoGet(UbloxRequest):
    """The aggregated information about devices; without options all of it, we take it. It comes without pages."""

    path: ClassVar[str] = "/device/info/get"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names", "device_serial_numbers")
    listed: ClassVar[str] = "DeviceInfo"

    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")
    device_serial_numbers: Names | None = Field(default=None, alias="DeviceSerialNumbers")
    options: tuple[Detail, ...] | None = Field(default=None, alias="Options", min_length=1)


class NotificationGet(UbloxRequest):
    """One page of the notices about devices.

    The document does not say whether both selectors or none may be given, so one is. Its types have other names than
    the webhooks', and none for certificates and root CAs.
    """

    path: ClassVar[str] = "/notification/get"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names")
    listed: ClassVar[str] = "Notifications"
    reaches_back: ClassVar[int | None] = 180

    from_date: Time = Field(alias="FromDate")
    to_date: Time | None = Field(default=None, alias="ToDate")
    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")
    type: NoticeType | None = Field(default=None, alias="NotificationType")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class CloneGet(UbloxRequest):
    """One page of the events by which devices were found to be cloned; no webhook tells of them.

    Of the three selectors each text names other alternatives, here and at ``/device/suspicious/get``; one is given.
    """

    path: ClassVar[str] = "/device/clone/get"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names", "device_profile_uid")
    listed: ClassVar[str] = "ClonedEvents"

    from_date: Time = Field(alias="FromDate")
    to_date: Time | None = Field(default=None, alias="ToDate")
    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")
    device_profile_uid: ProfileUid | None = Field(default=None, alias="DeviceProfileUID")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class SuspiciousGet(UbloxRequest):
    """One page of the devices that u-blox has a doubt about; no webhook tells of them."""

    path: ClassVar[str] = "/device/suspicious/get"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names", "device_profile_uid")
    listed: ClassVar[str] = "SuspiciousDevices"

    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")
    device_profile_uid: ProfileUid | None = Field(default=None, alias="DeviceProfileUID")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class ActivityGet(UbloxRequest):
    """One page of what a device was told to do, and did."""

    path: ClassVar[str] = "/device/activity/get"
    listed: ClassVar[str] = "Activities"

    from_date: Time = Field(alias="FromDate")
    to_date: Time | None = Field(default=None, alias="ToDate")
    rot_public_uid: RotPublicUid = Field(alias="ROTPublicUID")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class UsageGet(UbloxRequest):
    """What was billed, by device, with 5 minutes of delay and without pages; without a selector of all devices."""

    path: ClassVar[str] = "/device/usage/get"
    at_most_one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "tag_names")
    reaches_back: ClassVar[int | None] = 60
    by_day: ClassVar[bool] = True

    from_date: Day = Field(alias="FromDate")
    to_date: Day | None = Field(default=None, alias="ToDate")
    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")


class UidsGet(UbloxRequest):
    """One page of the devices that belong to a profile, or bear one of the tags."""

    path: ClassVar[str] = "/device/rotpublicuid/get"
    one_of: ClassVar[tuple[str, ...]] = ("device_profile_uid", "tag_names")
    listed: ClassVar[str] = "ROTPublicUIDs"

    device_profile_uid: ProfileUid | None = Field(default=None, alias="DeviceProfileUID")
    tag_names: TagNames | None = Field(default=None, alias="TagNames")
    page_number: int = Field(default=1, alias="PageNumber", ge=1)
