"""Certificates that the scan lets come to their end, because a renewal would do harm or be in vain; told once.

The harm: a revoked certificate would get a new serial number for the key that was revoked. In vain: one that ends with
its root CA would be billed, and end then all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from schemas.ublox import DeviceLook
from services.operations.certificate_voided import REMEDY, Noted, voided
from services.operations.renewal_lead import ends_with_ca
from services.schedules.turn import Turn

_REVOKED: Final = "revoked:"
"""Before a device: the mark that holds of which serial number a person was told."""

_WITH_CA: Final = "ends_with_ca:"
"""Before a root CA: the mark that holds of which end of it a person was told."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LetEnd:
    """What is not to be renewed.

    Attributes:
        uids: the devices.
        marks: what is to be remembered of what was told just now.
    """

    uids: frozenset[str]
    marks: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Reason:
    """Why not; said once for each value of its mark."""

    mark: str
    value: str
    words: str


def let_end(turn: Turn, due: Sequence[DeviceLook]) -> LetEnd:
    """Find which of the devices whose renewal is due are not to be renewed; raise an alarm for what is new."""
    ledger = turn.means.ledger
    noted, ends = ledger.certificates.revocations([look.uid for look in due]), ledger.certificates.ca_ends()
    why = {look.uid: reason for look in due if (reason := _why(look, noted.get(look.uid, ()), ends))}
    said = {**ledger.firings.marks(_REVOKED), **ledger.firings.marks(_WITH_CA)} if why else {}
    news = {one.mark: one for one in why.values() if said.get(one.mark) != one.value}
    for one in news.values():
        log.error("alert", alert=one.words)
    return LetEnd(uids=frozenset(why), marks={one.mark: one.value for one in news.values()})


def told_root_cas(turn: Turn) -> dict[str, datetime]:
    """The root CAs of which a person was told that certificates end with them, and when they end."""
    said, ends = turn.means.ledger.firings.marks(_WITH_CA), turn.means.ledger.certificates.ca_ends()
    return {name: at for name, at in ends.items() if said.get(_WITH_CA + name) == at.isoformat()}


def _why(look: DeviceLook, noted: Sequence[Noted], ends: Mapping[str, datetime]) -> _Reason | None:
    certificate = look.certificate
    if certificate is None:
        return None
    if why := voided(certificate, noted):
        words = f"the certificate of device {look.uid} is not renewed: {why}; {REMEDY}"
        return _Reason(_REVOKED + look.uid, f"{certificate.serial:x}", words)
    name = certificate.ca_name or ""
    if not ends_with_ca(certificate.expires_at, ends.get(name)):
        return None
    which = (
        f"certificates that end with their root CA {name} on {ends[name]:%d %b %Y}, such as that of device {look.uid},"
    )
    return _Reason(_WITH_CA + name, ends[name].isoformat(), f"{which} are not renewed: roll the root CA")
