"""Firings: each is claimed by one worker at a time, and what it causes is committed together with its outcome.

A claim is one UPDATE that repeats what was read, and every later write repeats what the one before has written. So who
lost a firing, because the lease ran out, writes nothing more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from infra.ledger.engine import Database
from infra.ledger.planning import Planning
from infra.ledger.plans import Plan, Planned, canonical
from infra.ledger.tables import from_us, to_us
from schemas.schedules import OPEN, Firing, FiringState

_COLUMNS: Final = "schedule, due_at, fired_at, outcome, detail"

_OPEN: Final = text(f"""
    SELECT {_COLUMNS} FROM firings WHERE outcome IN ('waiting', 'running') ORDER BY due_at, schedule
""")  # noqa: S608 - constants only
"""The condition is literal: SQLite uses a partial index only where a query repeats it word for word."""

_MOVE: Final = text("""
    UPDATE firings SET outcome = :outcome, detail = :detail
    WHERE schedule = :schedule AND due_at = :due_at AND outcome = :seen AND detail = :seen_detail
""")

_MARK: Final = text("""
    INSERT INTO watermarks (name, value, updated_at) VALUES (:name, :value, :now)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
""")


class FiringLost(Exception):
    """Somebody else has the firing by now; nothing was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """What a firing causes, committed with it.

    Attributes:
        plans: wishes for jobs.
        marks: values that are kept by name.
    """

    plans: Sequence[Plan] = ()
    marks: Mapping[str, str] = field(default_factory=dict)


class Firings:
    """The firings of the ledger."""

    def __init__(self, database: Database, planning: Planning) -> None:
        self._database = database
        self._planning = planning

    def ready(self, now: datetime) -> list[Firing]:
        """Open firings that a worker can have now, oldest first; of one schedule only one runs at a time."""
        with self._database.reading() as connection:
            return _ready(connection, now)

    def claim(self, kind: str, *, worker: str, now: datetime, lease: timedelta) -> Firing | None:
        """Take the oldest firing of an action that can be had; it has one winner."""
        with self._database.writing() as connection:
            for firing in _ready(connection, now):
                if firing.detail.get("kind") != kind:
                    continue
                detail = {
                    **firing.detail,
                    "attempt": int(firing.detail.get("attempt", 0)) + 1,
                    "worker": worker,
                    "lease_until": to_us(now + lease),
                    "reason": "a worker has it",
                }
                try:
                    return _moved(connection, firing, FiringState.RUNNING, detail)
                except FiringLost:
                    continue
        return None

    def move(
        self, firing: Firing, state: FiringState, detail: Mapping[str, Any], effects: Effects, now: datetime
    ) -> tuple[Firing, Planned]:
        """Write how a claimed firing stands, and what it causes, in one transaction.

        Raises:
            FiringLost: somebody else has it; nothing was written.
        """
        with self._database.writing() as connection:
            moved = _moved(connection, firing, state, detail)
            planned = self._planning.add(connection, effects.plans, now) if effects.plans else Planned()
            for name, value in sorted(effects.marks.items()):
                connection.execute(_MARK, {"name": name, "value": value, "now": to_us(now)})
        return moved, planned

    def of(self, schedule: str, limit: int) -> list[Firing]:
        """The latest firings of a schedule, newest first."""
        query = text(f"SELECT {_COLUMNS} FROM firings WHERE schedule = :name ORDER BY due_at DESC LIMIT :limit")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            return [_firing(row) for row in connection.execute(query, {"name": schedule, "limit": limit})]

    def prune(self, before: datetime) -> int:
        """Delete what became of moments before a time; what is open stays."""
        statement = text("DELETE FROM firings WHERE due_at < :before AND outcome NOT IN ('waiting', 'running')")
        with self._database.writing() as connection:
            return connection.execute(statement, {"before": to_us(before)}).rowcount

    def marks(self, prefix: str) -> dict[str, str]:
        """The values that are kept under names with a prefix."""
        query = text("SELECT name, value FROM watermarks WHERE substr(name, 1, :length) = :prefix")
        with self._database.reading() as connection:
            rows = connection.execute(query, {"length": len(prefix), "prefix": prefix})
            return {row.name: row.value for row in rows}

    def mark(self, connection: Connection, name: str, value: str, now: datetime) -> None:
        """Keep a value by name, in the caller's transaction."""
        connection.execute(_MARK, {"name": name, "value": value, "now": to_us(now)})

    def unmark(self, connection: Connection, name: str) -> None:
        """Forget a value, in the caller's transaction."""
        connection.execute(text("DELETE FROM watermarks WHERE name = :name"), {"name": name})


def _ready(connection: Connection, now: datetime) -> list[Firing]:
    moment = to_us(now)
    found = [_firing(row) for row in connection.execute(_OPEN)]
    busy = {one.schedule for one in found if one.state is FiringState.RUNNING and one.detail["lease_until"] > moment}
    ready: dict[str, Firing] = {}
    for firing in found:
        if firing.schedule not in busy and firing.detail.get("not_before", 0) <= moment:
            ready.setdefault(firing.schedule, firing)
    return list(ready.values())


def _moved(connection: Connection, firing: Firing, state: FiringState, detail: Mapping[str, Any]) -> Firing:
    if firing.state not in OPEN:
        raise ValueError(f"a firing that {firing.state} does not move")
    bound = {
        "schedule": firing.schedule,
        "due_at": to_us(firing.due_at),
        "outcome": state.value,
        "detail": canonical(detail),
        "seen": firing.state.value,
        "seen_detail": canonical(firing.detail),
    }
    if not connection.execute(_MOVE, bound).rowcount:
        raise FiringLost
    return replace(firing, state=state, detail=dict(detail))


def _firing(row: Any) -> Firing:
    return Firing(
        schedule=row.schedule,
        due_at=from_us(row.due_at),
        fired_at=from_us(row.fired_at),
        state=FiringState(row.outcome),
        detail=json.loads(row.detail),
    )
