"""What the twin of a device counts, so that a test can prove what was asked and a bench how long it had to wait."""

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

MOST_WRITES: Final = 10_000
"""How many writes are remembered one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class Write:
    """A write of the mobile key configuration that took effect.

    Attributes:
        serial: of the device.
        at: Unix time in seconds.
        location: what the device broadcasts afterwards.
        keys: the public halves that it holds afterwards, the primary one first.
    """

    serial: str
    at: float
    location: str
    keys: tuple[str, ...]

    def shown(self) -> dict[str, Any]:
        """The write as a JSON document."""
        return {name: getattr(self, name) for name in Write.__slots__}


Journal = deque[Write]
"""The writes of many devices, in order."""


@dataclass(slots=True)
class Tally:
    """Requests of one device by function and outcome, writes, connections and waiting.

    Attributes:
        requests: by method and path; every HTTP request counts, also one that only fetches a challenge.
        outcomes: ``ok``, error codes, and what the dials made of the rest.
        puts: requests to write that were let in, whatever became of them.
        writes: those that took effect.
        concurrent: requests being answered just now, and the most there ever were.
        waited: seconds for which the twin held requests: latency, answers that never came, silent connections.
        offline_connections: connections that were accepted and never answered.
    """

    requests: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    puts: int = 0
    writes: int = 0
    concurrent: int = 0
    most_concurrent: int = 0
    waited: float = 0.0
    connections: int = 0
    offline_connections: int = 0
    reboots: int = 0

    @contextmanager
    def serving(self, function: str) -> Iterator[None]:
        """Count a request for as long as it is being answered."""
        self.requests[function] += 1
        self.concurrent += 1
        self.most_concurrent = max(self.most_concurrent, self.concurrent)
        try:
            yield
        finally:
            self.concurrent -= 1

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Add the time that passes to what others were made to wait."""
        begun = monotonic()
        try:
            yield
        finally:
            self.waited += monotonic() - begun

    def clear(self) -> None:
        """Start again; requests that are being answered stay."""
        self.requests.clear()
        self.outcomes.clear()
        self.puts = self.writes = self.connections = self.offline_connections = self.reboots = 0
        self.waited, self.most_concurrent = 0.0, self.concurrent


def shown(tallies: Iterable[Tally]) -> dict[str, Any]:
    """Sum some devices' counts up as one JSON document; ``most_concurrent`` is that of the busiest device."""
    total, busiest = Tally(), 0
    for tally in tallies:
        total.requests.update(tally.requests)
        total.outcomes.update(tally.outcomes)
        for name in ("puts", "writes", "concurrent", "waited", "connections", "offline_connections", "reboots"):
            setattr(total, name, getattr(total, name) + getattr(tally, name))
        busiest = max(busiest, tally.most_concurrent)
    return {
        "requests": dict(total.requests),
        "outcomes": dict(total.outcomes),
        "puts": total.puts,
        "writes": total.writes,
        "concurrent": total.concurrent,
        "most_concurrent": busiest,
        "waited_seconds": round(total.waited, 6),
        "connections": total.connections,
        "offline_connections": total.offline_connections,
        "reboots": total.reboots,
    }
