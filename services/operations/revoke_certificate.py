"""``ublox.revoke_certificate``: a certificate is void at once, wherever the revocation list is read.

Source: Security Services REST APIs 1.1.29, ``/ztp/devicecertificate/revoke``: one certificate a call, without the
device, refused while an update is under way. The certificate stays on the device.

The job remembers the certificate of its first look before it acts, and names that serial number in every call: however
often it is repeated, it revokes this one and never the one that came in its place.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from schemas.jobs import Job, Outcome
from schemas.ublox import BATCH, CertificateLook, DeviceLook, read_serial
from schemas.ublox.words import CaName
from services.operations.certificate_asking import UPDATE, looked, refused, stands
from services.operations.certificate_facts import is_younger, key_of, told
from services.operations.certificate_revoking import Target, revoke
from services.operations.contract import Tools

_MOST_DIGITS: Final = 40
"""RFC 5280: a serial number has at most 20 octets."""


def _whole_octets(given: str) -> str:
    digits = given.replace(":", "").strip().lower()
    if not digits.strip("0") or digits.strip("0123456789abcdef") or len(digits) > _MOST_DIGITS:
        raise ValueError(f"a serial number is 2 to {_MOST_DIGITS} hexadecimal digits, and not zero")
    if len(digits) % 2:
        text = f"a serial number is an even number of hexadecimal digits, not {len(digits)}"
        raise ValueError(f"{text}: put a 0 before it where u-blox shows it without its leading zero")
    return digits


class RevokeCertificateParameters(BaseModel):
    """Which certificate."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    serial: Annotated[str, AfterValidator(_whole_octets)] | None = Field(
        default=None,
        description="hexadecimal; the certificate that the device has at the job's first look, if left out",
    )
    ca_name: CaName | None = Field(
        default=None,
        description="the CA of `serial`, where the device has a certificate of another CA now",
    )


class RevokeCertificate:
    """Revokes certificates one by one, and looks at their CAs' revocation lists once for all of them."""

    name: ClassVar = "ublox.revoke_certificate"
    parameters: ClassVar[type[BaseModel]] = RevokeCertificateParameters
    batch: ClassVar = BATCH

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look, compare, act, look at the revocation list."""
        wanted = RevokeCertificateParameters.model_validate(jobs[0].parameters)
        targets = [_remembered(job) for job in jobs if "serial" in job.progress]
        seen, outcomes = looked([job for job in jobs if "serial" not in job.progress], tools)
        for job, look in seen:
            verdict = _aimed(job, look, wanted)
            if isinstance(verdict, Target):
                targets.append(verdict)
            else:
                outcomes[job.id] = verdict
        return outcomes | revoke(targets, tools)


def _remembered(job: Job) -> Target:
    return Target(job=job, serial=int(job.progress["serial"], 16), ca_name=job.progress["ca"])


def _aimed(job: Job, look: DeviceLook, wanted: RevokeCertificateParameters) -> Target | Outcome:
    """Settle which certificate it is, once for all attempts."""
    certificate, named = look.certificate, read_serial(wanted.serial)
    if named is None and certificate is None:
        return refused("u-blox answers, but shows no certificate to revoke: give the serial number of the one you mean")
    serial = certificate.serial if named is None and certificate is not None else named or 0
    if certificate is not None and certificate.serial == serial:
        return _of_device(job, look, certificate, wanted)
    ca_name = wanted.ca_name or (certificate.ca_name if certificate else None)
    if ca_name is None:
        return refused("the device does not have this certificate now: give the ca_name of its CA")
    return Target(job=job, serial=serial, ca_name=ca_name, updating=bool(stands(look, UPDATE)))


def _of_device(
    job: Job, look: DeviceLook, certificate: CertificateLook, wanted: RevokeCertificateParameters
) -> Target | Outcome:
    ca_name = certificate.ca_name or wanted.ca_name
    if ca_name is None:
        return refused("u-blox does not tell the certificate's CA: give its ca_name")
    if wanted.ca_name is not None and wanted.ca_name != ca_name:
        return refused(f"the certificate is of {ca_name}, not of {wanted.ca_name}")
    if wanted.serial is None and is_younger(certificate, job):
        return refused(
            f"the wish is older than the device's certificate, {told(certificate)}: renewed, it has the old key, and"
            " replaced, a new one; a person must name the serial number that is meant"
        )
    updating = bool(stands(look, UPDATE))
    return Target(
        job=job,
        serial=certificate.serial,
        ca_name=ca_name,
        key=key_of(certificate),
        pending=bool(look.renewal_pending) and not updating,
        updating=updating,
    )
