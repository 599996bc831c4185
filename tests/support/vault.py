"""Key rings of made-up keys, what an error tells through its whole chain, and all that a database holds."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import inspect, text

from infra.ledger import Ledger
from infra.vault import KeyRing, Vault
from schemas.key_ring import ring_line


def ring_text(*ids: str) -> str:
    """The lines of a ring, newest first; an id always has the same key."""
    return "\n".join(ring_line(key_id, hashlib.sha256(key_id.encode()).digest()) for key_id in ids)


def ring(*ids: str) -> KeyRing:
    """A ring of these ids."""
    return KeyRing.parse(ring_text(*ids))


def vault_of(ledger: Ledger, *ids: str) -> Vault:
    """The vault in a ledger, seen with a ring of these ids."""
    return Vault(ledger.secrets, ring(*ids))


def told(error: BaseException) -> str:
    """Everything that an error and those behind it would show."""
    return "\n".join(f"{one!s} {one!r} {one.args!r} {vars(one)!r}" for one in _chain(error))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [other for other in (one.__cause__, one.__context__) if other is not None]


def everything(ledger: Ledger) -> bytes:
    """Every column of every row of every table, and on SQLite the files beside each other, as bytes."""
    with ledger.database.reading() as connection:
        tables = inspect(connection).get_table_names()
        rows = [row for table in tables for row in connection.execute(text(f"SELECT * FROM {table}"))]  # noqa: S608 - names of our own tables
    cells = [cell if isinstance(cell, bytes) else str(cell).encode() for row in rows for cell in row]
    return b"\n".join(cells + [path.read_bytes() for path in _files(ledger)])


def _files(ledger: Ledger) -> list[Path]:
    if not ledger.database.is_sqlite:
        return []
    database = Path(str(ledger.database.engine.url.database))
    return sorted(database.parent.glob(f"{database.name}*"))
