"""The order of a compromise: nothing is replaced before the revocation list shows the old certificate.

Once an update is under way u-blox refuses to revoke, so whoever replaced first could not revoke for two heartbeats.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.jobs import Awaiting, Outcome, Parked, ParkedBecause
from schemas.ublox import CertificateLook
from services.operations.certificate_asking import Work, refused
from services.operations.certificate_facts import is_younger, told
from services.operations.certificate_revocations import Lists, revocations_of
from services.operations.contract import Tools, outcome_of

LOOK_AGAIN: Final = timedelta(minutes=10)
"""Between two looks at the list, while the revocation is awaited."""

_BY: Final = "revoked_by"
"""In the progress: until when the revocation is awaited."""

Replaced = tuple[Work, CertificateLook]


def only_revoked(work: Sequence[Replaced], tools: Tools) -> tuple[list[Replaced], dict[int, Outcome]]:
    """Part those whose certificate is revoked from those that wait for that.

    They wait as `awaiting`: a job that is due would stand in the line of its device before the job that revokes.
    """
    lists = revocations_of({certificate.ca_name or "" for _, certificate in work}, tools)
    revoked: list[Replaced] = []
    outcomes: dict[int, Outcome] = {}
    for one, certificate in work:
        if outcome := _barred(one, certificate, lists, tools):
            outcomes[one.job.id] = outcome
        else:
            revoked.append((one, certificate))
    return revoked, outcomes


def _barred(work: Work, certificate: CertificateLook, lists: Lists, tools: Tools) -> Outcome | None:
    name = certificate.ca_name or ""
    listed = lists.by_name.get(name)
    if listed is None:
        return outcome_of(lists.errors[name])
    if listed.lists(certificate.serial):
        return None
    if is_younger(certificate, work.job.evidence):
        return refused(f"the event is older than the device's certificate, {told(certificate)}, which is not revoked")
    why = listed.fault or f"{listed.told()} does not show {told(certificate)}"
    return _waiting(work, f"not replaced before it is revoked: {why}", tools)


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
