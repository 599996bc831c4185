"""What happened: lately, for a person who watches, and to whom, for a person who triggers work by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from infra.ledger.engine import Database
from infra.ledger.tables import OPEN_STATES, from_us, to_us
from schemas.jobs import State


@dataclass(frozen=True, kw_only=True, slots=True)
class EventLine:
    """An event in one line."""

    id: int
    event_type: str | None
    device: str | None
    received_at: datetime
    state: str
    verdict: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkLine:
    """A job in one line."""

    id: int
    event_id: int | None
    operation: str
    target: str
    state: str
    reason: str
    updated_at: datetime


class History:
    """Reads the ledger backwards."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest_event(self) -> int:
        """The id of the newest event, 0 without any."""
        with self._database.reading() as connection:
            return int(connection.execute(text("SELECT coalesce(max(id), 0) FROM events")).scalar_one())

    def open_jobs(self) -> int:
        """How many jobs are neither finished nor parked."""
        with self._database.reading() as connection:
            query = text(f"SELECT count(*) FROM jobs WHERE {OPEN_STATES}")  # noqa: S608 - constants only
            return int(connection.execute(query).scalar_one())

    def events_after(self, event_id: int, limit: int) -> list[EventLine]:
        """Events above an id, oldest first."""
        query = text(
            "SELECT id, event_type, device, received_at, state, verdict FROM events"
            " WHERE id > :after ORDER BY id LIMIT :limit"
        )
        with self._database.reading() as connection:
            rows = connection.execute(query, {"after": event_id, "limit": limit}).all()
        return [
            EventLine(
                id=row.id,
                event_type=row.event_type,
                device=row.device,
                received_at=from_us(row.received_at),
                state=row.state,
                verdict=row.verdict,
            )
            for row in rows
        ]

    def work_of_events_after(self, event_id: int, limit: int) -> list[WorkLine]:
        """Jobs caused by events above an id, oldest change first."""
        query = text(
            "SELECT id, event_id, operation, target, state, reason, updated_at FROM jobs"
            " WHERE event_id > :after ORDER BY updated_at, id LIMIT :limit"
        )
        with self._database.reading() as connection:
            rows = connection.execute(query, {"after": event_id, "limit": limit}).all()
        return [
            WorkLine(
                id=row.id,
                event_id=row.event_id,
                operation=row.operation,
                target=row.target,
                state=row.state,
                reason=row.reason,
                updated_at=from_us(row.updated_at),
            )
            for row in rows
        ]

    def devices_of_events(
        self, event_type: str, since: datetime | None, until: datetime | None, most: int
    ) -> list[str]:
        """The devices of which events of a type came, `most` at the most."""
        where = "event_type = :what AND device IS NOT NULL"
        return self._distinct("device", "events", where, {"what": event_type}, ("received_at", since, until), most)

    def targets_of_jobs(
        self, operation: str, state: State, since: datetime | None, until: datetime | None, most: int
    ) -> list[str]:
        """The targets of the jobs of an operation that stand in a state, `most` at the most."""
        where = f"state = '{state.value}' AND operation = :what"  # literal: partial indexes are used only so
        if state is not State.SUCCEEDED:
            where += " AND state <> 'succeeded'"
        return self._distinct("target", "jobs", where, {"what": operation}, ("created_at", since, until), most)

    def _distinct(
        self,
        column: str,
        table: str,
        where: str,
        bound: Mapping[str, object],
        when: tuple[str, datetime | None, datetime | None],
        most: int,
    ) -> list[str]:
        at, since, until = when
        values: dict[str, object] = {**bound, "limit": most}
        for name, moment, sign in (("since", since, ">="), ("until", until, "<")):
            if moment is not None:
                where += f" AND {at} {sign} :{name}"
                values[name] = to_us(moment)
        query = text(f"SELECT DISTINCT {column} FROM {table} WHERE {where} ORDER BY 1 LIMIT :limit")  # noqa: S608 - values are bound, the rest is our own
        with self._database.reading() as connection:
            return list(connection.execute(query, values).scalars())
