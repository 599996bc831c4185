"""Versions of the playbook: every text that was stored, and which of them is in force."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from infra.ledger.engine import Database
from infra.ledger.tables import from_us, storable, to_us

_LINE: Final = "version, created_at, created_by, activated_at, note"

_ACTIVE: Final = "activated_at IS NOT NULL ORDER BY activated_at DESC, version DESC LIMIT 1"
"""The one that was activated last; an older one that is activated again comes after it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """One version, without its text.

    Attributes:
        activated_at: when it was put in force last; None where it never was.
    """

    version: int
    created_at: datetime
    created_by: str
    activated_at: datetime | None
    note: str


class Playbooks:
    """The playbook's versions in the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, connection: Connection, words: str, *, by: str, note: str, now: datetime) -> int:
        """Store a text in the caller's transaction; give its version."""
        statement = text(
            "INSERT INTO playbooks (text, created_at, created_by, note) VALUES (:text, :now, :by, :note)"
            " RETURNING version"
        )
        bound = {"text": words, "now": to_us(now), "by": storable(by), "note": storable(note)}
        return int(connection.execute(statement, bound).scalar_one())

    def activate(self, connection: Connection, version: int, now: datetime) -> bool:
        """Put a version in force, in the caller's transaction; False where there is no such version."""
        latest = connection.execute(text("SELECT coalesce(max(activated_at), 0) FROM playbooks")).scalar_one()
        statement = text("UPDATE playbooks SET activated_at = :at WHERE version = :version")
        bound = {
            "at": max(to_us(now), latest + 1),
            "version": version,
        }  # clocks differ; the last word holds all the same
        return bool(connection.execute(statement, bound).rowcount)

    def active(self) -> int | None:
        """The version in force; None where none was ever activated."""
        with self._database.reading() as connection:
            return active(connection)

    def revision(self) -> tuple[int, int] | None:
        """What changes with every activation."""
        query = text(f"SELECT version, activated_at FROM playbooks WHERE {_ACTIVE}")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
            return None if row is None else (row.version, row.activated_at)

    def text(self, version: int) -> str | None:
        """The text of a version."""
        query = text("SELECT text FROM playbooks WHERE version = :version")
        with self._database.reading() as connection:
            found: str | None = connection.execute(query, {"version": version}).scalar_one_or_none()
            return found

    def show(self, version: int) -> Version | None:
        """One version."""
        with self._database.reading() as connection:
            return show(connection, version)

    def page(self, before: int | None, limit: int) -> list[Version]:
        """Versions below a number, the newest first."""
        where = "true" if before is None else "version < :before"
        query = text(f"SELECT {_LINE} FROM playbooks WHERE {where} ORDER BY version DESC LIMIT :limit")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            return [_version(row) for row in connection.execute(query, {"before": before, "limit": limit})]


def active(connection: Connection) -> int | None:
    """The version in force, in the caller's transaction."""
    query = text(f"SELECT version FROM playbooks WHERE {_ACTIVE}")  # noqa: S608 - constants only
    found: int | None = connection.execute(query).scalar_one_or_none()
    return found


def show(connection: Connection, version: int) -> Version | None:
    """One version, in the caller's transaction."""
    query = text(f"SELECT {_LINE} FROM playbooks WHERE version = :version")  # noqa: S608 - constants only
    row = connection.execute(query, {"version": version}).one_or_none()
    return None if row is None else _version(row)


def _version(row: Any) -> Version:
    return Version(
        version=row.version,
        created_at=from_us(row.created_at),
        created_by=row.created_by,
        activated_at=None if row.activated_at is None else from_us(row.activated_at),
        note=row.note,
    )
