"""``ublox.scan_certificates``: has certificates renewed in time, and tells of root CAs that run out.

Source: Security Services REST APIs 1.1.29, ``/device/info/get`` (ZTP) and ``/ztp/rootca/get``: `/notification/get` has
no word for either, so a lost notice is found here. A certificate is to be renewed after two thirds of its life: the
last third is time for a device that seldom wakes up. A root CA cannot be renewed: a person must found another and move
its devices.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field

from infra.ledger import Effects
from schemas.jobs import NewJob
from schemas.ublox import AuthorityLook, CertificateLook, Detail, DeviceLook
from services.operations import PARAMETERS
from services.playbook.checks import complete_parameters
from services.schedules.devices import Devices
from services.schedules.turn import Found, Turn

RENEW: Final = "ublox.renew_certificate"
WARN_DAYS: Final = (180, 90, 60, 30, 7, 0)
"""When u-blox itself tells of a root CA; each is told once here too (``/notification/webhook/create``)."""

NEAREST: Final = "certificates.nearest_expiry"
"""The mark that holds which certificate ends first, as JSON."""

MOST_NAMED: Final = 200

_MARK: Final = "rootca:"
_DETAILS: Final = (Detail.CORE, Detail.ZTP)

log = structlog.get_logger(__name__)


class ScanParameters(BaseModel):
    """What the scan asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    renew: bool = Field(default=True, description="false: only tell; every renewal is billed")
    validity_days: int = Field(default=365, ge=30, le=3650, description="of the new certificates")
    days_left: int = Field(default=30, ge=1, le=3650, description="counts where u-blox does not tell the whole life")


def work(turn: Turn) -> Found:
    """Look at every device and every root CA of the account."""
    wanted = ScanParameters.model_validate(turn.spec.parameters)
    now = turn.means.clock()
    ublox, devices = turn.means.ublox, Devices(turn.means.ublox)
    looks = [look for answer in devices.asked(lambda uids: ublox.look(uids, _DETAILS)) for look in answer.values()]
    due = [
        look for look in looks if look.certificate and not look.blacklisted and is_due(look.certificate, now, wanted)
    ]
    asked = turn.ask(list(_wishes(turn, due, wanted)), _evidence(due)) if wanted.renew else 0
    roots = {look.name: _ends(look) for look in ublox.root_cas()}
    told = turn.means.ledger.firings.marks(_MARK)
    crossed = {name: step for name, ends in roots.items() if (step := _step(ends, now)) is not None}
    news = {name: step for name, step in crossed.items() if told.get(_MARK + name) != str(step)}
    for name in sorted(news):
        log.error("alert", alert=_words(name, roots[name], now))
    nearest = _nearest(looks, roots)
    marks = {_MARK + name: str(step) for name, step in crossed.items()} | {NEAREST: json.dumps(nearest)}
    return Found(
        reason=f"{len(looks)} devices, {len(due)} certificates past two thirds of their life, {asked} renewals asked"
        f" for; {len(roots)} root CAs, {len(crossed)} run out",
        attention=bool(crossed or devices.refused) or (bool(due) and not wanted.renew),
        detail={
            **devices.told(),
            "without_certificate": sum(look.certificate is None for look in looks),
            "due": len(due),
            "due_devices": sorted(look.uid for look in due)[:MOST_NAMED],
            "asked": asked,
            "root_cas": [_words(name, roots[name], now) for name in sorted(crossed)],
            "nearest_expiry": nearest,
        },
        effects=Effects(marks=marks),
    )


def is_due(certificate: CertificateLook, now: datetime, wanted: ScanParameters) -> bool:
    """Whether two thirds of a certificate's life are over; where its life is not told, whether few days are left."""
    if certificate.expires_at is None:
        return False
    days = certificate.validity_days
    rest = timedelta(days=days) / 3 if days else timedelta(days=wanted.days_left)
    return now >= certificate.expires_at - rest


def _wishes(turn: Turn, due: Sequence[DeviceLook], wanted: ScanParameters) -> Iterator[NewJob]:
    parameters = complete_parameters(PARAMETERS[RENEW], {"validity_days": wanted.validity_days})
    fleet = turn.means.fleet()
    for look in due:
        site = fleet.site_of(look.uid)
        yield turn.wish(RENEW, look.uid, parameters, site=None if site is None else site.name)


def _evidence(due: Sequence[DeviceLook]) -> Any:
    """What a renewal should know of why it was asked for; the expiry lets it go ahead of a window."""
    of = {look.uid: look.certificate for look in due}

    def evidence(job: NewJob) -> Mapping[str, Any]:
        certificate = of[job.target]
        ends = certificate and certificate.expires_at
        serial = f"{certificate.serial:x}" if certificate else None
        return {"type": "certificate scan", "serial": serial, "expires": ends and ends.isoformat()}

    return evidence


def _ends(look: AuthorityLook) -> datetime | None:
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


def _nearest(looks: Sequence[DeviceLook], roots: Mapping[str, datetime | None]) -> dict[str, str] | None:
    ends = [
        (look.certificate.expires_at, look.uid) for look in looks if look.certificate and look.certificate.expires_at
    ]
    ends += [(at, f"root CA {name}") for name, at in roots.items() if at is not None]
    if not ends:
        return None
    at, of = min(ends)
    return {"of": of, "at": at.isoformat()}
