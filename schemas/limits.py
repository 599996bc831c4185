"""When work may run: a window of hours, a person's approval, a budget of jobs; and what a held job waits for.

A window is told in local time. Where clocks change, a time that the wall clock leaves out is the end of the gap, and a
time that it shows twice is the first of the two; a window that a change leaves no length does not open on that day.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

SHORTEST: Final = timedelta(minutes=1)
"""The sweep opens windows: a shorter one might pass between two sweeps, and never be met."""

NEVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""When a job that waits for a person is looked at by itself."""

_DAY: Final = timedelta(days=1)
_MONTH: Final = 30
"""Days of a month, to compare budgets by."""

_HOURS: Final = {"hour": 1, "day": 24, "month": 31 * 24}
"""Hours of the longest of each."""

_SEARCH: Final = range(-2, 10)
"""Days around today on which an opening is looked for; a change of clocks takes away one or two."""


class Table(BaseModel):
    """A table of a playbook: every key is known, every value has the type that is written down."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


@dataclass(frozen=True, slots=True)
class Hours:
    """One opening of a window, in UTC."""

    opens: datetime
    closes: datetime


class Window(Table):
    """The hours in which jobs may run; one that closes before it opens is open over midnight."""

    opens: time = Field(description="a local time, such as 02:00:00")
    closes: time = Field(description="a local time, such as 05:00:00")
    timezone: str = Field(description="an IANA zone, such as Europe/Paris", pattern=r"^[A-Za-z0-9_+/-]{1,64}$")

    @field_validator("timezone")
    @classmethod
    def _is_a_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError):
            raise ValueError("expected a zone of the IANA database, such as Europe/Paris") from None
        return value

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        if self.opens.tzinfo or self.closes.tzinfo:
            raise ValueError("expected local times without an offset: the zone has its own key")
        length = (datetime.combine(date.min, self.closes) - datetime.combine(date.min, self.opens)) % _DAY
        if not length:
            raise ValueError("it opens when it closes, so it can never be met; leave it out where any hour will do")
        if length < SHORTEST:
            raise ValueError("it is open for less than a minute, so it might never be met")
        return self

    def hours(self, moment: datetime) -> Hours:
        """The opening that a moment lies in, or the next one."""
        return next(hours for hours in self._openings(moment) if hours.closes > moment)

    def _openings(self, moment: datetime) -> Iterator[Hours]:
        today = moment.astimezone(ZoneInfo(self.timezone)).date()
        overnight = timedelta(days=self.closes < self.opens)
        for day in _SEARCH:
            opens = today + timedelta(days=day)
            hours = Hours(
                _instant(opens, self.opens, self.timezone), _instant(opens + overnight, self.closes, self.timezone)
            )
            if hours.opens < hours.closes:
                yield hours


class Approval(Table):
    """Who must agree before jobs may run."""

    role: Literal["operator", "admin"] = Field(description='"operator" or "admin"')


class Budget(Table):
    """How many jobs of an operation may be let go in an hour, a day or a month of UTC, whoever asked for them."""

    jobs: int = Field(description="a whole number from 1", ge=1, le=1_000_000)
    per: Literal["hour", "day", "month"] = Field(description='"hour", "day" or "month"')

    @property
    def per_day(self) -> float:
        """Jobs a day, to compare budgets by."""
        match self.per:
            case "hour":
                return self.jobs * 24
            case "day":
                return self.jobs
            case "month":
                return self.jobs / _MONTH

    def is_within(self, other: "Budget") -> bool:
        """Whether who keeps to this budget keeps to the other one too, in each of its hours, days or months."""
        fits = _HOURS[other.per] // _HOURS[self.per]
        return fits > 0 and self.jobs * fits <= other.jobs

    def next(self, moment: datetime) -> datetime:
        """When the budget is whole again."""
        hour = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        if self.per == "hour":
            return hour + timedelta(hours=1)
        day = hour.replace(hour=0)
        if self.per == "day":
            return day + _DAY
        return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


class Limits(Table):
    """On which terms jobs may run."""

    window: Window | None = None
    approval: Approval | None = None
    budget: Budget | None = None


class Counted(Table):
    """That a job was counted in what its operation spent.

    Attributes:
        hour: in which hour of UTC, such as ``2026-05-10T14``.
        fence: after how many claims; while the job has had no more, it has not run since.
    """

    hour: str
    fence: int = 0


class Sharer(Table):
    """Another wish that a trigger's job serves.

    Attributes:
        trigger: the trigger whose wish it is; None for one of an event or a schedule, which nobody takes back.
        limits: the terms of that wish.
    """

    trigger: str | None = None
    limits: Limits | None = None


class Hold(Limits):
    """The terms of a job, as they stand beside it in the ledger.

    Attributes:
        waits: which of them it waits for; None while it may run.
        approved_by: who agreed.
        ahead: why it does not wait for its window.
        counted: when it was counted last in what its operation spent; None where it is not.
        shared: the other wishes that it serves, where it is a trigger's, or another job's child.
        asked_by: who asked for it by triggers that are cancelled: they cannot approve it either.
        step: what a job asks about in the middle of its work.
    """

    waits: Literal["approval", "window", "budget"] | None = None
    approved_by: str | None = None
    ahead: str | None = None
    counted: Counted | None = None
    shared: tuple[Sharer, ...] = ()
    asked_by: tuple[str, ...] = ()
    step: str | None = None

    @classmethod
    def read(cls, text: str | None) -> Self:
        """Read what the ledger keeps; terms that cannot be read, as of another version, leave the job to an admin."""
        if text is None:
            return cls()
        try:
            return cls.model_validate_json(text)
        except ValueError:
            return cls(approval=Approval(role="admin"), waits="approval")

    def text(self) -> str:
        """Itself as the ledger keeps it."""
        return self.model_dump_json(exclude_defaults=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where a job stands by its terms.

    Attributes:
        reason: why it waits, or goes ahead of its window; empty where there is nothing to say.
        not_before: when it may begin, or is looked at again.
        not_after: when its window closes.
        spends: whether it counts now in what its operation spends.
    """

    held: bool = False
    reason: str = ""
    not_before: datetime
    not_after: datetime | None = None
    hold: Hold | None = None
    spends: bool = True


