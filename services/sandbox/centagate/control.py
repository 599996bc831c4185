"""The twin's own face under ``/_twin``: dials, counts, users and hardware tokens at will.

The real server has nothing like it.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Final, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.errors import InputError
from services.sandbox.centagate.codes import Refusal
from services.sandbox.centagate.directory import Token, TokenStatus, TokenType, User
from services.sandbox.centagate.endpoints import PATHS
from services.sandbox.centagate.twin import Twin
from services.sandbox.centagate.upsets import ANY_PATH, Order
from services.sandbox.turning import faults_of

CONTROL_PATH: Final = "/_twin"

Name = Annotated[str, Field(min_length=1, max_length=255)]


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class NewUser(_Wish):
    """Body of ``POST /_twin/users``."""

    username: Name
    phone: str = ""
    email: str = ""
    active: bool = True
    cr_otp_allowed: bool = True


class NewHardware(_Wish):
    """Body of ``POST /_twin/hardware``: a hardware token as the import leaves it, or in another status."""

    serial: Name
    status: Annotated[TokenStatus, Field(strict=False)] = TokenStatus.DEACTIVATED
    challenge_response: bool = False


Wish = TypeVar("Wish", bound=BaseModel)
Deed = Callable[[Twin, bytes], object]


def control_routes(twin: Twin) -> list[Route]:
    """The routes of the twin's own face."""
    table: Sequence[tuple[str, str, Deed]] = (
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
    return [Route(CONTROL_PATH + path, _answering(twin, deed), methods=[method]) for method, path, deed in table]


def _answering(twin: Twin, deed: Deed) -> Callable[[Request], object]:
    async def call(request: Request) -> Response:
        try:
            status, document = 200, deed(twin, await request.body())
        except InputError as error:
            status, document = 400, {"faults": error.faults}
        return Response(orjson.dumps(document), status, media_type="application/json")

    return call


def _read(kind: type[Wish], body: bytes) -> Wish:
    try:
        return kind.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise InputError(faults_of(error)) from None


def _show_dials(twin: Twin, _body: bytes) -> object:
    return twin.dials.model_dump(mode="json")


def _turn_dials(twin: Twin, body: bytes) -> object:
    try:
        changes = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError([f"the body is not JSON: {error}"]) from None
    twin.turn(changes)
    return twin.dials.model_dump(mode="json")


def _order(twin: Twin, body: bytes) -> object:
    order = _read(Order, body)
    if order.path not in PATHS | {ANY_PATH}:
        raise InputError([f"path: {order.path!r} is not one of * {' '.join(sorted(PATHS))}"])
    twin.upsets.order(order)
    return {"waiting": twin.upsets.waiting()}


def _show_stats(twin: Twin, _body: bytes) -> object:
    sessions = twin.sessions.count(life=twin.dials.session_seconds)
    return twin.tally.shown() | {"sessions": sessions, "waiting": twin.upsets.waiting()}


def _reset_stats(twin: Twin, _body: bytes) -> object:
    twin.tally.clear()
    return {}


def _show_state(twin: Twin, _body: bytes) -> object:
    directory = twin.directory
    tokens = (*directory.phones.values(), *directory.hardware.values())
    return {
        "users": {name: asdict(user) for name, user in directory.users.items()},
        "tokens": [asdict(token) for token in tokens],
    }


def _reset(twin: Twin, _body: bytes) -> object:
    twin.reset()
    return {}


def _make_user(twin: Twin, body: bytes) -> object:
    wish = _read(NewUser, body)
    try:
        twin.directory.add(User(**wish.model_dump()))
    except Refusal as refusal:
        raise InputError([f"{refusal}: {wish.username}"]) from None
    return {}


def _make_hardware(twin: Twin, body: bytes) -> object:
    wish = _read(NewHardware, body)
    if wish.serial in twin.directory.hardware:
        raise InputError([f"serial: {wish.serial} is taken"])
    twin.directory.hardware[wish.serial] = Token(
        type=TokenType.OTP, number=wish.serial, status=wish.status, challenge_response=wish.challenge_response
    )
    return {}


def _end_sessions(twin: Twin, _body: bytes) -> object:
    return {"ended": twin.sessions.end_all()}
