"""When a source is quiet for longer than usual.

A source is one type of notice. Its usual pauses are those between its latest pushed notices, among the last 20 000 of
all types. It is silent when nothing came for more than twice its longest pause, and for more than an hour; of a source
with fewer than ten pauses nothing is said. Time in which Keyturn itself stood still counts for nobody's silence and for
nobody's pause: both are measured by a clock that stood still with it.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from infra.ledger import Ledger
from infra.ledger.tables import to_us

LOOKED_AT: Final = 20_000
FEWEST: Final = 10
TIMES: Final = 2
SHORTEST: Final = timedelta(hours=1)

_MARK: Final = "silence:"

Standstills = Sequence[tuple[datetime, datetime]]
"""From when until when."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alarm:
    """A silence of which nobody has been told.

    Attributes:
        mark: under which it is kept that somebody was told, with the value.
    """

    words: str
    mark: str
    value: str


def alarms_of(ledger: Ledger, now: datetime) -> list[Alarm]:
    """The silences that have begun since the last look; each is told once."""
    lately, told = ledger.polled.lately(LOOKED_AT), ledger.firings.marks(_MARK)
    received = sorted(at for _, at in lately)
    standstills = [_unheard(one, received) for one in ledger.upkeep.standstills()]
    alarms = []
    for source, times in _by_source(lately).items():
        usual = usual_pause(times, standstills)
        if usual is None:
            continue
        last, mark = times[0], _MARK + source
        quiet = _running_between(last, now, standstills)
        if quiet > max(TIMES * usual, SHORTEST) and told.get(mark) != str(to_us(last)):
            words = f"no {source} for {_shown(quiet)}; its longest pause of late was {_shown(usual)}"
            alarms.append(Alarm(words=words, mark=mark, value=str(to_us(last))))
    return alarms


def usual_pause(times: Sequence[datetime], standstills: Standstills = ()) -> timedelta | None:
    """The longest pause between notices, newest first; None where there are too few to tell."""
    pauses = [_running_between(earlier, later, standstills) for later, earlier in pairwise(times)]
    return max(pauses) if len(pauses) >= FEWEST else None


def _unheard(standstill: tuple[datetime, datetime], received: Sequence[datetime]) -> tuple[datetime, datetime]:
    """The longest part of a standstill in which no notice came: the receiver, a process of its own, may run on."""
    since, back = standstill
    heard = received[bisect_right(received, since) : bisect_left(received, back)]
    return max(pairwise((since, *heard, back)), key=lambda part: part[1] - part[0])


def _running_between(earlier: datetime, later: datetime, standstills: Standstills) -> timedelta:
    """How long Keyturn ran between two times."""
    stood = (min(later, back) - max(earlier, since) for since, back in standstills if since < later and earlier < back)
    return later - earlier - sum(stood, timedelta())


def _by_source(lately: list[tuple[str, datetime]]) -> dict[str, list[datetime]]:
    found: defaultdict[str, list[datetime]] = defaultdict(list)
    for source, at in lately:
        found[source].append(at)
    return found


def _shown(span: timedelta) -> str:
    minutes = int(span.total_seconds()) // 60
    return f"{minutes // 60} h {minutes % 60} min" if minutes else f"{span.total_seconds():.0f} s"
