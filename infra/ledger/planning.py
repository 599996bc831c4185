"""One transaction that turns events into jobs: each event planned once, each wish served once."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, insert, text

from infra.ledger.engine import Database
from infra.ledger.tables import OPEN_STATES, jobs, links, storable, to_us
from schemas.jobs import NewJob

_PLANNERS: Final = 7_395_501
"""PostgreSQL advisory lock: one planner writes at a time, as SQLite's write lock has it anyway."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one event leads to.

    Attributes:
        evidence: what the event says that its jobs should know; JSON-able.
        fault: true when Keyturn itself failed to plan it, so that it can be found and planned again.
    """

    event_id: int
    verdict: str
    jobs: Sequence[NewJob] = ()
    confirms: Sequence[tuple[str, str]] = ()  # (operation, target) whose work the event may prove
    evidence: Mapping[str, Any] = field(default_factory=dict)
    fault: bool = False


@dataclass(kw_only=True, slots=True)
class Planned:
    """What a batch of plans did: ids of jobs that can run now, by operation, and how many events it settled."""

    due: dict[str, list[int]] = field(default_factory=dict)
    events: int = 0


@dataclass(kw_only=True, slots=True)
class _Open:
    id: int
    operation: str
    target: str
    parameters: str
    state: str
    tried: bool
    begun: bool = False


def canonical(parameters: Mapping[str, Any]) -> str:
    """Parameters as the text by which they are compared."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"))


class Planning:
    """Writes plans into the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, plans: Sequence[Plan], now: datetime) -> Planned:
        """Store the plans of events that nobody planned meanwhile; the others are passed over."""
        with self._database.writing() as connection:
            if not self._database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PLANNERS})
            fresh = _still_new(connection, plans)
            mine = [plan for plan in plans if plan.event_id in fresh]
            return _Batch(connection, mine, to_us(now)).write()


class _Batch:
    """One transaction's work: holds wishes against the open jobs of their targets, a picture that it keeps true."""

    def __init__(self, connection: Connection, plans: Sequence[Plan], now: int) -> None:
        self._connection = connection
        self._plans = plans
        self._now = now
        self._open = _open_jobs(connection, plans)
        self._rows: list[dict[str, object]] = []
        self._links: set[tuple[int, int, str]] = set()
        self._later: list[tuple[int, int]] = []  # (event, index into rows): served by a job of this very batch
        self._done = Planned()

    def write(self) -> Planned:
        verdicts = [
            {
                "id": plan.event_id,
                "verdict": self._apply(plan),
                "now": self._now,
                "state": "fault" if plan.fault else "planned",
            }
            for plan in self._plans
        ]
        self._insert()
        if verdicts:
            self._connection.execute(
                text("UPDATE events SET state = :state, verdict = :verdict, planned_at = :now WHERE id = :id"),
                verdicts,
            )
        self._done.events = len(verdicts)
        return self._done

    def _apply(self, plan: Plan) -> str:
        said = [self._wish(job, plan) for job in plan.jobs]
        said += [self._confirm(operation, target, plan) for operation, target in plan.confirms]
        return storable("; ".join([plan.verdict, *(text for text in said if text)]))

    def _wish(self, job: NewJob, plan: Plan) -> str:
        parameters = canonical(job.parameters)
        wished = job.operation, job.target  # a lock may be shared by several targets
        rivals = [job_ for job_ in self._open.get(job.lock_key, ()) if (job_.operation, job_.target) == wished]
        for rival in rivals:
            waiting_same = rival.state in {"held", "due"} and rival.parameters == parameters
            if waiting_same or job.unless_under_way:
                return self._served(rival, plan.event_id)
        for rival in rivals:
            if rival.state in {"held", "due"} and not rival.tried and rival.id > 0:
                self._supersede(rival, job.lock_key)
        self._add(job, parameters, plan)
        return ""

    def _served(self, rival: _Open, event_id: int) -> str:
        if rival.id > 0:
            self._links.add((event_id, rival.id, "served"))
            return f"served by job {rival.id}, which is {rival.state}"
        self._later.append((event_id, -rival.id - 1))
        return "served by a job of the same batch"

    def _supersede(self, rival: _Open, lock_key: str) -> None:
        self._connection.execute(
            text(
                "UPDATE jobs SET state = 'superseded', reason = 'a newer wish for the same target came first',"
                " finished_at = :now, updated_at = :now WHERE id = :id AND state IN ('held', 'due')"
            ),
            {"id": rival.id, "now": self._now},
        )
        self._open[lock_key].remove(rival)

    def _add(self, job: NewJob, parameters: str, plan: Plan) -> None:
        reason = _reason_to_wait(self._open.get(job.lock_key, ()))
        self._rows.append(_new_row(job, parameters, plan, self._now) | {"reason": reason})
        placeholder = _Open(
            id=-len(self._rows),
            operation=job.operation,
            target=job.target,
            parameters=parameters,
            state="due",
            tried=False,
        )
        self._open.setdefault(job.lock_key, []).append(placeholder)

    def _confirm(self, operation: str, target: str, plan: Plan) -> str:
        lock_key = NewJob(operation=operation, target=target).lock_key
        for job in self._open.get(lock_key, ()):
            if job.operation == operation and (job.begun or job.state in {"awaiting", "running"}):
                self._nudge(job, plan)
                return f"confirms job {job.id}"
        return f"no {operation} waits for it"

    def _nudge(self, job: _Open, plan: Plan) -> None:
        self._connection.execute(
            text(
                "UPDATE jobs SET evidence = :evidence, nudged_at = :now, updated_at = :now,"
                " not_before = CASE WHEN state = 'awaiting' THEN :now ELSE not_before END,"
                " reason = CASE WHEN state = 'awaiting' THEN 'a confirming event came; looking' ELSE reason END,"
                " state = CASE WHEN state = 'awaiting' THEN 'due' ELSE state END"
                " WHERE id = :id AND state IN ('awaiting', 'running', 'due')"
            ),
            {"id": job.id, "evidence": canonical(plan.evidence), "now": self._now},
        )
        self._links.add((plan.event_id, job.id, "confirmed"))
        if job.state == "awaiting":
            job.state = "due"
            self._done.due.setdefault(job.operation, []).append(job.id)

    def _insert(self) -> None:
        if self._rows:
            statement = insert(jobs).returning(jobs.c.id, sort_by_parameter_order=True)
            ids = [row.id for row in self._connection.execute(statement, self._rows)]
            for row, job_id in zip(self._rows, ids, strict=True):
                self._done.due.setdefault(str(row["operation"]), []).append(job_id)
            self._links.update((event, ids[index], "served") for event, index in self._later)
        if self._links:
            rows = [{"event_id": event, "job_id": job, "role": role} for event, job, role in sorted(self._links)]
            self._connection.execute(insert(links), rows)


