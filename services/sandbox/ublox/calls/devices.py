"""Device APIs: the list of devices, the whitelist, and what is to be set on devices."""

import csv
import io
from typing import Final, Literal

from pydantic import Field

from schemas.events import UID_DIGITS, canonical_uid
from services.sandbox.ublox import shapes
from services.sandbox.ublox.bodies import INVALID_UIDS, Body, Json, Paged, Refusal, Request, Selection, Uid, page, read
from services.sandbox.ublox.twin import Twin

CSV_HEADER: Final = ["Id", "Type", "Action"]

ChangeWord = Literal["ADD", "DELETE"]


class Listing(Paged):
    """``/device/list/get``."""

    Filter: Literal["ALL", "WHITELISTED", "BLACKLISTED"] = "ALL"


class WhitelistChange(Body):
    """``/device/whitelist/add``. The schema marks ROTPublicUIDs as required, the prose allows IMEIs instead of them."""

    ROTPublicUIDs: list[Uid] = Field(default_factory=list)
    IMEIs: list[str] = Field(default_factory=list)
    Action: ChangeWord = "ADD"


class ProvisioningWish(Selection):
    """``/device/provisioning/set``."""

    Provisioning: dict[str, object]


def device_list(twin: Twin, body: Request) -> Json:
    """``/device/list/get``: UIDs in pages. Invented: a device that is not blacklisted is whitelisted."""
    wish = read(Listing, body)
    wanted = {"ALL": (False, True), "WHITELISTED": (False,), "BLACKLISTED": (True,)}[wish.Filter]
    uids = [device.uid for device in twin.fleet.devices.values() if twin.fleet.blacklisted(device) in wanted]
    return page("ROTPublicUIDs", uids, wish.PageNumber)


def change_whitelist(twin: Twin, body: Request) -> Json:
    """``/device/whitelist/add`` with JSON: devices that have not bootstrapped yet may be named too."""
    wish = read(WhitelistChange, body)
    if not wish.ROTPublicUIDs and not wish.IMEIs:
        raise Refusal
    uids = _uids(wish.ROTPublicUIDs)
    if not all(imei.isdecimal() and imei.isascii() for imei in wish.IMEIs):
        raise Refusal
    _refuse_some(twin, uids)
    _change(twin, uids, wish.IMEIs, wish.Action)
    return shapes.DONE


def upload_whitelist(twin: Twin, file: bytes) -> Json:
    """``/device/whitelist/add`` with ``application/octet-stream``: a CSV file, taken whole or not at all."""
    try:
        header, *rows = csv.reader(io.StringIO(file.decode("utf-8-sig")), strict=True)
    except (UnicodeDecodeError, csv.Error, ValueError):
        raise Refusal(400, shapes.INVALID_FILE) from None
    changes = [row for row in rows if row]
    well_formed = all(len(row) == len(CSV_HEADER) and row[1] == "ROTPublicUID" for row in changes)
    if (
        header != CSV_HEADER
        or not changes
        or not well_formed
        or any(row[2] not in {"ADD", "DELETE"} for row in changes)
    ):
        raise Refusal(400, shapes.INVALID_FILE)
    # The document's sample row has 15 digits: a lost zero in front.
    uids = _uids([row[0].zfill(UID_DIGITS) for row in changes])
    _refuse_some(twin, uids)
    for uid, row in zip(uids, changes, strict=True):
        _change(twin, [uid], [], row[2])
    return shapes.DONE


def _uids(given: list[str] | list[Uid]) -> list[str]:
    try:
        return [canonical_uid(uid) for uid in given]
    except ValueError:
        raise Refusal(400, INVALID_UIDS) from None


def _refuse_some(twin: Twin, uids: list[str]) -> None:
    if not twin.dials.refused_devices.isdisjoint(uids):
        raise Refusal(400, INVALID_UIDS)


def _change(twin: Twin, uids: list[str], imeis: list[str], action: str) -> None:
    if action == "ADD":
        twin.fleet.whitelist.add(uids, imeis, twin.clock())
    else:
        twin.fleet.whitelist.remove(uids, imeis)


def whitelist(twin: Twin, body: Request) -> Json:
    """``/device/whitelist/get``."""
    wish, listed = read(Paged, body), twin.fleet.whitelist
    by_uid = [shapes.whitelisted(uid, None, at) for uid, at in listed.uids.items()]
    by_imei = [shapes.whitelisted(None, imei, at) for imei, at in listed.imeis.items()]
    return page("DeviceWhitelist", by_uid + by_imei, wish.PageNumber)


def set_provisioning(twin: Twin, body: Request) -> Json:
    """``/device/provisioning/set``: desired at once, current after the next heartbeat."""
    wish = read(ProvisioningWish, body)
    devices = twin.chosen(wish)
    try:
        authorizations, heartbeat = shapes.read_provisioning(wish.Provisioning)
    except ValueError:
        raise Refusal from None
    for device in devices:
        device.wish_properties(authorizations, heartbeat, now=twin.clock())
    twin.plan(devices)
    twin.tally.action("provisionings", (device.uid for device in devices))
    return shapes.DONE


def get_provisioning(twin: Twin, body: Request) -> list[Json]:
    """``/device/provisioning/get``: a bare array."""
    heartbeat = twin.dials.heartbeat_seconds
    return [shapes.desired_provisioning(device, heartbeat) for device in twin.chosen(read(Selection, body))]


def delete_provisioning(twin: Twin, body: Request) -> Json:
    """``/device/provisioning/delete``: what is there stays, and the heartbeat goes back to its default."""
    devices = twin.chosen(read(Selection, body))
    for device in devices:
        device.forget_properties(twin.clock())
    twin.plan(devices)
    return shapes.DONE
