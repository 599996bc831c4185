"""An answer on the wire, or the lack of one.

Source: the samples of authentication (``code`` is a text, ``object`` is JSON as a text) and of management
(``code`` is a number, which Java's Gson shows as 0.0).
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from services.sandbox.centagate.codes import message_of
from services.sandbox.centagate.dials import CodeFormat, Dials, ObjectFormat
from services.sandbox.centagate.invented import HTML, NOTHING
from services.sandbox.centagate.upsets import Kind, Upset


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a call is answered.

    Attributes:
        outcome: the name under which it is counted.
    """

    outcome: str
    content: bytes
    status: int = 200
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, code: int, told: object, dials: Dials, *, authenticates: bool) -> "Answer":
        """Write an answer with a return code."""
        document = {
            "code": str(code) if authenticates else _written(code, dials.code_format),
            "message": message_of(code),
            "object": told if authenticates else _enclosed(told, dials.object_format),
        }
        return cls(outcome=str(int(code)), content=orjson.dumps(document))

    def upset(self, upset: Upset, dials: Dials, *, authenticates: bool) -> "Answer":
        """Give the answer that takes the place of this one."""
        if upset.kind is Kind.CODE:
            return Answer.of(upset.code, NOTHING, dials, authenticates=authenticates)
        if upset.kind is Kind.HTML:
            return Answer(outcome="html", content=HTML.encode(), media_type="text/html")
        if upset.kind is Kind.ERROR:
            seconds = dials.retry_after_seconds
            headers = {} if seconds is None else {"Retry-After": str(seconds)}
            return Answer(
                outcome=f"http {upset.status}",
                content=HTML.encode(),
                status=upset.status,
                media_type="text/html",
                headers=headers,
            )
        return self

    def response(self) -> Response:
        """The answer on the wire."""
        return Response(self.content, self.status, self.headers, media_type=self.media_type)


async def close_connection(request: Request) -> None:
    """Close the connection of a request without an answer, and wait until it is closed.

    ASGI has no word for that; uvicorn's `receive` belongs to the object that holds the connection.
    """
    connection: Any = request.receive
    connection.__self__.transport.close()
    await _gone(request)


async def hold_back(request: Request, seconds: float) -> None:
    """Wait so long, or until the caller hangs up."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _gone(request)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _written(code: int, form: CodeFormat) -> object:
    return {CodeFormat.NUMBER: int(code), CodeFormat.FLOAT: float(code), CodeFormat.TEXT: str(int(code))}[form]


def _enclosed(told: object, form: ObjectFormat) -> object:
    return told if form is ObjectFormat.OBJECT or told == NOTHING else orjson.dumps(told).decode()
