"""What was seen of device certificates and root CAs when u-blox was asked last, and the renewals that were given up.

A row is a fact with its time, no wish: whoever looks writes it, and it may be lost without harm.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

from infra.ledger.engine import Database
from infra.ledger.planning import alone
from infra.ledger.plans import canonical
from infra.ledger.revocations import revocations
from infra.ledger.seen import STORE, Reach, SeenCertificate, Totals, every, moment, near, parts, row_of, some, totals
from infra.ledger.spending import Purse
from infra.ledger.standing import COLUMNS, Released, lock, restand, terms
from infra.ledger.tables import OPEN_STATES, from_us, storable, to_us
from schemas.limits import Budget, Hold

_RENEWAL: Final = "ublox.renew_certificate"

_STORE_AUTHORITY: Final = text("""
    INSERT INTO authorities (name, expires_at, devices, seen_at) VALUES (:name, :expires_at, :devices, :seen_at)
    ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at, devices = excluded.devices,
        seen_at = excluded.seen_at
""")

_WANTED: Final = """NOT EXISTS (
    SELECT 1 FROM jobs p WHERE p.id = jobs.parent_id AND p.state IN ('cancelled', 'superseded'))"""

_REFUSED: Final = f"(parked_because = 'refused' AND operation = '{_RENEWAL}' AND progress LIKE '%\"serial\":%')"

_GIVEN_UP: Final = text(f"""
    SELECT id, operation, target, progress, updated_at, parked_because FROM jobs
    WHERE state = 'parked' AND operation IN ('ublox.renew_certificate', 'ublox.transfer_root_ca')
      AND (parked_because = 'exhausted' OR {_REFUSED}) AND {_WANTED} ORDER BY id
