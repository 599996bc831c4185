"""When a device calls in: a grid of moments with gaps, computed and never walked through.

Five thousand devices with a heartbeat of an hour call in 48 million times in 400 days; nearly always nothing waits for
them. So a heartbeat takes place only where something does, and the last of the others is computed when somebody asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """A time without heartbeats, from `start` until just before `end`; None is for ever."""

    start: datetime
    end: datetime | None = None

    def covers(self, moment: datetime) -> bool:
        """Whether the moment is in it."""
        return self.start <= moment and (self.end is None or moment < self.end)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rhythm:
    """Heartbeats at `first` and every `interval` after it, but none in a silence."""

    first: datetime
    interval: timedelta
    silences: Sequence[Silence] = ()

    def silent_at(self, moment: datetime) -> bool:
        """Whether no heartbeat can come now, not even one that is started by hand."""
        return self._silence_at(moment) is not None

    def next_after(self, moment: datetime) -> datetime | None:
        """The first heartbeat after a moment; None when there is none any more."""
        number = max(0, (moment - self.first) // self.interval + 1)
        while silence := self._silence_at(self._beat(number)):
            if silence.end is None:
                return None
            number = -((self.first - silence.end) // self.interval)  # the first one that is not before the end
        return self._beat(number)

    def last_until(self, moment: datetime) -> datetime | None:
        """The last heartbeat up to a moment; None when there was none yet."""
        number = (moment - self.first) // self.interval
        while number >= 0 and (silence := self._silence_at(self._beat(number))):
            number = -((self.first - silence.start) // self.interval) - 1
        return self._beat(number) if number >= 0 else None

    def _beat(self, number: int) -> datetime:
        return self.first + number * self.interval

    def _silence_at(self, moment: datetime) -> Silence | None:
        return next((silence for silence in self.silences if silence.covers(moment)), None)
