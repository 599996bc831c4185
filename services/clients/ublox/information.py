"""What u-blox tells of devices: properties, notices, clones, suspects, activities, usage."""

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final

from schemas.ublox import (
    ActivityGet,
    ActivityLook,
    CloneGet,
    Detail,
    DeviceInfoGet,
    DeviceLook,
    NoticeType,
    NotificationGet,
    Selector,
    Suspect,
    SuspiciousGet,
    UidsGet,
    UsageGet,
    as_pushed,
    first_uid,
    read_activity,
    read_device_info,
    read_suspect,
    read_usage,
)
from schemas.ublox.requests.base import UbloxRequest
from services.clients.ublox.caller import Caller, Which, as_day, with_offset

EVERYTHING: Final = tuple(Detail)


class Information:
    """The calls under ``/notification/get`` and ``/device/…/get``; they change nothing.

    Devices are named by up to 100 ROTPublicUIDs, or by a selector that the call takes.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def look(self, which: Which, options: Collection[Detail] = EVERYTHING) -> dict[str, DeviceLook]:
        """Ask what is true of devices (``/device/info/get``); who is unknown there is missing here.

        Devices may also be selected by tags or DeviceSerialNumbers.
        """
        request = self._caller.ask(DeviceInfoGet, which, options=tuple(options))
        looks = read_device_info(self._caller.call(request).json())
        return {uid: looks[uid] for uid in request.rot_public_uids or looks if uid in looks}

    def notices(
        self, which: Which, since: datetime, until: datetime, kind: NoticeType | None = None
    ) -> Iterator[list[dict[str, Any] | None]]:
        """Walk through the notices about devices (``/notification/get``), page by page; also by tags.

        Each is written as the webhook would have sent it; None stands for one that makes no sense. The period has an
        end, so that what comes meanwhile does not move the pages. It begins at most 180 days ago.
        """
        period = _period(since, until)
        return self._caller.pages(self._caller.ask(NotificationGet, which, **period, type=kind), as_pushed)

    def clones(self, which: Which, since: datetime, until: datetime | None = None) -> list[Suspect]:
        """Ask which devices were found to be cloned (``/device/clone/get``); also by tags or a profile."""
        period = _period(since, until)
        return self._suspects(self._caller.ask(CloneGet, which, **period))

    def suspects(self, which: Which) -> list[Suspect]:
        """Ask which devices u-blox has a doubt about (``/device/suspicious/get``); also by tags or a profile."""
        return self._suspects(self._caller.ask(SuspiciousGet, which))

    def activity(self, uid: str, since: datetime, until: datetime | None = None) -> Iterator[ActivityLook]:
        """Walk through what a device was told to do, and did (``/device/activity/get``)."""
        period = _period(since, until)
        first = self._caller.ask(ActivityGet, rot_public_uid=uid, **period)
        for page in self._caller.pages(first, read_activity):
            yield from page

    def usage(
        self, since: date, selector: Selector | None = None, until: date | None = None
    ) -> dict[str, Mapping[str, Any]]:
        """Ask what was billed, by device (``/device/usage/get``), at most 60 days back and 5 minutes late.

        Args:
            since: the first day.
            selector: ROTPublicUIDs or tags; all devices where there is none.
            until: the last day; today where there is none.
        """
        days: dict[str, Any] = {"from_date": as_day(since), "to_date": until and as_day(until)}
        return read_usage(self._caller.call(self._caller.ask(UsageGet, selector, **days)).json())

    def uids_of(self, profile_uid: str | None = None, tags: Collection[str] | None = None) -> Iterator[str]:
        """Walk through the devices of a profile, or with one of the tags (``/device/rotpublicuid/get``).

        `UNATTRIBUTED` is the profile of those that have none.
        """
        wanted = {"device_profile_uid": profile_uid, "tag_names": tags if tags is None else tuple(tags)}
        return self._caller.walk(self._caller.ask(UidsGet, **wanted), first_uid, str)

    def _suspects(self, first: UbloxRequest) -> list[Suspect]:
        pages = self._caller.pages(first, read_suspect)
        return [suspect for page in pages for suspect in page if suspect is not None]


def _period(since: datetime, until: datetime | None) -> dict[str, Any]:
    return {"from_date": with_offset(since), "to_date": until and with_offset(until)}
