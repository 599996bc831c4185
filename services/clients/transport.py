"""The one place that sends HTTP requests, and the one place where their errors become ours.

One SSL context per process and trust anchor, and one wire per thread: a fresh SSL context costs 30 ms. What carries the
requests is httpx for a cloud service (`cloud`), and a leaner wire for devices, of which there are thousands (`line`).

Error texts hold method, path, status and the upstream's own message, never a header or a body of ours. The errors of
the wires are not chained to ours, because some of them quote header values.
"""

import functools
import json
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import SplitResult, quote, urlsplit

import httpx

from schemas.errors import ConfigurationError, OurFault, TryAgain, UpstreamError
from services.clients.answers import Answer, read_retry_after
from services.clients.cloud import CloudWire
from services.clients.watch import WATCH
from services.clients.wire import Bounds, Broken, Message, Received, Wire

__all__ = ["Bounds", "Transport", "ssl_context"]

_PASSING: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})
_AS_IT_IS: Final = "/?%:@!$&'()*+,;=-._~[]"
"""What stands in path and query as it is, beside letters and digits."""


_making: Final = threading.Lock()


def ssl_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Give the process's one verifying context that trusts the public CAs, or only those of `ca_file`.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    with _making:  # a hundred threads that begin together would make a hundred
        return _ssl_context(ca_file)


@functools.cache
def _ssl_context(ca_file: Path | None) -> ssl.SSLContext:
    if ca_file is None:
        return httpx.create_ssl_context(trust_env=False)  # the public CAs, from a file that comes with it
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the CA file {ca_file} cannot be used: {type(error).__name__}") from None


