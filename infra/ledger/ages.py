"""How old keys are and which renewals are under way: what the ledger knows of them, in a few bounded queries."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import text

from infra.ledger.engine import Database
from infra.ledger.tables import OPEN_STATES, from_us
from infra.ledger.weighing import expiry_of
from schemas.jobs import State

MOST: Final = 50_000
"""Rows that one figure is made from."""

_RENEWAL: Final = "ublox.renew_certificate"

_LOCATIONS: Final = text("""
    SELECT location,
           sum(CASE WHEN dropped_at IS NULL THEN 1 ELSE 0 END) AS keys,
           sum(CASE WHEN dropped_at IS NULL AND primary_since IS NULL AND origin = 'made' THEN 1 ELSE 0 END) AS waiting,
           max(CASE WHEN dropped_at IS NULL THEN primary_since END) AS since
    FROM mobile_keys GROUP BY location LIMIT :limit
""")

_RENEWALS: Final = (
    "SELECT id, target, site, state, reason, evidence FROM jobs WHERE {states} AND operation = :operation LIMIT :limit"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LocationAge:
    """The keys of a location: how many it has, how many wait to become primary, and since when one is."""

    location: str
    keys: int
    waiting: int
    since: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenRenewal:
    """A renewal that is not finished, or is parked; and when its certificate ends, where that was known."""

    job: int
    target: str
    site: str | None
    state: State
    reason: str
    expires_at: datetime | None


class Ages:
    """Reads them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def locations(self) -> list[LocationAge]:
        """Every 2N location that ever had a key."""
        with self._database.reading() as connection:
            rows = connection.execute(_LOCATIONS, {"limit": MOST}).all()
        return [
            LocationAge(
                location=row.location,
                keys=int(row.keys),
                waiting=int(row.waiting),
                since=None if row.since is None else from_us(row.since),
            )
            for row in rows
        ]

    def renewals(self) -> list[OpenRenewal]:
        """The renewals that are not finished."""
        found: list[Any] = []
        with self._database.reading() as connection:
            for states in (OPEN_STATES, "state = 'parked'"):  # apart, for each has an index of its own
                bound = {"operation": _RENEWAL, "limit": MOST}
                found += connection.execute(text(_RENEWALS.format(states=states)), bound).all()
        return [
            OpenRenewal(
                job=row.id,
                target=row.target,
                site=row.site,
                state=State(row.state),
                reason=row.reason,
                expires_at=expiry_of(json.loads(row.evidence)),
            )
            for row in found
        ]
