"""Certificates that the scan lets come to their end, because a renewal would do harm; a person is told of each once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from schemas.ublox import DeviceLook
from services.operations.certificate_voided import REMEDY, voided
from services.schedules.turn import Turn

_REVOKED: Final = "revoked:"
"""Before a device: the mark that holds of which serial number a person was told."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LetEnd:
    """What is not to be renewed.

    Attributes:
        uids: the devices.
        marks: what is to be remembered of what was told.
        news: how much of it was told just now.
    """

    uids: frozenset[str]
    marks: Mapping[str, str]
    news: int


def let_end(turn: Turn, due: Sequence[DeviceLook]) -> LetEnd:
    """Find which of the devices whose renewal is due have a revoked certificate; raise an alarm for each new one."""
    ledger = turn.means.ledger
    noted, said = ledger.certificates.revocations([look.uid for look in due]), ledger.firings.marks(_REVOKED)
    uids: set[str] = set()
    marks: dict[str, str] = {}
    for look in due:
        certificate = look.certificate
        if certificate is None or not (why := voided(certificate, noted.get(look.uid, ()))):
            continue
        uids.add(look.uid)
        mark, serial = f"{_REVOKED}{look.uid}", f"{certificate.serial:x}"
        if said.get(mark) != serial:
            marks[mark] = serial
            log.error("alert", alert=f"the certificate of device {look.uid} is not renewed: {why}; {REMEDY}")
    return LetEnd(uids=frozenset(uids), marks=marks, news=len(marks))
