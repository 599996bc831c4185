"""The gate that every call passes: faults, authorisation, effect, count, answer."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from services.sandbox.ublox import shapes
from services.sandbox.ublox.bodies import BAD_REQUEST, NOT_AUTHORIZED, Refusal
from services.sandbox.ublox.calls.table import ENDPOINTS, Endpoint
from services.sandbox.ublox.twin import Twin

BASE_PATH: Final = "/v1"
_LISTS: Final = ("ROTPublicUIDs", "DeviceSerialNumbers", "SerialNumbers")
_SINGLES: Final = ("ROTPublicUID", "SerialNumber")

Document = Mapping[str, Any] | bytes | None
"""A JSON object, a file, or what is neither."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a call is answered."""

    status: int
    document: object
    headers: Mapping[str, str] | None = None

    def response(self) -> Response:
        """The answer on the wire."""
        content = orjson.dumps(self.document)
        return Response(content, self.status, self.headers, media_type="application/json")


class RateLimit:
    """Admits so many calls in each second; a new limit starts a new second."""

    def __init__(self) -> None:
        self._second: tuple[int, int] | None = None
        self._admitted = 0

    def exceeded(self, limit: int | None) -> bool:
        """Whether this call is one too many."""
        if limit is None:
            self._second = None
            return False
        second = (int(time.monotonic()), limit)
        if second != self._second:
            self._second, self._admitted = second, 0
        self._admitted += 1
        return self._admitted > limit


def api_routes(twin: Twin) -> list[Route]:
    """A route for each call of the document."""
    limit = RateLimit()
    return [
        Route(BASE_PATH + endpoint.path, _gated(twin, endpoint, limit), methods=list(endpoint.methods))
        for endpoint in ENDPOINTS
    ]


def _gated(twin: Twin, endpoint: Endpoint, limit: RateLimit) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)
        await asyncio.sleep(twin.dials.latency_ms / 1000)
        document = _parsed(body, endpoint, request.headers.get("content-type", ""))
        answer = _answered(twin, endpoint, limit, document, authorization=request.headers.get("authorization"))
        if twin.dials.hang_seconds and twin.strikes(twin.dials.hang_rate):
            await asyncio.sleep(twin.dials.hang_seconds)
        return answer.response()

    return call


def _answered(
    twin: Twin, endpoint: Endpoint, limit: RateLimit, document: Document, *, authorization: str | None
) -> Answer:
    """Let the call take effect and count it, without an await in between."""
    answer = _barred(twin, endpoint, limit, authorization)
    if answer is None:
        fails = twin.strikes(twin.dials.error_rate)
        answer = _effect(twin, endpoint, document) if not fails or twin.dials.errors_after_acting else None
        if fails or answer is None:
            answer = Answer(status=503, document={"message": shapes.UNAVAILABLE})
    twin.tally.call(endpoint.path, answer.status, _named(document))
    return answer


def _barred(twin: Twin, endpoint: Endpoint, limit: RateLimit, authorization: str | None) -> Answer | None:
    """Why the call is not even looked at, if so."""
    dials = twin.dials
    if limit.exceeded(dials.rate_limit):
        headers = {"Retry-After": str(dials.retry_after_seconds)}
        return Answer(status=429, document={"message": shapes.TOO_MANY}, headers=headers)
    if not endpoint.authorised:
        return None
    if twin.strikes(dials.unauthorized_rate) or not twin.tokens.admits(authorization, dials.authorization):
        return Answer(status=401, document={"message": NOT_AUTHORIZED})
    return None


def _effect(twin: Twin, endpoint: Endpoint, document: Document) -> Answer:
    if document is None:
        return Answer(status=400, document={endpoint.text_key: BAD_REQUEST})
    try:
        if isinstance(document, bytes):
            return Answer(status=200, document=endpoint.take_file(twin, document) if endpoint.take_file else None)
        return Answer(status=200, document=endpoint.act(twin, document))
    except Refusal as refusal:
        return Answer(status=refusal.status, document={endpoint.text_key: refusal.text})


def _parsed(body: bytes, endpoint: Endpoint, content_type: str) -> Document:
    """The body as a JSON object, none at all is an empty one; or as it is, where it is a file."""
    if endpoint.take_file and content_type.partition(";")[0].strip().lower() == "application/octet-stream":
        return body
    try:
        document = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None


def _named(document: Document) -> int:
    """How many devices the call names one by one."""
    if isinstance(document, bytes):
        return max(0, len(document.splitlines()) - 1)
    lists = [document.get(name) for name in _LISTS] if document else []
    single = bool(document and any(document.get(name) for name in _SINGLES))
    return single + sum(len(named) for named in lists if isinstance(named, list))
