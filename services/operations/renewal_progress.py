"""A renewal's own part of `certificate_progress`: the serial number before the request, and the waits that it makes.

Before anything is asked for, a renewal "in time" waits as `awaiting`, with no progress: it holds up no other work on
its device, a window that binds it is kept, and a renewal event wakes it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

import structlog

from schemas.events import EventType
from schemas.jobs import Awaiting, Done, Job, Outcome, Parked, ParkedBecause
from schemas.ublox import CertificateLook, DeviceLook, read_serial
from services.operations.certificate_facts import told
from services.operations.certificate_progress import BEFORE_EXPIRY, Before, deadline_of
from services.operations.contract import Tools
from services.operations.renewal_lead import is_silent, next_look, renewal_due_at

REDRIVEN: Final = "redriven"
"""In the progress of a job that was parked and tried again because its device had called in: when that was."""

SCANNED: Final = "certificate scan"
"""What the evidence of a renewal has for its type that the certificate scan asked for."""

log = structlog.get_logger(__name__)


def before(job: Job, look: DeviceLook, certificate: CertificateLook) -> Before:
    """What is true before a request."""
    known: dict[str, Any] = {"serial": f"{certificate.serial:x}"}
    if REDRIVEN in job.progress:
        known[REDRIVEN] = job.progress[REDRIVEN]
    return Before(known=known, ends=certificate.expires_at, heartbeat=look.heartbeat)


def changed(job: Job, certificate: CertificateLook) -> bool:
    """Whether the device has another certificate than before the request."""
    serial = job.progress.get("serial")
    return serial is not None and certificate.serial != read_serial(serial)


def paced(outcome: Outcome, look: DeviceLook, tools: Tools) -> Outcome:
    """Look again when the device is expected to have called in, and never behind the deadline."""
    if not isinstance(outcome, Awaiting):
        return outcome
    deadline = datetime.fromisoformat(outcome.progress["deadline"])
    at = next_look(look, tools.clock(), tools.renewal_look_every)
    return replace(outcome, look_at=min(at, deadline))


def not_yet_due(job: Job, look: DeviceLook, certificate: CertificateLook, tools: Tools) -> Awaiting | Done | None:
    """Whether a renewal "in time" waits, or is not needed any more; None where it is to be asked for now.

    Moments are whole days of UTC, so that renewals of a day share a call.
    """
    news = job.evidence if job.evidence.get("type") == EventType.CERTIFICATE_RENEWAL else {}
    if read_serial(news.get("serial")) == certificate.serial:
        return Done(note=f"renewed already: {told(certificate)}")
    now, due = tools.clock(), renewal_due_at(look, tools.clock())
    if due is None or certificate.expires_at is None or is_silent(look, now):
        return None
    at = due.replace(hour=0, minute=0, second=0, microsecond=0)
    if at <= now:
        return None
    lead = (certificate.expires_at - at).days
    reason = f"{told(certificate)}; to be renewed from {at:%d %b %Y}, {lead} days before"
    return Awaiting(reason=reason, look_at=at, progress=job.progress)


def near_its_end(certificate: CertificateLook, now: datetime) -> bool:
    """Whether it is time to tell a person, who can still act."""
    return certificate.expires_at is not None and certificate.expires_at - now <= BEFORE_EXPIRY


def given_up(
    job: Job, look: DeviceLook, certificate: CertificateLook, why: str, *, progress: Mapping[str, Any] | None = None
) -> Parked:
    """A person must see to the device; the alarm is raised here, where the end of its certificate is known."""
    seen = "" if look.last_seen is None else f" (last seen {look.last_seen:%d %b %Y %H:%M} UTC)"
    reason = f"{why}, and the device{seen} still has {told(certificate)}: does it still wake up?"
    log.error("alert", alert=f"device {job.target}: its certificate is not renewed; {reason}", job_id=job.id)
    return Parked(reason=reason, because=ParkedBecause.EXHAUSTED, progress=progress)


def time_is_up(job: Job, tools: Tools) -> bool:
    """Whether the deadline has passed."""
    return tools.clock() >= deadline_of(job)
