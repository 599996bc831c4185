"""What the admin API and the command line see of events and jobs: pages, and one with all that belongs to it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from pydantic_core import PydanticSerializationError, to_json
from sqlalchemy import Connection, bindparam, text

from infra.ledger.engine import Database
from infra.ledger.family import count_children
from infra.ledger.tables import from_us
from infra.ledger.walks import Found, Walk, walk
from infra.redaction import Redactor
from schemas.admin import Moments
from schemas.jobs import State
from schemas.limits import Hold
from schemas.views import (
    AttemptView,
    EventLine,
    EventOfJob,
    EventQuery,
    EventView,
    JobLine,
    JobOfEvent,
    JobQuery,
    JobView,
)

MOST_TRIES: Final = 1_000

_EVENT: Final = (
    "id, receipt, source, hook, event_type AS type, device, occurred_at, received_at, state, verdict, planned_at"
)
_JOB: Final = (
    "id, operation, target, site, rule, event_id, trigger_id, parent_id, state, reason, parked_because, attempts,"
    " not_before, created_at, updated_at, finished_at"
)
_JOB_WHOLE: Final = f"{_JOB}, parameters, progress, evidence, hold, not_after, worker, claimed_at, lease_until"

_JSON: Final = frozenset({"parameters", "progress", "evidence", "hold"})

_OF_EVENT: Final = (
    "id IN (SELECT id FROM jobs WHERE event_id = :event UNION SELECT job_id FROM event_jobs WHERE event_id = :event)"
)

_OF_DEVICE: Final = (
    "id IN (SELECT id FROM events WHERE state <> 'new' AND device = :device"
    " UNION ALL SELECT id FROM events WHERE state = 'new' AND device = :device)"
)
"""In two halves, because the index of devices leaves out what is new."""

_JOBS_OF: Final = text("""
    SELECT id, 'caused' AS role, operation, target, state, reason FROM jobs WHERE event_id = :id
    UNION ALL SELECT j.id, l.role, j.operation, j.target, j.state, j.reason
    FROM event_jobs l JOIN jobs j ON j.id = l.job_id WHERE l.event_id = :id ORDER BY 1, 2 LIMIT 1000
""")

_EVENTS_OF: Final = text("""
    SELECT * FROM (
        SELECT e.id, 'caused' AS role, e.event_type AS type, e.received_at
        FROM jobs j JOIN events e ON e.id = j.event_id WHERE j.id = :id
        UNION ALL SELECT e.id, l.role, e.event_type, e.received_at
        FROM event_jobs l JOIN events e ON e.id = l.event_id WHERE l.job_id = :id ORDER BY 1 DESC LIMIT 1000
    ) AS found ORDER BY id
""")

_TRIES: Final = text("""
    SELECT number, fence, worker, started_at, ended_at, outcome, upstream_status, reason FROM (
        SELECT * FROM attempts WHERE job_id = :id ORDER BY id DESC LIMIT :limit
    ) AS found ORDER BY id
