"""What happened lately, for a person who watches."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text

from infra.ledger.engine import Database
from infra.ledger.tables import OPEN_STATES, from_us


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