def _still_new(connection: Connection, plans: Sequence[Plan]) -> set[int]:
    query = text("SELECT id FROM events WHERE id IN :ids AND state = 'new'").bindparams(
        bindparam("ids", expanding=True)
    )
    return {row.id for row in connection.execute(query, {"ids": [plan.event_id for plan in plans]})}


def _open_jobs(connection: Connection, plans: Sequence[Plan]) -> dict[str, list[_Open]]:
    keys = {job.lock_key for plan in plans for job in plan.jobs}
    keys |= {NewJob(operation=name, target=target).lock_key for plan in plans for name, target in plan.confirms}
    if not keys:
        return {}
    query = text(
        "SELECT id, lock_key, operation, target, parameters, state, fence, progress FROM jobs"  # noqa: S608 - constants only
        f" WHERE lock_key IN :keys AND {OPEN_STATES} ORDER BY id{_hold(connection)}"
    ).bindparams(bindparam("keys", expanding=True))
    found: dict[str, list[_Open]] = {}
    for row in connection.execute(query, {"keys": sorted(keys)}):
        found.setdefault(row.lock_key, []).append(
            _Open(
                id=row.id,
                operation=row.operation,
                target=row.target,
                parameters=row.parameters,
                state=row.state,
                tried=row.fence > 0,  # attempts are given back, a fence never falls
                begun=row.progress != "{}",
            )
        )
    return found


def _hold(connection: Connection) -> str:
    """On PostgreSQL the rows are held, so that no worker moves a job on while a wish is held against it."""
    return " FOR UPDATE" if connection.dialect.name == "postgresql" else ""


def _reason_to_wait(line: Sequence[_Open]) -> str:
    """Why a new job stands where it stands, from the open jobs of its target, oldest first."""
    before = [job.id for job in line if job.state in {"due", "running"}]
    if not before:
        return "waits for a worker"
    front = f"job {before[-1]}" if before[-1] > 0 else "another job"  # one of the same batch has no number yet
    return f"stands behind {front} of the same target"


def _new_row(job: NewJob, parameters: str, plan: Plan, now: int) -> dict[str, object]:
    return {
        "operation": job.operation,
        "target": job.target,
        "lock_key": job.lock_key,
        "parameters": parameters,
        "rule": job.rule,
        "event_id": plan.event_id,
        "state": "due",
        "not_before": now,
        "fence": 0,
        "attempts": 0,
        "progress": "{}",
        "evidence": canonical(plan.evidence),
        "created_at": now,
        "updated_at": now,
    }
