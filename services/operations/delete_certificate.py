"""``ublox.delete_certificate``: certificate and key pair leave the device.

Source: Security Services REST APIs 1.1.29, ``/ztp/devicecertificate/delete``. It takes one heartbeat, and revokes
nothing.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict

from schemas.jobs import Done, Job, Outcome
from schemas.ublox import BATCH, DeviceLook, read_serial
from services.operations.certificate_asking import (
    UPDATE,
    Kind,
    Work,
    ask,
    course,
    held_up,
    looked,
    refused,
    stands,
    stands_for,
)
from services.operations.certificate_facts import told
from services.operations.certificate_progress import Before
from services.operations.contract import Tools

_DELETION: Final = Kind(what="the deletion", told="DELETE")


class DeleteCertificateParameters(BaseModel):
    """There is nothing to choose."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DeleteCertificate:
    """Deletes the certificates of up to 100 devices in one call."""

    name: ClassVar = "ublox.delete_certificate"
    parameters: ClassVar[type[BaseModel]] = DeleteCertificateParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look and compare; what is left is asked for. The second look comes when the device has had its heartbeat."""
        seen, outcomes = looked(jobs, tools)
        to_ask: list[Work] = []
        for job, look in seen:
            verdict = _compared(job, look, tools)
            if isinstance(verdict, Before):
                to_ask.append(Work(job=job, look=look, before=verdict))
            else:
                outcomes[job.id] = verdict

        def delete(uids: Sequence[str]) -> None:
            tools.ublox.certificates.delete(uids)

        return outcomes | ask(to_ask, _DELETION, delete, tools)


def _compared(job: Job, look: DeviceLook, tools: Tools) -> Outcome | Before:
    """What stands without another request; what is true before one when there is work."""
    certificate, asked = look.certificate, job.progress.get("asked")
    if stands(look, UPDATE):
        return held_up("a certificate update is under way; a deletion waits for its heartbeats")
    if certificate is None:
        return _gone(look, asked=bool(asked))
    if asked and certificate.serial != read_serial(job.progress["serial"]):
        return refused(f"after the deletion was asked for the device got another certificate, {told(certificate)}")
    standing = stands_for(job, look, _DELETION)
    before = Before(known={"serial": f"{certificate.serial:x}"}, heartbeat=look.heartbeat)
    work = Work(job=job, look=look, before=before)
    return course(work, _DELETION, tools, standing=standing, has=f"still has {told(certificate)}") or before


def _gone(look: DeviceLook, *, asked: bool) -> Outcome:
    """No certificate is shown: the end of the work, unless the deletion still waits for the device.

    Before anything was asked for, only an answer that tells of certificate actions proves that there is none.
    """
    if not asked and look.renewal_pending is None:
        return refused("u-blox shows neither a certificate nor whether an action waits: is there one to delete?")
    if not look.renewal_pending:
        return Done(note="u-blox shows that the device has no certificate")
    return held_up("the device shows no certificate, but a certificate action still waits for it")
