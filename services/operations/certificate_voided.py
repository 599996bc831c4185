"""Certificates that are revoked: what would undo that is not asked for.

A renewal keeps the key pair and brings a serial number that no revocation list shows (Security Services REST APIs
1.1.29, ``/ztp/devicecertificate/renew``). The ledger tells what is revoked, by what the jobs noted that revoked: this
costs no call.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from schemas.jobs import Outcome, Parked
from schemas.ublox import CertificateLook, read_serial
from services.operations.certificate_asking import Work, refused
from services.operations.certificate_facts import NO_KEY, key_of
from services.operations.contract import Tools

W = TypeVar("W", bound=Work)

Noted = Mapping[str, Any]
"""What a job noted that revoked: the `serial`, the public `key` where it was seen, whether a renewal was `pending`."""

REMEDY: Final = "replace it, or leave it"


def not_voided(work: Sequence[W], tools: Tools, *, remedy: str = REMEDY) -> tuple[list[W], dict[int, Outcome]]:
    """Part the jobs that may ask for a new certificate from those whose device has a revoked one.

    Args:
        work: the jobs.
        tools: the operation's.
        remedy: what a person can do about a revoked one.
    """
    noted = tools.revocations([one.job.target for one in work]) if work else {}
    rest: list[W] = []
    outcomes: dict[int, Outcome] = {}
    for one in work:
        certificate = one.look.certificate
        if certificate is not None and (why := voided(certificate, noted.get(one.job.target, ()))):
            outcomes[one.job.id] = refused_for(one, f"{why}: {remedy}")
        else:
            rest.append(one)
    return rest, outcomes


def refused_for(work: Work, reason: str) -> Parked:
    """Refused because of the certificate that the device has now: the job knows which, and may go on with another."""
    return replace(refused(reason), progress={**work.job.progress, **work.before.known})


def voided(certificate: CertificateLook, noted: Iterable[Noted]) -> str:
    """Why a certificate must not live on, in words; empty where it may."""
    known = list(noted)
    if is_named(certificate, known):
        return f"serial {certificate.serial:x} is revoked"
    if serial := of_same_key(certificate, known):
        return f"serial {certificate.serial:x} has the key of serial {serial}, which is revoked"
    return ""


def is_named(certificate: CertificateLook, noted: Iterable[Noted]) -> bool:
    """Whether the certificate itself was revoked, or is about to be."""
    return any(read_serial(one.get("serial")) == certificate.serial for one in noted)


def of_same_key(certificate: CertificateLook, noted: Iterable[Noted]) -> str:
    """The serial number of a revoked certificate that had the same key pair; empty where none is known."""
    serials = {one["key"]: str(one["serial"]) for one in noted if one.get("key", NO_KEY) != NO_KEY}
    return serials.get(key_of(certificate), "") if serials else ""


def revoked_in_renewal(noted: Iterable[Noted]) -> str:
    """The serial number of the certificate that was revoked last while a renewal waited; empty where none was."""
    return next((str(one["serial"]) for one in reversed(list(noted)) if one.get("pending")), "")
