"""One HTTP/1.1 connection to a device: requests out of bytes, answers into bytes, in order."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Final

import httptools

from services.sandbox.twon.calls import Call
from services.sandbox.twon.desk import Ending, Reply
from services.sandbox.twon.envelope import Answer

MOST_SENT: Final = 1_000_000
"""Bytes of one body; a client that sends more is hung up on."""

_PIECE: Final = 65_536

Serve = Callable[[Call], Awaitable[Reply]]


class _Requests:
    """Gathers whole requests; `httptools` calls the methods by their names."""

    def __init__(self, *, secure: bool) -> None:
        self.whole: deque[tuple[Call, bool]] = deque()
        self._secure = secure
        self._parser = httptools.HttpRequestParser(self)
        self._begin()

    def feed(self, data: bytes) -> None:
        """Read on.

        Raises:
            ValueError: these bytes are no HTTP, or too many.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ValueError(str(error)) from None
        if len(self._body) > MOST_SENT:
            raise ValueError("the body is too long")

    def on_message_begin(self) -> None:
        """Start anew."""
        self._begin()

    def on_url(self, url: bytes) -> None:
        """Add to the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a header."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """Add to the body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Note the request and whether another may follow."""
        method, target = self._parser.get_method().decode(), self._url.decode("latin-1")
        call = Call(method, target, self._headers, bytes(self._body), self._secure)
        self.whole.append((call, self._parser.should_keep_alive()))
        self._begin()

    def _begin(self) -> None:
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, serve: Serve) -> Ending:
    """Answer requests until the client hangs up or an answer is not to come; say which."""
    requests = _Requests(secure=writer.get_extra_info("sslcontext") is not None)
    while data := await reader.read(_PIECE):
        try:
            requests.feed(data)
        except ValueError:
            await _write(writer, Answer(status=400, content_type="text/plain"), keep=False)
            return Ending.STAYS
        while requests.whole:
            call, keep = requests.whole.popleft()
            if "host" not in call.headers:
                await _write(writer, Answer(status=400, content_type="text/plain"), keep=False)
                return Ending.STAYS
            reply = await serve(call)
            if reply.answer is not None:
                await _write(writer, reply.answer, keep=keep)
            if reply.ending is not Ending.STAYS:
                return reply.ending
            if not keep:
                return Ending.STAYS
    return Ending.STAYS


async def _write(writer: asyncio.StreamWriter, answer: Answer, *, keep: bool) -> None:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        "Server: HIP2.10",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        f"Connection: {'keep-alive' if keep else 'close'}",
    ]
    if answer.challenge:
        lines.append(f"WWW-Authenticate: {answer.challenge}")
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)
    await writer.drain()
