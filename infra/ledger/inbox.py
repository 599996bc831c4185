"""Events: accepted once, read for planning, shown by receipt."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Final

import orjson
from sqlalchemy import Connection, text

from infra.ledger.engine import Database, may_succeed_at_once
from infra.ledger.tables import from_us, storable, to_us
from schemas.errors import LedgerUnavailable

_COLUMNS: Final = "receipt, source, hook, event_type, device, occurred_at, received_at, body, state, verdict"

_NAMES: Final = tuple(_COLUMNS.split(", "))
_STATE: Final = _NAMES.index("state")

_ROW_SQLITE: Final = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"

_INSERT_POSTGRES: Final = f"""
    INSERT INTO events ({_COLUMNS})
    SELECT receipt, source, hook, event_type, device, occurred_at, received_at, decode(body, 'hex'), state, verdict
    FROM json_to_recordset(CAST(%s AS json)) AS delivery (
        receipt text, source text, hook text, event_type text, device text, occurred_at bigint, received_at bigint,
        body text, state text, verdict text)
    ON CONFLICT DO NOTHING RETURNING id, state
"""  # noqa: S608 - constants only
"""One JSON parameter for the whole batch: ten arrays took psycopg three times as long, holding the GIL."""


@dataclass(kw_only=True, slots=True)  # not frozen: a frozen one costs the receiver 2 µs more for every delivery
class Arrival:
    """One delivery as it is stored; `fault` says why a malformed one could not be understood."""

    receipt: str
    hook: str
    event_type: str | None
    device: str | None
    occurred_at: datetime | None
    received_at: datetime
    body: bytes
    source: str = "webhook"
    fault: str | None = None


@dataclass(slots=True)  # not frozen, as above
class StoredEvent:
    """An event that waits for its plan."""

    id: int
    receipt: str
    device: str | None
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class JobLine:
    """A job in one line, for a receipt."""

    id: int
    operation: str
    target: str
    state: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of one delivery."""

    receipt: str
    event_id: int
    event_type: str | None
    device: str | None
    received_at: datetime
    state: str
    verdict: str | None
    jobs: tuple[JobLine, ...]


class Inbox:
    """The events of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def accept(self, arrivals: Sequence[Arrival]) -> list[int]:
        """Store a batch in one durable commit; give the ids of those that are new and to be planned.

        Raises:
            LedgerUnavailable: nothing of the batch was stored.
        """
        rows = [_row(arrival) for arrival in arrivals]
        try:
            return self._insert(rows)
        except LedgerUnavailable as error:
            if not may_succeed_at_once(error):
                raise
            return self._insert(rows)

    def _insert(self, rows: list[tuple[object, ...]]) -> list[int]:
        with self._database.appending() as connection:
            if self._database.is_sqlite:
                return _insert_sqlite(connection, rows)
            stored = connection.exec_driver_sql(_INSERT_POSTGRES, (_as_json(rows),))
            return [row.id for row in stored if row.state == "new"]

    def waiting(self, limit: int) -> list[StoredEvent]:
        """The oldest events that have no plan yet."""
        query = text("SELECT id, receipt, device, body FROM events WHERE state = 'new' ORDER BY id LIMIT :limit")
        with self._database.reading() as connection:
            rows = connection.execute(query, {"limit": limit})
            return [StoredEvent(number, receipt, device, bytes(body)) for number, receipt, device, body in rows]

    def backlog(self, at_most: int) -> int:
        """How many events have no plan yet, counted no further than `at_most`."""
        query = text("SELECT count(*) FROM (SELECT 1 FROM events WHERE state = 'new' LIMIT :limit) AS waiting")
        with self._database.reading() as connection:
            return int(connection.execute(query, {"limit": at_most}).scalar_one())

    def receipt(self, receipt: str) -> Receipt | None:
        """What became of a delivery, or None for a receipt that was never given."""
        with self._database.reading() as connection:
            row = connection.execute(
                text(
                    "SELECT id, receipt, event_type, device, received_at, state, verdict FROM events"
                    " WHERE receipt = :receipt"
                ),
                {"receipt": receipt},
            ).one_or_none()
            if row is None:
                return None
            return Receipt(
                receipt=row.receipt,
                event_id=row.id,
                event_type=row.event_type,
                device=row.device,
                received_at=from_us(row.received_at),
                state=row.state,
                verdict=row.verdict,
                jobs=_jobs_of(connection, row.id),
            )


@functools.cache
def _insert_sqlite_of(count: int) -> str:
    """One statement for so many rows: sqlite3 lets go of the GIL for each step, and to get it back costs a wait."""
    values = ", ".join([_ROW_SQLITE] * count)
    return f"INSERT INTO events ({_COLUMNS}) VALUES {values} ON CONFLICT DO NOTHING"  # noqa: S608 - constants only


def _insert_sqlite(connection: Connection, rows: list[tuple[object, ...]]) -> list[int]:
    """Insert, and give the ids to be planned: nobody else can have written meanwhile, so they follow each other."""
    flat = tuple(chain.from_iterable(rows))
    inserted = connection.exec_driver_sql(_insert_sqlite_of(len(rows)), flat)
    count, last = inserted.rowcount, inserted.lastrowid
    if count == len(rows) and all(row[_STATE] == "new" for row in rows):
        return list(range(last - count + 1, last + 1))
    if not count:
        return []
    fresh = text("SELECT id FROM events WHERE id > :before AND state = 'new'")
    return [row.id for row in connection.execute(fresh, {"before": last - count})]


def _as_json(rows: list[tuple[object, ...]]) -> str:
    return orjson.dumps([dict(zip(_NAMES, row, strict=True)) for row in rows], default=bytes.hex).decode()


def _row(arrival: Arrival) -> tuple[object, ...]:
    return (
        arrival.receipt,
        arrival.source,
        arrival.hook,
        arrival.event_type,
        arrival.device,
        to_us(arrival.occurred_at) if arrival.occurred_at else None,
        to_us(arrival.received_at),
        arrival.body,
        "malformed" if arrival.fault else "new",
        storable(arrival.fault) if arrival.fault else None,
    )


def _jobs_of(connection: Connection, event_id: int) -> tuple[JobLine, ...]:
    query = text(
        "SELECT id, operation, target, state, reason FROM jobs WHERE event_id = :event"
        " OR id IN (SELECT job_id FROM event_jobs WHERE event_id = :event) ORDER BY id"
    )
    rows = connection.execute(query, {"event": event_id})
    return tuple(
        JobLine(id=row.id, operation=row.operation, target=row.target, state=row.state, reason=row.reason)
        for row in rows
    )
