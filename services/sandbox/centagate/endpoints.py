"""The table of API calls, and the gate that every call passes: faults, session, effect, count, answer."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.centagate import authenticating, managing
from services.sandbox.centagate.answers import Answer, close_connection, hold_back
from services.sandbox.centagate.bodies import (
    Managed,
    NewUser,
    OfToken,
    OfUser,
    Registration,
    TokenStatusWish,
    UserStatusWish,
    read,
)
from services.sandbox.centagate.codes import Code, Refusal
from services.sandbox.centagate.invented import NOTHING
from services.sandbox.centagate.twin import Twin
from services.sandbox.centagate.upsets import Kind, Upset

BASE_PATH: Final = "/CentagateWS/webresources"
PREFIXES: Final = ("", "/v2")
"""The document and its samples disagree where ``/v2`` belongs; every call is there with and without."""

Body = Mapping[str, Any]
Variables = Mapping[str, str]
Act = Callable[[Twin, Variables, Body], object]
Wish = TypeVar("Wish", bound=Managed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """One call of the document.

    Attributes:
        path: under `BASE_PATH`, without variables; the calls are counted under it.
        act: gives ``object`` of the answer; it may raise `Refusal`.
        variables: the rest of the path; a username may hold a slash, percent-encoded.
        authenticates: its answer is written as those of authentication are.
    """

    path: str
    act: Act
    variables: str = ""
    methods: tuple[str, ...] = ("PUT",)
    authenticates: bool = False


def _managed(path: str, kind: type[Wish], act: Callable[[Twin, Wish], object]) -> Endpoint:
    def admitted(twin: Twin, variables: Variables, body: Body) -> object:
        wish = read(kind, body)
        authenticating.admitted(twin, variables["admin"], wish.cen_token)
        return act(twin, wish)

    return Endpoint(path=path, act=admitted, variables="/{admin:path}")


def _log_in(twin: Twin, _variables: Variables, body: Body) -> object:
    return authenticating.log_in(twin, body)


def _refresh(twin: Twin, _variables: Variables, body: Body) -> object:
    return authenticating.refresh(twin, body)


def _check_session(twin: Twin, variables: Variables, _body: Body) -> object:
    return authenticating.check_session(twin, variables["username"], variables["token"])


ENDPOINTS: Final = (
    Endpoint(path="auth/authBasic", act=_log_in, methods=("POST",), authenticates=True),
    Endpoint(path="auth/refresh", act=_refresh, methods=("POST",), authenticates=True),
    Endpoint(  # PUT in the table, GET in most samples
        path="session/check", act=_check_session, variables="/{username:path}/{token}", methods=("PUT", "GET")
    ),
    _managed("token/registerActiveToken", Registration, managing.register_token),
    _managed("token/unregisterActiveToken", OfToken, managing.unregister_token),
    _managed("token/getStatus", OfToken, managing.get_status),
    _managed("token/update/token/status", TokenStatusWish, managing.update_token_status),
    _managed("token/unlockToken", OfUser, managing.unlock_token),
    _managed("user/auth/list", OfUser, managing.list_tokens),
    _managed("user/registerUserActivate", NewUser, managing.register_user),
    _managed("user/status/update", UserStatusWish, managing.update_user_status),
    _managed("user/unbindAndDelete", OfUser, managing.delete_user),
)

PATHS: Final = frozenset(endpoint.path for endpoint in ENDPOINTS)


def api_routes(twin: Twin) -> Iterator[Route]:
    """The routes of each call of the document that the twin knows."""
    for endpoint in ENDPOINTS:
        call = _gated(twin, endpoint)
        for prefix in PREFIXES:
            path = f"{prefix}{BASE_PATH}/{endpoint.path}{endpoint.variables}"
            yield Route(path, call, methods=list(endpoint.methods))


def _gated(twin: Twin, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        await asyncio.sleep(twin.dials.latency_ms / 1000)
        upset, answer = _answered(twin, endpoint, request.path_params, body)
        if upset is not None and upset.kind is Kind.HANG:
            await hold_back(request, upset.seconds)
        if upset is not None and upset.kind is Kind.CLOSE:
            await close_connection(request)
        return answer.response()

    return call


def _answered(twin: Twin, endpoint: Endpoint, variables: Variables, body: bytes) -> tuple[Upset | None, Answer]:
    """Let the call take effect and count it, without an await in between."""
    dials = twin.dials
    upset = twin.upsets.next(endpoint.path, dials)
    answer = Answer.of(Code.SUCCESS, NOTHING, dials, authenticates=endpoint.authenticates)
    if upset is None or upset.acted:
        code, told = _effect(twin, endpoint, variables, body)
        answer = Answer.of(code, told, dials, authenticates=endpoint.authenticates)
    if upset is not None:
        answer = answer.upset(upset, dials, authenticates=endpoint.authenticates)
    withheld = upset is not None and upset.kind in {Kind.HANG, Kind.CLOSE}
    twin.tally.call(endpoint.path, answer.outcome, withheld=withheld)
    return upset, answer


def _effect(twin: Twin, endpoint: Endpoint, variables: Variables, body: bytes) -> tuple[Code, object]:
    try:
        return Code.SUCCESS, endpoint.act(twin, variables, _parsed(body))
    except Refusal as refusal:
        return refusal.code, NOTHING


def _parsed(body: bytes) -> Body:
    """The body as a JSON object, whatever its content type says; none at all is an empty one."""
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        raise Refusal(Code.INVALID_INPUT) from None
    if not isinstance(document, dict):
        raise Refusal(Code.INVALID_INPUT)
    return document
