"""When the certificates end that wishes are to renew, as they were seen last: those wait for no window then."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection

from infra.ledger.seen import SeenCertificate, some
from infra.ledger.tables import to_us
from infra.ledger.weighing import expiry_of
from schemas.jobs import NewJob

_RENEWING: Final = frozenset({"ublox.renew_certificate", "ublox.replace_certificate", "ublox.transfer_root_ca"})
"""What puts another certificate in the place of the one that ends."""


def ends_of(connection: Connection, jobs: Iterable[NewJob]) -> dict[str, str]:
    """When the certificates end that these wishes are to renew, by device."""
    seen = some(connection, {job.target for job in jobs if job.operation in _RENEWING})
    return {uid: one.expires_at.isoformat() for uid, one in seen.items() if one.expires_at is not None}


def with_end(told: Mapping[str, Any], job: NewJob, ends: Mapping[str, str]) -> Mapping[str, Any]:
    """What a job should know of why it was asked for, with the end of its certificate; what was told of it stands."""
    if job.operation not in _RENEWING or job.target not in ends or expiry_of(told) is not None:
        return told
    return {**told, "expires": ends[job.target]}


def seen_of(connection: Connection, rows: Iterable[Any]) -> dict[str, SeenCertificate]:
    """The certificates that these jobs are to renew, as they were seen last, by device."""
    return some(connection, {row.target for row in rows if row.operation in _RENEWING})


def end_of(row: Any, seen: SeenCertificate | None) -> datetime | None:
    """When the certificate of a job ends: as it was seen since the job was made, else as the job was told."""
    told = expiry_of(json.loads(row.evidence))
    if seen is not None and (told is None or to_us(seen.seen_at) > row.created_at):
        return seen.expires_at
    return told
