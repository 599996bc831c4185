"""What a preview says of one target, and how an outcome or an error is said as such."""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from schemas.diffs import Change, Diff
from schemas.errors import ConfigurationError, InputError, LedgerUnavailable, UpstreamError
from schemas.jobs import Again, Ask, Awaiting, Done, Job, Outcome, Parked, Spawn
from services.operations.contract import outcome_of

UNSHOWN: Final = "not shown"
"""Stands for what the outside system does not tell."""


def diff_of(job: Job, outcome: Outcome, changes: Sequence[Change] = ()) -> Diff:
    """Say what a job would come to, in the words that it would use itself."""
    if changes:
        return _diff(job, "change", _words(outcome), changes)
    match outcome:
        case Done() | Awaiting():
            return _diff(job, "nothing", _words(outcome))
        case Parked():
            return _diff(job, "stop", _words(outcome))
        case Again():
            return _diff(job, "unknown", _words(outcome))
        case Ask() | Spawn():
            return _diff(job, "change", _words(outcome))


def sketched(job: Job, look: Callable[[], Diff]) -> Diff:
    """Look at one target; what cannot be looked at is told for it and for no other."""
    try:
        return look()
    except InputError as error:
        return _diff(job, "stop", "; ".join(error.faults))
    except UpstreamError as error:
        return diff_of(job, outcome_of(error))
    except (ConfigurationError, LedgerUnavailable) as error:
        return _diff(job, "unknown", str(error))


def _diff(
    job: Job, then: Literal["change", "nothing", "stop", "unknown"], why: str, changes: Sequence[Change] = ()
) -> Diff:
    return Diff(target=job.target, operation=job.operation, then=then, why=why, changes=list(changes))


def _words(outcome: Outcome) -> str:
    return outcome.note if isinstance(outcome, Done) else outcome.reason
