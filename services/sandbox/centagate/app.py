"""Puts the twin behind HTTP: the API under ``/CentagateWS/webresources``, its own face under ``/_twin``."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.sandbox.centagate.control import control_routes
from services.sandbox.centagate.endpoints import api_routes
from services.sandbox.centagate.invented import HTML
from services.sandbox.centagate.twin import Twin


def build(twin: Twin | None = None) -> Starlette:
    """Give the ASGI app of a twin, a fresh one when none is given."""
    server = twin or Twin()

    async def unknown(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        server.tally.call(request.url.path, f"http {status}")
        return Response(HTML, status, media_type="text/html")

    return Starlette(routes=[*api_routes(server), *control_routes(server)], exception_handlers={HTTPException: unknown})
