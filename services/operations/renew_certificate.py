"""``ublox.renew_certificate``: the device gets a new certificate for its old key pair.

Source: Security Services REST APIs 1.1.29, ``/ztp/devicecertificate/renew``. The answer 200 means accepted: the device
acts at its next heartbeat. Every renewal is billed, so none is asked for twice by accident: what a job knows of its own
request stands in its progress (`certificate_progress`), committed before each call and only while the job is ours.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import Busy, UpstreamError
from schemas.events import EventType, parse_timestamp
from schemas.jobs import Done, Job, Outcome, Parked, ParkedBecause
from schemas.ublox import BATCH, CertificateLook, DeviceLook, read_serial
from services.operations.bulk import Sent, in_halves, looks_of
from services.operations.certificate_asking import DETAILS, Kind, Work, accepted, ask
from services.operations.certificate_facts import told
from services.operations.certificate_progress import (
    ROUNDS,
    in_doubt,
    look_failed,
    one_more_round,
    still_waiting,
    unknown,
    waits,
)
from services.operations.certificate_voided import not_voided, refused_for
from services.operations.contract import Tools
from services.operations.renewal_lead import ends_with_ca
from services.operations.renewal_progress import (
    SCANNED,
    before,
    changed,
    given_up,
    near_its_end,
    not_yet_due,
    paced,
    time_is_up,
)

_RENEWAL: Final = Kind(what="the renewal", told="RENEW")


@dataclass(frozen=True, kw_only=True, slots=True)
class RenewalWork(Work):
    """A job whose device has a certificate."""

    certificate: CertificateLook


class RenewCertificateParameters(BaseModel):
    """How long the new certificate should live, and when to ask for it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validity_days: int = Field(default=365, ge=30, le=3650, description="30 to 3650; u-blox advises at most 365")
    when: Literal["now", "in time"] = Field(
        default="now",
        description='"in time": not before the device needs it, two heartbeats and two days before the end',
    )


