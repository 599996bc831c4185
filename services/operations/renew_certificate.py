"""``ublox.renew_certificate``: the device gets a new certificate for its old key pair.

Source: Security Services REST APIs 1.1.29, ``/ztp/devicecertificate/renew``. The answer 200 means accepted: the device
acts at its next heartbeat. Every renewal is billed, so none is asked for twice by accident: what a job knows of its own
request stands in its progress (`renewal_progress`), committed before each call and only while the job is ours.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import Busy, LedgerUnavailable, UpstreamError
from schemas.events import EventType, parse_timestamp
from schemas.jobs import Again, Done, Job, Outcome, Parked, ParkedBecause
from schemas.ublox import BATCH, CertificateLook, Detail, DeviceLook, read_serial
from services.operations.bulk import Unsent, in_halves
from services.operations.contract import Tools, outcome_of
from services.operations.renewal_progress import (
    deadline_of,
    in_doubt,
    look_failed,
    sending,
    still_waiting,
    taken,
    unknown,
    waits,
)

ROUNDS: Final = 2
"""How often a renewal is asked for when the deadline passes without a new serial number."""

LAST_CALL: Final = timedelta(minutes=8)
"""An attempt older than this makes no further call: soon its lease ends, and another may have its jobs."""

_NOT_TAKEN: Final = frozenset({401, 403, 404, 410, 429})
"""Answers after which it is certain that nothing was asked for; any other failure leaves a doubt."""

DETAILS = (Detail.CORE, Detail.PROVISIONING, Detail.ZTP)
"""What a look asks for."""

_Work = tuple[Job, CertificateLook]


class RenewCertificateParameters(BaseModel):
    """How long the new certificate should live."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validity_days: int = Field(default=365, ge=30, le=3650, description="30 to 3650; u-blox advises at most 365")


