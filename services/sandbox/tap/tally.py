"""What the twin of a Tap counts, so that a test can prove what was asked, in which order, and what took effect."""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any, Final

MOST_WRITES: Final = 10_000
"""How many writes are remembered one by one; all are counted."""


@dataclass(slots=True)
class Write:
    """One PUT or POST that was no part of a login.

    Attributes:
        number: counts from 1.
        request: method and path.
        body: hexadecimal; None where it is a secret.
        sealed: whether it came through the encrypted channel.
        group: who wrote.
        status: the result code; None where the Tap restarted instead of answering.
        took_effect: whether the Tap carried it out.
    """

    number: int
    request: str
    body: str | None
    sealed: bool
    group: int
    status: int | None = None
    took_effect: bool = False

    def shown(self) -> dict[str, Any]:
        """The write as a JSON document."""
        return {name: getattr(self, name) for name in Write.__slots__}


@dataclass(slots=True)
class Tally:
    """Requests by place and result, writes in order, logins, lines and restarts."""

    requests: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    sealed: int = 0
    writes: deque[Write] = field(default_factory=lambda: deque(maxlen=MOST_WRITES))
    write_count: int = 0
    logins: Counter[str] = field(default_factory=Counter)
    lines: Counter[str] = field(default_factory=Counter)
    restarts: int = 0

    def request(self, place: str, status: int | None, *, sealed: bool) -> None:
        """Count one request and how it was answered."""
        self.requests[place]["none" if status is None else f"{status:02X}"] += 1
        self.sealed += sealed

    def write(self, request: str, body: str | None, *, sealed: bool, group: int) -> Write:
        """Note a write that begins."""
        self.write_count += 1
        write = Write(self.write_count, request, body, sealed, group)
        self.writes.append(write)
        return write

    def clear(self) -> None:
        """Start again."""
        for counts in (self.requests, self.writes, self.logins, self.lines):
            counts.clear()
        self.sealed = self.write_count = self.restarts = 0

    def shown(self) -> dict[str, Any]:
        """Everything as one JSON document."""
        return {
            "requests": {place: counts.total() for place, counts in self.requests.items()},
            "answers": {place: dict(counts) for place, counts in self.requests.items()},
            "sealed_requests": self.sealed,
            "writes": [write.shown() for write in self.writes],
            "write_count": self.write_count,
            "logins": dict(self.logins),
            "lines": dict(self.lines),
            "restarts": self.restarts,
        }
