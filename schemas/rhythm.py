"""When a schedule is due, as pure functions of its specification: nothing is remembered but the last moment.

Cron fields are read by `cronsim` on the wall clock of the schedule's zone. Where clocks change:

- a time that the wall clock leaves out fires once, at the first minute after the gap;
- a time that it shows twice fires once, the first time;
- a schedule of every hour (hour field ``*``, ``*/1``, ``0-23``) knows neither: it follows real time, or an hour would
  have none.

An interval is counted from 1970 UTC, so that every machine finds the same moments.
"""

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from schemas.errors import InputError
from schemas.schedules import RULE, Spec

CAP: Final = 100
"""Missed moments that the policy ``all`` fires; of more, the latest."""

LOOK_BACK: Final = timedelta(days=31)
"""Missed moments older than this are neither fired nor counted."""

GRACE: Final = timedelta(minutes=5)
"""A moment that is fired later than this was missed; any restart is quicker."""

_MINUTE: Final = timedelta(minutes=1)
_HOURS: Final = set(range(24))
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Passed:
    """Moments that have come.

    Attributes:
        count: how many, no more than `LOOK_BACK` ago.
        latest: the last `CAP` of them, oldest first.
        first: the oldest that was counted.
    """

    count: int
    latest: tuple[datetime, ...]
    first: datetime


class Rhythm:
    """The due moments of a schedule.

    Raises:
        InputError: the cron fields or the zone make no sense, or the moment never comes.
    """

    def __init__(self, spec: Spec, *, offset: timedelta = timedelta()) -> None:
        self._spec = spec
        self._offset = offset
        try:
            self._zone = ZoneInfo(spec.timezone)
        except (LookupError, OSError, ValueError):
            raise InputError([f"timezone: {spec.timezone} is no zone of the IANA database"]) from None
        self._every_hour = spec.cron is not None and self._hours(spec.cron) == _HOURS

    def _hours(self, cron: str) -> set[int]:
        try:
            wall = CronSim(cron, datetime(2024, 1, 1))  # noqa: DTZ001 - a wall clock's time
            next(wall)
        except CronSimError as error:
            raise InputError([f"cron: {error} in {cron!r}; expected minute, hour, day, month and weekday"]) from None
        except StopIteration:
            raise InputError([f"cron: {cron!r} never comes"]) from None
        return wall.hours

    def after(self, moment: datetime) -> datetime:
        """The first due moment later than this one, in UTC."""
        return next(self._from(moment))

    def passed(self, first: datetime, now: datetime) -> Passed:
        """The due moments from `first`, which is one of them, until now; of those of long ago, the first alone."""
        count, oldest = 0, first
        latest: deque[datetime] = deque(maxlen=CAP)
        for moment in self._until(first, now):
            oldest = oldest if count else moment
            count += 1
            latest.append(moment)
        return (
            Passed(count=count, latest=tuple(latest), first=oldest)
            if count
            else Passed(count=1, latest=(first,), first=first)
        )

    def _until(self, first: datetime, now: datetime) -> Iterator[datetime]:
        oldest = now - LOOK_BACK
        if first >= oldest:
            yield first
        for moment in self._from(max(first, oldest)):
            if moment > now:
                return
            yield moment

    def _from(self, moment: datetime) -> Iterator[datetime]:
        after = moment.astimezone(UTC) - self._offset
        nominal = self._ticks(after) if self._spec.every_seconds else self._wall(after)
        for tick in nominal:
            yield tick + self._offset

    def _ticks(self, after: datetime) -> Iterator[datetime]:
        every = timedelta(seconds=self._spec.every_seconds or 0)
        number = (after - _EPOCH) // every
        while True:
            number += 1
            yield _EPOCH + number * every

    def _wall(self, after: datetime) -> Iterator[datetime]:
        minute, hour, *days = (self._spec.cron or "").split()
        cron = " ".join((minute, "*" if self._every_hour else hour, *days))  # real time only where cronsim sees a star
        local = after.astimezone(self._zone)
        last = after
        for tick in CronSim(cron, local if self._every_hour else local.replace(tzinfo=None)):
            moment = tick.astimezone(UTC) if self._every_hour else _real(tick, self._zone)
            if moment > last:
                yield (last := moment)


def _real(wall: datetime, zone: ZoneInfo) -> datetime:
    """The instant at which a clock in this zone first shows a time, or has just passed over it."""
    while True:
        moment = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
        if moment.astimezone(zone).replace(tzinfo=None) == wall:
            return moment
        wall += _MINUTE


def offset_of(words: str, within: int) -> timedelta:
    """A share of so many seconds that is always the same for the same words, and spreads different ones evenly."""
    digest = hashlib.sha256(words.encode()).digest()
    return timedelta(seconds=int.from_bytes(digest[:8], "big") % within if within else 0)


def rhythm_of(name: str, kind: str, spec: Spec) -> Rhythm:
    """The rhythm of a schedule: the jitter of one with targets is theirs, that of another shifts the whole schedule.

    Raises:
        InputError: it makes no sense.
    """
    shift = timedelta() if kind == RULE else offset_of(name, spec.jitter_seconds)
    return Rhythm(spec, offset=shift)


def not_before(name: str, target: str, spec: Spec, due_at: datetime) -> datetime:
    """When the job of one target may begin."""
    return due_at + offset_of(f"{name}\n{target}", spec.jitter_seconds)
