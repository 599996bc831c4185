"""What a plan is, and how it is written: the rows of its jobs, and what is told of its event."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Connection, insert, text

from infra.ledger.tables import jobs, to_us
from schemas.jobs import NewJob
from schemas.limits import Hold, Standing

_STILL_NEW: Final = {
    "sqlite": text("SELECT id FROM events WHERE id IN (SELECT value FROM json_each(:ids)) AND state = 'new'"),
    "postgresql": text(
        "SELECT id FROM events WHERE id IN (SELECT CAST(value AS bigint) FROM"
        " json_array_elements_text(CAST(:ids AS json))) AND state = 'new'"
    ),
}

_TELL: Final = {
    "sqlite": "UPDATE events SET state = ?, verdict = ?, planned_at = ? WHERE id = ? AND state = 'new'",
    "postgresql": "UPDATE events SET state = %s, verdict = %s, planned_at = %s WHERE id = %s AND state = 'new'",
}
"""In the drivers' own writing, for one of these is written for every event."""

_COLUMNS: Final = {column.name: column.type for column in jobs.c if column.name != "id"}

_INSERT_POSTGRES: Final = text(
    f"INSERT INTO jobs ({', '.join(_COLUMNS)}) SELECT {', '.join(_COLUMNS)} FROM ROWS FROM"  # noqa: S608 - constants only
    f" (json_to_recordset(CAST(:rows AS json)) AS ({', '.join(f'{name} {kind}' for name, kind in _COLUMNS.items())}))"
    f" WITH ORDINALITY AS rows({', '.join(_COLUMNS)}, place) ORDER BY place RETURNING id"
)
"""As above; the numbers are given in the order of the rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one event leads to.

    Attributes:
        event_id: None for wishes that no event caused, such as those of a schedule.
        evidence: what the event says that its jobs should know; JSON-able.
        fault: true when Keyturn itself failed to plan it, so that it can be found and planned again.
    """

    event_id: int | None
    verdict: str
    jobs: Sequence[NewJob] = ()
    confirms: Sequence[tuple[str, str]] = ()  # (operation, target) whose work the event may prove
    evidence: Mapping[str, Any] = field(default_factory=dict)
    fault: bool = False


@dataclass(kw_only=True, slots=True)
class Planned:
    """What a batch of plans did: ids of jobs that can run now, by operation, and how many events it settled.

    Attributes:
        made, held, served: how many jobs it made, how many of them wait by their terms, and how many wishes are served
            by jobs that were there.
    """

    due: dict[str, list[int]] = field(default_factory=dict)
    events: int = 0
    made: int = 0
    held: int = 0
    served: int = 0


def canonical(parameters: Mapping[str, Any]) -> str:
    """Parameters as the text by which they are compared."""
    return json.dumps(parameters, sort_keys=True, separators=(",", ":"))


def told(plan: Plan, verdict: str, now: int) -> tuple[object, ...]:
    """What is written of an event, as `_TELL` takes it."""
    return ("fault" if plan.fault else "planned", verdict, now, plan.event_id)


def tell(connection: Connection, told: list[tuple[object, ...]]) -> int:
    """Write what became of events that are new still; give how many they were."""
    return connection.exec_driver_sql(_TELL[connection.dialect.name], told).rowcount if told else 0


def still_new(connection: Connection, plans: Sequence[Plan]) -> set[int]:
    """The events of these plans that nobody planned meanwhile."""
    ids = json.dumps([plan.event_id for plan in plans])
    return set(connection.execute(_STILL_NEW[connection.dialect.name], {"ids": ids}).scalars())


def stored(connection: Connection, rows: Sequence[Mapping[str, object]]) -> list[int]:
    """Insert jobs; give their ids in the same order."""
    if connection.dialect.name == "postgresql":
        return sorted(connection.execute(_INSERT_POSTGRES, {"rows": json.dumps(rows)}).scalars())
    statement = insert(jobs).returning(jobs.c.id, sort_by_parameter_order=True)
    return [row.id for row in connection.execute(statement, rows)]


def new_row(job: NewJob, parameters: str, plan: Plan, now: int) -> dict[str, object]:
    """A job's row, but for its terms and its reason."""
    return {
        "operation": job.operation,
        "target": job.target,
        "lock_key": job.lock_key,
        "parameters": parameters,
        "rule": job.rule,
        "event_id": plan.event_id,
        "site": job.site,
        "trigger_id": job.trigger,
        "parent_id": job.parent,
        "finished_at": None,
        "fence": 0,
        "attempts": 0,
        "progress": "{}",
        "evidence": canonical(plan.evidence),
        "created_at": now,
        "updated_at": now,
    }


def terms(standing: Standing, hold: Hold | None) -> dict[str, object]:
    """The part of a job's row that says when it may run."""
    return {
        "state": "held" if standing.held else "due",
        "not_before": to_us(standing.not_before),
        "not_after": standing.not_after and to_us(standing.not_after),
        "hold": hold and hold.text(),
    }
