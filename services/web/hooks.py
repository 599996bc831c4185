"""The webhook receiver: a raw ASGI route, because it must answer fast and only after a durable commit.

Answers: 202 stored (a repeat gets the first receipt) · 400 not understood, stored as such · 401 · 404 · 405 · 408 ·
413 · 415 · 503 with Retry-After when nothing was stored. u-blox proves itself by one fixed ``Authorization`` header
value and nothing else (Security Services REST APIs 1.1.29, ``/notification/webhook/create``, AuthorizationToken).
"""

import asyncio
import hashlib
import hmac
import re
import time
import types
from collections.abc import Callable, Generator, Iterable
from datetime import datetime
from typing import Any, Final

import orjson
import structlog
from starlette.types import Message, Receive, Scope, Send

from infra.ledger import Arrival
from infra.ledger.hook_tokens import Digest
from schemas.errors import LedgerUnavailable
from schemas.events import read_notification, receipt_of, receipt_of_raw
from services.intake import Intake

PREFIX: Final = "/webhooks/ublox"
RETRY_AFTER: Final = 5
"""Seconds after which a sender may try again when the ledger could not take a delivery."""

BODY_SECONDS: Final = 10.0
"""A body that is not complete by then is given up: a slow sender holds no connection for long."""

MURMUR_SECONDS: Final = 0.2
_PATH_SHOWN: Final = 200
_HOOK_NAME: Final = re.compile(r"(?:/([A-Za-z0-9._-]{1,64}))?")
_CHECKED: Final = frozenset({b"content-length", b"content-type", b"content-encoding"})
_JSON: Final = re.compile(rb"application/(?:[a-z0-9.+-]+\+)?json\s*(?:;.*)?", re.IGNORECASE)

log = structlog.get_logger(__name__)


