"""What ``ublox.roll_root_ca`` would change: the CA that there would be, and who would be transferred to it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from schemas.authorities import ca_of
from schemas.diffs import Change, Diff
from schemas.jobs import Ask, Done, Job
from services.operations.contract import Tools
from services.operations.previews.account_verbs import FORETOLD, rehearse
from services.operations.previews.sketches import diff_of, sketched
from services.operations.roll_parameters import RollRootCaParameters
from services.operations.roll_root_ca import TRANSFER, RollRootCa
from services.operations.roll_words import devices


def preview(jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    """Rehearse each as far as a person would be asked."""
    return {job.id: sketched(job, partial(_rehearsed, job, tools)) for job in jobs}


def _rehearsed(job: Job, tools: Tools) -> Diff:
    """The proof of possession needs the CA's key, which is u-blox's: it is left out of the rehearsal and told."""
    unproven = replace(job, parameters={**job.parameters, "registration_code": None})
    played = rehearse(RollRootCa(), [unproven], tools)
    outcome = played.outcomes[job.id]
    changes = [change for found in played.stage.changes.values() for change in found]
    wanted = RollRootCaParameters.model_validate(job.parameters)
    if not changes and not isinstance(outcome, Ask):
        return diff_of(job, outcome)
    if wanted.registration_code is not None:
        changes.append(Change(what="proof of possession", now="none", then="made for the registration code"))
    if isinstance(outcome, Ask):
        changes += _once_agreed(outcome, ca_of(job.target) or "")
    words = outcome.note if isinstance(outcome, Done) else outcome.reason
    return diff_of(job, Done(note=f"{FORETOLD}{words}"), changes)


def _once_agreed(asked: Ask, old: str) -> list[Change]:
    """What follows when a person agrees to the step that is asked for, and to the next."""
    deleted = Change(what=f"root CA {old}", now="there", then="deleted, once a person agreed and nobody needs it")
    if asked.step != TRANSFER:
        return [deleted]
    count, new = asked.progress["devices"], asked.progress["new_ca"]
    moved = Change(
        what=f"certificates of {old}",
        now=devices(count),
        then=f"transferred to {new}, once a person agreed; billed",
    )
    return [moved, deleted]