class Transport:
    """Sends requests to one upstream, a cloud or a device, with one connection per thread.

    No redirect is followed, no proxy used, no cookie kept.

    Args:
        base_url: scheme, host and the path that stands before every call.
        ca_file: trust only the CAs in this PEM file.
        verify: decides whom to trust instead, such as one pinned certificate.
        wire: what carries the requests.
        clock: the time now, for Retry-After in its date form.

    Raises:
        ConfigurationError: the URL has no host, or the CA file cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        ca_file: Path | None = None,
        verify: ssl.SSLContext | None = None,
        bounds: Bounds | None = None,
        user_agent: str = "keyturn",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        wire: Callable[[SplitResult, ssl.SSLContext | None], Wire] = CloudWire,
    ) -> None:
        base = urlsplit(base_url)
        if base.scheme not in {"http", "https"} or not base.hostname:
            raise ConfigurationError("expected the URL of an upstream as https://host[:port][/path]")
        self._bounds = bounds or Bounds()
        self._clock = clock
        self._prefix = base.path.rstrip("/")
        self._headers = {"User-Agent": user_agent, "Accept": "application/json", "Accept-Encoding": "identity"}
        context = (verify or ssl_context(ca_file)) if base.scheme == "https" else None
        self._build = functools.partial(wire, base, context)
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._lines: list[tuple[threading.Thread, Wire]] = []
        self._closed = False

    def request(
        self,
        method: str,
        path: str,
        *,
        query: str = "",
        body: Mapping[str, Any] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        conceal: tuple[str, ...] = (),
        patience: float = 0.0,
    ) -> Answer:
        """Send one request and read the whole answer.

        Args:
            method: such as ``POST``.
            path: below the base URL, starting with a slash.
            query: stands after the path, already encoded; no error text repeats it.
            body: sent as JSON; bytes are sent as they are, and `headers` say what they are.
            headers: on top of the usual ones.
            conceal: secrets of this request, struck out should the upstream's message repeat them.
            patience: seconds that the upstream was asked to wait before it answers, on top of the bounds.

        Raises:
            TryAgain: the network failed, or the answer was 408, 425, 429 or 5xx.
            OurFault: the certificate is not trusted, the request cannot be sent, or the answer is too large.
        """
        deadline = time.monotonic() + self._bounds.whole + patience
        sent = {**self._headers, **(headers or {})}
        line = self._line()
        try:
            with WATCH.until(deadline, line.hang_up):
                written = None if body is None else _written(body, sent)
                message = Message(method, self._target(path, query), sent, written)
                received = line.exchange(message, self._bounds, patience)
        except Broken as broken:
            late = broken.sent and time.monotonic() >= deadline
            fault = self._unfinished(path) if late else _fault(broken, method, path)
        else:
            authorization = sent.get("Authorization", "")
            secrets = (*conceal, authorization, authorization.rpartition(" ")[2])
            return self._told(received, deadline, call=(method, path), secrets=secrets)
        raise fault  # outside the except block: nothing of the wire stays attached

    def _target(self, path: str, query: str = "") -> str:
        return quote(f"{self._prefix}{path}?{query}" if query else f"{self._prefix}{path}", safe=_AS_IT_IS)

    def close(self) -> None:
        """Close the connections of every thread; afterwards nothing can be sent."""
        with self._lock:
            self._closed = True
            lines, self._lines = self._lines, []
        for _, line in lines:
            line.close()

    def _line(self) -> Wire:
        line: Wire | None = getattr(self._mine, "line", None)
        if line is None or self._closed:
            line = self._mine.line = self._another()
        return line

    def _another(self) -> Wire:
        with self._lock:
            if self._closed:
                raise RuntimeError("the transport is closed")
            for thread, abandoned in self._lines:
                if not thread.is_alive():
                    abandoned.close()
            self._lines = [entry for entry in self._lines if entry[0].is_alive()]
            line = self._build()
            self._lines.append((threading.current_thread(), line))
            return line

    def _told(self, received: Received, deadline: float, *, call: tuple[str, str], secrets: tuple[str, ...]) -> Answer:
        method, path = call
        if len(received.content) > self._bounds.answer_bytes:
            text = f"{path} answered more than {self._bounds.answer_bytes} bytes"
            raise OurFault(text, call=path, status=received.status)
        if time.monotonic() > deadline:  # where the end of a connection ends a body, it may be us who ended it
            raise self._unfinished(path)
        answer = Answer.read(
            method=method,
            path=path,
            status=received.status,
            body=received.content,
            conceal=secrets,
            content_type=received.content_type,
            challenges=received.challenges,
            date=received.date,
        )
        if answer.status in _PASSING or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise self._passing(answer, received.retry_after)
        return answer

    def _unfinished(self, path: str) -> TryAgain:
        return TryAgain(f"{path} did not finish its answer within {self._bounds.whole:g} s", call=path)

    def _passing(self, answer: Answer, retry_after: str | None) -> TryAgain:
        pause = None if retry_after is None else read_retry_after(retry_after, now=self._clock().timestamp())
        pause = None if pause is None else min(pause, self._bounds.retry_after)
        return TryAgain(answer.text, call=answer.path, status=answer.status, retry_after=pause)


def _written(body: Mapping[str, Any] | bytes, headers: dict[str, str]) -> bytes:
    """Write a body as JSON, and say so."""
    if isinstance(body, bytes):
        return body
    headers["Content-Type"] = "application/json"
    try:
        return json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:
        raise Broken("ValueError", unsendable=True) from None


def _fault(broken: Broken, method: str, path: str) -> UpstreamError:
    """Name what went wrong on the way."""
    if broken.untrusted:
        text = f"{method} {path}: the server's certificate is not trusted ({broken.untrusted})"
        return OurFault(text, call=path, sent=False)
    if broken.unsendable:
        return OurFault(f"{method} {path} cannot be sent", call=path, sent=False)
    if not broken.sent:
        return TryAgain(f"{method} {path}: no connection ({broken.kind})", call=path, sent=False)
    return TryAgain(f"{method} {path}: no whole answer ({broken.kind})", call=path)
