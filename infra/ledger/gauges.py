"""Figures of the ledger for a monitoring system: each from an index, and none dearer beside millions of old jobs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, text

from infra.ledger.engine import Database
from infra.ledger.tables import from_us
from infra.ledger.work import operations_due
from schemas.jobs import State

MOST: Final = 50_000
"""Rows that are counted for one figure; where a figure is this, there are this many or more."""

_COUNTED: Final = (State.HELD, State.DUE, State.RUNNING, State.AWAITING, State.PARKED)
"""States in which work still stands; the others only ever grow."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """How the ledger stands; a time is None where there is nothing of its kind.

    Attributes:
        jobs: how many, by operation and state.
        parked: how many, by the reason for which a person is needed.
    """

    jobs: Mapping[tuple[str, str], int]
    parked: Mapping[str, int]
    unplanned: int
    faulty: int
    malformed: int
    oldest_due: datetime | None
    oldest_unplanned: datetime | None
    last_sweep: datetime | None


class Gauges:
    """Reads the figures."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def clock(self) -> datetime | None:
        """The time of the database server; None where the ledger is a file of this machine."""
        if self._database.is_sqlite:
            return None
        with self._database.reading() as connection:
            now = connection.execute(text("SELECT extract(epoch FROM clock_timestamp()) * 1000000")).scalar_one()
        return from_us(int(now))

    def measure(self) -> Measured:
        """Read every figure.

        Raises:
            LedgerUnavailable: it cannot be read.
        """
        with self._database.reading() as connection:
            parked = _grouped(connection, State.PARKED, "parked_because")
            jobs = {
                (operation, state.value): count
                for state in _COUNTED
                for operation, count in _grouped(connection, state, "operation").items()
            }
            return Measured(
                jobs=jobs,
                parked=parked,
                unplanned=_events(connection, "new"),
                faulty=_events(connection, "fault"),
                malformed=_events(connection, "malformed"),
                oldest_due=_oldest_due(connection),
                oldest_unplanned=_moment(
                    connection, "SELECT received_at FROM events WHERE state = 'new' ORDER BY id LIMIT 1"
                ),
                last_sweep=_moment(connection, "SELECT at FROM notes WHERE name = 'last_sweep'"),
            )


def _grouped(connection: Connection, state: State, column: str) -> dict[str, int]:
    """Jobs of a state by a column; the state stands in the query as a word, or no partial index would be used."""
    query = text(
        f"SELECT {column} AS name, count(*) AS jobs FROM"  # noqa: S608 - constants only
        f" (SELECT {column} FROM jobs WHERE state = '{state.value}' LIMIT {MOST}) AS counted GROUP BY {column}"
    )
    return {row.name or "": row.jobs for row in connection.execute(query)}


def _events(connection: Connection, state: str) -> int:
    query = f"SELECT count(*) FROM (SELECT 1 FROM events WHERE state = '{state}' LIMIT {MOST}) AS counted"  # noqa: S608 - constants only
    return int(connection.execute(text(query)).scalar_one())


def _oldest_due(connection: Connection) -> datetime | None:
    query = text("SELECT min(not_before) FROM jobs WHERE state = 'due' AND operation = :operation")
    moments = [connection.execute(query, {"operation": name}).scalar_one() for name in operations_due(connection)]
    return min((from_us(moment) for moment in moments if moment is not None), default=None)


def _moment(connection: Connection, query: str) -> datetime | None:
    value = connection.execute(text(query)).scalar_one_or_none()
    return None if value is None else from_us(value)
