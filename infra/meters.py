"""What processes count, summed in Redis so that whoever is asked for it gives the same answer.

Each process adds what it has counted since the last time, every few seconds. So the sums are those of all processes,
they outlive a restart of each, and any web process can show them. A process that is killed takes the seconds since its
last addition with it; a wiped Redis starts the sums again from nothing, which Prometheus takes for a counter's reset.
Without Redis the counts wait in the process. Nothing here is truth: what must be right is read from the ledger.
"""

import json
import threading
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from infra.coordination import Coordination

SUMS: Final = "meters"
ALIVE: Final = "alive:"

PUSH_EVERY: Final = 5.0
"""Seconds between two additions."""

ALIVE_FOR: Final = 20.0
"""Seconds after its last addition that a worker counts as alive."""

BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the latency histogram in seconds."""

MOST_WORKERS: Final = 1000

Series = tuple[str, tuple[tuple[str, str], ...]]
"""A name and its labels, in the order of their names."""


class Meters:
    """The counts of one process.

    Args:
        coordination: where they are added up; without it they are only held.
    """

    def __init__(self, coordination: Coordination | None = None) -> None:
        self._coordination = coordination
        self._lock = threading.Lock()
        self._new: dict[Series, float] = defaultdict(float)

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        """Count something."""
        with self._lock:
            self._new[_series(name, labels)] += by

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Count how long something took."""
        bound = next((f"{bound:g}" for bound in BUCKETS if seconds <= bound), "+Inf")
        self.count(f"{name}_bucket", 1, **labels, le=bound)
        self.count(f"{name}_sum", seconds, **labels)

    def held(self) -> dict[Series, float]:
        """What is not added yet."""
        with self._lock:
            return dict(self._new)

    def push(self) -> bool:
        """Add what is new to the shared sums; False when that has to wait."""
        with self._lock:
            taken, self._new = self._new, defaultdict(float)
        if not taken:
            return True
        amounts = {json.dumps(series): amount for series, amount in taken.items()}
        if self._coordination is not None and self._coordination.add(SUMS, amounts):
            return True
        with self._lock:
            for series, amount in taken.items():
                self._new[series] += amount
        return False

    def live(self, worker: str, queues: list[str]) -> None:
        """Say that this worker lives and which queues it serves."""
        if self._coordination is not None:
            self._coordination.put(ALIVE + worker, json.dumps(queues).encode(), ttl=ALIVE_FOR)


def read_sums(coordination: Coordination) -> dict[Series, float] | None:
    """Give the sums of all processes; None when Redis is unavailable."""
    sums = coordination.sums(SUMS)
    return None if sums is None else {_read(field): value for field, value in sums.items()}


def alive(coordination: Coordination) -> dict[str, list[str]] | None:
    """Give the workers that live, with their queues; None when Redis is unavailable."""
    found = coordination.find(ALIVE, limit=MOST_WORKERS)
    return None if found is None else {name.removeprefix(ALIVE): json.loads(value) for name, value in found.items()}


def _series(name: str, labels: Mapping[str, str]) -> Series:
    return name, tuple(sorted(labels.items()))


def _read(field: str) -> Series:
    name, labels = json.loads(field)
    return name, tuple((label, value) for label, value in labels)
