"""The one place that builds HTTP clients, and the one place where their errors become ours.

One SSL context per process and trust anchor, and one `httpx.Client` per thread: measured, a client shared by 64 threads
costs three times the CPU of a client per thread, and a fresh SSL context costs 30 ms.

Error texts hold method, path, status and the upstream's own message, never a header or a body of ours. The errors of
httpx are not chained to ours, because some of them quote header values.
"""

import functools
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import httpx

from schemas.errors import ConfigurationError, OurFault, TryAgain, UpstreamError
from services.clients.answers import Answer, read_retry_after
from services.clients.watch import WATCH, Line

_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
_OURS: Final = (httpx.LocalProtocolError, httpx.UnsupportedProtocol, httpx.InvalidURL)
_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """How long and how much we are willing to wait for and to read; times in seconds.

    Attributes:
        connect: until the connection stands, TLS included.
        read: between two pieces of the answer.
        write: between two pieces of the request.
        pool: until a connection of the client is free.
        whole: for the whole call, however steadily the answer drips.
        retry_after: the longest pause that an upstream may ask of us.
        answer_bytes: the largest answer.
    """

    connect: float = 5.0
    read: float = 30.0
    write: float = 10.0
    pool: float = 5.0
    whole: float = 120.0
    retry_after: float = 3600.0
    answer_bytes: int = 10 * 1024 * 1024


@functools.cache
def ssl_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Give the process's one verifying context that trusts the public CAs, or only those of `ca_file`.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    if ca_file is None:
        return httpx.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the CA file {ca_file} cannot be used: {type(error).__name__}") from None


class Transport:
    """Sends requests to one upstream, a cloud or a device, with one client per thread.

    Args:
        base_url: scheme, host and the path that stands before every call.
        ca_file: trust only the CAs in this PEM file.
        verify: decides whom to trust instead, such as one pinned certificate.
        trust_env: take proxies from the environment.
        clock: the time now, for Retry-After in its date form.
    """

    def __init__(
        self,
        base_url: str,
        *,
        ca_file: Path | None = None,
        verify: ssl.SSLContext | None = None,
        bounds: Bounds | None = None,
        user_agent: str = "keyturn",
        trust_env: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._build = functools.partial(
            httpx.Client,
            base_url=base_url,
            verify=verify or ssl_context(ca_file),
            trust_env=trust_env,
            follow_redirects=False,
            headers={"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"},
        )
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._clients: list[tuple[threading.Thread, httpx.Client]] = []
        self._closed = False

    def request(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        conceal: tuple[str, ...] = (),
        patience: float = 0.0,
    ) -> Answer:
        """Send one request and read the whole answer.

        Args:
            method: such as ``POST``.
            path: below the base URL, starting with a slash.
            query: stands after the path, already encoded; no error text repeats it.
            body: sent as JSON.
            headers: on top of the usual ones.
            conceal: secrets of this request, struck out should the upstream's message repeat them.
            patience: seconds that the upstream was asked to wait before it answers, on top of the bounds.

        Raises:
            TryAgain: the network failed, or the answer was 408, 425, 429 or 5xx.
            OurFault: the certificate is not trusted, the request cannot be sent, or the answer is too large.
        """
        deadline = time.monotonic() + self._bounds.whole + patience
        timeout = _timeout(self._bounds, patience)
        url = f"{path}?{query}" if query else path
        client = self._client()
        line = self._mine.line
        trace = {"trace": line.note}
        try:
            with (
                WATCH.until(deadline, line.hang_up),
                client.stream(method, url, json=body, headers=headers, timeout=timeout, extensions=trace) as response,
            ):
                content = self._read(response, path, deadline)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            fault = _fault(error, method, path)
            if fault.sent and time.monotonic() >= deadline:
                fault = self._unfinished(path)
        else:
            answer = _answer(response, method, path, content, conceal)
            if answer.status in _PASSING or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                fault = self._passing(answer, response.headers.get("Retry-After"))
            else:
                return answer
        raise fault  # outside the except block: nothing of httpx stays attached

    def close(self) -> None:
        """Close the clients of every thread; afterwards nothing can be sent."""
        with self._lock:
            self._closed = True
            clients, self._clients = self._clients, []
        for _, client in clients:
            client.close()

    def _client(self) -> httpx.Client:
        client: httpx.Client | None = getattr(self._mine, "client", None)
        if client is None or self._closed:
            client = self._mine.client = self._another()
            self._mine.line = Line()
        return client

    def _another(self) -> httpx.Client:
        with self._lock:
            if self._closed:
                raise RuntimeError("the transport is closed")
            for thread, abandoned in self._clients:
                if not thread.is_alive():
                    abandoned.close()
            self._clients = [entry for entry in self._clients if entry[0].is_alive()]
            client = self._build()
            self._clients.append((threading.current_thread(), client))
            return client

    def _read(self, response: httpx.Response, path: str, deadline: float) -> bytes:
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > self._bounds.answer_bytes:
                text = f"{path} answered more than {self._bounds.answer_bytes} bytes"
                raise OurFault(text, call=path, status=response.status_code)
            if time.monotonic() > deadline:
                raise self._unfinished(path)
        return bytes(content)

    def _unfinished(self, path: str) -> TryAgain:
        return TryAgain(f"{path} did not finish its answer within {self._bounds.whole:g} s", call=path)

    def _passing(self, answer: Answer, retry_after: str | None) -> TryAgain:
        pause = None if retry_after is None else read_retry_after(retry_after, now=self._clock().timestamp())
        pause = None if pause is None else min(pause, self._bounds.retry_after)
        return TryAgain(answer.text, call=answer.path, status=answer.status, retry_after=pause)


def _timeout(bounds: Bounds, patience: float) -> httpx.Timeout:
    return httpx.Timeout(connect=bounds.connect, read=bounds.read + patience, write=bounds.write, pool=bounds.pool)


def _fault(error: Exception, method: str, path: str) -> UpstreamError:
    """Name what went wrong on the way; the error's own text stays out, since it may quote a header."""
    call, kind = path, type(error).__name__
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            text = f"{method} {path}: the server's certificate is not trusted ({cause.verify_message})"
            return OurFault(text, call=call, sent=False)
    if isinstance(error, _OURS):
        return OurFault(f"{method} {path} cannot be sent ({kind})", call=call, sent=False)
    if isinstance(error, _NOT_SENT):
        return TryAgain(f"{method} {path}: no connection ({kind})", call=call, sent=False)
    return TryAgain(f"{method} {path}: no whole answer ({kind})", call=call)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__


def _answer(response: httpx.Response, method: str, path: str, content: bytes, conceal: tuple[str, ...]) -> Answer:
    authorization = response.request.headers.get("Authorization", "")
    secrets = (*conceal, authorization, authorization.rpartition(" ")[2])
    return Answer.read(
        method=method,
        path=path,
        status=response.status_code,
        body=content,
        conceal=secrets,
        content_type=response.headers.get("Content-Type", ""),
        challenges=tuple(response.headers.get_list("WWW-Authenticate")),
    )
