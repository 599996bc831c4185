"""Information APIs: what is known and what was told of devices, and what is billed."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from itertools import chain
from typing import Annotated, Literal

from pydantic import BeforeValidator

from services.sandbox.ublox import shapes
from services.sandbox.ublox.bodies import Json, Paged, Period, Refusal, Request, Selection, Texts, Uid, page, read
from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.fleet import LOOK_BACK, Notice
from services.sandbox.ublox.registers import USAGE_LAG, USAGE_LOOK_BACK
from services.sandbox.ublox.timestamps import with_z
from services.sandbox.ublox.twin import Twin


def _day(value: object) -> date:
    """``yyyy-mm-dd`` and nothing else."""
    if not isinstance(value, str) or len(value) != len("yyyy-mm-dd"):
        raise ValueError("a date must be yyyy-mm-dd")
    return date.fromisoformat(value)


Day = Annotated[date, BeforeValidator(_day)]


class InfoWish(Selection):
    """``/device/info/get``."""

    DeviceSerialNumbers: Texts | None = None
    Options: list[Literal["CORE", "PROVISIONING", "ZTP"]] | None = None


class NotificationsWish(Period, Selection):
    """``/notification/get``."""

    NotificationType: (
        Literal["DEVICE_STATE_CHANGE", "DEVICE_INFO_CHANGE", "DEVICE_PROPERTIES_CHANGE", "DEVICE_ERROR"] | None
    ) = None


class SuspectWish(Paged, Selection):
    """``/device/suspicious/get``."""

    DeviceProfileUID: str | None = None


class CloneWish(Period, Selection):
    """``/device/clone/get``."""

    DeviceProfileUID: str | None = None


class ActivityWish(Period):
    """``/device/activity/get``."""

    ROTPublicUID: Uid


class UsageWish(Selection):
    """``/device/usage/get``."""

    FromDate: Day
    ToDate: Day | None = None


class UidsWish(Paged):
    """``/device/rotpublicuid/get``."""

    DeviceProfileUID: str | None = None
    TagNames: Texts | None = None


def device_info(twin: Twin, body: Request) -> Json:
    """``/device/info/get``: not paged; all groups when ``Options`` is not given."""
    wish = read(InfoWish, body)
    groups = shapes.ALL_GROUPS if wish.Options is None else wish.Options
    return {"DeviceInfo": [shown(twin, device, groups) for device in twin.chosen(wish)]}


def shown(twin: Twin, device: Device, groups: Iterable[str]) -> Json:
    """One device, as it is now."""
    return shapes.device_info(
        device,
        list(groups),
        default_heartbeat=twin.dials.heartbeat_seconds,
        last_seen=twin.heartbeats.seen(device),
        blacklisted=twin.fleet.blacklisted(device),
    )


def notifications(twin: Twin, body: Request) -> Json:
    """``/notification/get``: what was told about devices, oldest first, also when the webhook was lost."""
    wish = read(NotificationsWish, body)
    if twin.clock() - wish.FromDate > LOOK_BACK:
        raise Refusal

    def wanted(notice: Notice) -> bool:
        return wish.FromDate <= notice.at <= wish.ToDate and wish.NotificationType in {None, notice.kind}

    notices = chain.from_iterable(twin.fleet.notices.get(device.uid, ()) for device in twin.chosen(wish))
    found = sorted(filter(wanted, notices), key=lambda notice: notice.at)
    document = page("Notifications", found, wish.PageNumber)
    return document | {"Notifications": [shapes.notification(notice) for notice in document["Notifications"]]}


def clones(twin: Twin, body: Request) -> Json:
    """``/device/clone/get``: those that the dial names, as found when it was turned."""
    wish, since = read(CloneWish, body), twin.life.cloned_since
    found = [device.uid for device in twin.chosen(wish) if device.uid in since]
    dated = [uid for uid in found if wish.FromDate <= since[uid] <= wish.ToDate]
    return page("ClonedEvents", [shapes.clone(uid, since[uid]) for uid in dated], wish.PageNumber)


def suspicious(twin: Twin, body: Request) -> Json:
    """``/device/suspicious/get``: those that the dial names."""
    wish = read(SuspectWish, body)
    found = [device.uid for device in twin.chosen(wish) if device.uid in twin.dials.suspicious_devices]
    return page("SuspiciousDevices", [shapes.suspicious(uid) for uid in found], wish.PageNumber)


def activities(twin: Twin, body: Request) -> Json:
    """``/device/activity/get``: the commands that one device carried out."""
    wish = read(ActivityWish, body)
    (device,) = twin.named([wish.ROTPublicUID])
    done = [shapes.activity(at, step) for at, step in device.activities if wish.FromDate <= at <= wish.ToDate]
    return {"LastSeen": with_z(twin.heartbeats.seen(device)), **page("Activities", done, wish.PageNumber)}


def usage(twin: Twin, body: Request) -> Json:
    """``/device/usage/get``: a map from device to what it used; days are those of UTC, the last one is whole.

    The sample's key has lost its leading zeros, as the integers of other samples have; so have the keys here.
    """
    wish, now = read(UsageWish, body), twin.clock()
    if wish.ROTPublicUIDs is not None and wish.TagNames is not None:
        raise Refusal
    if wish.FromDate < (now - USAGE_LOOK_BACK).date():
        raise Refusal
    named = wish.ROTPublicUIDs is not None or wish.TagNames is not None
    uids = [device.uid for device in twin.chosen(wish)] if named else None
    until = _midnight((wish.ToDate or now.date()) + timedelta(days=1))
    counts = twin.fleet.usage.between(_midnight(wish.FromDate), min(until, now - USAGE_LAG), uids)
    return {str(shapes.uid_as_sampled(uid)): shapes.usage(counter) for uid, counter in counts.items()}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)


def uids(twin: Twin, body: Request) -> Json:
    """``/device/rotpublicuid/get``: the devices of a profile, or of some tags."""
    wish = read(UidsWish, body)
    return page("ROTPublicUIDs", [device.uid for device in twin.chosen(wish)], wish.PageNumber)
