"""What catching up asks of the inbox: what was pushed already, what came by poll alone, how often sources speak."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, text

from infra.ledger.engine import Database
from infra.ledger.tables import from_us, to_us

_NEWEST: Final = text("SELECT coalesce(max(id), 0) FROM events")

_PUSHED: Final = text("""
    SELECT device, event_type, occurred_at, body FROM events
    WHERE state <> 'new' AND device IN :devices AND occurred_at BETWEEN :first AND :last AND source = 'webhook'
    UNION ALL SELECT device, event_type, occurred_at, body FROM events
    WHERE state = 'new' AND device IN :devices AND occurred_at BETWEEN :first AND :last AND source = 'webhook'
""").bindparams(bindparam("devices", expanding=True))
"""In two halves, because the index of devices leaves out what is new."""

_CAME: Final = text("""
    SELECT id, receipt, event_type, device, occurred_at, state FROM events
    WHERE id > :after AND source = 'poll' AND hook = :hook ORDER BY id LIMIT :limit
""")

_COUNT: Final = text("SELECT count(*) FROM events WHERE id > :after AND source = 'poll' AND hook = :hook")

_LATELY: Final = text("""
    SELECT event_type, received_at FROM events
    WHERE source = 'webhook' AND event_type IS NOT NULL ORDER BY id DESC LIMIT :limit
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pushed:
    """A notice that came by webhook."""

    device: str
    event_type: str
    occurred_at: datetime
    body: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Missed:
    """A notice that never came by webhook."""

    event_id: int
    receipt: str
    event_type: str | None
    device: str | None
    occurred_at: datetime | None
    state: str


class Polled:
    """The inbox, as catching up sees it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def newest(self) -> int:
        """The id of the newest event, 0 without any."""
        with self._database.reading() as connection:
            return int(connection.execute(_NEWEST).scalar_one())

    def pushed(self, devices: Collection[str], first: datetime, last: datetime) -> list[Pushed]:
        """What was pushed about some devices and happened in a period, both its ends included."""
        bound = {"devices": sorted(devices), "first": to_us(first), "last": to_us(last)}
        with self._database.reading() as connection:
            return [
                Pushed(
                    device=row.device,
                    event_type=row.event_type,
                    occurred_at=from_us(row.occurred_at),
                    body=bytes(row.body),
                )
                for row in connection.execute(_PUSHED, bound)
            ]

    def missed(self, hook: str, *, after: int, limit: int) -> tuple[int, list[Missed]]:
        """How many events above an id one poll brought, and the first of them."""
        bound: dict[str, Any] = {"after": after, "hook": hook}
        with self._database.reading() as connection:
            count = int(connection.execute(_COUNT, bound).scalar_one())
            rows = connection.execute(_CAME, {**bound, "limit": limit}).all()
        return count, [
            Missed(
                event_id=row.id,
                receipt=row.receipt,
                event_type=row.event_type,
                device=row.device,
                occurred_at=None if row.occurred_at is None else from_us(row.occurred_at),
                state=row.state,
            )
            for row in rows
        ]

    def lately(self, limit: int) -> list[tuple[str, datetime]]:
        """Type and time of the latest pushed events, newest first."""
        with self._database.reading() as connection:
            rows = connection.execute(_LATELY, {"limit": limit})
            return [(row.event_type, from_us(row.received_at)) for row in rows]