class Refusal(Exception):
    """A delivery that is answered with a problem (RFC 9457)."""

    def __init__(
        self, status: int, detail: str, *, headers: Iterable[tuple[bytes, bytes]] = (), **more: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.headers = list(headers)
        self.document = {"title": _TITLES[status], "status": status, "detail": detail, **more}


_TITLES: Final = {
    400: "The notification could not be understood",
    401: "Not authorized",
    404: "No such address",
    405: "Only POST is allowed",
    408: "The body did not come in time",
    413: "The body is too large",
    415: "The body must be JSON",
    500: "Keyturn failed",
    503: "Not stored in time",
}


class TokenList:
    """The Authorization header values that are valid now; several while a token is being changed.

    Those of the settings hold for as long as the process lives; those of the ledger are told it from outside, so that
    no request waits for the ledger.
    """

    def __init__(self, tokens: Iterable[str], *, clock: Callable[[], datetime]) -> None:
        self._own = [Digest(hashlib.sha256(token.encode()).digest()) for token in tokens]
        self._valid = list(self._own)
        self._clock = clock

    def know(self, others: Iterable[Digest]) -> None:
        """Take up what is valid beside the settings' own tokens, instead of what was told before."""
        self._valid = [*self._own, *others]

    def admits(self, headers: Iterable[tuple[bytes, bytes]]) -> bool:
        """Compare the whole header with every token, in a time that tells neither content nor length."""
        sent = [value for name, value in headers if name == b"authorization"]
        digest = hashlib.sha256(sent[0] if len(sent) == 1 else b"").digest()
        admitted = False
        for valid in self._valid:
            if hmac.compare_digest(digest, valid.sha256) and (valid.ends_at is None or self._clock() < valid.ends_at):
                admitted = True
        return admitted


class Hooks:
    """The ASGI application under `PREFIX`."""

    def __init__(
        self,
        intake: Intake,
        tokens: TokenList,
        *,
        body_limit: int,
        body_seconds: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._intake = intake
        self._tokens = tokens
        self._body_limit = body_limit
        self._body_seconds = body_seconds
        self._refused = 0
        self._next_murmur = 0.0
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            hook = self._admit(scope)
            body = await self._read(receive)
            if body is None:
                return  # the sender went away
            await _accepted(send, await self._accept(body, hook))
        except Refusal as refusal:
            self._murmur(refusal, scope["path"])
            await _problem(send, refusal)
        except Exception:
            log.exception("delivery failed", path=scope["path"][:_PATH_SHOWN])
            await _problem(send, Refusal(500, "nothing was stored", headers=[_retry_after()]))

    def _murmur(self, refusal: Refusal, path: str) -> None:
        """Log refusals, but a few lines a second at the most: strangers must not fill the disk or take our time."""
        self._refused += 1
        now = time.monotonic()
        if now >= self._next_murmur:
            shown = {"status": refusal.status, "detail": str(refusal), "path": path[:_PATH_SHOWN]}
            log.warning("delivery refused", **shown, since_last_line=self._refused)
            self._refused, self._next_murmur = 0, now + MURMUR_SECONDS

    def _admit(self, scope: Scope) -> str:
        """Check everything that the head of the request tells; give the name of the hook."""
        hook = _hook_of(scope["path"])
        if scope["method"] != "POST":
            raise Refusal(405, f"{scope['method']} is not allowed here", headers=[(b"allow", b"POST")])
        headers = scope["headers"]
        if not self._tokens.admits(headers):
            raise Refusal(401, "the Authorization header is missing or wrong")
        for name, value in headers:
            if name in _CHECKED:
                self._check(name, value)
        return hook

    def _check(self, name: bytes, value: bytes) -> None:
        if name == b"content-length" and int(value) > self._body_limit:
            raise self._too_large()
        if name == b"content-type" and value != b"application/json" and not _JSON.fullmatch(value.strip()):
            raise Refusal(415, "expected Content-Type: application/json")
        if name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"}:
            raise Refusal(415, "expected a body without Content-Encoding")

    async def _read(self, receive: Receive) -> bytes | None:
        """Give the body, or None when the sender went away; only a body that is not there yet costs a timer."""
        begun = receive().__await__()
        try:
            waits_for = next(begun)
        except StopIteration as came:
            first: Message = came.value
            if not first.get("more_body"):
                return await self._whole(first, receive)
            rest = self._whole(first, receive)
        else:
            rest = self._late(begun, waits_for, receive)
        try:
            async with asyncio.timeout(self._body_seconds):
                return await rest
        except TimeoutError:
            detail = f"the body was not complete after {self._body_seconds:g} s"
            raise Refusal(408, detail, headers=[(b"connection", b"close")]) from None

    async def _late(self, begun: Generator[Any, Any, Message], waits_for: object, receive: Receive) -> bytes | None:
        return await self._whole(await _resumed(begun, waits_for), receive)

    async def _whole(self, message: Message, receive: Receive) -> bytes | None:
        """Count what streams in, so that a chunked body has the same limit as a declared one."""
        parts, size = [], 0
        while message["type"] != "http.disconnect":
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._body_limit:
                raise self._too_large()
            if not message.get("more_body"):
                return b"".join(parts)
            message = await receive()
        return None

    def _too_large(self) -> Refusal:
        """The rest is read and dropped: closing while the sender still sends would destroy the answer (RST)."""
        return Refusal(413, f"a notification may have {self._body_limit} bytes")

    async def _accept(self, body: bytes, hook: str) -> str:
        arrival = _understand(body, hook, self._clock())
        try:
            await self._intake.accept(arrival)
        except LedgerUnavailable as error:
            raise Refusal(503, str(error), headers=[_retry_after()]) from None
        if arrival.fault:
            raise Refusal(400, arrival.fault, receipt=arrival.receipt)
        return arrival.receipt


def _hook_of(path: str) -> str:
    if path == PREFIX:
        return ""
    named = _HOOK_NAME.fullmatch(path, len(PREFIX))
    if named is None:
        raise Refusal(404, f"expected {PREFIX} or {PREFIX}/name")
    return named[1] or ""


@types.coroutine
def _resumed(begun: Generator[Any, Any, Message], waits_for: object) -> Generator[Any, Any, Message]:
    """Await a call whose first step has been taken already."""
    yield waits_for
    return (yield from begun)


def _understand(body: bytes, hook: str, now: datetime) -> Arrival:
    """Make of a body what is stored; one that cannot be understood is stored too, with its fault."""
    try:
        document = orjson.loads(body)
        notification = read_notification(document)
        receipt = receipt_of(document, notification)
    except (ValueError, TypeError) as error:
        return Arrival(
            receipt=receipt_of_raw(body),
            hook=hook,
            event_type=None,
            device=None,
            occurred_at=None,
            received_at=now,
            body=body,
            fault=_fault(error),
        )
    return Arrival(
        receipt=receipt,
        hook=hook,
        event_type=notification.event_type,
        device=notification.device,
        occurred_at=notification.occurred_at,
        received_at=now,
        body=body,
    )


def _fault(error: Exception) -> str:
    return f"the body is not JSON: {error}" if isinstance(error, orjson.JSONDecodeError) else str(error)


def _retry_after() -> tuple[bytes, bytes]:
    return (b"retry-after", str(RETRY_AFTER).encode())


_ACCEPTED_HEAD: Final = (b"content-type", b"application/json")


async def _accepted(send: Send, receipt: str) -> None:
    status = f"/receipts/{receipt}"
    body = f'{{"receipt":"{receipt}","status":"{status}"}}'.encode()
    headers = [_ACCEPTED_HEAD, (b"content-length", str(len(body)).encode()), (b"location", status.encode())]
    await _send(send, 202, headers, body)


async def _problem(send: Send, refusal: Refusal) -> None:
    body = orjson.dumps(refusal.document)
    head = [(b"content-type", b"application/problem+json"), (b"content-length", str(len(body)).encode())]
    await _send(send, refusal.status, [*head, *refusal.headers], body)


async def _send(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    start: Message = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    done: dict[str, Any] = {"type": "http.response.body", "body": body}
    await send(done)
