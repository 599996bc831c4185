"""The twin's own face under ``/_twin``: dials, counts, state, restarts, phones. A real device has nothing like it.

Calls about devices take ``?serial=…`` or ``?location=…``; without them they concern all devices.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request
from starlette.routing import Route

from schemas.errors import InputError
from services.sandbox.controls import Wish, read_json, read_wish, routes_of
from services.sandbox.twon import tally
from services.sandbox.twon.park import Park
from services.sandbox.twon.phones import Visit
from services.sandbox.twon.station import Station


class Pair(Wish):
    """Body of ``POST /_twin/phones``."""

    location: Annotated[str, Field(min_length=1, max_length=127)]
    count: Annotated[int, Field(ge=1, le=100_000)] = 1


class Step(Wish):
    """Body of ``POST /_twin/phones/step``."""

    visits: Annotated[int, Field(ge=1, le=1_000_000)] = 1


class Walk(Wish):
    """Body of ``POST /_twin/phones/walk``: visits a second; 0 stops."""

    rate: Annotated[float, Field(ge=0, le=100_000)]


def control_routes(park: Park) -> list[Route]:
    """The routes of the twin's own face."""
    table = (
        ("GET", "/devices", _list),
        ("GET", "/state", _show_state),
        ("GET", "/dials", _show_dials),
        ("PATCH", "/dials", _turn_dials),
        ("GET", "/stats", _show_stats),
        ("GET", "/writes", _show_writes),
        ("POST", "/stats/reset", _reset_stats),
        ("POST", "/reboot", _reboot),
        ("POST", "/reset", _reset),
        ("GET", "/phones", _show_phones),
        ("POST", "/phones", _pair),
        ("POST", "/phones/step", _step),
        ("POST", "/phones/tour", _tour),
        ("POST", "/phones/walk", _walk),
        ("GET", "/phones/lockouts", _show_lockouts),
    )
    return routes_of(park, table)


def _meant(park: Park, request: Request) -> Sequence[Station]:
    return park.chosen(request.query_params.get("serial"), request.query_params.get("location"))


def _the_one(park: Park, request: Request) -> Station:
    stations = _meant(park, request)
    if len(stations) > 1:
        raise InputError([f"serial: name one of the {len(stations)} devices"])
    return stations[0]


def _whereabouts(station: Station) -> dict[str, Any]:
    device, identity = station.device, station.identity
    return {
        "serial": device.serial,
        "url": station.url,
        "location": device.location,
        "firmware": device.model.firmware,
        "auth": device.model.auth,
        "algorithm": str(device.model.algorithm),
        "fingerprint": identity.fingerprint if identity else None,
        "listening": station.is_listening,
        "awake": device.awake,
    }


async def _list(park: Park, request: Request) -> object:
    return {"devices": [_whereabouts(station) for station in _meant(park, request)]}


async def _show_state(park: Park, request: Request) -> object:
    """Show everything but the private halves."""
    station = _the_one(park, request)
    device = station.device
    slots = [None if key is None else {"publicKey": key.public, "ctime": key.ctime} for key in device.slots]
    return {
        **_whereabouts(station),
        "certificate": station.identity.pem if station.identity else None,
        "keys": slots,
        "events": list(device.log.history),
        "channels": len(device.log.channels),
        "switches": {str(number): on for number, on in device.terminals.switches.items()},
        "outputs": device.terminals.outputs,
    }


async def _show_dials(park: Park, request: Request) -> object:
    return _the_one(park, request).device.dials.model_dump(mode="json")


async def _turn_dials(park: Park, request: Request) -> object:
    changes = await read_json(request)
    stations = _meant(park, request)
    await asyncio.gather(*(station.turn(changes) for station in stations))
    return stations[0].device.dials.model_dump(mode="json")


async def _show_stats(park: Park, request: Request) -> object:
    stations = _meant(park, request)
    counts = tally.shown(station.device.tally for station in stations)
    return counts | {"devices": len(stations), "phones": park.crowd.shown()["visits"]}


async def _show_writes(park: Park, _request: Request) -> object:
    return {"writes": [write.shown() for write in park.journal]}


async def _reset_stats(park: Park, request: Request) -> object:
    for station in _meant(park, request):
        station.device.tally.clear()
    return {}


async def _reboot(park: Park, request: Request) -> object:
    """Restart and answer when the devices are back."""
    await asyncio.gather(*(station.reboot() for station in _meant(park, request)))
    return {}


async def _reset(park: Park, _request: Request) -> object:
    await park.reset()
    return {}


async def _show_phones(park: Park, _request: Request) -> object:
    return park.crowd.shown()


async def _pair(park: Park, request: Request) -> object:
    wish = await read_wish(Pair, request)
    return {"phones": [phone.name for phone in park.crowd.pair(wish.location, wish.count)]}


async def _step(park: Park, request: Request) -> object:
    return _by_name(park.crowd.step((await read_wish(Step, request)).visits))


async def _tour(park: Park, _request: Request) -> object:
    return _by_name(park.crowd.tour())


def _by_name(endings: Counter[Visit]) -> dict[str, int]:
    return {str(ending): count for ending, count in endings.items()}


async def _walk(park: Park, request: Request) -> object:
    park.walk((await read_wish(Walk, request)).rate)
    return {}


async def _show_lockouts(park: Park, _request: Request) -> object:
    return {"lockouts": [lockout.shown() for lockout in park.crowd.lockouts]}
