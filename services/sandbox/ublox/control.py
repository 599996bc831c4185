"""The twin's own face under ``/_twin``: dials, counts, devices, events at will.

The real service has nothing like it.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.routing import Route

from schemas.errors import InputError
from schemas.events import EventType
from services.sandbox.controls import read_json, read_wish, routes_of
from services.sandbox.ublox import notices, shapes
from services.sandbox.ublox.authorities import Authority
from services.sandbox.ublox.calls.information import shown
from services.sandbox.ublox.clock import VirtualClock
from services.sandbox.ublox.control_wishes import Chosen, Fire, Forward, Found, NewProfile, Recruit
from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.timestamps import with_offset
from services.sandbox.ublox.twin import Twin

_TURN: Final = 100
"""Events fired between two looks at other work."""


def control_routes(twin: Twin) -> list[Route]:
    """The routes of the twin's own face."""
    table = (
        ("GET", "/dials", _show_dials),
        ("PATCH", "/dials", _turn_dials),
        ("GET", "/stats", _show_stats),
        ("POST", "/stats/reset", _reset_stats),
        ("POST", "/reset", _reset),
        ("POST", "/devices", _recruit),
        ("GET", "/devices/{uid}", _show_device),
        ("POST", "/heartbeat", _beat),
        ("POST", "/bootstrap", _bootstrap),
        ("POST", "/authorities", _found),
        ("POST", "/profiles", _make_profile),
        ("GET", "/clock", _show_clock),
        ("POST", "/clock", _forward),
        ("POST", "/fire", _fire),
    )
    return routes_of(twin, table)


async def _show_dials(twin: Twin, _request: Request) -> object:
    return twin.dials.model_dump(mode="json")


async def _turn_dials(twin: Twin, request: Request) -> object:
    changes = await read_json(request)
    twin.turn(changes)
    return twin.dials.model_dump(mode="json")


async def _show_stats(twin: Twin, request: Request) -> object:
    document = twin.tally.shown(per_device=request.query_params.get("per_device") == "true")
    document["deliveries"]["waiting"] = twin.post.waiting
    return document | {"devices": len(twin.fleet.devices)}


async def _reset_stats(twin: Twin, _request: Request) -> object:
    twin.tally.clear()
    return {}


async def _reset(twin: Twin, _request: Request) -> object:
    await twin.reset()
    return {}


async def _recruit(twin: Twin, request: Request) -> object:
    wish = await read_wish(Recruit, request)
    made = twin.recruit(wish.recruits())
    return {"ROTPublicUIDs": [device.uid for device in made]}


async def _show_device(twin: Twin, request: Request) -> object:
    (device,) = _known(twin, [request.path_params["uid"]])
    counts = {name: counter[device.uid] for name, counter in twin.tally.actions.items()}
    return {
        **shown(twin, device, shapes.ALL_GROUPS),
        "Tags": sorted(device.tags),
        "HeartbeatSeconds": twin.interval(device),
        "NextHeartbeatInSeconds": round(twin.heartbeats.next_in(device), 3),
        "Silent": device.rhythm.silent_at(twin.clock()),
        "Actions": counts,
    }


async def _beat(twin: Twin, request: Request) -> object:
    for device in _known(twin, (await read_wish(Chosen, request)).devices):
        twin.beat(device)
    return {}


async def _bootstrap(twin: Twin, request: Request) -> object:
    for device in _known(twin, (await read_wish(Chosen, request)).devices):
        twin.life.bootstrap(device)
    return {}


async def _found(twin: Twin, request: Request) -> object:
    wish, now = await read_wish(Found, request), twin.clock().replace(microsecond=0)
    created_at, expires_at = now - timedelta(days=wish.age_days), wish.expires_at.replace(microsecond=0)
    if wish.name in twin.fleet.authorities:
        raise InputError([f"name: {wish.name} is taken"])
    if expires_at <= created_at:
        raise InputError(["expires_at: it must come after the beginning"])
    authority = Authority(
        name=wish.name,
        created_at=created_at,
        expires_at=expires_at,
        device_validity_days=wish.device_validity_days,
        renew_before_days=wish.renew_before_days,
    )
    return shapes.root_ca(twin.fleet.found(authority))


async def _make_profile(twin: Twin, request: Request) -> object:
    wish = await read_wish(NewProfile, request)
    if wish.ca_name is not None and wish.ca_name not in twin.fleet.authorities:
        raise InputError([f"ca_name: {wish.ca_name} is not known"])
    for device in _known(twin, wish.devices):
        device.profile_uid = wish.uid
    return shapes.profile(twin.fleet.profile(wish.uid, name=wish.name, ca_name=wish.ca_name))


async def _show_clock(twin: Twin, _request: Request) -> object:
    return {"now": with_offset(twin.clock()), "virtual": isinstance(twin.clock, VirtualClock)}


async def _forward(twin: Twin, request: Request) -> object:
    wish = await read_wish(Forward, request)
    await twin.forward(timedelta(seconds=wish.forward_seconds))
    return await _show_clock(twin, request)


async def _fire(twin: Twin, request: Request) -> object:
    wish = await read_wish(Fire, request)
    documents = _composers(twin, wish)
    if wish.rate is None:
        await _paced(twin, documents, float("inf"))
    else:
        twin.begin(_paced(twin, documents, wish.rate))
    return {"fired": len(documents)}


def _composers(twin: Twin, wish: Fire) -> list[Callable[[], dict[str, Any]]]:
    """One event each, written at the moment when it is fired."""
    if wish.type is EventType.ROOTCA_EXPIRATION:
        return [partial(_root_expiration, twin, wish.ca_name)]
    devices = _known(twin, wish.devices)
    needs_certificate = wish.type in {EventType.CERTIFICATE_RENEWAL, EventType.CERTIFICATE_EXPIRATION}
    if needs_certificate and (bare := [device.uid for device in devices if device.certificate is None]):
        raise InputError([f"devices: {uid} has no certificate" for uid in bare])
    return [partial(_composed, twin, wish, device) for device in devices]


def _composed(twin: Twin, wish: Fire, device: Device) -> dict[str, Any]:
    now, certificate = twin.clock(), device.certificate
    if certificate and wish.type is EventType.CERTIFICATE_RENEWAL:
        return notices.renewal(device, certificate, now)
    if certificate and wish.type is EventType.CERTIFICATE_EXPIRATION:
        return notices.expiration(device, certificate, now)
    if wish.type is EventType.ERRORS:
        return notices.error(device, now, wish.error)
    if wish.type is EventType.BOOTSTRAP:
        return notices.bootstrap(device, now, blacklisted=twin.fleet.blacklisted(device))
    return notices.properties_change(device, now)


def _root_expiration(twin: Twin, name: str) -> dict[str, Any]:
    authority = twin.fleet.authority(name)
    return notices.root_expiration(authority, twin.clock(), len(twin.fleet.signed_by(authority)))


async def _paced(twin: Twin, composers: Sequence[Callable[[], dict[str, Any]]], rate: float) -> None:
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number, compose in enumerate(composers):
        wait = start + number / rate - loop.time()
        if wait > 0 or number % _TURN == 0:
            await asyncio.sleep(max(0, wait))
        twin.announce(compose())


def _known(twin: Twin, uids: Sequence[str]) -> list[Device]:
    unknown = [uid for uid in uids if uid not in twin.fleet.devices]
    if unknown:
        raise InputError([f"devices: {uid} is not known" for uid in unknown])
    return [twin.fleet.devices[uid] for uid in uids]
