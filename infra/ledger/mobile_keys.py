"""Mobile keys of 2N locations: which there are, since when each is primary, and which was dropped."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, bindparam, text

from infra.ledger.engine import Database
from infra.ledger.secrets import SealedSecret, Secrets
from infra.ledger.tables import from_us, to_us
from schemas.mobile_keys import HeldKey, Origin
from schemas.twon import KeyType

_COLUMNS: Final = "id, location, kind, public, job_id, origin, created_at, primary_since, dropped_at"

_OF_LOCATION: Final = text(
    f"SELECT {_COLUMNS} FROM mobile_keys WHERE location = :location ORDER BY created_at DESC, id"  # noqa: S608 - constants
)

_BY_PUBLIC: Final = text(
    f"SELECT {_COLUMNS} FROM mobile_keys WHERE public IN :publics ORDER BY created_at, id"  # noqa: S608 - constants
).bindparams(bindparam("publics", expanding=True))

_AT_ONCE: Final = 500
"""Values of one query; SQLite takes 999 at the least."""

_INSERT: Final = text(
    f"INSERT INTO mobile_keys ({_COLUMNS}) VALUES (:id, :location, :kind, :public, :job_id, :origin, :created_at,"  # noqa: S608 - constants
    " :primary_since, :dropped_at) ON CONFLICT DO NOTHING"
)

_PRIMARY: Final = text("UPDATE mobile_keys SET primary_since = :now WHERE id = :id AND primary_since IS NULL")

_DROPPED: Final = text("UPDATE mobile_keys SET dropped_at = :now WHERE id IN :ids AND dropped_at IS NULL").bindparams(
    bindparam("ids", expanding=True)
)


class MobileKeys:
    """The mobile keys of the ledger. A key is written together with its sealed private half, or not at all."""

    def __init__(self, database: Database, secrets: Secrets) -> None:
        self._database = database
        self._secrets = secrets

    def of_location(self, location: str) -> list[HeldKey]:
        """Every key that a location ever had, the newest first."""
        with self._database.reading() as connection:
            return _of_location(connection, location)

    def primaries(self) -> dict[str, datetime]:
        """Since when each location has had its primary key."""
        query = text(
            "SELECT location, max(primary_since) AS since FROM mobile_keys"
            " WHERE primary_since IS NOT NULL AND dropped_at IS NULL GROUP BY location"
        )
        with self._database.reading() as connection:
            return {row.location: from_us(row.since) for row in connection.execute(query)}

    def by_public(self, publics: Collection[str]) -> list[HeldKey]:
        """The keys of any location that have these public halves, the oldest first."""
        wanted = sorted(publics)
        with self._database.reading() as connection:
            return [
                _key(row)
                for start in range(0, len(wanted), _AT_ONCE)
                for row in connection.execute(_BY_PUBLIC, {"publics": wanted[start : start + _AT_ONCE]}).mappings()
            ]

    def add(self, key: HeldKey, sealed: SealedSecret) -> HeldKey:
        """Add a key that was made for a job; give the one that the job is to work with.

        That is an older one where the location has a key that waits to become primary, or where the job has made one
        already: a location never has two new keys at a time, and a job never makes two.
        """
        with self._database.writing() as connection:
            there = _made(_of_location(connection, key.location), key.job_id)
            if there is None and _insert(connection, key):
                self._secrets.write(connection, [sealed])
                return key
            found = there or _made(_of_location(connection, key.location), key.job_id)
        if found is None:
            raise ValueError("a key made for a job collides with one that was read")
        return found

    def keep(self, read: Sequence[tuple[HeldKey, SealedSecret]]) -> None:
        """Keep keys that were read from devices; those that are there stay as they are."""
        with self._database.writing() as connection:
            fresh = [sealed for key, sealed in read if _insert(connection, key)]
            if fresh:
                self._secrets.write(connection, fresh)

    def settle(self, *, primary: str | None, dropped: Collection[str], now: datetime) -> None:
        """Write that a key, if given, is the primary one of every device, and that others are on none."""
        with self._database.writing() as connection:
            if primary is not None:
                connection.execute(_PRIMARY, {"id": primary, "now": to_us(now)})
            if dropped:
                connection.execute(_DROPPED, {"ids": sorted(dropped), "now": to_us(now)})


def _of_location(connection: Connection, location: str) -> list[HeldKey]:
    return [_key(row) for row in connection.execute(_OF_LOCATION, {"location": location}).mappings()]


def _made(keys: Sequence[HeldKey], job_id: int | None) -> HeldKey | None:
    """The key that waits to become primary, else the one that the job has made."""
    waiting = next((key for key in keys if key.waits), None)
    return waiting or next((key for key in keys if key.job_id is not None and key.job_id == job_id), None)


def _insert(connection: Connection, key: HeldKey) -> bool:
    return bool(connection.execute(_INSERT, _row(key)).rowcount)


def _row(key: HeldKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "location": key.location,
        "kind": key.kind.value,
        "public": key.public,
        "job_id": key.job_id,
        "origin": key.origin.value,
        "created_at": to_us(key.created_at),
        "primary_since": None if key.primary_since is None else to_us(key.primary_since),
        "dropped_at": None if key.dropped_at is None else to_us(key.dropped_at),
    }


def _key(row: RowMapping) -> HeldKey:
    return HeldKey(
        id=row["id"],
        location=row["location"],
        kind=KeyType(row["kind"]),
        public=row["public"],
        job_id=row["job_id"],
        origin=Origin(row["origin"]),
        created_at=from_us(row["created_at"]),
        primary_since=None if row["primary_since"] is None else from_us(row["primary_since"]),
        dropped_at=None if row["dropped_at"] is None else from_us(row["dropped_at"]),
    )
