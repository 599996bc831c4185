"""What a preview says of one target, and how an outcome or an error is said as such."""

from collections.abc import Callable, Sequence
from typing import Final

from schemas.diffs import Change, Diff
from schemas.errors import ConfigurationError, InputError, LedgerUnavailable, UpstreamError
from schemas.jobs import Again, Awaiting, Done, Job, Outcome, Parked
from services.operations.contract import outcome_of

UNSHOWN: Final = "not shown"
"""Stands for what the outside system does not tell."""


def diff_of(job: Job, outcome: Outcome, changes: Sequence[Change] = ()) -> Diff:
    """Say what a job would come to, in the words that it would use itself."""
    if changes:
        return Diff(target=job.target, then="change", why=_words(outcome), changes=list(changes))
    match outcome:
        case Done() | Awaiting():
            return Diff(target=job.target, then="nothing", why=_words(outcome))
        case Parked():
            return Diff(target=job.target, then="stop", why=_words(outcome))
        case Again():
            return Diff(target=job.target, then="unknown", why=_words(outcome))


def sketched(job: Job, look: Callable[[], Diff]) -> Diff:
    """Look at one target; what cannot be looked at is told for it and for no other."""
    try:
        return look()
    except InputError as error:
        return Diff(target=job.target, then="stop", why="; ".join(error.faults))
    except UpstreamError as error:
        return diff_of(job, outcome_of(error))
    except (ConfigurationError, LedgerUnavailable) as error:
        return Diff(target=job.target, then="unknown", why=str(error))


def _words(outcome: Outcome) -> str:
    return outcome.note if isinstance(outcome, Done) else outcome.reason
