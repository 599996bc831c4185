"""What ``centagate.register_token`` would change: one token of each user, named without its number."""

from collections.abc import Mapping, Sequence
from functools import partial

from schemas.diffs import Change, Diff
from schemas.jobs import Done, Job
from services.operations.contract import Tools
from services.operations.previews.sketches import UNSHOWN, diff_of, sketched
from services.operations.register_token import TokenWork
from services.operations.token_look import Seen


def preview(jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    """Look and compare."""
    return {job.id: sketched(job, partial(_compared, job, tools)) for job in jobs}


def _compared(job: Job, tools: Tools) -> Diff:
    work = TokenWork(job, tools, tools.centagate.order(job.target))
    seen = work.look()
    if (outcome := work.settled(seen)) is not None:
        return diff_of(job, outcome)
    change = Change(what=work.what, now=_stand(seen), then="registered and active, with the number of the inventory")
    return diff_of(job, Done(note="would be registered"), [change])


def _stand(seen: Seen) -> str:
    if seen.there is None:
        return UNSHOWN
    if not seen.there:
        return "none"
    return "registered" if seen.status is None else f"one that is {seen.status.label}"
