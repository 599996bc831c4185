"""The twin's own face under ``/_twin``: dials, counts, state, restarts. A real Tap has nothing like it.

Every call takes ``?serial=…``. Without it a change concerns all Taps, and a look wants the only one.
"""

import asyncio
from collections.abc import Sequence

from starlette.requests import Request
from starlette.routing import Route

from schemas.errors import InputError
from services.sandbox.controls import read_json, routes_of
from services.sandbox.tap import state
from services.sandbox.tap.fleet import Fleet
from services.sandbox.tap.tap import Tap


def control_routes(fleet: Fleet) -> list[Route]:
    """The routes of the twin's own face."""
    table = (
        ("GET", "/taps", _list),
        ("GET", "/dials", _show_dials),
        ("PATCH", "/dials", _turn_dials),
        ("GET", "/stats", _show_stats),
        ("POST", "/stats/reset", _reset_stats),
        ("GET", "/state", _show_state),
        ("POST", "/reboot", _reboot),
        ("POST", "/reset", _reset),
    )
    return routes_of(fleet, table)


def _meant(fleet: Fleet, request: Request) -> Sequence[Tap]:
    serial = request.query_params.get("serial")
    taps = fleet.chosen(serial)
    if not taps:
        raise InputError([f"serial: there is no Tap {serial}"])
    return taps


def _the_one(fleet: Fleet, request: Request) -> Tap:
    taps = _meant(fleet, request)
    if len(taps) > 1:
        raise InputError([f"serial: name one of the {len(taps)} Taps"])
    return taps[0]


async def _list(fleet: Fleet, request: Request) -> object:
    broker = None if fleet.broker is None else "{}:{}".format(*fleet.broker)
    return {"broker": broker, "taps": [state.whereabouts(tap) for tap in _meant(fleet, request)]}


async def _show_dials(fleet: Fleet, request: Request) -> object:
    return _the_one(fleet, request).device.dials.model_dump(mode="json")


async def _turn_dials(fleet: Fleet, request: Request) -> object:
    changes = await read_json(request)
    taps = _meant(fleet, request)
    for tap in taps:
        tap.turn(changes)
    return taps[0].device.dials.model_dump(mode="json")


async def _show_stats(fleet: Fleet, request: Request) -> object:
    return _the_one(fleet, request).device.tally.shown()


async def _reset_stats(fleet: Fleet, request: Request) -> object:
    for tap in _meant(fleet, request):
        tap.device.forget_counts()
    return {}


async def _show_state(fleet: Fleet, request: Request) -> object:
    return state.shown(_the_one(fleet, request))


async def _reboot(fleet: Fleet, request: Request) -> object:
    """Restart and answer when the Taps are back."""
    await asyncio.gather(*(tap.restart() for tap in _meant(fleet, request)))
    return {}


async def _reset(fleet: Fleet, request: Request) -> object:
    """Be as at the very beginning: settings, users, dials, counts."""
    await asyncio.gather(*(tap.reset() for tap in _meant(fleet, request)))
    return {}
