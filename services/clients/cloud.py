"""The wire to a cloud service: a client of httpx for one thread.

A client that 64 threads share costs three times the CPU of a client per thread.
"""

import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import SplitResult

import httpx

from services.clients.wire import Bounds, Broken, Message, Received

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_OURS: Final = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL, ValueError)


class CloudWire:
    """Carries requests over httpx; no redirect is followed, no proxy used, no cookie kept.

    Args:
        base: scheme, host and port.
        context: decides whom to trust; None for http.
    """

    def __init__(self, base: SplitResult, context: ssl.SSLContext | None) -> None:
        self._origin = f"{base.scheme}://{base.netloc}"
        nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # over http: what would verify, and trusts no one
        self._client = httpx.Client(verify=context or nobody, trust_env=False, follow_redirects=False)
        self._client.headers.clear()
        self._stream: Any = None

    def exchange(self, message: Message, bounds: Bounds, patience: float) -> Received:
        """Send a request and read its answer.

        Raises:
            Broken: no whole answer came.
        """
        timeout = httpx.Timeout(
            connect=bounds.connect, read=bounds.read + patience, write=bounds.write, pool=bounds.pool
        )
        self._client.cookies.clear()
        try:
            with self._client.stream(
                message.method,
                self._origin + message.target,
                content=message.body,
                headers=dict(message.headers),
                timeout=timeout,
                extensions={"trace": self._note},
            ) as response:
                return _received(response, bounds.answer_bytes + 1)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            broken = _broken(error)
        raise broken  # outside the except block: nothing of httpx stays attached

    def hang_up(self) -> None:
        """Let whoever reads or writes see the end; the connection's own thread closes it."""
        connection = None if self._stream is None else self._stream.get_extra_info("socket")
        if connection is not None:
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)  # of TLS too, without its farewell

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def _note(self, event: str, info: Mapping[str, Any]) -> None:
        """Take the connection out of httpcore's trace events."""
        if event in {"connection.connect_tcp.complete", "connection.start_tls.complete"}:
            self._stream = info["return_value"]


def _received(response: httpx.Response, most: int) -> Received:
    content = bytearray()
    for piece in response.iter_bytes():
        content += piece
        if len(content) >= most:
            break
    return Received(
        status=response.status_code,
        content=bytes(content[:most]),
        content_type=response.headers.get("Content-Type", ""),
        challenges=tuple(response.headers.get_list("WWW-Authenticate")),
        retry_after=response.headers.get("Retry-After"),
        date=response.headers.get("Date"),
    )


def _broken(error: Exception) -> Broken:
    kind = type(error).__name__
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Broken(kind, untrusted=cause.verify_message)
    if isinstance(error, _OURS):
        return Broken(kind, unsendable=True)
    return Broken(kind, sent=not isinstance(error, _NOT_SENT))


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
