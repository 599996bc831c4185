"""Looks ahead: which certificates and root CAs end when, what that takes of u-blox and of the budget.

It goes by what the certificate scan saw last, and asks nobody. What it assumes: a device acts one heartbeat after it
was asked, its next certificate lives as long as the scan asks for, and renewals of a day share calls of a hundred
devices: one look before, one call for each CA, one look after. A certificate never outlives its CA, and one that ends
with it is not renewed.
"""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
from math import ceil
from typing import Final

from infra.ledger import Ledger, SeenAuthority, SeenCertificate
from schemas.forecast import (
    AuthorityEnd,
    CertificateEnd,
    Forecast,
    ForecastDay,
    RenewalsUnderWay,
)
from schemas.limits import Budget
from schemas.ublox import BATCH
from services.operations.renewal_lead import BEATS, LEAST, MARGIN, ends_with_ca, lead_of
from services.playbook import Playbook
from services.schedules.certificates import ScanParameters
from services.schedules.renewals import RENEW

MOST_NAMED: Final = 1_000

SCAN: Final = "certificate-scan"
"""The shipped schedule that keeps what is known up to date."""

_DAY: Final = timedelta(days=1)


@dataclass(slots=True)
class _Due:
    """A renewal whose time comes."""

    uid: str
    ca: str
    heartbeat: timedelta
    life: timedelta | None
    expires_at: datetime

    def due_at(self, scan: ScanParameters) -> datetime:
        life = self.life or 3 * timedelta(days=scan.days_left)
        return self.expires_at - lead_of(life, self.heartbeat or None, from_last_third=scan.rule == "two thirds")


