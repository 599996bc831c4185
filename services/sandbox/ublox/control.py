"""The twin's own face under ``/_twin``: dials, counts, devices, events at will.

The real service has nothing like it.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.routing import Route

from schemas.errors import InputError
from schemas.events import EventType, canonical_uid
from services.sandbox.controls import Wish, read_json, read_wish, routes_of
from services.sandbox.ublox import notices, shapes
from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.fleet import CA_DAYS_LEFT, DEFAULT_CA, MOST_DEVICES, Recruits
from services.sandbox.ublox.twin import Twin

_TURN: Final = 100
"""Events fired between two looks at other work."""

Uid = Annotated[str, AfterValidator(canonical_uid)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,45}$")]


class Recruit(Wish):
    """Body of ``POST /_twin/devices``; `ca_days_left` counts only for a CA that does not exist yet."""

    count: Annotated[int, Field(ge=1, le=MOST_DEVICES)]
    first: Uid | None = None
    heartbeat_seconds: Annotated[float, Field(ge=0.01)] | None = None
    certificate_days_left: Annotated[float, Field(ge=-3650, le=3650)] = 365
    ca_name: Name = DEFAULT_CA
    ca_days_left: Annotated[float, Field(gt=0, le=3650)] = CA_DAYS_LEFT
    tags: frozenset[Annotated[str, Field(min_length=1, max_length=255)]] = frozenset()
    blacklisted: bool = False


class Fire(Wish):
    """Body of ``POST /_twin/fire``; `rate` in events per second spreads them out, else they go at once."""

    type: EventType
    devices: list[Uid] = Field(default_factory=list)
    rate: Annotated[float, Field(gt=0, le=100_000)] | None = None
    error: str = notices.SAMPLE_ERROR
    ca_name: Name = DEFAULT_CA


class Beat(Wish):
    """Body of ``POST /_twin/heartbeat``: an ad-hoc heartbeat, as one started on the device itself."""

    devices: list[Uid]


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
    made = twin.recruit(Recruits(**wish.model_dump()))
    return {"ROTPublicUIDs": [device.uid for device in made]}


async def _show_device(twin: Twin, request: Request) -> object:
    (device,) = _known(twin, [request.path_params["uid"]])
    heartbeat = twin.dials.heartbeat_seconds
    counts = {name: counter[device.uid] for name, counter in twin.tally.actions.items()}
    return {
        **shapes.device_info(device, shapes.ALL_GROUPS, default_heartbeat=heartbeat),
        "Tags": sorted(device.tags),
        "HeartbeatSeconds": twin.interval(device),
        "NextHeartbeatInSeconds": round(twin.heartbeats.next_in(device), 3),
        "Silent": device.uid in twin.dials.silent_devices,
        "Actions": counts,
    }


async def _beat(twin: Twin, request: Request) -> object:
    devices = _known(twin, (await read_wish(Beat, request)).devices)
    for device in devices:
        twin.beat(device)
    return {}


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
    return {EventType.BOOTSTRAP: notices.bootstrap}.get(wish.type, notices.properties_change)(device, now)


def _root_expiration(twin: Twin, name: str) -> dict[str, Any]:
    authority = twin.fleet.authority(name)
    holders = [d for d in twin.fleet.devices.values() if d.certificate and d.certificate.authority is authority]
    return notices.root_expiration(authority, twin.clock(), len(holders))


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
