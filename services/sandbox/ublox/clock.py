"""The two clocks of a twin: the one on the wall, and one that goes on only when it is told to."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Tells an aware time."""


def utc_now() -> datetime:
    """The clock of a twin that runs in real time."""
    return datetime.now(UTC)


class VirtualClock:
    """A clock that stands still until the twin moves it, so that a year passes in seconds.

    Args:
        start: an aware time.

    Raises:
        ValueError: the start has no zone.
    """

    def __init__(self, start: datetime) -> None:
        if start.tzinfo is None:
            raise ValueError("a virtual clock starts at a time with a zone, such as 2026-01-01T00:00:00Z")
        self._now = start.astimezone(UTC)

    def __call__(self) -> datetime:
        """Tell the time."""
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Move it on; it never goes back."""
        self._now = max(self._now, moment)
