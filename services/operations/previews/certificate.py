"""What ``ublox.renew_certificate`` would change: the certificate of each device, for money."""

from collections.abc import Mapping, Sequence

from schemas.diffs import Change, Diff
from schemas.jobs import Awaiting, Done, Job
from schemas.ublox import CertificateLook
from services.operations.bulk import in_halves
from services.operations.certificate_asking import DETAILS
from services.operations.certificate_facts import told
from services.operations.contract import Tools
from services.operations.previews.sketches import diff_of
from services.operations.renew_certificate import RenewalWork, RenewCertificateParameters, judged


def preview(jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    """Look and compare."""
    wanted = RenewCertificateParameters.model_validate(jobs[0].parameters)
    seen = in_halves([job.target for job in jobs], lambda uids: tools.ublox.information.look(uids, DETAILS))
    found: dict[int, Diff] = {}
    verdicts = judged(jobs, seen, wanted, tools)
    for job in jobs:
        look, verdict = seen.answers.get(job.target, {}).get(job.target), verdicts[job.id]
        if isinstance(verdict, RenewalWork):
            words = "would be renewed at the device's heartbeat; billed"
            found[job.id] = _renewed(job, verdict.certificate, wanted.validity_days, words)
        elif isinstance(verdict, Awaiting) and "asked" not in verdict.progress and look and look.certificate:
            found[job.id] = _renewed(job, look.certificate, wanted.validity_days, f"{verdict.reason}; billed")
        else:
            found[job.id] = diff_of(job, verdict)
    return found


def _renewed(job: Job, certificate: CertificateLook, days: int, words: str) -> Diff:
    then = f"a new serial, for {days} days"
    changes = [Change(what=f"certificate of {certificate.ca_name}", now=told(certificate), then=then)]
    return diff_of(job, Done(note=words), changes)
