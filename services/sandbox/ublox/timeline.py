"""What will happen of itself, in order of time: heartbeats for which something waits, notices, expiries."""

import heapq
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Final

BATCH: Final = 200
"""Moments lived through between two looks at other work, so that calls are answered meanwhile."""

Act = Callable[[], object]
"""It looks itself whether it is still wanted: plans change, and what was planned is not searched for."""


class Timeline:
    """A heap of moments."""

    def __init__(self) -> None:
        self._plans: list[tuple[datetime, int, Act]] = []
        self._numbers = count()
        self.tell_change: Callable[[], object] = nobody
        """Called when the next moment may have become an earlier one; from whatever thread plans."""

    @property
    def next_moment(self) -> datetime | None:
        """When something comes next."""
        return self._plans[0][0] if self._plans else None

    def at(self, moment: datetime, act: Act) -> None:
        """Plan something; what is planned for one moment happens in the order in which it was planned."""
        heapq.heappush(self._plans, (moment, next(self._numbers), act))
        self.tell_change()

    def take_due(self, now: datetime) -> tuple[datetime, Act] | None:
        """Take out the next plan whose moment has come, with that moment."""
        if self._plans and self._plans[0][0] <= now:
            moment, _, act = heapq.heappop(self._plans)
            return moment, act
        return None

    def clear(self) -> None:
        """Forget every plan."""
        self._plans.clear()


def nobody() -> None:
    """What is told of a change while nobody waits for one."""
