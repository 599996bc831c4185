"""Jobs with children: made with the settlement of their parent, waking it when the last has ended, ended with it."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import Connection, text

from infra.ledger.planning import Planning
from infra.ledger.plans import Plan, Planned, canonical
from infra.ledger.spending import Purse, hour_of, terms_of
from infra.ledger.tables import NOT_BEGUN, OPEN_STATES, storable, to_us
from infra.ledger.weighing import VALUES
from schemas.jobs import APPROVED, Child, Job, NewJob, State
from schemas.limits import Approval, Counted, Hold

_KINDS: Final[Mapping[str, str]] = {"ublox": "device", "tap": "tap", "centagate": "token"}
"""What the inventory calls the targets of an outside system."""

_OPEN_CHILD: Final = f"EXISTS (SELECT 1 FROM jobs c WHERE c.parent_id = jobs.id AND c.{OPEN_STATES})"  # noqa: S608 - constants only

_WAKE: Final = text(f"""
    UPDATE jobs SET nudged_at = :now, updated_at = :now,
           not_before = CASE WHEN state = 'awaiting' THEN :now ELSE not_before END,
           reason = CASE WHEN state = 'awaiting' THEN 'its children have ended; looking' ELSE reason END,
           state = CASE WHEN state = 'awaiting' THEN 'due' ELSE state END
    WHERE id = :id AND state IN ('awaiting', 'running') AND NOT {_OPEN_CHILD}
    RETURNING id, operation, state
""")  # noqa: S608 - constants only
"""A parent at work is nudged, so that it looks once more however it ends."""

_STANDING: Final = text(f"""
    WITH RECURSIVE parents (id) AS (
        SELECT min(parent_id) FROM jobs WHERE parent_id IS NOT NULL
        UNION ALL
        SELECT (SELECT min(j.parent_id) FROM jobs j WHERE j.parent_id > parents.id) FROM parents WHERE id IS NOT NULL)
    SELECT id FROM jobs WHERE id IN (SELECT id FROM parents) AND state = 'awaiting' AND NOT {_OPEN_CHILD}
    AND EXISTS (SELECT 1 FROM jobs c WHERE c.parent_id = jobs.id AND c.updated_at > jobs.claimed_at)
""")  # noqa: S608 - constants only
"""Parents that have not looked since their last child ended; found by skipping through the index of children."""

_TERMS: Final = text("SELECT hold, created_at FROM jobs WHERE id = :id")

_CANCEL: Final = text(f"""
    UPDATE jobs SET state = 'cancelled', reason = :reason, finished_at = :now, updated_at = :now
    WHERE parent_id = :parent AND state IN ('held', 'due') AND {NOT_BEGUN}
      AND coalesce(hold, '') NOT LIKE '%"shared":%'
      AND NOT EXISTS (SELECT 1 FROM event_jobs WHERE event_jobs.job_id = jobs.id AND event_jobs.role = 'served')
    RETURNING operation, hold, fence, created_at
""")  # noqa: S608 - constants only
"""What events, triggers or parents of others rely on stays, as does what an outside system has begun."""

_GO_ON: Final = text(f"SELECT count(*) FROM jobs WHERE parent_id = :parent AND {OPEN_STATES}")  # noqa: S608 - constants only

_CHILDREN: Final = text("SELECT id, operation, target, state, reason FROM jobs WHERE parent_id = :parent ORDER BY id")

_COUNTS: Final = text("SELECT state, count(*) AS jobs FROM jobs WHERE parent_id = :parent GROUP BY state")


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What a job asks before its next step, and whose word it takes."""

    step: str
    role: Literal["operator", "admin"]

    def bind(self, connection: Connection, job: Job, now: datetime) -> Hold:
        """The terms of the job until then. It has run, so what it was counted for is spent."""
        row = connection.execute(_TERMS, {"id": job.id}).one()
        hold = terms_of(row.hold, row.created_at)
        asking = {"approval": Approval(role=self.role), "approved_by": None, "waits": "approval", "step": self.step}
        spent = hold.counted or Counted(hour=hour_of(now), fence=job.fence - 1)
        return hold.model_copy(update={**asking, "counted": spent})


