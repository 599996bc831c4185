"""The table of schedules: shipped once, changed by people, moved on by the one beat that fires a moment."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from infra.ledger.engine import Database
from infra.ledger.plans import canonical
from infra.ledger.tables import from_us, to_us
from schemas.schedules import CatchUp, Firing, FiringState, Schedule, Spec

_COLUMNS: Final = "name, kind, spec, enabled, next_due, updated_at, revision"

_ADD: Final = text(f"""
    INSERT INTO schedules ({_COLUMNS}) VALUES (:name, :kind, :spec, :enabled, :next_due, :updated_at, :revision)
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - constants only

_CHANGE: Final = text("""
    UPDATE schedules SET spec = :spec, enabled = :enabled, next_due = :next_due, updated_at = :updated_at,
           revision = revision + 1
    WHERE name = :name AND revision = :revision
""")

_ADVANCE: Final = text("""
    UPDATE schedules SET next_due = :next_due
    WHERE name = :name AND next_due = :seen AND revision = :revision AND enabled = 1
""")

_FIRE: Final = text("""
    INSERT INTO firings (schedule, due_at, fired_at, outcome, detail)
    VALUES (:schedule, :due_at, :fired_at, :outcome, :detail) ON CONFLICT DO NOTHING
""")

_WAITING: Final = text("""
    SELECT due_at, detail FROM firings WHERE schedule = :schedule AND due_at < :due_at AND outcome = 'waiting'
""")

_SUPERSEDE: Final = text("""
    UPDATE firings SET outcome = 'skipped', detail = :detail
    WHERE schedule = :schedule AND due_at = :due_at AND outcome = 'waiting'
""")


class Schedules:
    """The schedules of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, schedules: Iterable[Schedule]) -> None:
        """Add those whose names are not there; the others stay as people have made them."""
        if rows := [_row(schedule) for schedule in schedules]:
            with self._database.writing() as connection:
                connection.execute(_ADD, rows)

    def all(self) -> list[Schedule]:
        """Every schedule, by name."""
        query = text(f"SELECT {_COLUMNS} FROM schedules ORDER BY name")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            return [_schedule(row) for row in connection.execute(query)]

    def find(self, name: str) -> Schedule | None:
        """One schedule, or None."""
        query = text(f"SELECT {_COLUMNS} FROM schedules WHERE name = :name")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            row = connection.execute(query, {"name": name}).one_or_none()
        return None if row is None else _schedule(row)

    def find_in(self, connection: Connection, name: str) -> Schedule | None:
        """One schedule in the caller's transaction, which nobody else changes before that ends; or None."""
        lock = "" if self._database.is_sqlite else " FOR UPDATE"
        query = text(f"SELECT {_COLUMNS} FROM schedules WHERE name = :name{lock}")  # noqa: S608 - constants only
        row = connection.execute(query, {"name": name}).one_or_none()
        return None if row is None else _schedule(row)

    def due(self, now: datetime) -> list[Schedule]:
        """Enabled schedules whose moment has come, the most overdue first."""
        query = text(
            f"SELECT {_COLUMNS} FROM schedules WHERE enabled = 1 AND next_due <= :now ORDER BY next_due, name"  # noqa: S608 - constants only
        )
        with self._database.reading() as connection:
            return [_schedule(row) for row in connection.execute(query, {"now": to_us(now)})]

    def change(self, connection: Connection, schedule: Schedule) -> bool:
        """Write a schedule as it should be, in the caller's transaction; False when its revision is another by now."""
        return bool(connection.execute(_CHANGE, _row(schedule)).rowcount)

    def drop(self, names: Iterable[str]) -> None:
        """Forget schedules; what became of their firings stays."""
        with self._database.writing() as connection:
            connection.execute(text("DELETE FROM schedules WHERE name = :name"), [{"name": name} for name in names])

    def fire(self, schedule: Schedule, firings: Sequence[Firing], next_due: datetime) -> bool:
        """Move a schedule on and write what its moments come to, in one transaction; False when another beat did.

        Unless each moment counts (`CatchUp.ALL`), a firing that still waits is left to the newer one, so that a queue
        without a worker does not fill.
        """
        now = firings[-1].fired_at
        moved = {"next_due": to_us(next_due), "seen": to_us(schedule.next_due)}
        with self._database.writing() as connection:
            bound = {"name": schedule.name, "revision": schedule.revision, **moved}
            if not connection.execute(_ADVANCE, bound).rowcount:
                return False
            newest = max(firings, key=lambda firing: firing.due_at)
            if schedule.spec.catch_up is not CatchUp.ALL and newest.state is FiringState.WAITING:
                _supersede(connection, schedule.name, newest.due_at)
            connection.execute(_FIRE, [_firing(firing, now) for firing in firings])
        return True

    def run(self, connection: Connection, firing: Firing) -> bool:
        """Write a firing that a person wants now, in the caller's transaction; False when that moment was fired."""
        return bool(connection.execute(_FIRE, _firing(firing, firing.fired_at)).rowcount)


def _supersede(connection: Connection, name: str, newest: datetime) -> None:
    for row in connection.execute(_WAITING, {"schedule": name, "due_at": to_us(newest)}).all():
        detail = {**json.loads(row.detail), "reason": f"no worker came; left to the firing of {newest:%d %b %H:%M} UTC"}
        connection.execute(_SUPERSEDE, {"schedule": name, "due_at": row.due_at, "detail": canonical(detail)})


def _row(schedule: Schedule) -> dict[str, object]:
    return {
        "name": schedule.name,
        "kind": schedule.kind,
        "spec": canonical(schedule.spec.model_dump(mode="json", exclude_defaults=True)),
        "enabled": int(schedule.enabled),
        "next_due": to_us(schedule.next_due),
        "updated_at": to_us(schedule.updated_at),
        "revision": schedule.revision,
    }


def _schedule(row: Any) -> Schedule:
    return Schedule(
        name=row.name,
        kind=row.kind,
        spec=Spec.model_validate_json(row.spec),
        enabled=bool(row.enabled),
        next_due=from_us(row.next_due),
        updated_at=from_us(row.updated_at),
        revision=row.revision,
    )


def _firing(firing: Firing, now: datetime) -> dict[str, object]:
    return {
        "schedule": firing.schedule,
        "due_at": to_us(firing.due_at),
        "fired_at": to_us(now),
        "outcome": firing.state.value,
        "detail": canonical(firing.detail),
    }
