"""Jobs: claimed by one winner, settled under their fence, given back when their worker is lost."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.exc import IntegrityError

from infra.ledger.engine import Database
from infra.ledger.family import Question, children_of, known_of, make_children, wake_parents, wake_standing
from infra.ledger.lost import Lost, give_back
from infra.ledger.planning import Planning, alone
from infra.ledger.plans import canonical
from infra.ledger.tables import NOT_BEGUN, OPEN_STATES, from_us, storable, to_us
from schemas.jobs import MOVES, Child, Job, NewJob, ParkedBecause, State

_RUNNABLE: Final = f"""
    j.state = 'due' AND j.operation = :operation AND j.not_before <= :now
    AND (j.not_after IS NULL OR j.not_after > :now OR NOT {NOT_BEGUN})
    AND NOT EXISTS (SELECT 1 FROM jobs e WHERE e.lock_key = j.lock_key AND e.{OPEN_STATES}
                    AND (e.state = 'running' OR (e.state = 'due' AND e.id < j.id
                                                 AND (e.fence > 0 OR e.not_before <= :now))))
"""  # noqa: S608 - constants only
"""Due, its window open or its work begun, and first in the line of its target: jobs of one target run one at a time, in
order of arrival. One that waits for its next try keeps its place; one that is to begin later, and never began, holds up
nobody."""

_BATCH: Final = f"""
    SELECT j.id FROM jobs j WHERE {_RUNNABLE} AND (j.parameters, j.progress = '{{}}') = (
        SELECT j.parameters, j.progress = '{{}}' FROM jobs j WHERE {_RUNNABLE} ORDER BY j.not_before, j.id LIMIT 1)
    ORDER BY j.not_before, j.id LIMIT :limit
"""  # noqa: S608 - constants only
"""What goes into one call with the oldest: the same parameters, and begun or not begun, because those that are begun
mostly only look."""

_CLAIM: Final = f"""
    WITH batch AS MATERIALIZED ({_BATCH} %s)
    UPDATE jobs SET state = 'running', fence = fence + 1, attempts = attempts + 1, worker = :worker,
           claimed_at = :now, lease_until = :lease_until, updated_at = :now, nudged_at = NULL,
           reason = 'a worker has it'
    WHERE state = 'due' AND id IN (SELECT id FROM batch)
    RETURNING id, operation, target, parameters, fence, attempts, created_at, progress, evidence, rule, parent_id
"""  # noqa: S608 - constants only
"""Materialized, because PostgreSQL may run a subquery once for each row, and then find another batch each time."""

_SETTLE: Final = text("""
    UPDATE jobs SET state = :state, reason = :reason, parked_because = :parked_because,
           not_before = CASE WHEN :state = 'awaiting' AND nudged_at IS NOT NULL THEN :now ELSE :not_before END,
           progress = coalesce(:progress, progress), finished_at = :finished_at,
           attempts = CASE WHEN :state IN ('awaiting', 'held') THEN 0 ELSE attempts - :refund END,
           hold = coalesce(:hold, hold), not_after = CASE WHEN :state = 'held' THEN NULL ELSE not_after END,
           worker = NULL, lease_until = NULL, updated_at = :now
    WHERE id = :id AND fence = :fence AND state = 'running'
""")

_ATTEMPT: Final = """
    INSERT INTO attempts (job_id, number, fence, worker, started_at, ended_at, outcome, upstream_status, reason)
    SELECT id, attempts, fence, worker, claimed_at, :now, :state, CAST(:upstream_status AS INTEGER), :reason
    FROM jobs WHERE id = :id AND fence = :fence AND state = 'running' %s
"""

_EXTEND: Final = text("""
    UPDATE jobs SET lease_until = :until
    WHERE id IN :ids AND state = 'running' AND worker = :worker AND claimed_at > :oldest
