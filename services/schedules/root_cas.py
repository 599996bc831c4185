"""Root CAs that run out, as the certificate scan tells of them: each once for every warning day that it passes.

Source: Security Services REST APIs 1.1.29, ``/ztp/rootca/get``. A root CA cannot be renewed: another must be founded
and its devices moved.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from cryptography import x509

from infra.ledger import SeenAuthority
from infra.ledger.tables import storable
from schemas.ublox import AuthorityLook
from services.schedules.turn import Turn

WARN_DAYS: Final = (180, 90, 60, 30, 7, 0)
"""When u-blox itself tells of a root CA; each is told once here too (``/notification/webhook/create``)."""

_MARK: Final = "rootca:"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RootCas:
    """What a scan found.

    Attributes:
        ends: when each ends, as far as it is told.
        told: a line for each that runs out.
        marks: what is to be remembered of what was told.
    """

    ends: Mapping[str, datetime | None]
    told: list[str]
    marks: Mapping[str, str]


def look_at_root_cas(turn: Turn, devices: Mapping[str | None, int]) -> RootCas:
    """Look at every root CA of the account, write what is seen, and raise an alarm for each new warning day.

    Args:
        turn: of the scan.
        devices: how many have a certificate of each.
    """
    now, ledger = turn.means.clock(), turn.means.ledger
    ends = {storable(look.name): ends_of(look) for look in turn.means.ublox.authorities.walk()}
    ledger.certificates.store_authorities(
        [
            SeenAuthority(name=name, expires_at=at, devices=devices.get(name, 0), seen_at=now)
            for name, at in ends.items()
        ]
    )
    told = ledger.firings.marks(_MARK)
    crossed = {name: step for name, at in ends.items() if (step := _step(at, now)) is not None}
    for name in sorted(crossed):
        if told.get(_MARK + name) != str(crossed[name]):
            log.error("alert", alert=_words(name, ends[name], now))
    return RootCas(
        ends=ends,
        told=[_words(name, ends[name], now) for name in sorted(crossed)],
        marks={_MARK + name: str(step) for name, step in crossed.items()},
    )


def ends_of(look: AuthorityLook) -> datetime | None:
    """When a root CA ends, by its certificate, or by what was promised where that cannot be read."""
    try:
        return x509.load_pem_x509_certificate((look.pem or "").encode()).not_valid_after_utc
    except ValueError:
        return look.promised_until


def _step(ends: datetime | None, now: datetime) -> int | None:
    """The last of the warning days that has come."""
    if ends is None:
        return None
    return min((days for days in WARN_DAYS if ends - now <= timedelta(days=days)), default=None)


def _words(name: str, ends: datetime | None, now: datetime) -> str:
    days = 0 if ends is None else (ends - now).days
    when = f"runs out in {days} days" if days >= 0 else f"ran out {-days} days ago"
    return f"root CA {name} {when}: found another one and move its devices"