@dataclass(slots=True)
class _Course:
    """How the days go, one after the other."""

    scan: ScanParameters
    now: datetime
    begin: datetime
    days: int
    ca_ends: Mapping[str, datetime]
    due: dict[int, list[_Due]] = field(default_factory=lambda: defaultdict(list))
    late: list[str] = field(default_factory=list)

    def add(self, one: _Due, *, earliest: int = 0) -> None:
        """Put a renewal on its day, unless it would be in vain; what is overdue comes at once."""
        if ends_with_ca(one.expires_at, self.ca_ends.get(one.ca)):
            return
        day = max(earliest, (one.due_at(self.scan) - self.begin) // _DAY)
        if day < self.days:
            self.due[day].append(one)

    def ask(self, one: _Due, day: datetime) -> None:
        """Ask for a renewal; the certificate that comes of it may be due within the time too."""
        at = max(day, self.now)
        if one.expires_at <= at + one.heartbeat:
            self.late.append(one.uid)
        acts = at + one.heartbeat
        self.add(self.next_of(one, acts), earliest=(acts - self.begin) // _DAY + 1)

    def next_of(self, one: _Due, acts: datetime) -> _Due:
        """The certificate that comes of a renewal."""
        life = timedelta(days=self.scan.validity_days)
        expires_at = min(acts + life, self.ca_ends.get(one.ca, acts + life))
        return _Due(one.uid, one.ca, one.heartbeat, life, expires_at)


def forecast(ledger: Ledger, playbook: Playbook, now: datetime, days: int) -> Forecast:
    """Look ahead.

    Args:
        ledger: what was seen, what is under way, what was spent.
        playbook: sets the budget of renewals.
        now: an aware time.
        days: how far.
    """
    scan = _scan(ledger)
    seen = sorted(ledger.certificates.all().values(), key=lambda one: one.uid)
    states = ledger.certificates.renewals()
    begin = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ca_ends = ledger.certificates.ca_ends()
    course = _Course(scan=scan, now=now, begin=begin, days=days, ca_ends=ca_ends)
    for one in seen:
        _place(one, states.get(one.uid), course, now)
    budget = playbook.budget_of(RENEW)
    spent = 0 if budget is None else ledger.certificates.spent(budget, now)
    ends = Counter((one.expires_at - begin) // _DAY for one in seen if one.expires_at)
    series = list(_series(course, ends, _Purse(budget, spent, now), len(seen)))
    known = [one for one in seen if one.expires_at]
    shown = sorted(
        _ends(known, states, course, until=begin + days * _DAY), key=lambda one: (one.expires_at, one.device)
    )
    late = sorted(set(course.late))
    counts = Counter(states.values())
    return Forecast(
        at=now,
        days=days,
        known=len(known),
        unknown=len(seen) - len(known),
        seen_since=min((one.seen_at for one in seen), default=None),
        certificates=shown[:MOST_NAMED],
        authorities=_authorities(ledger.certificates.authorities(), seen, now),
        under_way=RenewalsUnderWay(waiting=counts["waiting"], asked=counts["asked"], parked=counts["parked"]),
        budget=budget,
        spent=spent,
        billed=sum(day.asked for day in series),
        calls=sum(day.calls for day in series),
        too_late=len(late),
        too_late_devices=late[:MOST_NAMED],
        series=series,
    )


def _scan(ledger: Ledger) -> ScanParameters:
    schedule = ledger.schedules.find(SCAN)
    return ScanParameters.model_validate({} if schedule is None else schedule.spec.parameters)


def _due(one: SeenCertificate, expires_at: datetime) -> _Due:
    known = one.heartbeat if one.last_seen else None
    life = timedelta(days=one.validity_days) if one.validity_days else None
    return _Due(one.uid, one.ca_name or "", known or timedelta(), life, expires_at)


def _place(one: SeenCertificate, state: str | None, course: _Course, now: datetime) -> None:
    """One that was asked for is not asked for again; one that is parked waits for a person."""
    if one.expires_at is None or state == "parked":
        return
    due = _due(one, one.expires_at)
    course.add(due if state != "asked" else course.next_of(due, now + due.heartbeat))


@dataclass(slots=True)
class _Purse:
    """What the budget leaves on each day."""

    budget: Budget | None
    spent: int
    now: datetime
    until: datetime | None = None

    def left(self, day: datetime) -> int | None:
        """How many may be asked for on a day, or on what is left of today; None where there is no budget."""
        if self.budget is None:
            return None
        if self.until is not None and day >= self.until:
            self.spent = 0
        if self.budget.per == "hour":
            return self._hourly(self.budget, day)
        self.until = self.budget.next(day)
        return max(0, self.budget.jobs - self.spent)

    def _hourly(self, budget: Budget, day: datetime) -> int:
        whole = max(day, budget.next(self.now))
        hours = (day + _DAY - whole) // timedelta(hours=1)
        running = max(0, budget.jobs - self.spent) if whole > day else 0
        return running + budget.jobs * hours


def _series(course: _Course, ends: Mapping[int, int], purse: _Purse, devices: int) -> Iterable[ForecastDay]:
    waiting: list[tuple[datetime, str, int, _Due]] = []  # a heap; the number keeps renewals from being compared
    count = itertools.count()
    for number in range(course.days):
        day = course.begin + number * _DAY
        new = course.due.pop(number, [])
        for one in new:
            heappush(waiting, (one.expires_at, one.uid, next(count), one))
        left = purse.left(day)
        most = len(waiting) if left is None else min(left, len(waiting))
        asked = [heappop(waiting)[-1] for _ in range(most)]
        purse.spent += len(asked)
        for one in asked:
            course.ask(one, day)
        yield ForecastDay(
            day=day.date(),
            ends=ends.get(number, 0),
            due=len(new),
            asked=len(asked),
            waiting=len(waiting),
            calls=_calls(asked) + _scan_calls(course.scan, number, devices),
        )
    end = course.begin + course.days * _DAY
    course.late += [one.uid for *_, one in waiting if one.expires_at <= end + one.heartbeat]


def _calls(asked: Iterable[_Due]) -> int:
    of = Counter(one.ca for one in asked)
    looks = 2 * ceil(of.total() / BATCH)
    return looks + sum(ceil(count / BATCH) for count in of.values())


def _scan_calls(scan: ScanParameters, number: int, devices: int) -> int:
    """What the certificate scan asks on a day: the root CAs, a share of the devices, now and then their list."""
    listing = ceil(devices / BATCH) if number % scan.list_again_days == 0 else 0
    return 1 + listing + ceil(devices / scan.look_again_days / BATCH)


def _ends(
    known: Iterable[SeenCertificate], states: Mapping[str, str], course: _Course, *, until: datetime
) -> Iterable[CertificateEnd]:
    for one in known:
        if one.expires_at is None:
            continue
        at = _due(one, one.expires_at).due_at(course.scan)
        if min(at, one.expires_at) < until:
            yield CertificateEnd(
                device=one.uid,
                ca=one.ca_name,
                expires_at=one.expires_at,
                renew_from=None if ends_with_ca(one.expires_at, course.ca_ends.get(one.ca_name or "")) else at,
                renewal=states.get(one.uid),
            )


def _authorities(
    authorities: Iterable[SeenAuthority], seen: Iterable[SeenCertificate], now: datetime
) -> list[AuthorityEnd]:
    slowest: dict[str, timedelta] = defaultdict(timedelta)
    for one in seen:
        if one.ca_name and one.heartbeat:
            slowest[one.ca_name] = max(slowest[one.ca_name], one.heartbeat)
    found = [
        AuthorityEnd(
            name=ca.name,
            expires_at=ca.expires_at,
            days_left=None if ca.expires_at is None else (ca.expires_at - now).days,
            devices=ca.devices or 0,
            move_by=None if ca.expires_at is None else ca.expires_at - max(MARGIN + BEATS * slowest[ca.name], LEAST),
            transfer_calls=3 * ceil((ca.devices or 0) / BATCH),
        )
        for ca in authorities
    ]
    return sorted(found, key=lambda one: (one.expires_at or datetime.max.replace(tzinfo=UTC), one.name))
