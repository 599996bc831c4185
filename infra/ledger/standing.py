"""Where jobs stand by their terms, written: let go or held, and counted in what their operation spends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from infra.ledger.expiries import end_of, seen_of
from infra.ledger.spending import Purse, terms_of
from infra.ledger.tables import NOT_BEGUN, storable, to_us
from schemas.limits import Budget, Hold, Standing, stand

COLUMNS: Final = (
    "id, operation, target, trigger_id, state, hold, evidence, progress, fence, created_at, not_before, reason,"
    f" NOT {NOT_BEGUN} AS begun"
)
"""What `restand` must know of a job."""

_STAND: Final = text("""
    UPDATE jobs SET state = :state, reason = :reason, hold = :hold, not_before = :not_before, not_after = :not_after,
           attempts = CASE WHEN state = 'parked' THEN 0 ELSE attempts END, parked_because = NULL, updated_at = :now
    WHERE id = :id AND state = :was
""")
"""A job that was parked gets new tries."""


@dataclass(kw_only=True, slots=True)
class Released:
    """What became of jobs.

    Attributes:
        due: ids of jobs that can run now, by operation.
        held: how many jobs were held again because their window closed, or wait longer.
    """

    due: dict[str, list[int]] = field(default_factory=dict)
    held: int = 0

    @property
    def count(self) -> int:
        """How many jobs it let go."""
        return sum(map(len, self.due.values()))


def restand(
    connection: Connection,
    jobs: Sequence[tuple[Any, Hold]],
    purse: Purse,
    now: datetime,
    released: Released,
    *,
    why: str = "",
) -> None:
    """Write where jobs stand by these terms now; the caller holds their rows and the planners' lock.

    Args:
        connection: the caller's transaction.
        jobs: rows with `COLUMNS`, and the terms of each.
        purse: what is spent; it is written too.
        now: the moment.
        released: takes up what became of them.
        why: what is said first of each.
    """
    seen = seen_of(connection, (row for row, _ in jobs))
    rows = [_row(row, hold, purse, now, why, expires=end_of(row, seen.get(row.target))) for row, hold in jobs]
    for (job, _), row in zip(jobs, rows, strict=True):
        if row["state"] == "held":
            released.held += 1
        else:
            released.due.setdefault(job.operation, []).append(job.id)
    if rows:
        connection.execute(_STAND, rows)
    purse.write()


def terms(row: Any) -> Hold:
    """The terms of a job."""
    return terms_of(row.hold, row.created_at)


def lock(connection: Connection) -> str:
    """No worker, nor anybody else, moves a row on before the transaction ends; SQLite has one writer anyway."""
    return " FOR UPDATE" if connection.dialect.name == "postgresql" else ""


def _row(row: Any, hold: Hold, purse: Purse, now: datetime, why: str, *, expires: datetime | None) -> dict[str, object]:
    standing = _standing(row, hold, purse, now, expires)
    kept = standing.hold or hold
    if standing.spends:
        kept = kept.model_copy(update={"counted": purse.spend(row.operation, row.fence)})
    begins = to_us(standing.not_before)
    if row.state == "due" and not standing.held:  # it keeps its back-off
        begins = max(begins, row.not_before)
    said = [words for words in (why, standing.reason) if words]
    return {
        "id": row.id,
        "was": row.state,
        "state": "held" if standing.held else "due",
        "reason": storable("; ".join(said) or _open_words(hold)),
        "hold": kept.text(),
        "not_before": begins,
        "not_after": standing.not_after and to_us(standing.not_after),
        "now": to_us(now),
    }


def _standing(row: Any, hold: Hold, purse: Purse, now: datetime, expires: datetime | None) -> Standing:
    """What is begun outside waits for no window."""

    def spent(budget: Budget) -> int:
        return purse.spent(row.operation, budget)

    known = hold.model_copy(update={"window": None}) if row.begun else hold
    return stand(known, row.operation, now, expires=expires, spent=spent)


def _open_words(hold: Hold) -> str:
    if hold.approved_by is not None:
        return f"approved by {hold.approved_by}; waits for a worker"
    return "its window is open; waits for a worker" if hold.window else "its hold has ended; waits for a worker"
