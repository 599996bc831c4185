"""``ublox.replace_certificate``: the device gets a new key pair and a certificate for it.

Source: Security Services REST APIs 1.1.29, ``/ztp/devicecertificate/update``. It takes two heartbeats: the first
removes the certificate, the second brings the new one, and in between the device has none. The document names no guard
against a second call, so an update that may be under way is never asked for twice. Each one is billed.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.jobs import Done, Job, Outcome
from schemas.ublox import BATCH, CertificateLook, DeviceLook, read_serial
from services.operations.certificate_asking import UPDATE, Work, ask, course, held_up, looked, refused, stands_for
from services.operations.certificate_facts import NO_KEY, key_of, told
from services.operations.certificate_progress import Before
from services.operations.certificate_revoked_first import only_revoked
from services.operations.contract import Tools

_BEATS: Final = 2


class ReplaceCertificateParameters(BaseModel):
    """In which order the old certificate goes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    after_revocation: bool = Field(
        default=False, description="wait until the CA's revocation list shows the old certificate as revoked"
    )


class ReplaceCertificate:
    """Replaces keys and certificates of up to 100 devices in one call for each CA."""

    name: ClassVar = "ublox.replace_certificate"
    parameters: ClassVar[type[BaseModel]] = ReplaceCertificateParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look and compare; what is left is asked for. The last look comes when the device has had two heartbeats."""
        wanted = ReplaceCertificateParameters.model_validate(jobs[0].parameters)
        seen, outcomes = looked(jobs, tools)
        to_ask: list[tuple[Work, CertificateLook]] = []
        for job, look in seen:
            verdict = _compared(job, look, tools)
            if isinstance(verdict, Before) and look.certificate is not None:
                to_ask.append((Work(job=job, look=look, before=verdict), look.certificate))
            elif not isinstance(verdict, Before):
                outcomes[job.id] = verdict
        if wanted.after_revocation and to_ask:
            to_ask, waiting = only_revoked(to_ask, tools)
            outcomes |= waiting
        by_ca: dict[str, list[Work]] = defaultdict(list)
        for work, certificate in to_ask:
            by_ca[certificate.ca_name or ""].append(work)
        for ca_name, group in by_ca.items():
            outcomes |= ask(group, UPDATE, partial(_update, ca_name, tools), tools)
        return outcomes


def _update(ca_name: str, tools: Tools, uids: Sequence[str]) -> None:
    tools.ublox.certificates.update(uids, ca_name)


def _compared(job: Job, look: DeviceLook, tools: Tools) -> Outcome | Before:
    """What stands without another request; what is true before one when there is work."""
    certificate, standing = look.certificate, _standing(job, look)
    if job.progress.get("asked") and certificate is not None and (outcome := _met(job, certificate, standing=standing)):
        return outcome
    before = _before(job, look)
    has = "has no certificate" if certificate is None else f"has {told(certificate)}"
    if outcome := course(Work(job=job, look=look, before=before), UPDATE, tools, standing=standing, has=has):
        return outcome
    return _barred(look) or before


def _standing(job: Job, look: DeviceLook) -> bool | None:
    """Whether an update is under way; between its heartbeats the device has no certificate."""
    standing = stands_for(job, look, UPDATE)
    return True if standing is None and look.certificate is None and job.progress.get("asked") else standing


def _met(job: Job, certificate: CertificateLook, *, standing: bool | None) -> Outcome | None:
    """The end of the work: another serial number, and another public key where the service shows both."""
    if certificate.serial == read_serial(job.progress["serial"]):
        return None
    before, now = job.progress["key"], key_of(certificate)
    if NO_KEY not in {before, now} and before != now:
        return Done(note=f"looked again: {told(certificate)}, with a new public key")
    if standing:
        return None
    if NO_KEY in {before, now}:
        return Done(note=f"looked again: {told(certificate)}; the service does not show whether the key is new")
    if standing is False and job.progress["asked"] == "taken":
        return refused(f"the device has {told(certificate)}, but its key is the old one: it was renewed, not replaced")
    return None


def _before(job: Job, look: DeviceLook) -> Before:
    """What is true before the request; a device between two heartbeats still has what was noted."""
    certificate = look.certificate
    if certificate is None:
        known = {"serial": job.progress.get("serial"), "key": job.progress.get("key", NO_KEY)}
        return Before(known=known, heartbeat=look.heartbeat, beats=_BEATS)
    known = {"serial": f"{certificate.serial:x}", "key": key_of(certificate)}
    return Before(known=known, ends=certificate.expires_at, heartbeat=look.heartbeat, beats=_BEATS)


def _barred(look: DeviceLook) -> Outcome | None:
    """Why nothing may be asked for, if so."""
    if look.renewal_pending and look.desired_action is None:
        return held_up("a certificate action waits for the device, and u-blox does not name it: perhaps an update")
    if look.certificate is None:
        return refused("u-blox answers, but shows no certificate to replace")
    if look.blacklisted:
        return refused("the device is blacklisted: it gets no certificate")
    if not look.certificate.ca_name:
        return refused("u-blox does not tell the certificate's CA")
    return None
