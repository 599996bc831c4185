"""What ``tap.reconfigure`` would change: the values of each Tap, secrets masked, in the order of the writes."""

from collections.abc import Mapping, Sequence
from functools import partial

from schemas.diffs import Change, Diff
from schemas.jobs import Done, Job, Parked, ParkedBecause
from services.clients.tap.faults import told_as_upstream
from services.operations.contract import Tools
from services.operations.previews.sketches import diff_of, sketched
from services.operations.tap_work import TapWork


def preview(jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    """Look and compare."""
    return {job.id: sketched(job, partial(_compared, job, tools)) for job in jobs}


def _compared(job: Job, tools: Tools) -> Diff:
    with told_as_upstream(job.operation):
        work = TapWork(tools.taps.order(job.target), tools.taps)
        plan = work.look()
    if plan.refusals:
        return diff_of(job, Parked(reason="; ".join(plan.refusals), because=ParkedBecause.REFUSED))
    if not plan.steps:
        return diff_of(job, Done(note=f"nothing to do: the Tap has version {work.target.version}"))
    changes = [Change(what=step.wish.label, now=step.before, then=step.after) for step in plan.steps]
    note = f"{len(changes)} writes{', then a restart' if plan.restarts else ''}"
    return diff_of(job, Done(note=note), changes)
