"""``ublox.transfer_root_ca``: the device's certificate is replaced by one that another root CA signs.

Source: Security Services REST APIs 1.1.29, ``/ztp/devicecertificate/rootca/transfer``. It takes one heartbeat. Whether
the device keeps its keys is not stated; so one that is revoked is not transferred.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.jobs import Done, Job, Outcome
from schemas.ublox import BATCH, DeviceLook, read_serial
from schemas.ublox.words import CaName
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
from services.operations.certificate_voided import not_voided
from services.operations.contract import Tools
from services.operations.renewal_progress import REDRIVEN, before

_TRANSFER: Final = Kind(what="the transfer", told="TRANSFER")

_REMEDY: Final = (
    "replace the certificate (ublox.replace_certificate), then retry this job; or delete it (ublox.delete_certificate)"
)
"""A device that is left with a revoked certificate keeps its root CA from being deleted."""


class TransferRootCaParameters(BaseModel):
    """From which CA to which."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_ca: CaName = Field(description="the CA that signed the device's certificate")
    to_ca: CaName = Field(description="the CA that shall sign the next one")

    @model_validator(mode="after")
    def _two_of_them(self) -> Self:
        if self.from_ca == self.to_ca:
            raise ValueError("from_ca and to_ca are the same: nothing would be transferred")
        return self


class TransferRootCa:
    """Transfers up to 100 devices in one call."""

    name: ClassVar = "ublox.transfer_root_ca"
    parameters: ClassVar[type[BaseModel]] = TransferRootCaParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look and compare; what is left is asked for. The second look comes when the device has had its heartbeat."""
        wanted = TransferRootCaParameters.model_validate(jobs[0].parameters)
        seen, outcomes = looked(jobs, tools)
        to_ask: list[Work] = []
        for job, look in seen:
            verdict = _compared(job, look, wanted, tools)
            if isinstance(verdict, Before):
                to_ask.append(Work(job=job, look=look, before=verdict))
            else:
                outcomes[job.id] = verdict

        def transfer(uids: Sequence[str]) -> None:
            tools.ublox.certificates.transfer(uids, wanted.from_ca, wanted.to_ca)

        to_ask, barred = not_voided(to_ask, tools, remedy=_REMEDY)
        return outcomes | barred | ask(to_ask, _TRANSFER, transfer, tools)


def _compared(job: Job, look: DeviceLook, wanted: TransferRootCaParameters, tools: Tools) -> Outcome | Before:
    """What stands without another request; what is true before one when there is work."""
    certificate, asked = look.certificate, job.progress.get("asked")
    if certificate is not None and certificate.ca_name == wanted.to_ca:
        if not asked:
            return Done(note=f"already of {wanted.to_ca}: {told(certificate)}")
        if certificate.serial != read_serial(job.progress["serial"]):
            return Done(note=f"looked again: of {wanted.to_ca}, {told(certificate)}")
    standing = stands_for(job, look, _TRANSFER)
    now_true = _before(job, look)
    has = "has no certificate" if certificate is None else f"has {told(certificate)} of {certificate.ca_name}"
    work = Work(job=job, look=look, before=now_true)
    return course(work, _TRANSFER, tools, standing=standing, has=has) or _barred(look, wanted) or now_true


def _before(job: Job, look: DeviceLook) -> Before:
    if look.certificate is None:
        known = {name: job.progress[name] for name in ("serial", REDRIVEN) if name in job.progress}
        return Before(known={"serial": None, **known}, heartbeat=look.heartbeat)
    return before(job, look, look.certificate)


def _barred(look: DeviceLook, wanted: TransferRootCaParameters) -> Outcome | None:
    """Why nothing may be asked for, if so."""
    if stands(look, UPDATE):
        return held_up("a certificate update is under way; a transfer waits for its heartbeats")
    if look.certificate is None:
        return refused("u-blox answers, but shows no certificate to transfer")
    if look.blacklisted:
        return refused("the device is blacklisted: it gets no certificate")
    if look.certificate.ca_name != wanted.from_ca:
        return refused(f"the certificate is of {look.certificate.ca_name or 'an unknown CA'}, not of {wanted.from_ca}")
    return None
