"""When the certificates end that wishes are to renew, as they were seen last: those wait for no window then."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sqlalchemy import Connection

from infra.ledger.seen import some
from schemas.jobs import NewJob

_RENEWING: Final = frozenset({"ublox.renew_certificate", "ublox.replace_certificate", "ublox.transfer_root_ca"})
"""What puts another certificate in the place of the one that ends."""


def ends_of(connection: Connection, jobs: Iterable[NewJob]) -> dict[str, str]:
    """When the certificates end that these wishes are to renew, by device."""
    seen = some(connection, {job.target for job in jobs if job.operation in _RENEWING})
    return {uid: one.expires_at.isoformat() for uid, one in seen.items() if one.expires_at is not None}


def with_end(told: Mapping[str, Any], job: NewJob, ends: Mapping[str, str]) -> Mapping[str, Any]:
    """What a job should know of why it was asked for, with the end of its certificate; what was told of it stands."""
    return {"expires": ends[job.target], **told} if job.operation in _RENEWING and job.target in ends else told
