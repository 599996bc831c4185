"""What a look at devices shows is remembered, whoever looked: so nobody has to look again soon."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

import structlog

from infra.ledger import Ledger, SeenCertificate
from schemas.errors import LedgerUnavailable
from schemas.ublox import CertificateLook, DeviceLook

log = structlog.get_logger(__name__)


def remembering(ledger: Ledger, clock: Callable[[], datetime]) -> Callable[[Iterable[DeviceLook]], None]:
    """What an operation tells of its looks; a ledger that is away is no failure, for the scan will look again."""

    def remember(looks: Iterable[DeviceLook]) -> None:
        now = clock()
        try:
            ledger.certificates.store([as_seen(look, now) for look in looks])
        except LedgerUnavailable as error:
            log.warning("a look was not remembered", error=str(error))

    return remember


def as_seen(look: DeviceLook, now: datetime) -> SeenCertificate:
    """What is remembered of a look."""
    return SeenCertificate(
        uid=look.uid,
        **{"serial": "", **(_facts(look.certificate) if look.certificate else {})},
        heartbeat=look.heartbeat,
        last_seen=look.last_seen,
        seen_at=now,
    )


def _facts(certificate: CertificateLook) -> dict[str, Any]:
    return {
        "serial": f"{certificate.serial:x}",
        "ca_name": certificate.ca_name,
        "expires_at": certificate.expires_at,
        "validity_days": certificate.validity_days,
    }
