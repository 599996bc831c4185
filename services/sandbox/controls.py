"""What the own faces of all twins share: a table of deeds becomes routes under ``/_twin``, faults become answers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from schemas.errors import InputError
from services.sandbox.turning import faults_of

CONTROL_PATH: Final = "/_twin"

T = TypeVar("T")
W = TypeVar("W", bound=BaseModel)

Deed = Callable[[T, Request], Awaitable[object]]
"""What one call does with a twin; its result is the answer's JSON."""


class Wish(BaseModel):
    """The body of a call."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def routes_of(twin: T, table: Sequence[tuple[str, str, Deed[T]]]) -> list[Route]:
    """Make the routes of method, path below ``/_twin``, and deed."""
    return [Route(CONTROL_PATH + path, _answering(twin, deed), methods=[method]) for method, path, deed in table]


def _answering(twin: T, deed: Deed[T]) -> Callable[[Request], Awaitable[Response]]:
    async def call(request: Request) -> Response:
        try:
            status, document = 200, await deed(twin, request)
        except InputError as error:
            status, document = 400, {"faults": error.faults}
        return Response(orjson.dumps(document), status, media_type="application/json")

    return call


async def read_wish(kind: type[W], request: Request) -> W:
    """Read the body; an empty one wishes for what is usual.

    Raises:
        InputError: every fault of it.
    """
    try:
        return kind.model_validate_json(await request.body() or b"{}")
    except ValidationError as error:
        raise InputError(faults_of(error)) from None


async def read_json(request: Request) -> object:
    """Read the body as JSON.

    Raises:
        InputError: it is none.
    """
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise InputError([f"the body is not JSON: {error}"]) from None
