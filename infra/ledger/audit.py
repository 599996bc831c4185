"""The audit: who changed what, when and why; one hash chain, one writer at a time."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from sqlalchemy import Connection, insert, text
from sqlalchemy.exc import IntegrityError

from infra.ledger.chain import Head, Link, faults_of, hash_of
from infra.ledger.engine import Database
from infra.ledger.plans import canonical
from infra.ledger.tables import audit, from_us, storable, to_us
from schemas.errors import LedgerUnavailable

MOST_FAULTS: Final = 100
"""So many faults are told; a chain that was written anew has one for each row."""

_HEAD: Final = "SELECT value FROM watermarks WHERE name = 'audit_head'"

_BATCH: Final = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One change by somebody.

    Attributes:
        actor: who, such as ``key:…/name``, ``cli:user`` or ``schedule:name``.
        action: what, as ``thing.verb``.
        subject: on what, as ``thing/id``.
        reason: why, in the actor's words; may be empty.
        detail: JSON-able, without secrets.
    """

    at: datetime
    actor: str
    action: str
    subject: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recorded:
    """An entry as the ledger has it."""

    id: int
    entry: AuditEntry
    previous: str
    hash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What a walk over the whole chain found.

    Attributes:
        faults: the first `MOST_FAULTS` of them, in order of the rows.
    """

    rows: int
    hash: str
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was changed since it was written."""
        return not self.faults


def write(connection: Connection, entry: AuditEntry) -> int:
    """Append an entry in the caller's transaction; give its number.

    Other writers of the audit wait until that transaction ends, so write it last.

    Raises:
        LedgerUnavailable: the chain's head is not where it should be; nothing may be changed unrecorded.
    """
    head = _head(connection, hold=True)
    if head is None:
        raise _headless()
    link = Link(
        id=head.count + 1,
        at=to_us(entry.at),
        actor=storable(entry.actor),
        action=storable(entry.action),
        subject=storable(entry.subject),
        reason=storable(entry.reason),
        detail=canonical(entry.detail),
        previous=head.hash,
    )
    link = replace(link, hash=hash_of(link))
    try:
        connection.execute(insert(audit), asdict(link))
    except IntegrityError:
        raise _headless() from None
    connection.execute(
        text("UPDATE watermarks SET value = :value, updated_at = :now WHERE name = 'audit_head'"),
        {"value": canonical({"count": link.id, "hash": link.hash}), "now": link.at},
    )
    return link.id


class Audit:
    """Reads the audit."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(
        self,
        *,
        before: int | None,
        limit: int,
        actor: str | None = None,
        action: str | None = None,
        subject: str | None = None,
    ) -> list[Recorded]:
        """Entries below a number, the newest first; a filter is a whole value."""
        wanted = {"actor": actor, "action": action, "subject": subject}
        bound = {name: value for name, value in wanted.items() if value is not None}
        where = ["id < :before" if before is not None else "true", *(f"{name} = :{name}" for name in bound)]
        query = text(f"SELECT * FROM audit WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT :limit")  # noqa: S608 - our own names
        with self._database.reading() as connection:
            rows = connection.execute(query, {**bound, "before": before, "limit": limit}).all()
        return [_recorded(row) for row in rows]

    def verify(self) -> Verdict:
        """Walk the whole chain as it stands at one moment, a thousand rows in memory at a time."""
        with self._database.reading() as connection:
            if not self._database.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ")
            head = _head(connection)
            last = Head()

            def links() -> Iterator[Link]:
                nonlocal last
                for link in _links(connection):
                    last = Head(count=last.count + 1, hash=link.hash)
                    yield link

            faults = tuple(islice(faults_of(links(), head), MOST_FAULTS))
        return Verdict(rows=last.count, hash=last.hash, faults=faults)


def _head(connection: Connection, *, hold: bool = False) -> Head | None:
    """The note of the head; held, the next writer waits for this one, as SQLite's write gate has it anyway."""
    lock = " FOR UPDATE" if hold and connection.dialect.name == "postgresql" else ""
    value = connection.execute(text(_HEAD + lock)).scalar_one_or_none()
    if value is None:
        return None
    try:
        known = json.loads(value)
        return Head(count=int(known["count"]), hash=str(known["hash"]))
    except (ValueError, TypeError, KeyError):
        return None


def _headless() -> LedgerUnavailable:
    return LedgerUnavailable(
        "the audit's end is not where its note says, so no change can be recorded: run 'keyturn audit verify'"
    )


def _links(connection: Connection) -> Iterator[Link]:
    query = text("SELECT * FROM audit WHERE id > :after ORDER BY id LIMIT :limit")
    after = -(2**62)  # a row that was put in may have any number
    while rows := connection.execute(query, {"after": after, "limit": _BATCH}).mappings().all():
        for row in rows:
            yield Link(**row)
        after = rows[-1]["id"]


def _recorded(row: Any) -> Recorded:
    entry = AuditEntry(
        at=from_us(row.at),
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        reason=row.reason,
        detail=json.loads(row.detail),
    )
    return Recorded(id=row.id, entry=entry, previous=row.previous, hash=row.hash)
