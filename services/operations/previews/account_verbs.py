"""What the verbs on a u-blox account would change, by a rehearsal; what u-blox itself would refuse is not known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from schemas.diffs import Change, Diff
from schemas.errors import UpstreamError
from schemas.jobs import Again, Awaiting, Done, Job, Outcome, Spawn
from services.operations.bulk import Unsent
from services.operations.check_clones import CheckClones
from services.operations.contract import Operation, Tools, outcome_of
from services.operations.delete_certificate import DeleteCertificate
from services.operations.previews.account import StagedUblox, revoked
from services.operations.previews.sketches import diff_of
from services.operations.replace_certificate import ReplaceCertificate
from services.operations.revoke_certificate import RevokeCertificate
from services.operations.set_provisioning import SetProvisioning
from services.operations.set_whitelist import SetWhitelist
from services.operations.tag import Tag
from services.operations.transfer_root_ca import TransferRootCa

FORETOLD: Final = "the job would come to this: "
"""Before an outcome that is no report: what it says was seen was not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rehearsal:
    """What came of it.

    Attributes:
        noted: what each job wrote down before it acted.
    """

    stage: StagedUblox
    outcomes: Mapping[int, Outcome]
    noted: Mapping[int, Mapping[str, Any]]


def rehearse(verb: Operation, jobs: Sequence[Job], tools: Tools) -> Rehearsal:
    """Run a verb on a stage; whatever has no outcome in time is told as that."""
    noted: dict[int, Mapping[str, Any]] = {}

    def note(progress: Sequence[tuple[Job, Mapping[str, Any]]]) -> set[int]:
        noted.update({job.id: known for job, known in progress})
        return tools.note(progress)

    def go_on() -> None:
        if not tools.note([(jobs[0], {})]):
            raise Unsent("there was no time to look")

    stage = StagedUblox(tools.ublox, go_on=go_on, clock=tools.clock)
    try:
        outcomes = verb.perform(jobs, replace(tools, ublox=stage.as_client(), note=note))
    except UpstreamError as error:
        return Rehearsal(stage=stage, outcomes=dict.fromkeys([job.id for job in jobs], outcome_of(error)), noted=noted)
    late: dict[int, Outcome] = {job.id: Again(reason="there was no time to look") for job in jobs}
    return Rehearsal(stage=stage, outcomes={**late, **outcomes}, noted=noted)


def _told(verb: Operation, words: str, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    """Rehearse, and tell of each job what it would write, or the words in which it would write nothing."""
    played = rehearse(verb, jobs, tools)
    return {
        job.id: _written(job, played.outcomes[job.id], played.stage.changes.get(job.target, ()), words) for job in jobs
    }


def _written(job: Job, outcome: Outcome, changes: Sequence[Change], words: str) -> Diff:
    if not changes:
        return diff_of(job, outcome)
    foretold = "" if isinstance(outcome, Done | Awaiting) else f"; {FORETOLD}{outcome.reason}"
    return diff_of(job, Done(note=f"{words}{foretold}"), changes)


def _revoked(jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    """As `_told`; the calls name certificates and not devices."""
    played = rehearse(RevokeCertificate(), jobs, tools)
    found: dict[int, Diff] = {}
    for job in jobs:
        known = played.noted.get(job.id)
        changes = () if known is None else played.stage.changes.get(revoked(known["ca"], known["serial"]), ())
        found[job.id] = _written(job, played.outcomes[job.id], changes, "would be revoked at once, for good")
    return found


def _replaced(jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    """As `_told`; what waits for a revocation is replaced all the same."""
    words = "would be replaced, in two heartbeats of the device; billed"
    played = rehearse(ReplaceCertificate(), jobs, tools)
    found: dict[int, Diff] = {}
    for job in jobs:
        outcome, look, said = played.outcomes[job.id], played.stage.looks.get(job.target), words
        if isinstance(outcome, Awaiting | Spawn) and "asked" not in outcome.progress and look and look.certificate:
            played.stage.certificates.update([job.target], look.certificate.ca_name or "")
            said = outcome.reason
        found[job.id] = _written(job, outcome, played.stage.changes.get(job.target, ()), said)
    return found


VERBS: Final[Mapping[str, Callable[[Sequence[Job], Tools], Mapping[int, Diff]]]] = {
    "ublox.replace_certificate": _replaced,
    "ublox.revoke_certificate": _revoked,
    "ublox.delete_certificate": partial(
        _told, DeleteCertificate(), "would be deleted at the device's heartbeat, and not revoked"
    ),
    "ublox.transfer_root_ca": partial(
        _told, TransferRootCa(), "would be transferred at the device's heartbeat; billed"
    ),
    "ublox.set_provisioning": partial(
        _told, SetProvisioning(), "would be set at the device's heartbeat; each authorization that is applied is billed"
    ),
    "ublox.set_whitelist": partial(_told, SetWhitelist(), "would be changed at once"),
    "ublox.tag": partial(_told, Tag(), "would be changed at once"),
    "ublox.check_clones": partial(_told, CheckClones(), ""),
}
