"""The order of a compromise: nothing is replaced before the revocation list shows the old certificate.

Once an update is under way u-blox refuses to revoke, so whoever replaced first could not revoke for two heartbeats. A
renewal that waited at u-blox may land between the two: then the leaked key has a serial number that nobody revoked, and
a job of its own revokes that one too.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.jobs import Awaiting, NewJob, Outcome, Parked, ParkedBecause, Spawn
from schemas.ublox import CertificateLook
from services.operations.certificate_asking import Work, refused
from services.operations.certificate_facts import NO_KEY, is_younger, key_of, told
from services.operations.certificate_revocations import Lists, revocations_of
from services.operations.certificate_voided import Noted, is_named, of_same_key, revoked_in_renewal
from services.operations.contract import Tools, outcome_of
from services.operations.revoke_certificate import RevokeCertificate, RevokeCertificateParameters

LOOK_AGAIN: Final = timedelta(minutes=10)
"""Between two looks at the list, while the revocation is awaited."""

_BY: Final = "revoked_by"
"""In the progress: until when the revocation is awaited."""

_ALSO: Final = "also_revoked"
"""In the progress: the serial number for which a job was made that revokes it, because its key had leaked."""

Replaced = tuple[Work, CertificateLook]


def only_revoked(work: Sequence[Replaced], tools: Tools) -> tuple[list[Replaced], dict[int, Outcome]]:
    """Part those whose certificate is revoked from those that wait for that.

    They wait as `awaiting`: a job that is due would stand in the line of its device before the job that revokes.
    """
    lists = revocations_of({certificate.ca_name or "" for _, certificate in work}, tools)
    noted = tools.revocations([one.job.target for one, _ in work])
    revoked: list[Replaced] = []
    outcomes: dict[int, Outcome] = {}
    for one, certificate in work:
        if outcome := _barred(one, certificate, lists, noted.get(one.job.target, ()), tools):
            outcomes[one.job.id] = outcome
        else:
            revoked.append((one, certificate))
    return revoked, outcomes


def _barred(
    work: Work, certificate: CertificateLook, lists: Lists, noted: Sequence[Noted], tools: Tools
) -> Outcome | None:
    name = certificate.ca_name or ""
    listed = lists.by_name.get(name)
    if listed is None:
        return outcome_of(lists.errors[name])
    if listed.lists(certificate.serial):
        return None
    if not is_named(certificate, noted):
        if leaked := of_same_key(certificate, noted):
            return _also_revoked(work, certificate, leaked, tools)
        if key_of(certificate) == NO_KEY and (leaked := revoked_in_renewal(noted)):
            return _for_a_person(certificate, leaked)
        if is_younger(certificate, work.job):
            return refused(
                f"the wish is older than the device's certificate, {told(certificate)}, which is not revoked"
            )
    why = listed.fault or f"{listed.told()} does not show {told(certificate)}"
    return _waiting(work, f"not replaced before it is revoked: {why}", tools)


def _also_revoked(work: Work, certificate: CertificateLook, leaked: str, tools: Tools) -> Outcome:
    """Have this one revoked, once: after that it is awaited as any other."""
    serial = _octets(certificate)
    reason = f"it was renewed meanwhile: {told(certificate)} has the key of serial {leaked}, which is revoked"
    if work.job.progress.get(_ALSO) == serial:
        return _waiting(work, f"not replaced before it is revoked too: {reason}", tools)
    revoke = RevokeCertificateParameters(serial=serial, ca_name=certificate.ca_name).model_dump(mode="json")
    return Spawn(
        reason=f"{reason}; revoking this one too",
        children=[NewJob(operation=RevokeCertificate.name, target=work.job.target, parameters=revoke)],
        look_at=tools.clock() + LOOK_AGAIN,
        progress={**work.job.progress, _ALSO: serial},
    )


def _for_a_person(certificate: CertificateLook, leaked: str) -> Parked:
    return refused(
        f"a renewal was under way when serial {leaked} was revoked, and u-blox does not show whether"
        f" {told(certificate)}, has the same key: revoke it too (ublox.revoke_certificate with"
        f" serial={_octets(certificate)}), then retry this job"
    )


def _octets(certificate: CertificateLook) -> str:
    """The serial number as the parameters of a revocation have it."""
    digits = f"{certificate.serial:x}"
    return digits.zfill(len(digits) + len(digits) % 2)


def _waiting(work: Work, reason: str, tools: Tools) -> Outcome:
    now, progress = tools.clock(), work.job.progress
    by = datetime.fromisoformat(progress[_BY]) if _BY in progress else now + tools.renewal_deadline
    if now >= by:
        return Parked(reason=f"{reason}; {by:%d %b %Y %H:%M} UTC has passed", because=ParkedBecause.EXHAUSTED)
    known: dict[str, Any] = {**progress, _BY: by.isoformat()}
    return Awaiting(
        reason=f"{reason}; looking again until {by:%d %b %Y %H:%M} UTC",
        look_at=min(now + LOOK_AGAIN, now + tools.renewal_look_every, by),
        progress=known,
    )
