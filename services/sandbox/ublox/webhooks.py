"""Who wants to be told of what, and the post that tells them.

Source: Notification Hook APIs. The document promises one POST with the registered token as the whole ``Authorization``
header, and nothing about repeats; so there are none unless a dial says so.
"""

import ssl
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

import httpx

from schemas.events import EventType
from services.sandbox.ublox.tally import Deliveries

MOST_WAITING: Final = 100_000
"""Deliveries that may wait; further ones are dropped and counted."""

_POSTMEN: Final = 4
"""Threads, each with a connection pool of its own. A client shared by threads or tasks delivered half as much, and so
did httpx.Client against the transport below it, whose cookies and redirects nobody wants here."""

_LONGEST_SECONDS: Final = 5.0
_PATIENCE: Final = {"timeout": httpx.Timeout(_LONGEST_SECONDS).as_dict()}
_PAUSE_SECONDS: Final = 0.2


@dataclass(slots=True)
class Hooks:
    """Registrations: several URLs for one type are allowed, the same URL twice replaces the token."""

    by_type: dict[str, dict[str, str]] = field(default_factory=lambda: {kind.value: {} for kind in EventType})

    def register(self, event_type: str, url: str, token: str) -> None:
        """Tell this URL of events of this type."""
        self.by_type[event_type][url] = token

    def replace_token(self, url: str, token: str) -> bool:
        """Change the token of every registration of this URL; False when there is none."""
        holders = [urls for urls in self.by_type.values() if url in urls]
        for urls in holders:
            urls[url] = token
        return bool(holders)

    def remove(self, url: str) -> bool:
        """Forget every registration of this URL; False when there is none."""
        holders = [urls for urls in self.by_type.values() if url in urls]
        for urls in holders:
            del urls[url]
        return bool(holders)

    def listed(self) -> list[tuple[str, str]]:
        """Each registration as type and URL."""
        return [(event_type, url) for event_type, urls in self.by_type.items() for url in urls]


@cache
def _trust() -> ssl.SSLContext:
    """One per process: it takes 30 ms to load."""
    return httpx.create_ssl_context()


def acceptable(url: str) -> bool:
    """Whether the URL may be registered: "only https endpoints are accepted".

    The twin's one licence: http to this machine itself is accepted too, because tests listen there.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)))
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """One delivery to make."""

    url: str
    token: str
    body: bytes
    retries: int


class Post:
    """Delivers letters from a few threads, so that the calls of the API never wait for a receiver."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries
        self._waiting: deque[Letter] = deque()
        lock = threading.Lock()
        self._mail = threading.Condition(lock)
        self._rest = threading.Condition(lock)
        self._under_way = 0
        self._open = False
        self._postmen: list[threading.Thread] = []

    @property
    def waiting(self) -> int:
        """Deliveries that are not done with."""
        with self._mail:
            return len(self._waiting) + self._under_way

    def open(self) -> None:
        """Start the threads."""
        self._open = True
        self._postmen = [
            threading.Thread(target=self._deliver_all, name=f"post-{number}", daemon=True) for number in range(_POSTMEN)
        ]
        for postman in self._postmen:
            postman.start()

    def close(self) -> None:
        """Throw away what waits and stop the threads; a delivery on its way may end."""
        with self._mail:
            self._open = False
            self._waiting.clear()
            self._mail.notify_all()
            self._rest.notify_all()
        for postman in self._postmen:
            postman.join(timeout=1)

    def discard(self) -> None:
        """Throw away what waits and see off what is on its way, so that nothing is counted afterwards."""
        with self._rest:
            self._waiting.clear()
            self._rest.wait_for(lambda: not self._under_way, timeout=_LONGEST_SECONDS)

    def drain(self) -> None:
        """Wait until everything was delivered, or given up."""
        with self._rest:
            self._rest.wait_for(lambda: not self._open or not (self._waiting or self._under_way))

    def send(self, letter: Letter) -> None:
        """Queue a letter and return at once."""
        with self._mail:
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append(letter)
                self._mail.notify()
                return
        self._deliveries.add("dropped")

    def _deliver_all(self) -> None:
        with httpx.HTTPTransport(verify=_trust(), trust_env=False) as line:
            while (letter := self._next()) is not None:
                self._deliveries.add("sent" if self._delivered(line, letter) else "failed")
                with self._rest:
                    self._under_way -= 1
                    self._rest.notify_all()

    def _next(self) -> Letter | None:
        with self._mail:
            self._mail.wait_for(lambda: self._waiting or not self._open)
            if not self._open:
                return None
            self._under_way += 1
            return self._waiting.popleft()

    def _delivered(self, line: httpx.HTTPTransport, letter: Letter) -> bool:
        for retry in range(letter.retries + 1):
            if retry:
                self._deliveries.add("retried")
                time.sleep(_PAUSE_SECONDS)
            if _posted(line, letter):
                return True
        return False


def _posted(line: httpx.HTTPTransport, letter: Letter) -> bool:
    headers = {"Authorization": letter.token, "Content-Type": "application/json"}
    try:
        request = httpx.Request("POST", letter.url, headers=headers, content=letter.body, extensions=_PATIENCE)
        answer = line.handle_request(request)
        answer.read()
        answer.close()
    except (httpx.HTTPError, httpx.InvalidURL):
        return False
    return answer.is_success
