"""The admin API as an ASGI application: who are you, what do you want, may you, and only then anything else."""

import base64
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, TypeVar

import anyio
import orjson
import structlog
from anyio.to_thread import run_sync
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Router
from starlette.routing import Route as Address
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.access import ApiKey
from services.web.admin.changes import idempotency_key, once, written
from services.web.admin.contract import Answer, Call, Means, Route, request_hash
from services.web.admin.failures import Failures
from services.web.admin.problems import Problem, problem_of
from services.web.admin.reading import read

PREFIX: Final = "/admin/v1"

THREADS: Final = 16
"""Admin requests at work at a time, so that slow lists never keep health and receipts waiting."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
DOCS: Final = "/docs"
"""A page for a browser, which can only ask for a name and a password: here, and nowhere else, a key may come as the
password. Browsers send it along by themselves, also at the wish of foreign pages, so it must open nothing that acts."""

_BEARER: Final = re.compile(r"Bearer +(\S{1,200})", re.IGNORECASE)
_BASIC: Final = re.compile(r"Basic +([A-Za-z0-9+/=]{1,600})", re.IGNORECASE)

Result = TypeVar("Result")

log = structlog.get_logger(__name__)


class AdminApi:
    """Answers whatever comes under `PREFIX`."""

    def __init__(self, means: Means, routes: Sequence[Route], *, failures: Failures | None = None) -> None:
        self._means = means
        self._failures = failures or Failures()
        self._limiter: anyio.CapacityLimiter | None = None  # belongs to an event loop, so it is made inside one
        paths = dict.fromkeys(route.path for route in routes)
        addresses = [self._at(path, [route for route in routes if route.path == path]) for path in paths]
        self._router = Router(addresses, redirect_slashes=False, default=_nowhere)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; whatever goes wrong is answered with a problem."""
        if scope["type"] != "http":  # a WebSocket: refused before it is opened, which the server answers with 403
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        sent = request.headers.get("x-request-id", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(16)
        begun = False

        async def named(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message["headers"], *_heads(request_id)]
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                caller = await self._admit(request)
                scope["admin"] = (caller, request_id)
                with structlog.contextvars.bound_contextvars(actor=caller.actor):
                    await self._router(scope, receive, named)
            except Exception as error:
                problem = problem_of(error)
                if begun:
                    raise
                await problem.response(request_id)(scope, receive, named)

    async def _admit(self, request: Request) -> ApiKey:
        peer = request.client.host if request.client else ""
        is_page = request.url.path == request.scope["root_path"] + DOCS and request.method in {"GET", "HEAD"}
        key = _shown(request, is_page=is_page)
        if key is None:
            told = "send Authorization: Bearer kt_…, with a key that 'keyturn keys new' has given"
            raise _stranger(told, is_page=is_page)
        if wait := self._failures.wait(peer, key):
            raise Problem(429, "too many wrong keys from this address", headers={"retry-after": str(wait)})
        caller = await self._in_thread(lambda: self._means.access.check(key))
        if caller is None:
            self._failures.failed(peer, key)
            log.warning("an admin key was refused", peer=peer)
            raise _stranger("this key opens nothing: it is wrong, has expired, or was ended", is_page=is_page)
        self._failures.opened(key)
        return caller

    def _at(self, path: str, routes: Sequence[Route]) -> Address:
        pattern = f"{path.removesuffix('}')}:path}}" if any(route.slashes for route in routes) else path
        return Address(pattern, self._address(routes))

    def _address(self, routes: Iterable[Route]) -> ASGIApp:
        """One address with all its methods: Starlette's own would tell only some of them in a 405."""
        methods = {route.method: route for route in routes}

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            caller, request_id = scope["admin"]
            route = _route(methods, scope["method"])
            if not caller.role.covers(route.role):
                raise Problem(403, f"this needs the role {route.role}; this key has the role {caller.role}")
            request = Request(scope, receive)
            if route.once:
                idempotency_key(request.headers)  # a wrong one is told also where nothing is to be done
            parts, document = await read(route, request)
            call = Call(
                means=self._means,
                route=route,
                caller=caller,
                parts=parts,
                headers=request.headers,
                path=request.url.path,
                request_id=request_id,
                request_hash=request_hash(
                    route.method, _asked(request), document, key=request.headers.get("authorization", "")
                ),
            )
            response = await self._in_thread(lambda: _finished(route, call))
            await response(scope, receive, send)

        return _Asgi(answer)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(THREADS)
        return await run_sync(work, limiter=self._limiter)


class Below(Mount):
    """Sends everything below `PREFIX` to the API; a usual mount leaves out paths with a line end in them."""

    def __init__(self, api: AdminApi) -> None:
        super().__init__(PREFIX, api)
        self.path_regex = re.compile(f"^{PREFIX}/(?P<path>.*)$", re.DOTALL)


class _Asgi:
    """Makes Starlette take a function as an ASGI application, for every method."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)


async def _nowhere(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise Problem(404, f"there is nothing at this address; {PREFIX}/openapi.json tells what there is")


def _route(methods: Mapping[str, Route], method: str) -> Route:
    """The route of a method; HEAD is a GET whose body the server keeps back."""
    route = methods.get("GET" if method == "HEAD" else method)
    if route is None:
        allowed = sorted({*methods, *(["HEAD"] if "GET" in methods else [])})
        raise Problem(405, f"{method[:20]} is not allowed here", headers={"allow": ", ".join(allowed)})
    return route


def _asked(request: Request) -> str:
    """Path and query, which together with the body are what is asked."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _finished(route: Route, call: Call) -> Response:
    def handle() -> Response:
        answer = route.handler(call)
        return written(answer, route.status) if isinstance(answer, Answer) else answer

    response = once(call, handle) if route.once else handle()
    if route.location and response.status_code == route.status:
        response.headers["location"] = PREFIX + route.location.format_map(orjson.loads(bytes(response.body)))
    return response


def _shown(request: Request, *, is_page: bool) -> str | None:
    """The key that a request shows."""
    sent = request.headers.getlist("authorization")
    if len(sent) != 1:
        return None
    if shown := _BEARER.fullmatch(sent[0].strip()):
        return shown[1]
    basic = _BASIC.fullmatch(sent[0].strip()) if is_page else None
    if basic is None:
        return None
    try:
        return base64.b64decode(basic[1], validate=True).decode().partition(":")[2] or None
    except ValueError:
        return None


def _stranger(detail: str, *, is_page: bool) -> Problem:
    basic = ['Basic realm="keyturn", charset="UTF-8"'] if is_page else []
    return Problem(401, detail, challenges=['Bearer realm="keyturn"', *basic])


def _heads(request_id: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-request-id", request_id.encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