Spent = Callable[[Budget], int]
"""How many jobs were let go in the running hour, day or month of a budget."""


def stand(hold: Hold, operation: str, now: datetime, *, expires: datetime | None, spent: Spent) -> Standing:
    """Say whether a job may run now: first the approval, then the window, then the budget.

    A job that is counted already does not wait for its budget again.

    Args:
        hold: its terms.
        operation: its name.
        now: the moment; for a job that may not begin before some time, that time.
        expires: when what it is to renew runs out, where that is known.
        spent: how much of a budget is spent.
    """
    if hold.approval is not None:
        return _held(hold, "approval", f"waits for approval by {_a(hold.approval.role)}", NEVER)
    hours = None if hold.window is None else hold.window.hours(now)
    if hold.window and hours and hours.opens > now:
        if expires is None or expires > hours.opens:
            return _held(hold, "window", opening(hold.window, hours), hours.opens)
        hold = hold.model_copy(update={"window": None, "ahead": _ahead(hold.window, hours, expires)})
        hours = None
    if hold.budget is not None and hold.counted is None and spent(hold.budget) >= hold.budget.jobs:
        again = hold.budget.next(now)
        reason = (
            f"budget of {hold.budget.jobs} {operation} jobs per {hold.budget.per} is spent;"
            f" next at {again:%H:%M} UTC on {again.day} {again:%b}"
        )
        return _held(hold, "budget", reason, again)
    return Standing(
        reason=hold.ahead or "",
        not_before=now,
        not_after=None if hours is None else hours.closes,
        hold=hold.model_copy(update={"waits": None}),
        spends=hold.counted is None,
    )


def opening(window: Window, hours: Hours) -> str:
    """When a window opens, in words."""
    local = hours.opens.astimezone(ZoneInfo(window.timezone))
    return f"window opens {local:%H:%M} {window.timezone} on {local.day} {local:%b}"


def _held(hold: Hold, waits: Literal["approval", "window", "budget"], reason: str, until: datetime) -> Standing:
    waiting = hold.model_copy(update={"waits": waits})
    return Standing(held=True, reason=reason, not_before=until, hold=waiting, spends=False)


def _ahead(window: Window, hours: Hours, expires: datetime) -> str:
    when = f"{expires.day} {expires:%b %H:%M} UTC"
    return f"goes ahead of its window: the certificate expires {when}, before the {opening(window, hours)}"


def _a(role: str) -> str:
    return f"an {role}"


@lru_cache(maxsize=4096)
def _instant(day: date, wall: time, timezone: str) -> datetime:
    """When a clock of the zone first shows a time of a day, or the end of the gap that leaves it out."""
    zone = ZoneInfo(timezone)
    local = datetime.combine(day, wall, zone)
    late = local.astimezone(UTC)  # in a gap by the clock before the change, so after it
    if late.astimezone(zone).replace(tzinfo=None) == local.replace(tzinfo=None):
        return late
    early = local.replace(fold=1).astimezone(UTC)
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) // 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
