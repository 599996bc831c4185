"""The admin API on a ledger, over ASGI, with a key of each role."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import httpx
from starlette.applications import Starlette

from infra.ledger import Ledger
from schemas.access import Role
from services.access import Access
from services.web.admin.application import PREFIX, AdminApi, Below
from services.web.admin.contract import Means, Route
from services.web.admin.failures import Failures
from services.web.admin.routes import ROUTES
from services.wiring import make_desk
from tests.support.site import settings_for

PEER: Final = "192.0.2.1"


class AdminSite:
    """The API as a caller sees it; `rung` holds what rang for workers."""

    def __init__(
        self,
        ledger: Ledger,
        clock: Callable[[], datetime],
        *,
        routes: Sequence[Route] = ROUTES,
        failures: Failures | None = None,
        **variables: object,
    ) -> None:
        self.ledger = ledger
        self.access = Access(ledger, clock=clock)
        self.rung: list[tuple[str, list[int]]] = []
        self.settings = settings_for(str(ledger.database.engine.url.render_as_string(hide_password=False)), **variables)
        self._means = Means(
            settings=self.settings,
            ledger=ledger,
            access=self.access,
            desk=make_desk(self.settings, ledger, clock=clock),
            ring=self._ring,
            clock=clock,
        )
        self.app = Starlette(routes=[Below(AdminApi(self._means, routes, failures=failures))])
        self._keys: dict[Role, str] = {}

    def _ring(self, task: str, ids: Iterable[int]) -> None:
        self.rung.append((task, list(ids)))

    def key(self, role: Role) -> str:
        """The site's own key of a role."""
        if role not in self._keys:
            self._keys[role] = self.new_key(role)[1]
        return self._keys[role]

    def new_key(self, role: Role, *, name: str = "test", days: int | None = None) -> tuple[str, str]:
        """A new key: its id, and the whole of it."""
        with self.ledger.database.writing() as connection:
            made, secret = self.access.make(connection, name=name, role=role, days=days, actor="test")
        return made.id, secret.get_secret_value()

    def call(self, method: str, path: str, *, role: Role | None = Role.ADMIN, **how: Any) -> httpx.Response:
        """Send one request with the key of a role, or without one."""
        return asyncio.run(self.send(method, path, role=role, **how))

    def get(self, path: str, *, role: Role | None = Role.ADMIN, **how: Any) -> httpx.Response:
        """Ask for something."""
        return self.call("GET", path, role=role, **how)

    def post(self, path: str, body: object = None, *, role: Role | None = Role.ADMIN, **how: Any) -> httpx.Response:
        """Do something."""
        return self.call("POST", path, role=role, json={} if body is None else body, **how)

    async def send(
        self, method: str, path: str, *, role: Role | None = Role.ADMIN, peer: str = PEER, **how: Any
    ) -> httpx.Response:
        """Send one request inside an event loop."""
        headers = {} if role is None else {"Authorization": f"Bearer {self.key(role)}"}
        headers |= how.pop("headers", {})
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(peer, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://keyturn.test") as client:
            return await client.request(method, PREFIX + path, headers=headers, **how)


def problem(response: httpx.Response, status: int) -> dict[str, Any]:
    """The problem that an answer is, of this status."""
    document: dict[str, Any] = response.json()
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), document
    assert document["status"] == status
    assert document["request_id"] == response.headers["x-request-id"]
    return document
