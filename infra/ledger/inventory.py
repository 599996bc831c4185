"""The inventory of sites and what belongs to them, with a revision that tells whether a picture of it is still true."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from infra.ledger.engine import Database
from infra.ledger.secrets import SealedSecret, Secrets
from infra.ledger.tables import from_us, to_us


class EntryId(NamedTuple):
    """What names an entry: its kind (site, device, twon, token, tap) and its key within the kind."""

    kind: str
    key: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One thing of the inventory.

    Attributes:
        site: the name of the site that it belongs to; of a site, its own.
        fields: JSON-able; it names secrets and holds none.
    """

    id: EntryId
    site: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Stamped:
    """An entry and when it, or a secret of it, was changed last."""

    entry: Entry
    updated_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """All entries, sorted by kind and key, and the revision that they had at least."""

    revision: int
    entries: tuple[Entry, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class InventoryChange:
    """What one import changes, all of it or nothing.

    Attributes:
        based_on: the revision that it was computed against.
        upserts: entries as they are to be.
        deletions: entries that go.
        sealed: secrets that the entries name, new or replaced.
        forgotten: names of secrets that go.
    """

    based_on: int
    upserts: Collection[Entry] = ()
    deletions: Collection[EntryId] = ()
    sealed: Collection[SealedSecret] = ()
    forgotten: Collection[str] = ()


class InventoryRows:
    """Reads and writes the inventory."""

    def __init__(self, database: Database, secrets: Secrets) -> None:
        self._database = database
        self._secrets = secrets

    def revision(self) -> int:
        """Give a number that every change raises; one row is read."""
        with self._database.reading() as connection:
            return _revision(connection)

    def snapshot(self) -> Snapshot:
        """Read everything. The revision is read first: a change in between makes the picture old, never wrong."""
        with self._database.reading() as connection:
            revision = _revision(connection)
            rows = connection.execute(text("SELECT kind, key, site, entry FROM inventory")).all()
        entries = [Entry(id=EntryId(row.kind, row.key), site=row.site, fields=json.loads(row.entry)) for row in rows]
        return Snapshot(revision=revision, entries=tuple(sorted(entries, key=lambda entry: entry.id)))

    def store(self, change: InventoryChange, now: datetime) -> bool:
        """Store a change in one transaction; False, and nothing stored, where another change came first."""
        with self._database.writing() as connection:
            return self.store_in(connection, change, now)

    def store_in(self, connection: Connection, change: InventoryChange, now: datetime) -> bool:
        """Store a change in the caller's transaction; False, and nothing stored, where another change came first."""
        raised = connection.execute(
            text("UPDATE inventory_revision SET revision = revision + 1 WHERE id = 1 AND revision = :based_on"),
            {"based_on": change.based_on},
        )
        if raised.rowcount != 1:
            return False
        _delete(connection, change.deletions)
        _upsert(connection, change.upserts, to_us(now))
        _forget(connection, change.forgotten)
        self._secrets.write(connection, change.sealed)
        return True

    def page(self, kind: str | None, site: str | None, after: EntryId | None, limit: int) -> list[Stamped]:
        """Entries in order of kind and key, behind one; their order is of code points on either database."""
        bound = {name: value for name, value in (("kind", kind), ("site", site)) if value is not None}
        where = " AND ".join(["true", *(f"{name} = :{name}" for name in bound)])
        with self._database.reading() as connection:
            rows = connection.execute(text(f"SELECT kind, key FROM inventory WHERE {where}"), bound)  # noqa: S608 - our own names
            ids = sorted(one for one in (EntryId(row.kind, row.key) for row in rows) if after is None or one > after)
            found = (find(connection, one) for one in ids[:limit])
            return [one for one in found if one is not None]


def find(connection: Connection, entry_id: EntryId) -> Stamped | None:
    """One entry, in the caller's transaction."""
    query = text("SELECT site, entry, updated_at FROM inventory WHERE kind = :kind AND key = :key")
    row = connection.execute(query, entry_id._asdict()).one_or_none()
    if row is None:
        return None
    entry = Entry(id=entry_id, site=row.site, fields=json.loads(row.entry))
    return Stamped(entry, from_us(row.updated_at))


def _revision(connection: Connection) -> int:
    return int(connection.execute(text("SELECT revision FROM inventory_revision WHERE id = 1")).scalar_one())


def _delete(connection: Connection, ids: Iterable[EntryId]) -> None:
    if rows := [entry_id._asdict() for entry_id in ids]:
        connection.execute(text("DELETE FROM inventory WHERE kind = :kind AND key = :key"), rows)


def _forget(connection: Connection, names: Iterable[str]) -> None:
    if rows := [{"name": name} for name in sorted(names)]:
        connection.execute(text("DELETE FROM secrets WHERE name = :name"), rows)


def _upsert(connection: Connection, entries: Iterable[Entry], now: int) -> None:
    rows = [
        {
            **entry.id._asdict(),
            "site": entry.site,
            "entry": json.dumps(entry.fields, sort_keys=True, separators=(",", ":")),
            "now": now,
        }
        for entry in entries
    ]
    if rows:
        connection.execute(
            text(
                "INSERT INTO inventory (kind, key, site, entry, updated_at) VALUES (:kind, :key, :site, :entry, :now)"
                " ON CONFLICT (kind, key) DO UPDATE"
                " SET site = excluded.site, entry = excluded.entry, updated_at = excluded.updated_at"
            ),
            rows,
        )
