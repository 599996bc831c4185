"""What the twin counts, so that a test can prove that nothing was done twice and nothing was lost."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Final

_REPEATED_SHOWN: Final = 100

OUTCOMES: Final = ("fired", "sent", "lost", "doubled", "failed", "retried", "dropped")
"""fired: events; then deliveries: answered 2xx, lost by the dial, sent once more by the dial, given up, tried again,
thrown away because too many were waiting."""

ACTIONS: Final = (
    "renewals",
    "renewal_requests",
    "renewals_done",
    "automatic_renewals",
    "updates",
    "updates_done",
    "deletions",
    "revocations",
    "transfers",
    "rotations",
    "provisionings",
    "billed",
    "expired",
)
"""Per device: renewals begun, times a renewal was accepted (also while one was awaited), renewals that a heartbeat
brought, those of them that nobody had asked for, updates begun and brought, certificate deletions, revocations and
transfers begun, rotation policies and provisionings accepted, uses that are billed, certificates that came to their end
on the device."""


@dataclass(slots=True)
class Deliveries:
    """What became of the webhook deliveries. The threads of the post count here, hence the lock."""

    counts: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def add(self, outcome: str, by: int = 1) -> None:
        """Count an outcome: one of `OUTCOMES`."""
        with self._lock:
            self.counts[outcome] += by

    def shown(self) -> dict[str, int]:
        """Every outcome with its count."""
        with self._lock:
            return {outcome: self.counts[outcome] for outcome in OUTCOMES}

    def clear(self) -> None:
        """Start again."""
        with self._lock:
            self.counts.clear()


@dataclass(slots=True)
class Tally:
    """Calls by path and status, and effective actions by device."""

    answers: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    devices_named: Counter[str] = field(default_factory=Counter)
    actions: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in ACTIONS})
    billed: Counter[str] = field(default_factory=Counter)
    """What costs, by its name in the usage log."""

    deliveries: Deliveries = field(default_factory=Deliveries)

    def call(self, path: str, status: int, named: int) -> None:
        """Count one answered call and the devices that it named."""
        self.answers[path][status] += 1
        self.devices_named[path] += named

    def action(self, name: str, uids: Iterable[str]) -> None:
        """Count one action that took effect on each of these devices."""
        self.actions[name].update(uids)

    def clear(self) -> None:
        """Start again."""
        self.answers.clear()
        self.devices_named.clear()
        for counter in self.actions.values():
            counter.clear()
        self.billed.clear()
        self.deliveries.clear()

    def shown(self, *, per_device: bool = False) -> dict[str, Any]:
        """Everything as one JSON document; `per_device` adds each device's own counts."""
        by_status: Counter[int] = sum(self.answers.values(), Counter())
        document = {
            "calls": {path: counts.total() for path, counts in self.answers.items()},
            "statuses": {str(status): count for status, count in sorted(by_status.items())},
            "answers": {path: {str(code): count for code, count in c.items()} for path, c in self.answers.items()},
            "devices_named": dict(self.devices_named),
            "actions": {name: _summary(counter) for name, counter in self.actions.items()},
            "max_renewals_per_device": _most(self.actions["renewals"]),
            "max_rotations_per_device": _most(self.actions["rotations"]),
            "billed": dict(self.billed),
            "deliveries": self.deliveries.shown(),
        }
        return document | ({"per_device": {n: dict(c) for n, c in self.actions.items()}} if per_device else {})


def _summary(counter: Counter[str]) -> dict[str, Any]:
    repeated = {uid: count for uid, count in counter.most_common(_REPEATED_SHOWN) if count > 1}
    return {"total": counter.total(), "devices": len(counter), "max": _most(counter), "repeated": repeated}


def _most(counter: Counter[str]) -> int:
    return max(counter.values(), default=0)
