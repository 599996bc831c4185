"""What was spent of each operation: jobs let go on a day, counted in the transaction that lets them go."""

from collections import Counter
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

from schemas.limits import Budget

_ADD: Final = text("""
    INSERT INTO spending (operation, day, jobs) VALUES (:operation, :day, :jobs)
    ON CONFLICT (operation, day) DO UPDATE SET jobs = spending.jobs + excluded.jobs
""")

_SUM: Final = text(
    "SELECT coalesce(sum(jobs), 0) FROM spending WHERE operation = :operation AND day >= :first AND day <= :last"
)


class Purse:
    """The running day and month of every operation, within one transaction.

    Who lets jobs go holds the planners' lock, so that nobody else spends meanwhile.
    """

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self._day = f"{now.astimezone(UTC):%Y-%m-%d}"
        self._before: dict[tuple[str, str], int] = {}
        self._now: Counter[str] = Counter()

    def spent(self, operation: str, budget: Budget) -> int:
        """How many jobs of an operation were let go in the running day or month."""
        first = self._day if budget.per == "day" else f"{self._day[:8]}01"
        if (operation, first) not in self._before:
            bound = {"operation": operation, "first": first, "last": self._day}
            self._before[operation, first] = int(self._connection.execute(_SUM, bound).scalar_one())
        return self._before[operation, first] + self._now[operation]

    def spend(self, operation: str) -> None:
        """Count one more."""
        self._now[operation] += 1

    def write(self) -> None:
        """Write what was counted."""
        rows = [{"operation": name, "day": self._day, "jobs": jobs} for name, jobs in sorted(self._now.items()) if jobs]
        if rows:
            self._connection.execute(_ADD, rows)
