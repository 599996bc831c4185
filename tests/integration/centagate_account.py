"""A small CENTAGATE on a real HTTP server, and clients of it as processes of their own would have them."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.coordination import Coordination
from schemas.errors import UpstreamError
from services.clients.centagate import Administrator, Centagate
from services.clients.transport import Bounds, Transport
from services.sandbox.server import running

ADMIN: Final = "ops/keyturn+1 é@acme.test"
PASSWORD, INTEGRATION_KEY, SECRET_KEY = "Zu8-qWe4-rTy", "5d2a8c41e7b09f36", "Lq7vB2nX9cK4mJ1h"
PHONE, OTHER_PHONE, SERIAL = SecretStr("+999555010123"), SecretStr("+999555010999"), SecretStr("GX00421789")
SECRETS: Final = (PASSWORD, INTEGRATION_KEY, SECRET_KEY, "555010123", "GX00421789")

LOGIN: Final = "/v2/CentagateWS/webresources/auth/authBasic"
ROOT: Final = "/CentagateWS/webresources"
QUOTED: Final = "ops%2Fkeyturn%2B1%20%C3%A9%40acme.test"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request as it came; `path` is as it stood on the line."""

    method: str
    path: str
    body: Mapping[str, Any]

    @property
    def verb(self) -> str:
        """The path without root and administrator."""
        return "login" if self.path == LOGIN else self.path.removeprefix(ROOT + "/").rpartition("/")[0]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the server says; `silent` seconds before it does."""

    code: Any = 0
    object: Any = ""
    message: str = "said"
    status: int = 200
    raw: bytes | None = None
    silent: float = 0.0


@dataclass
class Service:
    """Numbered sessions, each good until `good` is cleared, and one answer for every management call.

    Attributes:
        next: answers for the next calls of a verb, before anything else.
    """

    clock: Callable[[], datetime]
    calls: list[Call] = field(default_factory=list)
    good: dict[str, str] = field(default_factory=dict)
    next: dict[str, list[Told]] = field(default_factory=dict)
    reply: Told = field(default_factory=Told)
    delay: float = 0.0
    issued: int = 0

    def count(self, verb: str) -> int:
        """How often a verb was called."""
        return sum(call.verb == verb for call in self.calls)

    def answer(self, call: Call) -> Told:
        """Answer a call."""
        self.calls.append(call)
        if waiting := self.next.get(call.verb):
            return waiting.pop(0)
        if call.verb == "login":
            time.sleep(self.delay)
            return self._session(call)
        if call.body.get("cenToken") not in self.good:
            return Told(code=23018, message=f"Invalid user session {call.body.get('cenToken')}")
        return self.reply

    def _session(self, call: Call) -> Told:
        text = "".join(call.body[name] for name in ("username", "password", "integrationKey", "unixTimestamp"))
        if call.body["hmac"] != _signed(SECRET_KEY, text):
            return Told(code="23022")
        self.issued += 1
        auth, secret = f"Zm9v+/{self.issued}==", f"secret-code-{self.issued}"
        self.good[_signed(secret, ADMIN + auth)] = auth
        told = {"authToken": auth, "secretCode": secret, "authMethods": "", "multiStepAuth": "true"}
        return Told(code="0", object=json.dumps(told))


class Account:
    """Makes clients of one account, each with what a process of its own would have."""

    def __init__(self, service: Service, url: str, stack: ExitStack) -> None:
        self.service, self.url, self._stack = service, url, stack

    def client(self, *, redis_url: str | None = None, secret: str = SECRET_KEY, **more: Any) -> Centagate:
        """Make a client."""
        bounds = Bounds(connect=5, read=1.5)
        transport = self._stack.enter_context(closing(Transport(self.url, bounds=bounds, clock=self.service.clock)))
        coordination = self._stack.enter_context(closing(Coordination(redis_url))) if redis_url else None
        administrator = Administrator(
            username=ADMIN,
            password=SecretStr(PASSWORD),
            integration_key=SecretStr(INTEGRATION_KEY),
            secret_key=SecretStr(secret),
        )
        return Centagate(
            self.url,
            administrator=administrator,
            transport=transport,
            coordination=coordination,
            clock=self.service.clock,
            **more,
        )


@contextmanager
def centagate_account(clock: Callable[[], datetime]) -> Iterator[Account]:
    """Serve an account and close every client of it in the end."""
    service = Service(clock)
    with running(_app(service)) as address, ExitStack() as stack:
        yield Account(service, address.url, stack)


def at_once(clients: list[Centagate]) -> list[str]:
    """Have every client list tokens from a thread of its own at the same moment; gives the errors' texts."""
    start = threading.Barrier(len(clients))

    def ask(client: Centagate) -> str:
        start.wait()
        try:
            client.tokens_of("alice")
        except UpstreamError as error:
            return f"{type(error).__name__} {error.sent} {error}"
        return ""

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(ask, clients))


def _app(service: Service) -> Starlette:
    def respond(call: Call) -> Response:
        told = service.answer(call)
        time.sleep(told.silent)
        document = {"code": told.code, "message": told.message, "object": told.object}
        content = json.dumps(document).encode() if told.raw is None else told.raw
        return Response(content, status_code=told.status, media_type="application/json")

    async def receive(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        path = request.scope["raw_path"].decode()
        body = json.loads(await request.body())
        return await run_in_threadpool(respond, Call(method=request.method, path=path, body=body))

    return Starlette(routes=[Route("/{rest:path}", receive, methods=["PUT", "POST"])])


def _signed(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()
