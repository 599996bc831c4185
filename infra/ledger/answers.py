"""Answers that were given once under an Idempotency-Key, so that a repeat is answered and not done again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, text

from infra.ledger.engine import Database
from infra.ledger.tables import to_us

KEPT: Final = timedelta(days=1)
"""How long a repeat is known."""

_FORGET: Final = text("DELETE FROM answers WHERE actor = :actor AND key = :key AND created_at < :before")

_TAKE: Final = text("""
    INSERT INTO answers (actor, key, request_hash, created_at) VALUES (:actor, :key, :request_hash, :now)
    ON CONFLICT DO NOTHING
""")

_RECALL: Final = text("""
    SELECT request_hash, status, body FROM answers WHERE actor = :actor AND key = :key AND created_at >= :before
""")

_PRUNE: Final = text("""
    DELETE FROM answers WHERE (actor, key) IN (
        SELECT actor, key FROM answers WHERE created_at < :before ORDER BY created_at LIMIT :limit)
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """Who asks, under which key, and a hash of what is asked."""

    actor: str
    key: str
    request_hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What was answered, and the hash of what had been asked."""

    request_hash: str
    status: int
    body: str


def begin(connection: Connection, asked: Asked, now: datetime) -> Given | None:
    """Take the key in the caller's transaction, or give the answer that was given under it.

    A second transaction with the same key waits here until the first has ended.
    """
    bound = {"actor": asked.actor, "key": asked.key, "request_hash": asked.request_hash, "now": to_us(now)}
    connection.execute(_FORGET, {**bound, "before": to_us(now - KEPT)})
    if connection.execute(_TAKE, bound).rowcount:
        return None
    return recall(connection, asked, now)


def recall(connection: Connection, asked: Asked, now: datetime) -> Given | None:
    """The answer that was given under a key, if one was; nothing is taken."""
    bound = {"actor": asked.actor, "key": asked.key, "before": to_us(now - KEPT)}
    row = connection.execute(_RECALL, bound).one_or_none()
    return None if row is None else Given(request_hash=row.request_hash, status=row.status, body=row.body)


def prune(database: Database, now: datetime, *, limit: int = 1_000) -> int:
    """Forget answers that no repeat gets any more, so many at a time; give how many there were."""
    with database.writing() as connection:
        return connection.execute(_PRUNE, {"before": to_us(now - KEPT), "limit": limit}).rowcount


def keep(connection: Connection, asked: Asked, *, status: int, body: str) -> None:
    """Keep the answer, in the same transaction as what it tells of."""
    connection.execute(
        text("UPDATE answers SET status = :status, body = :body WHERE actor = :actor AND key = :key"),
        {"actor": asked.actor, "key": asked.key, "status": status, "body": body},
    )
