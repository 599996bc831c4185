"""The calls that only look.

Source: Device APIs, Information APIs, ``/ztp/rootca/get``.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final

from services.sandbox.ublox import shapes
from services.sandbox.ublox.bodies import (
    ActivityWish,
    AuthoritiesWish,
    CloneWish,
    InfoWish,
    Listing,
    NotificationsWish,
    Refusal,
    SuspectWish,
    read,
)
from services.sandbox.ublox.fleet import LOOK_BACK
from services.sandbox.ublox.timestamps import with_z
from services.sandbox.ublox.twin import Twin

PAGE_SIZE: Final = 100
"""``PageSize`` of every sample."""

API_VERSION: Final = "1.1.1"
"""``/apiversion``: the sample's, not the document's own 1.1.29."""

Json = dict[str, Any]
Request = Mapping[str, Any]


def device_list(twin: Twin, body: Request) -> Json:
    """``/device/list/get``: UIDs in pages. Invented: a device that is not blacklisted is whitelisted."""
    wish = read(Listing, body)
    wanted = {"ALL": (False, True), "WHITELISTED": (False,), "BLACKLISTED": (True,)}[wish.Filter]
    uids = [device.uid for device in twin.fleet.devices.values() if device.blacklisted in wanted]
    return _page("ROTPublicUIDs", uids, wish.PageNumber)


def device_info(twin: Twin, body: Request) -> Json:
    """``/device/info/get``: not paged; all groups when ``Options`` is not given."""
    wish = read(InfoWish, body)
    groups = shapes.ALL_GROUPS if wish.Options is None else wish.Options
    heartbeat = twin.dials.heartbeat_seconds
    devices = twin.chosen(wish)
    return {"DeviceInfo": [shapes.device_info(device, groups, default_heartbeat=heartbeat) for device in devices]}


def notifications(twin: Twin, body: Request) -> Json:
    """``/notification/get``: what was told about devices, oldest first, also when the webhook was lost."""
    wish = read(NotificationsWish, body)
    if twin.clock() - wish.FromDate > LOOK_BACK:
        raise Refusal
    notices = chain.from_iterable(twin.fleet.notices.get(device.uid, ()) for device in twin.chosen(wish))
    wanted = [
        notice
        for notice in sorted(notices, key=lambda notice: notice.at)
        if wish.FromDate <= notice.at <= wish.ToDate and wish.NotificationType in {None, notice.kind}
    ]
    document = _page("Notifications", wanted, wish.PageNumber)
    return document | {"Notifications": [shapes.notification(notice) for notice in document["Notifications"]]}


def clones(twin: Twin, body: Request) -> Json:
    """``/device/clone/get``: those that the dial names, as found now."""
    wish = read(CloneWish, body)
    found = [device.uid for device in twin.chosen(wish) if device.uid in twin.dials.cloned_devices]
    return _page("ClonedEvents", [shapes.clone(uid, twin.clock()) for uid in found], wish.PageNumber)


def suspicious(twin: Twin, body: Request) -> Json:
    """``/device/suspicious/get``: those that the dial names."""
    wish = read(SuspectWish, body)
    found = [device.uid for device in twin.chosen(wish) if device.uid in twin.dials.suspicious_devices]
    return _page("SuspiciousDevices", [shapes.suspicious(uid) for uid in found], wish.PageNumber)


def activities(twin: Twin, body: Request) -> Json:
    """``/device/activity/get``: the commands that one device carried out."""
    wish = read(ActivityWish, body)
    (device,) = twin.named([wish.ROTPublicUID])
    done = [shapes.activity(at, step) for at, step in device.activities if wish.FromDate <= at <= wish.ToDate]
    return {"LastSeen": with_z(device.last_seen), **_page("Activities", done, wish.PageNumber)}


def root_cas(twin: Twin, body: Request) -> Json:
    """``/ztp/rootca/get``: every CA in pages, or the one that is named."""
    wish = read(AuthoritiesWish, body)
    known = twin.fleet.authorities
    if wish.CAName is not None and wish.CAName not in known:
        raise Refusal(400, shapes.INVALID_CA)
    wanted = list(known.values()) if wish.CAName is None else [known[wish.CAName]]
    return _page("CAs", [shapes.root_ca(authority) for authority in wanted], wish.PageNumber)


def api_version(_twin: Twin, _body: Request) -> Json:
    """``/apiversion``."""
    return {"Version": API_VERSION}


def _page(name: str, items: Sequence[object], number: int) -> Json:
    shown = items[(number - 1) * PAGE_SIZE : number * PAGE_SIZE]
    return {name: shown, "PageNumber": number, "PageSize": PAGE_SIZE, "TotalRecords": len(items)}