def known_of(job: Job, noted: Mapping[str, Any]) -> dict[str, Any]:
    """What an operation noted, with the steps that a person agreed to as they are: those are not its to write."""
    agreed = {APPROVED: job.progress[APPROVED]} if APPROVED in job.progress else {}
    return {name: value for name, value in noted.items() if name != APPROVED} | agreed


def agree(connection: Connection, job_id: int, step: str) -> None:
    """Write into a held job's progress that a person agreed to its step, in the caller's transaction."""
    progress = json.loads(
        connection.execute(text("SELECT progress FROM jobs WHERE id = :id"), {"id": job_id}).scalar_one()
    )
    agreed = sorted({*progress.get(APPROVED, ()), step})
    statement = text("UPDATE jobs SET progress = :progress WHERE id = :id")
    connection.execute(statement, {"id": job_id, "progress": canonical({**progress, APPROVED: agreed})})


def make_children(
    connection: Connection, planning: Planning, parent: Job, children: Sequence[NewJob], now: datetime
) -> Planned:
    """Plan the children of a job in the transaction that settles it; a wish that an open job serves makes none.

    Whoever settles says on what terms they run.
    """
    sites = _sites(connection, children)
    jobs = [
        replace(
            child,
            parent=parent.id,
            rule=parent.rule,
            site=child.site or sites.get((_KINDS.get(child.system, ""), child.target)),
        )
        for child in children
    ]
    plan = Plan(event_id=None, verdict="a job asks", jobs=jobs, evidence={"parent": parent.id})
    return planning.add(connection, [plan], now)


def _sites(connection: Connection, children: Iterable[NewJob]) -> dict[tuple[str, str], str]:
    targets = sorted({child.target for child in children})
    query = text(
        f"SELECT kind, key, site FROM inventory WHERE key IN (SELECT value FROM {VALUES[connection.dialect.name]})"  # noqa: S608 - constants only
    )
    rows = connection.execute(query, {"keys": json.dumps(targets)})
    return {(row.kind, row.key): row.site for row in rows}


def wake_parents(connection: Connection, parents: Collection[int], now: datetime) -> dict[str, list[int]]:
    """Let parents look that have no open child left; give those that can run now, by operation."""
    due: dict[str, list[int]] = {}
    for parent in sorted(parents):
        for row in connection.execute(_WAKE, {"id": parent, "now": to_us(now)}):
            if row.state == State.DUE:
                due.setdefault(row.operation, []).append(row.id)
    return due


def wake_standing(connection: Connection, now: datetime) -> int:
    """Let parents look whose last child ended unseen, as by a person's word; give how many."""
    parents = list(connection.execute(_STANDING).scalars())
    return sum(map(len, wake_parents(connection, parents, now).values()))


def cancel_children(connection: Connection, parent: int, words: str, now: datetime) -> str:
    """Cancel what has not begun of a job's children, in the caller's transaction; say in words what became of them.

    The caller holds the planners' lock: what they were counted for is given back.
    """
    bound = {"parent": parent, "reason": storable(f"with job {parent}: {words}"), "now": to_us(now)}
    rows = connection.execute(_CANCEL, bound).all()
    purse = Purse(connection, now)
    for row in rows:
        purse.give_back(row.operation, terms_of(row.hold, row.created_at), row.fence)
    purse.write()
    cancelled = len(rows)
    going_on = connection.execute(_GO_ON, {"parent": parent}).scalar_one()
    told = f"; with it {_jobs(cancelled)} of its children that had not begun" if cancelled else ""
    return told + (f"; {_jobs(going_on)} of its children under way, to the end" if going_on else "")


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def children_of(connection: Connection, parent: int) -> list[Child]:
    """The children of a job, the oldest first."""
    return [
        Child(id=row.id, operation=row.operation, target=row.target, state=State(row.state), reason=row.reason)
        for row in connection.execute(_CHILDREN, {"parent": parent})
    ]


def count_children(connection: Connection, parent: int) -> dict[State, int]:
    """How many children of a job stand in each state."""
    return {State(row.state): row.jobs for row in connection.execute(_COUNTS, {"parent": parent})}