""")  # noqa: S608 - constants only

_PARKED: Final = (
    f"SELECT {COLUMNS}, updated_at FROM jobs WHERE id IN :ids AND state = 'parked' AND {_WANTED} ORDER BY id"  # noqa: S608 - constants only
)

_KNOWS: Final = text("UPDATE jobs SET progress = :progress WHERE id = :id")


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenAuthority:
    """A root CA, as it was seen; `devices` counts those with a certificate of it."""

    name: str
    expires_at: datetime | None
    devices: int | None
    seen_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class GivenUp:
    """A renewal, or a move to another CA, that is parked because its time was spent, or a renewal that was refused.

    Attributes:
        progress: what it knew of its own request, and of the certificate that it was to replace.
        refused: whether it may go on only when its device has another certificate.
    """

    job: int
    operation: str
    target: str
    parked_at: datetime
    progress: Mapping[str, Any]
    refused: bool = False


class Certificates:
    """Reads and writes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> dict[str, SeenCertificate]:
        """Every device that was ever seen and not forgotten, by its ROTPublicUID."""
        with self._database.reading() as connection:
            return every(connection)

    def uids(self) -> set[str]:
        """The devices of `all`."""
        with self._database.reading() as connection:
            return set(connection.execute(text("SELECT uid FROM certificates")).scalars())

    def some(self, uids: Collection[str]) -> dict[str, SeenCertificate]:
        """What is known of these devices."""
        with self._database.reading() as connection:
            return some(connection, uids)

    def near(self, reach: Reach) -> dict[str, SeenCertificate]:
        """The devices whose certificates may have to be renewed by now, or that were not looked at for long."""
        with self._database.reading() as connection:
            return near(connection, reach)

    def totals(self) -> Totals:
        """What is known of all devices together."""
        with self._database.reading() as connection:
            return totals(connection)

    def store(self, seen: Sequence[SeenCertificate]) -> None:
        """Write what was seen; a later look stands."""
        for part in parts(sorted(seen, key=lambda one: one.uid)):
            with self._database.writing() as connection:
                connection.execute(STORE, [row_of(one) for one in part])

    def forget(self, uids: Collection[str]) -> None:
        """Forget devices that the account has no more."""
        for part in parts(sorted(uids)):
            with self._database.writing() as connection:
                connection.execute(text("DELETE FROM certificates WHERE uid = :uid"), [{"uid": uid} for uid in part])

    def authorities(self) -> list[SeenAuthority]:
        """Every root CA that was there when u-blox was asked last, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(text("SELECT name, expires_at, devices, seen_at FROM authorities")).all()
        found = [
            SeenAuthority(
                name=row.name, expires_at=moment(row.expires_at), devices=row.devices, seen_at=from_us(row.seen_at)
            )
            for row in rows
        ]
        return sorted(found, key=lambda one: one.name)

    def ca_ends(self) -> dict[str, datetime]:
        """When each of the root CAs ends, as far as that is known."""
        return {one.name: one.expires_at for one in self.authorities() if one.expires_at is not None}

    def store_authorities(self, seen: Sequence[SeenAuthority]) -> None:
        """Write which root CAs there are; any other is forgotten."""
        rows = [
            {
                "name": storable(one.name),
                "expires_at": one.expires_at and to_us(one.expires_at),
                "devices": one.devices,
                "seen_at": to_us(one.seen_at),
            }
            for one in sorted(seen, key=lambda one: one.name)
        ]
        names = {row["name"] for row in rows}
        with self._database.writing() as connection:
            known = connection.execute(text("SELECT name FROM authorities ORDER BY name")).scalars().all()
            if gone := [{"name": name} for name in known if name not in names]:
                connection.execute(text("DELETE FROM authorities WHERE name = :name"), gone)
            if rows:
                connection.execute(_STORE_AUTHORITY, rows)

    def renewals(self) -> dict[str, str]:
        """How the renewals that are not finished stand, by device: waiting, asked (u-blox has it) or parked."""
        found: dict[str, str] = {}
        with self._database.reading() as connection:
            for states in ("state = 'parked'", OPEN_STATES):  # apart, for each has an index of its own
                query = text(f"SELECT target, progress FROM jobs WHERE {states} AND operation = :operation ORDER BY id")  # noqa: S608 - constants only
                for row in connection.execute(query, {"operation": _RENEWAL}):
                    asked = "asked" in json.loads(row.progress)
                    found[row.target] = "parked" if states != OPEN_STATES else "asked" if asked else "waiting"
        return found

    def revocations(self, uids: Collection[str]) -> dict[str, list[Mapping[str, Any]]]:
        """What the jobs noted that revoked certificates of these devices, or are about to, by device."""
        with self._database.reading() as connection:
            return revocations(connection, uids)

    def spent(self, budget: Budget, now: datetime) -> int:
        """How many renewals were let go in the running day or month."""
        with self._database.reading() as connection:
            return Purse(connection, now).spent(_RENEWAL, budget)

    def given_up(self) -> list[GivenUp]:
        """The renewals and moves that wait for a person, but may go on when their device has called in."""
        with self._database.reading() as connection:
            return [
                GivenUp(
                    job=row.id,
                    operation=row.operation,
                    target=row.target,
                    parked_at=from_us(row.updated_at),
                    progress=json.loads(row.progress),
                    refused=row.parked_because == "refused",
                )
                for row in connection.execute(_GIVEN_UP)
            ]

    def try_again(self, jobs: Mapping[int, GivenUp], now: datetime, *, reason: str) -> tuple[list[int], Released]:
        """Let jobs look again, each with the progress that it is given, on the terms that bind it.

        Returns:
            those that nobody moved meanwhile, and what became of them: but for those that were refused they count anew
            in what their operation spends; they wait for their window where nothing of them is begun any more.
        """
        released, moved = Released(), []
        for part in parts(sorted(jobs)):
            with self._database.writing() as connection:
                moved += _go_on(connection, {job: jobs[job] for job in part}, now, released, reason)
        return moved, released


def _go_on(
    connection: Connection, jobs: Mapping[int, GivenUp], now: datetime, released: Released, reason: str
) -> list[int]:
    alone(connection)
    query = text(_PARKED + lock(connection)).bindparams(bindparam("ids", expanding=True))
    ids = [
        row.id
        for row in connection.execute(query, {"ids": sorted(jobs)})
        if row.updated_at == to_us(jobs[row.id].parked_at)
    ]
    if ids:
        connection.execute(_KNOWS, [{"id": job, "progress": canonical(jobs[job].progress)} for job in ids])
    rows = connection.execute(query, {"ids": ids}).all()
    again = [(row, terms(row) if jobs[row.id].refused else _anew(terms(row))) for row in rows]
    restand(connection, again, Purse(connection, now), now, released, why=reason)
    return ids


def _anew(hold: Hold) -> Hold:
    """These terms of a job that may be billed once more; one that was refused only sees that it is not needed."""
    return hold.model_copy(update={"counted": None})
