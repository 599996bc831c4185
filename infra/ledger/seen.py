"""The rows of `certificates`: a device and its certificate, as they were seen, and which of them to look at again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, Row, bindparam, text

from infra.ledger.tables import from_us, storable, to_us

T = TypeVar("T")

AT_ONCE: Final = 500
"""Rows of one transaction: the receiver waits no longer than that."""

COLUMNS: Final = "uid, serial, ca_name, expires_at, validity_days, heartbeat_seconds, last_seen, seen_at, alarmed"

STORE: Final = text(f"""
    INSERT INTO certificates ({COLUMNS})
    VALUES (:uid, :serial, :ca_name, :expires_at, :validity_days, :heartbeat_seconds, :last_seen, :seen_at, :alarmed)
    ON CONFLICT (uid) DO UPDATE SET serial = excluded.serial, ca_name = excluded.ca_name,
        expires_at = excluded.expires_at, validity_days = excluded.validity_days,
        heartbeat_seconds = excluded.heartbeat_seconds, last_seen = excluded.last_seen, seen_at = excluded.seen_at,
        alarmed = coalesce(excluded.alarmed,
                           CASE WHEN certificates.serial = excluded.serial THEN certificates.alarmed END)
    WHERE certificates.seen_at <= excluded.seen_at
""")  # noqa: S608 - constants only

_SOME: Final = text(f"SELECT {COLUMNS} FROM certificates WHERE uid IN :uids").bindparams(  # noqa: S608 - constants only
    bindparam("uids", expanding=True)
)

_NEAR: Final = text(f"""
    SELECT {COLUMNS} FROM certificates
    WHERE seen_at <= :seen_before OR expires_at - :now <= CASE
        WHEN heartbeat_seconds > 0 AND last_seen IS NOT NULL THEN :margin + heartbeat_seconds * :beats
        ELSE coalesce(validity_days * :day, :life) / 3 END
        OR (:thirds = 1 AND expires_at - :now <= coalesce(validity_days * :day, :life) / 3)
""")  # noqa: S608 - constants only

_BY_CA: Final = text("SELECT ca_name, serial <> '' AS has_one, count(*) AS devices FROM certificates GROUP BY 1, 2")

_NEAREST: Final = text(
    "SELECT uid, expires_at FROM certificates WHERE expires_at IS NOT NULL ORDER BY expires_at, uid LIMIT 1"
)

_SECOND: Final = 1_000_000
_DAY: Final = 86_400 * _SECOND


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenCertificate:
    """A device and its certificate, as they were seen.

    Attributes:
        serial: hexadecimal; empty where the device has no certificate.
        validity_days: the whole life of the certificate.
        heartbeat: how often the device calls in.
        last_seen: when it had called in last.
        seen_at: when u-blox was asked.
        alarmed: the serial of the certificate of which a person was told that it is not renewed.
    """

    uid: str
    serial: str
    ca_name: str | None = None
    expires_at: datetime | None = None
    validity_days: int | None = None
    heartbeat: timedelta | None = None
    last_seen: datetime | None = None
    seen_at: datetime
    alarmed: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """How far before its end a certificate may have to be renewed: a bound, the very lead is not the ledger's to tell.

    Attributes:
        now: from when on.
        margin: beside `beats` heartbeats, where the heartbeat is known and the device was seen.
        beats: how many heartbeats.
        life_unless_told: of which a third is the bound where nothing is known.
        from_last_third: a third of the life is a bound also where the heartbeat is known.
        seen_before: devices that were looked at last before this are told too.
    """

    now: datetime
    margin: timedelta
    beats: float
    life_unless_told: timedelta
    from_last_third: bool
    seen_before: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Totals:
    """What is known of all devices together.

    Attributes:
        by_ca: how many devices have a certificate of a root CA.
        without: how many have none.
        nearest: which certificate ends first, and when.
    """

    by_ca: Mapping[str | None, int]
    without: int
    nearest: tuple[str, datetime] | None

    @property
    def devices(self) -> int:
        """How many devices there are."""
        return self.without + sum(self.by_ca.values())


def every(connection: Connection) -> dict[str, SeenCertificate]:
    """Every row."""
    rows = connection.execute(text(f"SELECT {COLUMNS} FROM certificates"))  # noqa: S608 - constants only
    return {row.uid: _seen(row) for row in rows}


def some(connection: Connection, uids: Collection[str]) -> dict[str, SeenCertificate]:
    """The rows of some devices."""
    found = [row for part in parts(sorted(uids)) for row in connection.execute(_SOME, {"uids": part})]
    return {row.uid: _seen(row) for row in found}


def near(connection: Connection, reach: Reach) -> dict[str, SeenCertificate]:
    """The rows within reach."""
    bound = {
        "now": to_us(reach.now),
        "seen_before": to_us(reach.seen_before),
        "margin": reach.margin // timedelta(microseconds=1),
        "beats": round(reach.beats * _SECOND),
        "day": _DAY,
        "life": reach.life_unless_told // timedelta(microseconds=1),
        "thirds": int(reach.from_last_third),
    }
    return {row.uid: _seen(row) for row in connection.execute(_NEAR, bound)}


def totals(connection: Connection) -> Totals:
    """Count them."""
    groups = connection.execute(_BY_CA).all()
    nearest = connection.execute(_NEAREST).one_or_none()
    return Totals(
        by_ca={row.ca_name: row.devices for row in groups if row.has_one},
        without=sum(row.devices for row in groups if not row.has_one),
        nearest=None if nearest is None else (nearest.uid, from_us(nearest.expires_at)),
    )


def parts(rows: Sequence[T]) -> list[Sequence[T]]:
    """Cut into what one transaction writes."""
    return [rows[start : start + AT_ONCE] for start in range(0, len(rows), AT_ONCE)]


def row_of(seen: SeenCertificate) -> dict[str, object]:
    """As the ledger writes it."""
    return {
        "uid": seen.uid,
        "serial": seen.serial,
        "ca_name": seen.ca_name and storable(seen.ca_name),
        "expires_at": seen.expires_at and to_us(seen.expires_at),
        "validity_days": seen.validity_days,
        "heartbeat_seconds": seen.heartbeat and round(seen.heartbeat.total_seconds()),
        "last_seen": seen.last_seen and to_us(seen.last_seen),
        "seen_at": to_us(seen.seen_at),
        "alarmed": seen.alarmed,
    }


def _seen(row: Row[Any]) -> SeenCertificate:
    return SeenCertificate(
        uid=row.uid,
        serial=row.serial,
        ca_name=row.ca_name,
        expires_at=moment(row.expires_at),
        validity_days=row.validity_days,
        heartbeat=timedelta(seconds=row.heartbeat_seconds) if row.heartbeat_seconds else None,
        last_seen=moment(row.last_seen),
        seen_at=from_us(row.seen_at),
        alarmed=row.alarmed,
    )


def moment(value: int | None) -> datetime | None:
    """A time that may not be known."""
    return None if value is None else from_us(value)
