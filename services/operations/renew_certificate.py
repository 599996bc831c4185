"""``ublox.renew_certificate``: the device gets a new certificate for its old key pair.

Source: Security Services REST APIs 1.1.29, ``/ztp/devicecertificate/renew``. The answer 200 means accepted: the device
acts at its next heartbeat. Every renewal is billed, so none is asked for twice by accident. What a job knows of its own
request stands in its progress, committed before the call:

    {}                    nothing was asked for
    {"asked": "sending"}  a request may have gone out, its answer is not known; `serial` is the one before it
    {"asked": "taken"}    u-blox took it; `rounds` says how often, `since` the last time
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import UpstreamError
from schemas.events import parse_timestamp
from schemas.jobs import Again, Awaiting, Done, Job, Outcome, Parked, ParkedBecause
from schemas.ublox import BATCH, CertificateLook, Detail, DeviceLook, read_serial
from services.operations.bulk import in_halves
from services.operations.contract import Tools, outcome_of

ROUNDS: Final = 2
"""How often a renewal is asked for when the deadline passes without a new serial number."""

_NOT_TAKEN: Final = frozenset({401, 403, 409, 429})
"""Answers after which it is certain that nothing was asked for; any other failure leaves a doubt."""

_DETAILS = (Detail.PROVISIONING, Detail.ZTP)


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
        seen = in_halves([job.target for job in jobs], lambda uids: tools.ublox.look(uids, _DETAILS))
        outcomes: dict[int, Outcome] = {}
        to_ask: dict[str, list[tuple[Job, CertificateLook]]] = defaultdict(list)
        for job in jobs:
            if error := seen.errors.get(job.target):
                outcomes[job.id] = outcome_of(error)
                continue
            verdict = _compared(job, seen.answers[job.target].get(job.target), tools)
            if isinstance(verdict, CertificateLook):
                to_ask[verdict.ca_name or ""].append((job, verdict))
            else:
                outcomes[job.id] = verdict
        for ca_name, group in to_ask.items():
            outcomes |= _ask(ca_name, group, wanted.validity_days, tools)
        return outcomes


def _compared(job: Job, look: DeviceLook | None, tools: Tools) -> Outcome | CertificateLook:
    """What stands without another request; the certificate to renew when there is work."""
    if look is None or look.certificate is None:
        return _without_certificate(job, look)
    certificate, asked = look.certificate, job.progress.get("asked")
    if asked and certificate.serial != read_serial(job.progress["serial"]):
        return Done(note=f"looked again: {_told(certificate)}")
    if asked == "taken":
        return _not_yet(job, certificate, tools)
    if look.renewal_pending or (asked and look.renewal_pending is None):
        return _taken(job, certificate, tools, "a renewal is under way; waiting for the device's heartbeat")
    return certificate if asked else _fresh(job, certificate)


def _fresh(job: Job, certificate: CertificateLook) -> Outcome | CertificateLook:
    if not certificate.ca_name:
        return Parked(reason="u-blox does not tell the certificate's CA", because=ParkedBecause.REFUSED)
    if _is_news_of_an_older_one(job, certificate):
        return Done(note=f"the notice is about an older certificate; {_told(certificate)}")
    return certificate


def _without_certificate(job: Job, look: DeviceLook | None) -> Outcome:
    """An answer that tells no certificate: only the renewal event can prove the work then."""
    named = read_serial(job.evidence.get("serial"))
    if job.progress.get("asked") and named is not None and named != read_serial(job.progress["serial"]):
        return Done(note=f"the renewal event names serial {named:x}; u-blox shows no certificate to look at")
    what = "not about this device" if look is None else "shows no certificate to renew"
    return Parked(reason=f"u-blox answers, but {what}", because=ParkedBecause.REFUSED)


def _not_yet(job: Job, certificate: CertificateLook, tools: Tools) -> Outcome | CertificateLook:
    since = datetime.fromisoformat(job.progress["since"])
    deadline = since + tools.renewal_deadline
    if tools.clock() < deadline:
        return _awaiting(job.progress, deadline, tools, "waiting for the device's heartbeat")
    if job.progress["rounds"] < ROUNDS:
        return certificate
    reason = (
        f"u-blox took the renewal {ROUNDS} times, and the device still has {_told(certificate)}: does it still wake up?"
    )
    return Parked(reason=reason, because=ParkedBecause.EXHAUSTED)


def _ask(
    ca_name: str, group: Sequence[tuple[Job, CertificateLook]], validity_days: int, tools: Tools
) -> dict[int, Outcome]:
    noted = tools.note([(job, _sending(job, certificate)) for job, certificate in group])
    ours = [(job, certificate) for job, certificate in group if job.id in noted]
    uids = [job.target for job, _ in ours]
    sent = in_halves(uids, lambda part: tools.ublox.renew_certificates(part, ca_name, validity_days))
    return {job.id: _asked(job, certificate, sent.errors.get(job.target), tools) for job, certificate in ours}


def _asked(job: Job, certificate: CertificateLook, error: UpstreamError | None, tools: Tools) -> Outcome:
    if error is None:
        return _taken(job, certificate, tools, "u-blox took the renewal; waiting for the device's heartbeat")
    outcome = outcome_of(error)
    if not isinstance(outcome, Again):
        return outcome
    in_doubt = error.sent and error.status not in _NOT_TAKEN
    return replace(outcome, progress=_sending(job, certificate) if in_doubt else job.progress)


def _sending(job: Job, certificate: CertificateLook) -> dict[str, Any]:
    return {**job.progress, "asked": "sending", "serial": f"{certificate.serial:x}"}


def _taken(job: Job, certificate: CertificateLook, tools: Tools, reason: str) -> Awaiting:
    now = tools.clock()
    rounds = int(job.progress.get("rounds", 0)) + 1
    progress = {"asked": "taken", "serial": f"{certificate.serial:x}", "since": now.isoformat(), "rounds": rounds}
    return _awaiting(progress, now + tools.renewal_deadline, tools, reason)


def _awaiting(progress: Mapping[str, Any], deadline: datetime, tools: Tools, reason: str) -> Awaiting:
    look_at = min(tools.clock() + tools.renewal_look_every, deadline)
    return Awaiting(reason=f"{reason}, until {deadline:%d %b %Y %H:%M} UTC", look_at=look_at, progress=progress)


def _is_news_of_an_older_one(job: Job, certificate: CertificateLook) -> bool:
    """A late notice: it names another serial number, and what the device has now lives longer than what it tells of."""
    named, expires = read_serial(job.evidence.get("serial")), job.evidence.get("expires")
    if named is None or named == certificate.serial or certificate.expires_at is None or expires is None:
        return False
    try:
        return certificate.expires_at > parse_timestamp(expires)
    except ValueError:
        return False


def _told(certificate: CertificateLook) -> str:
    expires = f", expires {certificate.expires_at:%d %b %Y}" if certificate.expires_at else ""
    return f"serial {certificate.serial:x}{expires}"
