"""Sealed secrets: rows that nobody reads without the vault's key ring. What is in them is the vault's affair."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

from infra.ledger.engine import Database
from infra.ledger.tables import from_us, to_us

_WRITE: Final = text("""
    INSERT INTO secrets (id, name, key_id, sealed, created_at, updated_at)
    VALUES (:id, :name, :key_id, :sealed, :at, :at)
    ON CONFLICT (name) DO UPDATE SET id = excluded.id, key_id = excluded.key_id, sealed = excluded.sealed,
                                     updated_at = excluded.updated_at
""")

_EXCHANGE: Final = text(
    "UPDATE secrets SET key_id = :key_id, sealed = :sealed WHERE id = :id AND name = :name AND sealed = :before"
)

_COLUMNS: Final = "id, name, key_id, sealed, updated_at"

CHUNK: Final = 500
"""Names of one query; SQLite takes 999 values at the least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedSecret:
    """A secret as the ledger keeps it.

    Attributes:
        id: random, new with every value; sealed into the value, as the name is.
        key_id: the ring key that opens it.
        put_at: when the value was put; sealing it again with another ring key leaves this as it is.
    """

    id: str
    name: str
    key_id: str
    sealed: bytes
    put_at: datetime


class Secrets:
    """The table of sealed secrets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, connection: Connection, rows: Iterable[SealedSecret]) -> None:
        """Write secrets within the transaction of somebody else; each replaces what its name had.

        In order of names, as everybody writes here: two that write the same names do not wait for each other in a ring.
        """
        bound = [
            {"id": row.id, "name": row.name, "key_id": row.key_id, "sealed": row.sealed, "at": to_us(row.put_at)}
            for row in _in_order(rows)
        ]
        if bound:
            connection.execute(_WRITE, bound)

    def put(self, rows: Iterable[SealedSecret]) -> None:
        """Write secrets, all or none; they are on the disk when this returns."""
        with self._database.writing() as connection:
            self.write(connection, rows)

    def get(self, name: str) -> SealedSecret | None:
        """Give the secret of a name."""
        query = text(f"SELECT {_COLUMNS} FROM secrets WHERE name = :name")  # noqa: S608 - constants only
        with self._database.reading() as connection:
            row = connection.execute(query, {"name": name}).one_or_none()
        return None if row is None else _sealed(row)

    def get_many(self, names: Iterable[str]) -> Iterator[SealedSecret]:
        """Give the secrets that names have, in chunks of one query each; a name without one is left out."""
        query = text(f"SELECT {_COLUMNS} FROM secrets WHERE name IN :names").bindparams(  # noqa: S608 - constants only
            bindparam("names", expanding=True)
        )
        wanted = sorted(set(names))
        for start in range(0, len(wanted), CHUNK):
            with self._database.reading() as connection:
                rows = connection.execute(query, {"names": wanted[start : start + CHUNK]}).all()
            yield from map(_sealed, rows)

    def names(self, prefix: str = "") -> list[str]:
        """The names that begin with `prefix`, in order of code points on either database."""
        query = text("SELECT name FROM secrets WHERE substr(name, 1, :length) = :prefix")
        with self._database.reading() as connection:
            return sorted(connection.execute(query, {"length": len(prefix), "prefix": prefix}).scalars())

    def delete(self, names: Iterable[str]) -> int:
        """Delete secrets, all or none; give how many there were."""
        statement = text("DELETE FROM secrets WHERE name = :name")
        with self._database.writing() as connection:
            return sum(connection.execute(statement, {"name": name}).rowcount for name in sorted(set(names)))

    def counts(self) -> dict[str, int]:
        """How many secrets each ring key seals, by its id."""
        query = text("SELECT key_id, count(*) AS secrets FROM secrets GROUP BY key_id")
        with self._database.reading() as connection:
            return {row.key_id: row.secrets for row in connection.execute(query)}

    def page(self, *, after: str, limit: int) -> list[SealedSecret]:
        """The next secrets behind the name `after`, in the order of the database's names; empty begins."""
        return self._page("name > :after", {"after": after, "limit": limit})

    def stale(self, newest: str, *, after: str, limit: int) -> list[SealedSecret]:
        """Like `page`, of the secrets that another ring key than the newest seals."""
        return self._page("name > :after AND key_id <> :newest", {"after": after, "limit": limit, "newest": newest})

    def exchange(self, pairs: Sequence[tuple[SealedSecret, SealedSecret]]) -> int:
        """Replace each first by its second where the first still stands; give how many did.

        A value that was put since is left alone, and so is one that somebody else has sealed again.
        """
        with self._database.writing() as connection:
            return sum(_exchanged(connection, *pair) for pair in sorted(pairs, key=lambda pair: pair[0].name))

    def _page(self, condition: str, bound: dict[str, object]) -> list[SealedSecret]:
        query = f"SELECT {_COLUMNS} FROM secrets WHERE {condition} ORDER BY name LIMIT :limit"  # noqa: S608 - as above
        with self._database.reading() as connection:
            return [_sealed(row) for row in connection.execute(text(query), bound)]


def _exchanged(connection: Connection, before: SealedSecret, after: SealedSecret) -> int:
    bound = {"id": before.id, "name": before.name, "before": before.sealed}
    return connection.execute(_EXCHANGE, {**bound, "key_id": after.key_id, "sealed": after.sealed}).rowcount


def _in_order(rows: Iterable[SealedSecret]) -> list[SealedSecret]:
    return sorted(rows, key=lambda row: row.name)


def _sealed(row: Any) -> SealedSecret:
    return SealedSecret(
        id=row.id, name=row.name, key_id=row.key_id, sealed=bytes(row.sealed), put_at=from_us(row.updated_at)
    )