class RenewCertificate:
    """Renews the certificates of up to 100 devices in one call for each CA."""

    name: ClassVar = "ublox.renew_certificate"
    parameters: ClassVar[type[BaseModel]] = RenewCertificateParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look and compare; what is left is asked for. The second look comes when the device has had its heartbeat."""
        wanted = RenewCertificateParameters.model_validate(jobs[0].parameters)
        seen = in_halves([job.target for job in jobs], lambda uids: tools.ublox.look(uids, DETAILS))
        outcomes: dict[int, Outcome] = {}
        to_ask: dict[str, list[_Work]] = defaultdict(list)
        for job in jobs:
            if error := seen.errors.get(job.target):
                outcomes[job.id] = look_failed(job, error, tools)
                continue
            verdict = compared(job, seen.answers[job.target].get(job.target), tools)
            if isinstance(verdict, CertificateLook):
                to_ask[verdict.ca_name or ""].append((job, verdict))
            else:
                outcomes[job.id] = verdict
        for ca_name, group in to_ask.items():
            outcomes |= _ask(ca_name, group, wanted.validity_days, tools)
        return outcomes


def compared(job: Job, look: DeviceLook | None, tools: Tools) -> Outcome | CertificateLook:
    """What stands without another request; the certificate to renew when there is work."""
    if look is None or look.certificate is None:
        return _without_certificate(job, look, tools)
    certificate, asked = look.certificate, job.progress.get("asked")
    if asked and certificate.serial != read_serial(job.progress["serial"]):
        return Done(note=f"looked again: {told(certificate)}")
    if asked != "taken" and look.renewal_pending:
        return taken(job, certificate, tools, "a renewal is under way")
    if waits(job):
        return _not_yet(job, look, certificate, tools)
    return _nothing_shown(job, look, certificate, tools)


def _nothing_shown(job: Job, look: DeviceLook, certificate: CertificateLook, tools: Tools) -> Outcome | CertificateLook:
    """Nothing shows that a request arrived: perhaps none was sent."""
    asked = job.progress.get("asked")
    if doubt := in_doubt(job, tools):
        return doubt
    if asked and look.renewal_pending is None:
        return unknown(job, certificate, tools)
    if not asked and _is_news_of_an_older_one(job, certificate):
        return Done(note=f"the notice is about an older certificate; {told(certificate)}")
    return _may_ask(look, certificate)


def _may_ask(look: DeviceLook, certificate: CertificateLook) -> Outcome | CertificateLook:
    if look.blacklisted:
        return Parked(reason="the device is blacklisted: it gets no certificate", because=ParkedBecause.REFUSED)
    if not certificate.ca_name:
        return Parked(reason="u-blox does not tell the certificate's CA", because=ParkedBecause.REFUSED)
    return certificate


def _without_certificate(job: Job, look: DeviceLook | None, tools: Tools) -> Outcome:
    """An answer that tells no certificate: only the renewal event can prove the work then."""
    named = read_serial(job.evidence.get("serial")) if _came_with(EventType.CERTIFICATE_RENEWAL, job) else None
    if job.progress.get("asked") and named is not None and named != read_serial(job.progress["serial"]):
        return Done(note=f"the renewal event names serial {named:x}; u-blox shows no certificate to look at")
    if waits(job) and tools.clock() < deadline_of(job):
        return still_waiting(job, tools, "u-blox shows no certificate now; waiting")
    what = "not about this device" if look is None else "shows no certificate to renew"
    return in_doubt(job, tools) or Parked(reason=f"u-blox answers, but {what}", because=ParkedBecause.REFUSED)


def _not_yet(job: Job, look: DeviceLook, certificate: CertificateLook, tools: Tools) -> Outcome | CertificateLook:
    if tools.clock() < deadline_of(job):
        return still_waiting(job, tools)
    if job.progress["rounds"] >= ROUNDS:
        reason = f"{ROUNDS} deadlines passed, and the device still has {told(certificate)}: does it still wake up?"
        return Parked(reason=reason, because=ParkedBecause.EXHAUSTED)
    if look.renewal_pending:  # asking again would change nothing but the bill
        return taken(job, certificate, tools, "the renewal still stands at u-blox")
    return _may_ask(look, certificate)


def _ask(ca_name: str, group: Sequence[_Work], validity_days: int, tools: Tools) -> dict[int, Outcome]:
    work = {job.target: (job, certificate) for job, certificate in group}
    lost: set[str] = set()

    def send(uids: Sequence[str]) -> None:
        ours = _noted([work[uid] for uid in uids], tools)
        lost.update(set(uids) - set(ours))
        if ours:
            tools.ublox.renew_certificates(ours, ca_name, validity_days)

    sent = in_halves(list(work), send)
    return {
        job.id: _asked(job, certificate, sent.errors.get(uid), tools, went_out=uid not in sent.unsent)
        for uid, (job, certificate) in work.items()
        if uid not in lost
    }


def _noted(part: Sequence[_Work], tools: Tools) -> list[str]:
    """Commit that these are about to be sent; give the devices whose jobs are still ours.

    Raises:
        Unsent: the ledger cannot be written, or the attempt has taken too long.
    """
    if tools.clock() - part[0][0].claimed_at > LAST_CALL:
        raise Unsent(f"not sent: the attempt has lasted more than {LAST_CALL.seconds // 60} minutes")
    try:
        ours = tools.note([(job, sending(job, certificate, tools)) for job, certificate in part])
    except LedgerUnavailable as error:
        raise Unsent(f"not sent: {error}") from error
    return [job.target for job, _ in part if job.id in ours]


def _asked(
    job: Job, certificate: CertificateLook, error: UpstreamError | None, tools: Tools, *, went_out: bool
) -> Outcome:
    if error is None:
        return taken(job, certificate, tools, "u-blox took the renewal")
    if isinstance(error, Unsent):
        return Again(reason=str(error), counts=False, progress=job.progress)
    outcome = outcome_of(error)
    if not isinstance(outcome, Again):
        return outcome
    certain = isinstance(error, Busy) or error.status in _NOT_TAKEN or not (went_out and error.sent)
    return replace(outcome, progress=job.progress if certain else sending(job, certificate, tools))


def _is_news_of_an_older_one(job: Job, certificate: CertificateLook) -> bool:
    """A late notice: it names another serial number, and what the device has now lives longer than what it tells of."""
    named, expires = read_serial(job.evidence.get("serial")), job.evidence.get("expires")
    if not _came_with(EventType.CERTIFICATE_EXPIRATION, job) or named is None or named == certificate.serial:
        return False
    if certificate.expires_at is None or expires is None:
        return False
    try:
        return certificate.expires_at > parse_timestamp(expires)
    except ValueError:
        return False


def _came_with(event_type: EventType, job: Job) -> bool:
    return bool(job.evidence.get("type") == event_type)


def told(certificate: CertificateLook) -> str:
    """A certificate for a person."""
    expires = f", expires {certificate.expires_at:%d %b %Y}" if certificate.expires_at else ""
    return f"serial {certificate.serial:x}{expires}"
