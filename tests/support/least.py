"""The least that a year of certificates can cost, for somebody who knows every heartbeat beforehand.

What is given, and nobody can choose: when a device calls in, when its first certificate ends, how long a new one lives,
when a person has the devices of a root CA moved, and the rhythm of work.

*Billed actions.* A certificate comes at a heartbeat and lives from then on, so fewest are needed by whoever has each
renewed at the very last heartbeat before its end. One that ends in a silence is renewed before the silence. A device
is transferred at its first heartbeat after the person has agreed, and then has a certificate of full life. What ends
after the story needs nothing.

*Calls.* Work is done in the rhythm of the story. For whoever asks as late as that, each moment of work takes, where
there is anything to do: one look at a hundred devices before, one request for a hundred devices of a CA, and one look
at a hundred of those that have called in since. The story adds its scheduled checks, at their rhythm.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from services.sandbox.ublox.rhythm import Rhythm

BATCH: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """What is given of a device: its heartbeats, the end of its first certificate, and that certificate's CA."""

    uid: str
    rhythm: Rhythm
    ends: datetime
    ca_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """A person has the devices of a CA moved from a moment on; until then its certificates end with it."""

    from_ca: str
    ends: datetime
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One billed action: at which heartbeat it is carried out, and of which CA the request speaks."""

    beat: datetime
    ca_name: str
    is_transfer: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """The story: from when to when, in which steps, and how long a new certificate lives."""

    start: datetime
    end: datetime
    step: timedelta
    validity: timedelta
    move: Move

    def acts(self, life: Life) -> Iterator[Act]:
        """The fewest actions that keep a device's certificate alive, as far as its heartbeats allow."""
        now, ends, name = self.start, life.ends, life.ca_name
        while True:
            moved_at = life.rhythm.next_after(max(now, self.move.at)) if name == self.move.from_ca else None
            if moved_at is not None and moved_at <= self.end and moved_at <= self._last_beat(life, now, ends):
                now, name = moved_at, ""
                ends = now + self.validity
                yield Act(beat=now, ca_name=self.move.from_ca, is_transfer=True)
            elif ends > self.end:
                return
            else:
                now = self._last_beat(life, now, ends)
                if now > self.end:
                    return
                ends = now + self.validity
                if name == self.move.from_ca:
                    ends = min(ends, self.move.ends)
                yield Act(beat=now, ca_name=name)

    def _last_beat(self, life: Life, after: datetime, until: datetime) -> datetime:
        """The last heartbeat in time; the first one afterwards where none is."""
        last = life.rhythm.last_until(until)
        if last is not None and last > after:
            return last
        return life.rhythm.next_after(max(after, until)) or datetime.max.replace(tzinfo=until.tzinfo)


@dataclass(kw_only=True)
class Least:
    """The least that is possible."""

    renewals: int = 0
    transfers: int = 0
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def billed(self) -> int:
        """Renewals and transfers."""
        return self.renewals + self.transfers


def least_of(given: Given, lives: Iterable[Life]) -> Least:
    """Sum it up."""
    least = Least()
    asked: Counter[tuple[int, str, bool]] = Counter()
    done: Counter[int] = Counter()
    for life in lives:
        for act in given.acts(life):
            least.transfers += act.is_transfer
            least.renewals += not act.is_transfer
            asked_at = given.move.at if act.is_transfer else act.beat
            asked[(asked_at - given.start) // given.step, act.ca_name, act.is_transfer] += 1
            done[-((given.start - act.beat) // given.step)] += 1
    before: Counter[int] = Counter()
    for (moment, _, is_transfer), count in asked.items():
        before[moment] += count
        path = "/ztp/devicecertificate/rootca/transfer" if is_transfer else "/ztp/devicecertificate/renew"
        least.calls[path] += batches(count)
    least.calls["/device/info/get"] += sum(map(batches, before.values())) + sum(map(batches, done.values()))
    return least


def batches(count: int) -> int:
    """Calls for so many devices."""
    return -(-count // BATCH)
