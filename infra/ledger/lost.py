"""Jobs whose worker was lost: given back, or parked when they lose one worker after another."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from infra.ledger.tables import to_us
from schemas.jobs import ParkedBecause, State

_LOST: Final = """
    SELECT id, operation, target,
           (SELECT count(*) FROM attempts a WHERE a.job_id = j.id AND a.outcome = 'lost') AS losses_before
    FROM jobs j WHERE state = 'running' AND lease_until < :now ORDER BY id
"""

_HOLD: Final = {"postgresql": "FOR UPDATE SKIP LOCKED", "sqlite": ""}

_RECLAIM: Final = text("""
    UPDATE jobs SET state = :state, reason = :reason, parked_because = :parked_because, not_before = :now,
           worker = NULL, lease_until = NULL, updated_at = :now
    WHERE id = :id AND state = 'running' AND lease_until < :now
""")

_ATTEMPT: Final = text("""
    INSERT INTO attempts (job_id, number, fence, worker, started_at, ended_at, outcome, upstream_status, reason)
    SELECT id, attempts, fence, worker, claimed_at, :now, 'lost', NULL, :reason
    FROM jobs WHERE id = :id AND state = 'running' AND lease_until < :now
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Lost:
    """A job that lost its worker, and what became of it: due again, or parked."""

    id: int
    operation: str
    target: str
    state: State
    reason: str
    parked_because: ParkedBecause | None = None


def give_back(connection: Connection, now: datetime, max_losses: int) -> list[Lost]:
    """Give back jobs whose lease ran out; park those whose worker was lost `max_losses` times."""
    query = text(_LOST + _HOLD[connection.dialect.name])
    lost = [_verdict(row, max_losses) for row in connection.execute(query, {"now": to_us(now)})]
    rows = [
        {
            "id": job.id,
            "now": to_us(now),
            "state": job.state.value,
            "reason": job.reason,
            "parked_because": job.parked_because and job.parked_because.value,  # psycopg would write an enum's name
        }
        for job in lost
    ]
    if rows:
        connection.execute(_ATTEMPT, rows)
        connection.execute(_RECLAIM, rows)
    return lost


def _verdict(row: Any, max_losses: int) -> Lost:
    job = {"id": row.id, "operation": row.operation, "target": row.target}
    losses = row.losses_before + 1
    if losses < max_losses:
        return Lost(**job, state=State.DUE, reason="its worker was lost; waits for another")
    reason = f"its worker was lost {losses} times; look at the worker's log, then retry it"
    return Lost(**job, state=State.PARKED, reason=reason, parked_because=ParkedBecause.OUR_FAULT)
