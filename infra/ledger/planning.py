"""One transaction that turns events into jobs: each event planned once, each wish served once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from infra.ledger.engine import Database
from infra.ledger.expiries import ends_of, with_end
from infra.ledger.plans import Plan, Planned, canonical, new_row, still_new, stored, tell, terms, told
from infra.ledger.spending import Purse
from infra.ledger.tables import storable, to_us
from infra.ledger.weighing import OpenJob, expiry_of, judge, open_jobs, reason_to_wait
from schemas.jobs import NewJob, lock_key_of
from schemas.limits import Hold, Sharer, Standing

_PLANNERS: Final = 7_395_501
"""PostgreSQL advisory lock: one planner writes at a time, as SQLite's write lock has it anyway."""

_SHARE: Final = text("UPDATE jobs SET hold = :hold WHERE id = :id")

_MOST_SHARERS: Final = 16
"""Triggers that a job remembers beside its own; a wish of one more stays whatever becomes of its trigger."""

_LINK: Final = text(
    "INSERT INTO event_jobs (event_id, job_id, role) VALUES (:event_id, :job_id, :role) ON CONFLICT DO NOTHING"
)
"""An event that is planned again may be served by the job that served it before."""


def alone(connection: Connection) -> None:
    """Wait until nobody else plans or lets jobs go; on SQLite there is one writer anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _PLANNERS})


class Planning:
    """Writes plans into the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def store(self, plans: Sequence[Plan], now: datetime) -> Planned:
        """Store the plans of events that nobody planned meanwhile; the others are passed over.

        What leads to no work is made ready before anybody has to wait for this writer.
        """
        busy = [plan for plan in plans if plan.jobs or plan.confirms]
        idle = [told(plan, storable(plan.verdict), to_us(now)) for plan in plans if not plan.jobs and not plan.confirms]
        with self._database.writing() as connection:
            alone(connection)
            done = Planned()
            if busy:
                fresh = still_new(connection, busy)
                done = _Batch(connection, [plan for plan in busy if plan.event_id in fresh], now).write()
            done.events += tell(connection, idle)
            return done

    def add(self, connection: Connection, plans: Sequence[Plan], now: datetime) -> Planned:
        """Store the plans of wishes that no event caused, in the caller's transaction."""
        alone(connection)
        return _Batch(connection, plans, now).write()