""").bindparams(bindparam("ids", expanding=True))

_AT_ONCE: Final = 500
"""Ids of one statement."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settlement:
    """How one attempt ended.

    Attributes:
        not_before: when to try or look again; the time of settling for a final state.
        progress: what the next attempt must know; None keeps what was noted.
        counts: False gives the attempt back, when waiting for an upstream is nobody's failure. What an upstream took
            starts to count anew, or the looks of two weeks would leave no retry.
        children: jobs that do a part of the work, made in the same transaction.
        asks: what a person must agree to first, of a job that is held.
    """

    job: Job
    state: State
    reason: str
    not_before: datetime
    progress: Mapping[str, Any] | None = None
    parked_because: ParkedBecause | None = None
    upstream_status: int | None = None
    counts: bool = True
    tried: bool = True
    children: Sequence[NewJob] = ()
    asks: Question | None = None


class Work:
    """The jobs of the ledger, as workers use them."""

    def __init__(self, database: Database, planning: Planning) -> None:
        self._database = database
        self._planning = planning
        hold, hold_free = ("", "") if database.is_sqlite else ("FOR UPDATE", "FOR UPDATE SKIP LOCKED")
        self._claim = text(_CLAIM % hold_free)
        self._attempt = text(_ATTEMPT % hold)

    def batch_size(self, operation: str, now: datetime, limit: int) -> int:
        """How many jobs a claim would take now."""
        query = text(f"SELECT count(*) FROM ({_BATCH}) AS batch")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            bound = {"operation": operation, "now": to_us(now), "limit": limit}
            return int(connection.execute(query, bound).scalar_one())

    def claim(self, operation: str, *, worker: str, now: datetime, lease: timedelta, limit: int) -> list[Job]:
        """Take up to `limit` due jobs of one operation and the same parameters; each has one winner."""
        bound = {
            "operation": operation,
            "now": to_us(now),
            "lease_until": to_us(now + lease),
            "worker": worker,
            "limit": limit,
        }
        try:
            with self._database.writing() as connection:
                rows = connection.execute(self._claim, bound).all()
        except IntegrityError:  # uq_jobs_running: another claim of the same target won between look and write
            return []
        return sorted((_job(row, now) for row in rows), key=lambda job: job.id)

    def note(self, progress: Sequence[tuple[Job, Mapping[str, Any]]]) -> set[int]:
        """Commit what must be known after a crash, before an act; give the ids of the jobs that are still ours."""
        statement = text("UPDATE jobs SET progress = :progress WHERE id = :id AND fence = :fence AND state = 'running'")
        with self._database.writing() as connection:
            return {
                job.id
                for job, known in sorted(progress, key=lambda pair: pair[0].id)
                if connection.execute(
                    statement, {"id": job.id, "fence": job.fence, "progress": canonical(known_of(job, known))}
                ).rowcount
            }

    def settle(self, settlements: Sequence[Settlement], now: datetime) -> dict[str, list[int]]:
        """Write how attempts ended. A job whose fence has moved on is left as it is: a late worker writes nothing.

        Returns:
            ids of other jobs that can run now, by operation: children, and parents whose last child has ended.
        """
        ordered = sorted(settlements, key=lambda s: s.job.id)
        rows = [_settled(settlement, to_us(now)) for settlement in ordered]
        tried = [row for settlement, row in zip(ordered, rows, strict=True) if settlement.tried]
        due: dict[str, list[int]] = {}
        if rows:
            with self._database.writing() as connection:
                spawning = [(one, row) for one, row in zip(ordered, rows, strict=True) if one.children]
                if spawning:
                    alone(connection)  # first of all locks, as every planner takes it
                if tried:
                    connection.execute(self._attempt, tried)
                for settlement, row in zip(ordered, rows, strict=True):
                    if settlement.asks is not None:
                        row["hold"] = settlement.asks.bind(connection, settlement.job, now).text()
                for settlement, row in spawning:
                    if connection.execute(_SETTLE, row).rowcount:
                        _gather(due, self._children(connection, settlement, now))
                connection.execute(_SETTLE, rows)  # what is settled already is not running any more
                _gather(due, wake_parents(connection, _parents(ordered), now))
        return due

    def _children(self, connection: Connection, settlement: Settlement, now: datetime) -> dict[str, list[int]]:
        return make_children(connection, self._planning, settlement.job, settlement.children, now).due

    def children(self, job: Job) -> list[Child]:
        """The children of a job, the oldest first."""
        with self._database.reading() as connection:
            return children_of(connection, job.id)

    def extend(self, ids: Collection[int], *, worker: str, now: datetime, lease: timedelta, longest: timedelta) -> int:
        """Renew the leases of the jobs that a worker has in hand, but never past `longest` after the claim."""
        if not ids:
            return 0
        known = sorted(ids)
        bound = {"until": to_us(now + lease), "worker": worker, "oldest": to_us(now - longest)}
        with self._database.writing() as connection:
            return sum(
                connection.execute(_EXTEND, {**bound, "ids": known[start : start + _AT_ONCE]}).rowcount
                for start in range(0, len(known), _AT_ONCE)
            )

    def reclaim(self, now: datetime, *, max_losses: int) -> list[Lost]:
        """Give back jobs whose lease ran out; park those whose worker was lost `max_losses` times."""
        with self._database.writing() as connection:
            return give_back(connection, now, max_losses)

    def wake(self, now: datetime) -> int:
        """Make awaiting jobs due whose next look has come, or whose last child has ended."""
        statement = text(
            "UPDATE jobs SET state = 'due', reason = 'time to look again', updated_at = :now"
            " WHERE state = 'awaiting' AND not_before <= :now"
        )
        with self._database.writing() as connection:
            return connection.execute(statement, {"now": to_us(now)}).rowcount + wake_standing(connection, now)

    def due(self, now: datetime, *, limit: int) -> dict[str, list[int]]:
        """Ids of jobs whose time has come, by operation; some may still stand behind another of their target."""
        query = text(
            "SELECT id FROM jobs WHERE state = 'due' AND operation = :operation AND not_before <= :now LIMIT :limit"
        )
        found: dict[str, list[int]] = {}
        with self._database.reading() as connection:
            for operation in operations_due(connection):
                rows = connection.execute(query, {"operation": operation, "now": to_us(now), "limit": limit})
                if ids := [row.id for row in rows]:
                    found[operation] = ids
        return found


