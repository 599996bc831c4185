"""API keys: their public part, role and ends; of the secret part only its SHA-256."""

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, insert, text

from infra.ledger.engine import Database
from infra.ledger.tables import api_keys, from_us, to_us
from schemas.access import ApiKey, Role

NOTED_EVERY: Final = timedelta(minutes=1)
"""Use is noted no more often: a busy key must not cost a write for each request."""

_COLUMNS: Final = "id, name, role, hash, created_at, expires_at, last_used_at, ended_at"

_LIVING: Final = "ended_at IS NULL AND (expires_at IS NULL OR expires_at > :now)"


class Keys:
    """The API keys of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key_id: str) -> tuple[ApiKey, str] | None:
        """A key and the hash of its secret, living or not; None for an id that was never given."""
        with self._database.reading() as connection:
            return self.find_in(connection, key_id)

    def find_in(self, connection: Connection, key_id: str) -> tuple[ApiKey, str] | None:
        """The same in the caller's transaction."""
        query = text(f"SELECT {_COLUMNS} FROM api_keys WHERE id = :id")  # noqa: S608 - constants only
        row = connection.execute(query, {"id": key_id}).one_or_none()
        return None if row is None else (_key(row), row.hash)

    def list(self) -> list[ApiKey]:
        """Every key, the newest first, those that have ended too."""
        query = text(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at DESC, id")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            return [_key(row) for row in connection.execute(query)]

    def add(self, connection: Connection, key: ApiKey, secret_hash: str) -> None:
        """Store a new key in the caller's transaction."""
        row = {"id": key.id, "name": key.name, "role": key.role.value, "hash": secret_hash}
        times = {"created_at": to_us(key.created_at), "expires_at": key.expires_at and to_us(key.expires_at)}
        connection.execute(insert(api_keys), row | times)

    def hold_admins(self, connection: Connection, now: datetime) -> frozenset[str]:
        """Ids of the living admin keys, none of which ends elsewhere before the caller's transaction does."""
        hold = "" if self._database.is_sqlite else " FOR UPDATE"
        query = text(f"SELECT id FROM api_keys WHERE role = 'admin' AND {_LIVING} ORDER BY id{hold}")  # noqa: S608 - constants only
        return frozenset(connection.execute(query, {"now": to_us(now)}).scalars())

    def end(self, connection: Connection, key_id: str, now: datetime) -> bool:
        """End a key in the caller's transaction; False when it had ended, or never was."""
        statement = text("UPDATE api_keys SET ended_at = :now WHERE id = :id AND ended_at IS NULL")
        return bool(connection.execute(statement, {"id": key_id, "now": to_us(now)}).rowcount)

    def note_use(self, key: ApiKey, now: datetime) -> None:
        """Remember that a key was used, unless that was noted within the last minute.

        Raises:
            LedgerUnavailable: it could not be written; the key is as good as before.
        """
        if key.last_used_at is not None and now - key.last_used_at < NOTED_EVERY:
            return
        statement = text(
            "UPDATE api_keys SET last_used_at = :now"
            " WHERE id = :id AND (last_used_at IS NULL OR last_used_at <= :before)"
        )
        with self._database.writing() as connection:
            connection.execute(statement, {"id": key.id, "now": to_us(now), "before": to_us(now - NOTED_EVERY)})


def _key(row: Any) -> ApiKey:
    return ApiKey(
        id=row.id,
        name=row.name,
        role=Role(row.role),
        created_at=from_us(row.created_at),
        expires_at=_moment(row.expires_at),
        last_used_at=_moment(row.last_used_at),
        ended_at=_moment(row.ended_at),
    )


def _moment(value: int | None) -> datetime | None:
    return None if value is None else from_us(value)
