"""The site: the webhook route, raw and first; everything else is ordinary Starlette."""

import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from anyio.to_thread import run_sync
from celery import Celery
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from infra.broker import PLAN, Doorbell
from infra.coordination import Coordination
from infra.heap import settle_heap
from infra.ledger import Ledger
from infra.settings import Settings
from services.access import Access
from services.intake import Intake
from services.web.admin.application import AdminApi, Below
from services.web.admin.contract import Means
from services.web.admin.routes import ROUTES
from services.web.health import Health
from services.web.hooks import BODY_SECONDS, PREFIX, Hooks, TokenList
from services.web.metrics import Metrics
from services.web.receipts import Receipts
from services.web.token_watch import TokenWatch
from services.wiring import make_desk

_SWITCH_SECONDS: Final = 0.0005
"""The writer thread asks for the GIL after each call to the database; the usual 5 ms would be most of a commit."""


class Site:
    """The whole ASGI application of a web process."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        broker: Celery,
        *,
        clock: Callable[[], datetime],
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        tokens = TokenList((token.get_secret_value() for token in settings.webhook_tokens), clock=clock)
        self._token_watch = TokenWatch(ledger, tokens, clock=clock)
        self._ledger = ledger
        self._broker = broker
        self._intake = Intake(
            ledger.inbox,
            on_accepted=lambda ids: self._ring(PLAN, ids),
            timeout=settings.accept_timeout,
            queue_limit=settings.accept_queue_limit,
            backlog_limit=settings.backlog_limit,
        )
        self._hooks: ASGIApp = Hooks(
            self._intake, tokens, body_limit=settings.body_limit_bytes, body_seconds=body_seconds, clock=clock
        )
        self._coordination = Coordination(settings.redis_url.get_secret_value())
        metrics = Metrics(ledger, self._coordination, clock=clock, token=settings.metrics_token)
        health = Health(ledger, clock=clock, sweep_every=settings.sweep_every)
        self._desk = make_desk(settings, ledger, clock=clock)
        means = Means(
            settings=settings,
            ledger=ledger,
            access=Access(ledger, clock=clock),
            desk=self._desk,
            ring=self._ring,
            clock=clock,
        )
        self._rest = Starlette(
            routes=[
                Route("/healthz", health.alive, methods=["GET"]),
                Route("/readyz", health.ready, methods=["GET"]),
                Route("/metrics", metrics.show, methods=["GET"]),
                Route("/receipts/{receipt}", Receipts(ledger, tokens).show, methods=["GET"]),
                Below(AdminApi(means, ROUTES)),
            ],
            lifespan=self._lifespan,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request to the receiver or to the rest."""
        is_hook = scope["type"] == "http" and scope["path"].startswith(PREFIX)
        await (self._hooks if is_hook else self._rest)(scope, receive, send)

    def _ring(self, task: str, ids: Iterable[int]) -> None:
        self._doorbell.ring(task, ids)

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        self._doorbell = Doorbell(self._broker)
        self._intake.start()
        await run_sync(self._token_watch.start)
        settle_heap()
        sys.setswitchinterval(_SWITCH_SECONDS)
        yield
        await self._intake.stop()
        await run_sync(self._token_watch.stop)
        self._desk.close()
        self._doorbell.close()
        self._coordination.close()
        self._ledger.close()