class RenewCertificate:
    """Renews the certificates of up to 100 devices in one call for each CA."""

    name: ClassVar = "ublox.renew_certificate"
    parameters: ClassVar[type[BaseModel]] = RenewCertificateParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look and compare; what is left is asked for. The second look comes when the device has had its heartbeat."""
        wanted = RenewCertificateParameters.model_validate(jobs[0].parameters)
        seen = in_halves([job.target for job in jobs], lambda uids: tools.ublox.information.look(uids, DETAILS))
        tools.remember(looks_of(seen))
        outcomes: dict[int, Outcome] = {}
        to_ask: dict[str, list[RenewalWork]] = defaultdict(list)
        for number, verdict in judged(jobs, seen, wanted, tools).items():
            if isinstance(verdict, RenewalWork):
                to_ask[verdict.certificate.ca_name or ""].append(verdict)
            else:
                outcomes[number] = verdict
        for ca_name, group in to_ask.items():
            outcomes |= _ask(ca_name, group, wanted.validity_days, tools)
        return outcomes


def judged(
    jobs: Sequence[Job], seen: Sent[dict[str, DeviceLook]], wanted: RenewCertificateParameters, tools: Tools
) -> dict[int, Outcome | RenewalWork]:
    """What stands without another request, by job; the work to ask for where there is some."""
    verdicts: dict[int, Outcome | RenewalWork] = {}
    for job in jobs:
        error = seen.errors.get(job.target)
        verdicts[job.id] = (
            look_failed(job, error, tools)
            if error
            else _compared(job, seen.answers[job.target].get(job.target), wanted, tools)
        )
    to_ask, barred = not_voided([one for one in verdicts.values() if isinstance(one, RenewalWork)], tools)
    return verdicts | barred | _in_vain(to_ask, tools)


def _compared(
    job: Job, look: DeviceLook | None, wanted: RenewCertificateParameters, tools: Tools
) -> Outcome | RenewalWork:
    if look is None or look.certificate is None:
        return _without_certificate(job, look, tools)
    work = RenewalWork(job=job, look=look, before=before(job, look, look.certificate), certificate=look.certificate)
    if changed(job, work.certificate):
        return Done(note=f"looked again: {told(work.certificate)}")
    if job.progress.get("asked") != "taken" and look.renewal_pending:
        return accepted(work, tools, "a renewal is under way")
    if waits(job):
        return _not_yet(work, tools)
    return _nothing_shown(work, wanted, tools)


def _nothing_shown(work: RenewalWork, wanted: RenewCertificateParameters, tools: Tools) -> Outcome | RenewalWork:
    """Nothing shows that a request arrived: perhaps none was sent."""
    job, asked = work.job, work.job.progress.get("asked")
    if doubt := in_doubt(job, tools):
        return doubt
    if asked and work.look.renewal_pending is None:
        return paced(unknown(job, work.before, tools), work.look, tools)
    if not asked and _is_news_of_an_older_one(job, work.certificate):
        return Done(note=f"the notice is about an older certificate; {told(work.certificate)}")
    if not asked and wanted.when == "in time" and not work.look.blacklisted:
        return not_yet_due(job, work.look, work.certificate, tools) or _may_ask(work)
    return _may_ask(work)


def _may_ask(work: RenewalWork) -> Outcome | RenewalWork:
    if work.look.blacklisted:
        return Parked(reason="the device is blacklisted: it gets no certificate", because=ParkedBecause.REFUSED)
    if not work.certificate.ca_name:
        return Parked(reason="u-blox does not tell the certificate's CA", because=ParkedBecause.REFUSED)
    return work


def _in_vain(work: Sequence[RenewalWork], tools: Tools) -> dict[int, Outcome]:
    """Those whose new certificate would end when the old one does."""
    ends = tools.ca_ends() if work else {}
    return {
        one.job.id: refused_for(
            one, f"{told(one.certificate)}, ends with its root CA {one.certificate.ca_name}: roll that"
        )
        for one in work
        if ends_with_ca(one.certificate.expires_at, ends.get(one.certificate.ca_name or ""))
    }


def _without_certificate(job: Job, look: DeviceLook | None, tools: Tools) -> Outcome:
    """An answer that tells no certificate: only the renewal event can prove the work then."""
    named = read_serial(job.evidence.get("serial")) if _came_with((EventType.CERTIFICATE_RENEWAL,), job) else None
    if job.progress.get("asked") and named is not None and named != read_serial(job.progress["serial"]):
        return Done(note=f"the renewal event names serial {named:x}; u-blox shows no certificate to look at")
    if waits(job) and not time_is_up(job, tools):
        return still_waiting(job, tools, "u-blox shows no certificate now; waiting")
    what = "not about this device" if look is None else "shows no certificate to renew"
    return in_doubt(job, tools) or Parked(reason=f"u-blox answers, but {what}", because=ParkedBecause.REFUSED)


def _not_yet(work: RenewalWork, tools: Tools) -> Outcome | RenewalWork:
    job = work.job
    if not time_is_up(job, tools):
        return paced(still_waiting(job, tools), work.look, tools)
    if (rounds := job.progress["rounds"]) >= ROUNDS or near_its_end(work.certificate, tools.clock()):
        why = f"{rounds} deadlines passed" if rounds > 1 else "the deadline passed"
        return given_up(job, work.look, work.certificate, why, progress=one_more_round(job.progress))
    if work.look.renewal_pending:  # asking again would change nothing but the bill
        return accepted(work, tools, "the renewal still stands at u-blox")
    return _may_ask(work)


def _ask(ca_name: str, group: Sequence[RenewalWork], validity_days: int, tools: Tools) -> dict[int, Outcome]:
    def renew(uids: Sequence[str]) -> None:
        tools.ublox.certificates.renew(uids, ca_name, validity_days)

    def judge(work: Work, error: UpstreamError) -> Outcome | None:
        certificate = work.look.certificate
        if certificate is None or not isinstance(error, Busy) or not near_its_end(certificate, tools.clock()):
            return None
        return given_up(work.job, work.look, certificate, f"{error}")

    return ask(group, _RENEWAL, renew, tools, judge=judge)


def _is_news_of_an_older_one(job: Job, certificate: CertificateLook) -> bool:
    """A late notice: it names another serial number, and what the device has now lives longer than what it tells of."""
    named, expires = read_serial(job.evidence.get("serial")), job.evidence.get("expires")
    if not _came_with((EventType.CERTIFICATE_EXPIRATION, SCANNED), job) or named is None or named == certificate.serial:
        return False
    if certificate.expires_at is None or expires is None:
        return False
    try:
        return certificate.expires_at > parse_timestamp(expires)
    except ValueError:
        return False


def _came_with(types: Sequence[str], job: Job) -> bool:
    return job.evidence.get("type") in types
