"""What ``ublox.rotate_e2e_key`` would change: the rotation policy of each device."""

from collections.abc import Mapping, Sequence

from schemas.diffs import Change, Diff
from schemas.jobs import Done, Job
from schemas.ublox import DeviceLook
from services.operations.bulk import in_halves
from services.operations.contract import Tools, outcome_of
from services.operations.previews.sketches import UNSHOWN, diff_of
from services.operations.rotate_e2e_key import DETAILS, RotateE2EKeyParameters, compared, told


def preview(jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    """Look and compare."""
    wanted = RotateE2EKeyParameters.model_validate(jobs[0].parameters)
    seen = in_halves([job.target for job in jobs], lambda uids: tools.ublox.information.look(uids, DETAILS))
    found: dict[int, Diff] = {}
    for job in jobs:
        if error := seen.errors.get(job.target):
            found[job.id] = diff_of(job, outcome_of(error))
        else:
            found[job.id] = _compared(job, seen.answers[job.target].get(job.target), wanted)
    return found


def _compared(job: Job, look: DeviceLook | None, wanted: RotateE2EKeyParameters) -> Diff:
    outcome = compared(look, wanted)
    if outcome is not None or look is None:
        return diff_of(job, outcome or Done(note=""))
    now = UNSHOWN if look.rotation is None else told(look.rotation)
    change = Change(what="E2E rotation policy", now=now, then=told(wanted.policy))
    return diff_of(job, Done(note=f"would be asked for {told(wanted.policy)}"), [change])
