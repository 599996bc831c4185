"""What was spent of each operation: jobs let go in an hour, counted in the transaction that lets them go.

A job that is counted and then ends without having run is given back. One that a person gives new tries counts anew,
because what follows may be billed anew.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

from infra.ledger.tables import from_us
from schemas.limits import Budget, Counted, Hold

_ADD: Final = text("""
    INSERT INTO spending (operation, day, jobs) VALUES (:operation, :hour, :jobs)
    ON CONFLICT (operation, day) DO UPDATE SET jobs = spending.jobs + excluded.jobs
""")

_GIVE_BACK: Final = text("""
    UPDATE spending SET jobs = CASE WHEN jobs > :jobs THEN jobs - :jobs ELSE 0 END
    WHERE operation = :operation AND day = :hour
""")

_SUM: Final = text(
    "SELECT coalesce(sum(jobs), 0) FROM spending WHERE operation = :operation AND day >= :first AND day < :end"
)

_WIDTH: Final = {"month": len("2026-05"), "day": len("2026-05-10"), "hour": len("2026-05-10T14")}
"""How much of an hour's name the hours of a period have in common."""


def hour_of(moment: datetime) -> str:
    """The name of an hour of UTC; names sort as hours do, in any collation."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H}"


def terms_of(hold: str | None, created_at: int) -> Hold:
    """The terms of a job from its row; one without any was counted when it was made."""
    return Hold(counted=Counted(hour=hour_of(from_us(created_at)))) if hold is None else Hold.read(hold)


def unused(hold: Hold, fence: int) -> str | None:
    """The hour in which a job was counted that has not run since; None where there is nothing to give back."""
    return hold.counted.hour if hold.counted is not None and hold.counted.fence == fence else None


class Purse:
    """The running hour, day and month of every operation, within one transaction.

    Who lets jobs go, or ends them, holds the planners' lock, so that nobody else spends meanwhile.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._moment = now
        self._hour = hour_of(now)
        self._before: dict[tuple[str, str], int] = {}
        self._changes: Counter[tuple[str, str]] = Counter()

    def spent(self, operation: str, budget: Budget, *, but: Iterable[str] = ()) -> int:
        """How many jobs of an operation were let go in the running hour, day or month.

        Args:
            operation: its name.
            budget: tells the period.
            but: hours of jobs that would be given back, and so are left out.
        """
        width = _WIDTH[budget.per]
        first, end = self._hour[:width], hour_of(budget.next(self._moment))[:width]
        if (operation, first) not in self._before:
            bound = {"operation": operation, "first": first, "end": end}
            self._before[operation, first] = int(self._connection.execute(_SUM, bound).scalar_one())
        changed = sum(jobs for (name, hour), jobs in self._changes.items() if name == operation and first <= hour < end)
        return self._before[operation, first] + changed - sum(first <= hour < end for hour in but)

    def spend(self, operation: str, fence: int = 0) -> Counted:
        """Count one more job, which has had so many claims."""
        self._changes[operation, self._hour] += 1
        return Counted(hour=self._hour, fence=fence)

    def give_back(self, operation: str, hold: Hold, fence: int) -> None:
        """Count one less, where the job has not run since it was counted."""
        hour = unused(hold, fence)
        if hour is not None:
            self._changes[operation, hour] -= 1

    def write(self) -> None:
        """Write what was counted."""
        changes = sorted(self._changes.items())
        more = [_bound(key, jobs) for key, jobs in changes if jobs > 0]
        less = [_bound(key, -jobs) for key, jobs in changes if jobs < 0]
        if more:
            self._connection.execute(_ADD, more)
        if less:
            self._connection.execute(_GIVE_BACK, less)
        self._changes.clear()
        self._before.clear()


def _bound(key: tuple[str, str], jobs: int) -> dict[str, object]:
    return {"operation": key[0], "hour": key[1], "jobs": jobs}