class _Batch:
    """One transaction's work: holds wishes against the open jobs of their targets, a picture that it keeps true."""

    def __init__(self, connection: Connection, plans: Sequence[Plan], now: datetime) -> None:
        self._connection = connection
        self._plans = plans
        self._moment = now
        self._now = to_us(now)
        self._purse = Purse(connection, now)
        self._open = _open_jobs(connection, plans)
        untold = (plan for plan in plans if expiry_of(plan.evidence) is None)
        self._ends = ends_of(connection, (job for plan in untold for job in plan.jobs))
        self._rows: list[dict[str, object]] = []
        self._links: set[tuple[int, int, str]] = set()
        self._later: list[tuple[int, int]] = []  # (event, index into rows): served by a job of this very batch
        self._shared: dict[int, Hold] = {}
        self._done = Planned()

    def write(self) -> Planned:
        said = [told(plan, self._apply(plan), self._now) for plan in self._plans]
        self._insert()
        self._done.events = tell(self._connection, [row for row in said if row[-1] is not None])
        return self._done

    def _apply(self, plan: Plan) -> str:
        said = [self._wish(job, plan) for job in plan.jobs]
        said.append(self._confirms(plan))
        return storable("; ".join([plan.verdict, *(text for text in said if text)]))

    def _wish(self, job: NewJob, plan: Plan) -> str:
        parameters = canonical(job.parameters)
        evidence = with_end(plan.evidence, job, self._ends)
        line = self._open.get(job.lock_key, ())
        standing, server, beaten = judge(self._purse, line, job, parameters, evidence, self._moment)
        for rival in beaten:
            self._supersede(rival, job.lock_key)
        if server is not None:
            return self._served(server, job, plan.event_id)
        self._add(job, parameters, replace(plan, evidence=evidence), standing)
        return standing.reason

    def _served(self, rival: OpenJob, job: NewJob, event_id: int | None) -> str:
        self._done.served += 1
        owner = rival.trigger, rival.parent  # who may take it back
        if rival.id > 0 and owner not in {(None, None), (job.trigger, job.parent)}:
            rival.hold = self._shared[rival.id] = _shared_with(rival.hold, job)
        if event_id is None:
            return f"served by a job that is {rival.state}"
        if rival.id > 0:
            self._links.add((event_id, rival.id, "served"))
            return f"served by job {rival.id}, which is {rival.state}"
        self._later.append((event_id, -rival.id - 1))
        return "served by a job of the same batch"

    def _supersede(self, rival: OpenJob, lock_key: str) -> None:
        beaten = {"state": "superseded", "reason": "a newer wish for the same target came first"}
        if rival.id < 0:  # of this very batch, and held
            self._rows[-rival.id - 1] |= {**beaten, "finished_at": self._now}
            self._done.held -= 1
        else:
            self._connection.execute(
                text(
                    "UPDATE jobs SET state = :state, reason = :reason, finished_at = :now, updated_at = :now"
                    " WHERE id = :id AND state IN ('held', 'due')"
                ),
                {**beaten, "id": rival.id, "now": self._now},
            )
            self._purse.give_back(rival.operation, rival.hold, rival.fence)
        self._open[lock_key].remove(rival)

    def _add(self, job: NewJob, parameters: str, plan: Plan, standing: Standing) -> None:
        reason = standing.reason or reason_to_wait(self._open.get(job.lock_key, ()))
        if not standing.reason and to_us(standing.not_before) > self._now:
            reason = f"spread by its schedule: begins {standing.not_before:%d %b %H:%M:%S} UTC"
        hold = standing.hold
        if standing.spends:
            counted = self._purse.spend(job.operation)
            hold = hold and hold.model_copy(update={"counted": counted})
        row = new_row(job, parameters, plan, self._now) | terms(standing, hold)
        self._rows.append(row | {"reason": reason})
        self._done.made += 1
        self._done.held += standing.held
        placeholder = OpenJob(
            id=-len(self._rows),
            operation=job.operation,
            target=job.target,
            parameters=parameters,
            state=str(row["state"]),
            hold=hold or Hold(),
            trigger=job.trigger,
            parent=job.parent,
        )
        self._open.setdefault(job.lock_key, []).append(placeholder)

    def _confirms(self, plan: Plan) -> str:
        """Wake what the event may prove; of several operations mostly one waits for it, or none."""
        there = plan.confirms if self._open else ()
        proved = [job for operation, target in there if (job := self._confirm(operation, target, plan))]
        if proved or not plan.confirms:
            return f"confirms {', '.join(f'job {job}' for job in proved)}" if proved else ""
        return f"no {' or '.join(operation for operation, _ in plan.confirms)} waits for it"

    def _confirm(self, operation: str, target: str, plan: Plan) -> int | None:
        for job in self._open.get(lock_key_of(operation, target), ()):
            if job.operation == operation and (job.begun or job.state in {"awaiting", "running"}):
                self._nudge(job, plan)
                return job.id
        return None

    def _nudge(self, job: OpenJob, plan: Plan) -> None:
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
        if plan.event_id is not None:
            self._links.add((plan.event_id, job.id, "confirmed"))
        if job.state == "awaiting":
            job.state = "due"
            self._done.due.setdefault(job.operation, []).append(job.id)

    def _insert(self) -> None:
        self._purse.write()
        if self._rows:
            ids = stored(self._connection, self._rows)
            for row, job_id in zip(self._rows, ids, strict=True):
                if row["state"] != "due":
                    continue
                self._done.due.setdefault(str(row["operation"]), []).append(job_id)
            self._links.update((event, ids[index], "served") for event, index in self._later)
        if self._shared:
            shared = [{"id": job, "hold": hold.text()} for job, hold in sorted(self._shared.items())]
            self._connection.execute(_SHARE, shared)
        if self._links:
            rows = [{"event_id": event, "job_id": job, "role": role} for event, job, role in sorted(self._links)]
            self._connection.execute(_LINK, rows)


def _open_jobs(connection: Connection, plans: Sequence[Plan]) -> dict[str, list[OpenJob]]:
    keys = {job.lock_key for plan in plans for job in plan.jobs}
    keys |= {lock_key_of(operation, target) for plan in plans for operation, target in plan.confirms}
    return open_jobs(connection, keys, hold=_hold(connection))


def _shared_with(hold: Hold, job: NewJob) -> Hold:
    """The terms of a trigger's job, or another job's child, that serves another wish from now on."""
    whose = job.trigger if len(hold.shared) < _MOST_SHARERS else None
    sharer = Sharer(trigger=whose, limits=job.limits)
    return hold if sharer in hold.shared else hold.model_copy(update={"shared": (*hold.shared, sharer)})


def _hold(connection: Connection) -> str:
    """On PostgreSQL the rows are held, so that no worker moves a job on while a wish is held against it."""
    return " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
