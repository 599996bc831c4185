"""Webhook tokens beside those of the settings: of each the hash of the whole Authorization header, and when it ends."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, text

from infra.ledger.engine import Database
from infra.ledger.tables import from_us, to_us, webhook_tokens

_COLUMNS: Final = "id, name, created_at, ends_at"


@dataclass(frozen=True, kw_only=True, slots=True)
class HookToken:
    """A webhook token, without what it is."""

    id: str
    name: str
    created_at: datetime
    ends_at: datetime | None = None

    def lives(self, now: datetime) -> bool:
        """Whether a webhook may carry it at this time."""
        return self.ends_at is None or now < self.ends_at


@dataclass(frozen=True, slots=True)
class Digest:
    """What a receiver knows of a token: SHA-256 of the whole header value, and until when it holds."""

    sha256: bytes
    ends_at: datetime | None = None


class HookTokens:
    """The webhook tokens of the ledger."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def living(self, now: datetime) -> list[Digest]:
        """Every token that a webhook may carry now."""
        query = text("SELECT hash, ends_at FROM webhook_tokens WHERE ends_at IS NULL OR ends_at > :now ORDER BY id")
        with self._database.reading() as connection:
            return [
                Digest(bytes.fromhex(row.hash), None if row.ends_at is None else from_us(row.ends_at))
                for row in connection.execute(query, {"now": to_us(now)})
            ]

    def list(self) -> list[HookToken]:
        """Every token, the newest first, those that have ended too."""
        query = text(f"SELECT {_COLUMNS} FROM webhook_tokens ORDER BY created_at DESC, id")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            return [_token(row) for row in connection.execute(query)]

    def add(self, connection: Connection, token: HookToken, digest: bytes) -> None:
        """Store a new token in the caller's transaction."""
        ends_at = None if token.ends_at is None else to_us(token.ends_at)
        row = {"id": token.id, "name": token.name, "hash": digest.hex(), "created_at": to_us(token.created_at)}
        connection.execute(insert(webhook_tokens), row | {"ends_at": ends_at})

    def find(self, connection: Connection, token_id: str) -> HookToken | None:
        """A token in the caller's transaction, which nobody else changes before that ends."""
        lock = "" if self._database.is_sqlite else " FOR UPDATE"
        query = text(f"SELECT {_COLUMNS} FROM webhook_tokens WHERE id = :id{lock}")  # noqa: S608 - constants only
        row = connection.execute(query, {"id": token_id}).one_or_none()
        return None if row is None else _token(row)

    def end(self, connection: Connection, token_id: str, at: datetime) -> None:
        """Let a token end at a time, in the caller's transaction."""
        statement = text("UPDATE webhook_tokens SET ends_at = :at WHERE id = :id")
        connection.execute(statement, {"id": token_id, "at": to_us(at)})


def _token(row: Any) -> HookToken:
    return HookToken(
        id=row.id,
        name=row.name,
        created_at=from_us(row.created_at),
        ends_at=None if row.ends_at is None else from_us(row.ends_at),
    )
