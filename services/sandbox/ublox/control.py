"""The twin's own face under ``/_twin``: dials, counts, devices, events at will.

The real service has nothing like it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.errors import InputError
from schemas.events import EventType, canonical_uid
from services.sandbox.turning import faults_of
from services.sandbox.ublox import notices, shapes
from services.sandbox.ublox.devices import Device
from services.sandbox.ublox.fleet import CA_DAYS_LEFT, DEFAULT_CA, MOST_DEVICES, Recruits
from services.sandbox.ublox.twin import Twin

CONTROL_PATH: Final = "/_twin"
_TURN: Final = 100
"""Events fired between two looks at other work."""

Uid = Annotated[str, AfterValidator(canonical_uid)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,45}$")]


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Recruit(_Wish):
    """Body of ``POST /_twin/devices``; `ca_days_left` counts only for a CA that does not exist yet."""

    count: Annotated[int, Field(ge=1, le=MOST_DEVICES)]
    first: Uid | None = None
    heartbeat_seconds: Annotated[float, Field(ge=0.01)] | None = None
    certificate_days_left: Annotated[float, Field(ge=-3650, le=3650)] = 365
    ca_name: Name = DEFAULT_CA
    ca_days_left: Annotated[float, Field(gt=0, le=3650)] = CA_DAYS_LEFT
    tags: frozenset[Annotated[str, Field(min_length=1, max_length=255)]] = frozenset()
    blacklisted: bool = False


class Fire(_Wish):
    """Body of ``POST /_twin/fire``; `rate` in events per second spreads them out, else they go at once."""

    type: EventType
    devices: list[Uid] = []
    rate: Annotated[float, Field(gt=0, le=100_000)] | None = None
    error: str = notices.SAMPLE_ERROR
    ca_name: Name = DEFAULT_CA


class Beat(_Wish):
    """Body of ``POST /_twin/heartbeat``: an ad-hoc heartbeat, as one started on the device itself."""

    devices: list[Uid]


Wish = TypeVar("Wish", bound=_Wish)
Deed = Callable[[Twin, Request], Awaitable[object]]


def control_routes(twin: Twin) -> list[Route]:
    """The routes of the twin's own face."""
    table: Sequence[tuple[str, str, Deed]] = (
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
    return [Route(CONTROL_PATH + path, _answering(twin, deed), methods=[method]) for method, path, deed in table]


def _answering(twin: Twin, deed: Deed) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        try:
            status, document = 200, await deed(twin, request)
        except InputError as error:
            status, document = 400, {"faults": error.faults}
        return Response(orjson.dumps(document), status, media_type="application/json")

    return call


async def _read(kind: type[Wish], request: Request) -> Wish:
    try:
        return kind.model_validate_json(await request.body() or b"{}")
    except ValidationError as error:
        raise InputError(faults_of(error)) from None


async def _show_dials(twin: Twin, _request: Request) -> object:
    return twin.dials.model_dump(mode="json")


async def _turn_dials(twin: Twin, request: Request) -> object:
    try:
        changes = orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise InputError([f"the body is not JSON: {error}"]) from None
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
    wish = await _read(Recruit, request)
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
    devices = _known(twin, (await _read(Beat, request)).devices)
    for device in devices:
        twin.beat(device)
    return {}


async def _fire(twin: Twin, request: Request) -> object:
    wish = await _read(Fire, request)
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
