"""Puts the face of the twin behind HTTP; the devices themselves live beside it, for as long as it does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette

from services.sandbox.twon.control import control_routes
from services.sandbox.twon.park import Park


def build(park: Park) -> Starlette:
    """Give the ASGI app whose lifespan is that of the devices."""

    @asynccontextmanager
    async def alive(_app: Starlette) -> AsyncIterator[None]:
        async with park.alive():
            yield

    return Starlette(routes=control_routes(park), lifespan=alive)