""")

_REDACTOR: Final = Redactor([])
"""Masks by name and by shape: no operation notes a secret, and this is the net below that."""


class Admin:
    """Events and jobs, read."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def events(self, asked: EventQuery, before: int | None = None) -> tuple[list[EventLine], int | None]:
        """A page of events below an id, and where the next one begins."""
        where, bound = _equal(
            {"event_type": asked.type, "source": asked.source and asked.source.value, "hook": asked.hook}
        )
        if asked.device is not None:
            where.append(_OF_DEVICE)
            bound["device"] = asked.device
        if asked.state is not None:
            where.append(f"state = '{asked.state.value}'")  # literal: partial indexes are used only so
        found = self._walk("events", _EVENT, "received_at", (where, bound), asked, before)
        return [EventLine(**_read(row)) for row in found.rows], found.next

    def jobs(self, asked: JobQuery, before: int | None = None) -> tuple[list[JobLine], int | None]:
        """A page of jobs below an id, and where the next one begins."""
        equal = {
            "operation": asked.operation,
            "target": asked.target,
            "site": asked.site,
            "trigger_id": asked.trigger,
            "parent_id": asked.parent,
            "parked_because": asked.because and asked.because.value,
        }
        where, bound = _equal(equal)
        if asked.state is not None:
            where.append(f"state = '{asked.state.value}'")
        if asked.state not in {None, State.SUCCEEDED}:
            where.append("state <> 'succeeded'")  # word for word the index's condition
        if asked.event is not None:
            where.append(_OF_EVENT)
            bound["event"] = asked.event
        found = self._walk("jobs", _JOB, "created_at", (where, bound), asked, before)
        return [JobLine(**_read(row)) for row in found.rows], found.next

    def event(self, event_id: int) -> EventView | None:
        """One event with its body and its jobs."""
        with self._database.reading() as connection:
            row = _one(connection, f"SELECT {_EVENT}, body FROM events WHERE id = :id", event_id)  # noqa: S608 - constants only
            if row is None:
                return None
            jobs = [JobOfEvent(**job) for job in connection.execute(_JOBS_OF, {"id": event_id}).mappings()]
        values = _read(row)
        return EventView(**{**values, **_shown(bytes(values["body"]))}, jobs=jobs)

    def job(self, job_id: int) -> JobView | None:
        """One job with every try and its events."""
        with self._database.reading() as connection:
            row = _one(connection, f"SELECT {_JOB_WHOLE} FROM jobs WHERE id = :id", job_id)  # noqa: S608 - constants only
            if row is None:
                return None
            bound = {"id": job_id, "limit": MOST_TRIES}
            tries = [AttemptView(**_read(one)) for one in connection.execute(_TRIES, bound)]
            events = [EventOfJob(**_read(one)) for one in connection.execute(_EVENTS_OF, {"id": job_id})]
            children = count_children(connection, job_id)
        asks = Hold.read(row.hold).step
        return JobView(**_read(row), tries=tries, events=events, asks=asks, children=children)

    def watermark(self, name: str) -> str | None:
        """A value that is kept by name, such as the key that signs cursors."""
        with self._database.reading() as connection:
            found = connection.execute(text("SELECT value FROM watermarks WHERE name = :name"), {"name": name})
            return found.scalar_one_or_none()

    def _walk(
        self,
        table: str,
        columns: str,
        at: str,
        wanted: tuple[Sequence[str], Mapping[str, Any]],
        asked: Moments,
        before: int | None,
    ) -> Found:
        asked_of = Walk(
            table=table,
            columns=columns,
            at=at,
            where=wanted[0],
            bound=wanted[1],
            since=asked.since,
            until=asked.until,
            before=before,
            limit=asked.limit,
        )
        with self._database.reading() as connection:
            return walk(connection, asked_of)


def job_line(connection: Connection, job_id: int, *, hold: bool = False) -> JobLine | None:
    """One job in the caller's transaction; held, nobody else moves it on before that ends."""
    lock = " FOR UPDATE" if hold and connection.dialect.name == "postgresql" else ""
    row = _one(connection, f"SELECT {_JOB} FROM jobs WHERE id = :id{lock}", job_id)  # noqa: S608 - constants only
    return None if row is None else JobLine(**_read(row))


def job_lines(connection: Connection, ids: Sequence[int]) -> list[JobLine]:
    """Jobs in the caller's transaction, in order of their numbers."""
    return [JobLine(**_read(row)) for row in _some(connection, f"SELECT {_JOB} FROM jobs", ids)]  # noqa: S608 - constants only


def event_lines(connection: Connection, ids: Sequence[int], *, hold: bool = False) -> list[EventLine]:
    """Events in the caller's transaction, in order of their numbers; held, nobody else moves them before that ends."""
    lock = " FOR UPDATE" if hold and connection.dialect.name == "postgresql" else ""
    return [EventLine(**_read(row)) for row in _some(connection, f"SELECT {_EVENT} FROM events", ids, lock)]  # noqa: S608 - constants only


def _some(connection: Connection, query: str, ids: Sequence[int], lock: str = "") -> Sequence[Any]:
    if not ids:
        return ()
    statement = text(f"{query} WHERE id IN :ids ORDER BY id{lock}").bindparams(bindparam("ids", expanding=True))
    return connection.execute(statement, {"ids": list(ids)}).all()


def _equal(wanted: Mapping[str, object]) -> tuple[list[str], dict[str, object]]:
    bound = {name: value for name, value in wanted.items() if value is not None}
    return [f"{name} = :{name}" for name in bound], bound


def _one(connection: Connection, query: str, row_id: int) -> Any:
    return connection.execute(text(query), {"id": row_id}).one_or_none()


def _read(row: Any) -> dict[str, Any]:
    """A row's columns, times as times and JSON as what it says, without what must not be shown."""
    return {name: _value(name, value) for name, value in row._mapping.items()}  # noqa: SLF001 - its public face, despite the name


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _JSON:
        return _REDACTOR.clean(json.loads(value))
    return from_us(value) if name.endswith(("_at", "_until")) or name in {"not_before", "not_after"} else value


def _shown(body: bytes) -> dict[str, Any]:
    """A delivery as JSON where it is such and can be written again, else as text."""
    try:
        document = orjson.loads(body)
        to_json([[document]])  # an answer holds it a little deeper, and there is a limit to that
    except (ValueError, PydanticSerializationError):
        return {"body": None, "text": body.decode("utf-8", "backslashreplace")}
    return {"body": document, "text": None}
