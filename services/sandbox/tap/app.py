"""Puts the face of the twin behind HTTP; the Taps themselves live beside it, for as long as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from services.sandbox.tap.control import control_routes
from services.sandbox.tap.fleet import Fleet


def build(fleet: Fleet) -> Starlette:
    """Give the ASGI app whose lifespan is that of the Taps."""

    @asynccontextmanager
    async def alive(_app: Starlette) -> AsyncIterator[None]:
        async with fleet.alive():
            yield

    return Starlette(routes=control_routes(fleet), lifespan=alive)
