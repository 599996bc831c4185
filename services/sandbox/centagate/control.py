"""The twin's own face under ``/_twin``: dials, counts, users and hardware tokens at will.

The real server has nothing like it.
"""

from dataclasses import asdict
from typing import Annotated

from pydantic import Field
from starlette.requests import Request
from starlette.routing import Route

from schemas.errors import InputError
from services.sandbox.centagate.codes import Refusal
from services.sandbox.centagate.directory import Token, TokenStatus, TokenType, User
from services.sandbox.centagate.endpoints import PATHS
from services.sandbox.centagate.twin import Twin
from services.sandbox.centagate.upsets import ANY_PATH, Order
from services.sandbox.controls import Wish, read_json, read_wish, routes_of

Name = Annotated[str, Field(min_length=1, max_length=255)]


class NewUser(Wish):
    """Body of ``POST /_twin/users``."""

    username: Name
    phone: str = ""
    email: str = ""
    active: bool = True
    cr_otp_allowed: bool = True


class NewHardware(Wish):
    """Body of ``POST /_twin/hardware``: a hardware token as the import leaves it, or in another status."""

    serial: Name
    status: Annotated[TokenStatus, Field(strict=False)] = TokenStatus.DEACTIVATED
    challenge_response: bool = False


def control_routes(twin: Twin) -> list[Route]:
    """The routes of the twin's own face."""
    table = (
        ("GET", "/dials", _show_dials),
        ("PATCH", "/dials", _turn_dials),
        ("POST", "/next", _order),
        ("GET", "/stats", _show_stats),
        ("POST", "/stats/reset", _reset_stats),
        ("GET", "/state", _show_state),
        ("POST", "/reset", _reset),
        ("POST", "/users", _make_user),
        ("POST", "/hardware", _make_hardware),
        ("POST", "/sessions/end", _end_sessions),
    )
    return routes_of(twin, table)


async def _show_dials(twin: Twin, _request: Request) -> object:
    return twin.dials.model_dump(mode="json")


async def _turn_dials(twin: Twin, request: Request) -> object:
    changes = await read_json(request)
    twin.turn(changes)
    return twin.dials.model_dump(mode="json")


async def _order(twin: Twin, request: Request) -> object:
    order = await read_wish(Order, request)
    if order.path not in PATHS | {ANY_PATH}:
        raise InputError([f"path: {order.path!r} is not one of * {' '.join(sorted(PATHS))}"])
    twin.upsets.order(order)
    return {"waiting": twin.upsets.waiting()}


async def _show_stats(twin: Twin, _request: Request) -> object:
    sessions = twin.sessions.count(life=twin.dials.session_seconds)
    return twin.tally.shown() | {"sessions": sessions, "waiting": twin.upsets.waiting()}


async def _reset_stats(twin: Twin, _request: Request) -> object:
    twin.tally.clear()
    return {}


async def _show_state(twin: Twin, _request: Request) -> object:
    directory = twin.directory
    tokens = (*directory.phones.values(), *directory.hardware.values())
    return {
        "users": {name: asdict(user) for name, user in directory.users.items()},
        "tokens": [asdict(token) for token in tokens],
    }


async def _reset(twin: Twin, _request: Request) -> object:
    twin.reset()
    return {}


async def _make_user(twin: Twin, request: Request) -> object:
    wish = await read_wish(NewUser, request)
    try:
        twin.directory.add(User(**wish.model_dump()))
    except Refusal as refusal:
        raise InputError([f"{refusal}: {wish.username}"]) from None
    return {}


async def _make_hardware(twin: Twin, request: Request) -> object:
    wish = await read_wish(NewHardware, request)
    if wish.serial in twin.directory.hardware:
        raise InputError([f"serial: {wish.serial} is taken"])
    twin.directory.hardware[wish.serial] = Token(
        type=TokenType.OTP, number=wish.serial, status=wish.status, challenge_response=wish.challenge_response
    )
    return {}


async def _end_sessions(twin: Twin, _request: Request) -> object:
    return {"ended": twin.sessions.end_all()}
