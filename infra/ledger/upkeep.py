"""What the sweep and the health page ask of the ledger: ages, notes, retention."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from infra.ledger.engine import Database
from infra.ledger.tables import from_us, to_us
from infra.ledger.walks import first_at

MOST_STANDSTILLS: Final = 100
"""The latest that are remembered."""

_STANDSTILL: Final = "standstill:"
"""How the note of a standstill begins; when it began follows, and its time is when it ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Health:
    """How the ledger stands; a time is None where there is nothing of its kind.

    Attributes:
        parked_jobs: how many jobs wait for a person.
        faulty_events: how many events Keyturn failed to plan.
    """

    oldest_due: datetime | None
    oldest_unplanned: datetime | None
    last_sweep: datetime | None
    parked_jobs: int
    faulty_events: int


class Upkeep:
    """The ledger's housekeeping."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def health(self, now: datetime) -> Health:
        """Read how the ledger stands.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with self._database.reading() as connection:
            due = connection.execute(
                text("SELECT min(not_before) FROM jobs WHERE state = 'due' AND not_before <= :now"),
                {"now": to_us(now)},
            ).scalar_one()
            unplanned = connection.execute(
                text("SELECT received_at FROM events WHERE state = 'new' ORDER BY id LIMIT 1")
            ).scalar_one_or_none()
            sweep = connection.execute(text("SELECT at FROM notes WHERE name = 'last_sweep'")).scalar_one_or_none()
            parked = connection.execute(text("SELECT count(*) FROM jobs WHERE state = 'parked'")).scalar_one()
            faulty = connection.execute(text("SELECT count(*) FROM events WHERE state = 'fault'")).scalar_one()
        return Health(
            oldest_due=_moment(due),
            oldest_unplanned=_moment(unplanned),
            last_sweep=_moment(sweep),
            parked_jobs=parked,
            faulty_events=faulty,
        )

    def note(self, name: str, now: datetime) -> None:
        """Remember that something happened now."""
        with self._database.writing() as connection:
            _note(connection, name, now)

    def noted(self, name: str) -> datetime | None:
        """When something last happened."""
        with self._database.reading() as connection:
            at = connection.execute(text("SELECT at FROM notes WHERE name = :name"), {"name": name})
            return _moment(at.scalar_one_or_none())

    def note_standstill(self, since: datetime, now: datetime) -> None:
        """Remember that nothing ran from some time until now; the oldest of many is forgotten."""
        with self._database.writing() as connection:
            _note(connection, f"{_STANDSTILL}{to_us(since)}", now)
            for name, _ in _standstills(connection)[MOST_STANDSTILLS:]:
                connection.execute(text("DELETE FROM notes WHERE name = :name"), {"name": name})

    def standstills(self) -> list[tuple[datetime, datetime]]:
        """From when until when nothing ran, the latest first."""
        with self._database.reading() as connection:
            found = _standstills(connection)
        return [(from_us(int(name.removeprefix(_STANDSTILL))), from_us(at)) for name, at in found]

    def prune(
        self, now: datetime, *, keep: timedelta, limit: int = 1_000, events_before: datetime | None = None
    ) -> int:
        """Delete finished jobs, settled events and ended triggers older than `keep`, `limit` of each at most.

        Work that is not finished stays whatever its age, and so do its children, an event that it came from, or one
        that could not be planned. So does a revocation while it may bar a certificate: its device has the revoked one,
        or another and no new key since, for a renewal brings the same key under another number.

        Args:
            now: the time.
            keep: how long what has ended is kept.
            limit: rows of each kind.
            events_before: events that were received later stay in any case.
        """
        before = now - keep
        bound = {"before": to_us(before), "limit": limit}
        of_events = bound | {"before": to_us(before if events_before is None else min(before, events_before))}
        with self._database.writing() as connection:
            of_jobs = {**bound, "below": first_at(connection, "jobs", "created_at", before)}
            of_events["below"] = first_at(connection, "events", "received_at", before)
            old_jobs = connection.execute(text(_OLD_JOBS), of_jobs).scalars().all()
            for statement in _FORGET_JOB:
                if old_jobs:
                    connection.execute(text(statement), [{"id": job} for job in old_jobs])
            old_events = connection.execute(text(_OLD_EVENTS), of_events).scalars().all()
            if old_events:
                connection.execute(text("DELETE FROM events WHERE id = :id"), [{"id": event} for event in old_events])
            old_triggers = connection.execute(text(_OLD_TRIGGERS), bound).rowcount
        return len(old_jobs) + len(old_events) + old_triggers


_OLD_JOBS = """
    SELECT id FROM jobs j WHERE id < :below AND finished_at < :before
    AND NOT EXISTS (SELECT 1 FROM jobs p WHERE p.id = j.parent_id AND p.finished_at IS NULL)
    AND NOT (operation = 'ublox.revoke_certificate' AND EXISTS (
        SELECT 1 FROM certificates c WHERE c.uid = j.target AND c.serial <> ''
        AND (j.progress LIKE '%"serial":"' || c.serial || '"%' OR (j.progress LIKE '%"key":%' AND NOT EXISTS (
            SELECT 1 FROM jobs r WHERE r.target = j.target AND r.state = 'succeeded' AND r.finished_at >= j.finished_at
            AND r.operation IN ('ublox.replace_certificate', 'ublox.delete_certificate'))))))
    ORDER BY id LIMIT :limit
"""

_FORGET_JOB = (
    "DELETE FROM attempts WHERE job_id = :id",
    "DELETE FROM event_jobs WHERE job_id = :id",
    "DELETE FROM jobs WHERE id = :id",
)

_OLD_EVENTS = """
    SELECT id FROM events e WHERE id < :below AND received_at < :before AND state NOT IN ('new', 'fault')
    AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.event_id = e.id)
    AND NOT EXISTS (SELECT 1 FROM event_jobs l WHERE l.event_id = e.id)
    ORDER BY id LIMIT :limit
"""

_OLD_TRIGGERS = """
    DELETE FROM triggers WHERE id IN (
        SELECT id FROM triggers t WHERE created_at < :before AND state IN ('planned', 'cancelled')
        AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.trigger_id = t.id) ORDER BY created_at LIMIT :limit)
"""


def _note(connection: Connection, name: str, now: datetime) -> None:
    connection.execute(
        text("INSERT INTO notes (name, at) VALUES (:name, :at) ON CONFLICT (name) DO UPDATE SET at = excluded.at"),
        {"name": name, "at": to_us(now)},
    )


def _standstills(connection: Connection) -> list[tuple[str, int]]:
    query = text("SELECT name, at FROM notes WHERE substr(name, 1, :length) = :prefix ORDER BY at DESC")
    rows = connection.execute(query, {"length": len(_STANDSTILL), "prefix": _STANDSTILL})
    return [(row.name, row.at) for row in rows]


def _moment(value: int | None) -> datetime | None:
    return None if value is None else from_us(value)
