"""Puts the twin behind HTTP: the API under ``/v1``, its own face under ``/_twin``."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.sandbox.ublox.control import control_routes
from services.sandbox.ublox.endpoints import api_routes
from services.sandbox.ublox.shapes import NO_SUCH_CALL
from services.sandbox.ublox.twin import Twin


def build(twin: Twin | None = None) -> Starlette:
    """Give the ASGI app of a twin, a fresh one when none is given."""
    account = twin or Twin()

    @asynccontextmanager
    async def alive(_app: Starlette) -> AsyncIterator[None]:
        async with account.alive():
            yield

    async def unknown(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        account.tally.call(request.url.path, status, 0)
        return Response(orjson.dumps({"message": NO_SUCH_CALL}), status, media_type="application/json")

    return Starlette(
        routes=[*api_routes(account), *control_routes(account)],
        lifespan=alive,
        exception_handlers={HTTPException: unknown},
    )
