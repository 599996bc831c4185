"""The yardstick: Starlette reads the body and answers 202; nothing is checked, parsed or kept."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


async def hook(request: Request) -> Response:
    """Read the whole body and accept it."""
    await request.body()
    return Response(status_code=202)


async def ready(_request: Request) -> Response:
    """Say that the server is up."""
    return Response()


app = Starlette(routes=[Route("/webhooks/ublox", hook, methods=["POST"]), Route("/readyz", ready)])