def operations_due(connection: Connection) -> list[str]:
    """The distinct operations that have due jobs, by skipping through the index instead of reading all of it."""
    step = text("SELECT min(operation) FROM jobs WHERE state = 'due' AND operation > :after")
    found: list[str] = []
    while (name := connection.execute(step, {"after": found[-1] if found else ""}).scalar_one()) is not None:
        found.append(name)
    return found


def _job(row: Any, now: datetime) -> Job:
    return Job(
        id=row.id,
        operation=row.operation,
        target=row.target,
        parameters=json.loads(row.parameters),
        fence=row.fence,
        attempt=row.attempts,
        claimed_at=now,
        created_at=from_us(row.created_at),
        progress=json.loads(row.progress),
        evidence=json.loads(row.evidence),
        rule=row.rule,
        parent=row.parent_id,
    )


def _gather(due: dict[str, list[int]], more: Mapping[str, Sequence[int]]) -> None:
    for operation, ids in more.items():
        due.setdefault(operation, []).extend(ids)


def _parents(settlements: Sequence[Settlement]) -> set[int]:
    """Whose children have ended."""
    ended = (State.SUCCEEDED, State.PARKED)
    return {one.job.parent for one in settlements if one.job.parent is not None and one.state in ended}


def _settled(settlement: Settlement, now: int) -> dict[str, object]:
    if settlement.state not in MOVES[State.RUNNING]:
        raise ValueError(f"a running job cannot become {settlement.state}")
    final = settlement.state is State.SUCCEEDED
    return {
        "id": settlement.job.id,
        "fence": settlement.job.fence,
        "state": settlement.state.value,
        "reason": storable(settlement.reason),
        "parked_because": settlement.parked_because and settlement.parked_because.value,
        "not_before": to_us(settlement.not_before),
        "progress": None if settlement.progress is None else canonical(known_of(settlement.job, settlement.progress)),
        "refund": 0 if settlement.counts else 1,
        "upstream_status": settlement.upstream_status,
        "hold": None,
        "finished_at": now if final else None,
        "now": now,
    }
