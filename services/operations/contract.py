"""What every operation is: a verb that looks, compares, acts and looks again, and is safe to run twice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from schemas.errors import Busy, Refused, TryAgain, UpstreamError
from schemas.jobs import Again, Job, Outcome, Parked, ParkedBecause
from services.clients.ublox import Ublox

BUSY_PAUSE = timedelta(hours=1)
"""An upstream that works on an earlier change is asked again after hours, not seconds: it waits for a heartbeat."""

Note = Callable[[Sequence[tuple[Job, Mapping[str, Any]]]], set[int]]
"""Commits each job's progress before an act; gives the ids of the jobs that are still ours to act on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What an operation works with. It never sees the ledger."""

    ublox: Ublox
    note: Note
    clock: Callable[[], datetime]
    renewal_look_every: timedelta
    renewal_deadline: timedelta


class Operation(Protocol):
    """A verb with code.

    Attributes:
        name: dotted; its first part is the outside system and the queue.
        parameters: validates what a playbook or a person gives.
        batch: how many jobs of the same parameters it takes at once.
    """

    name: ClassVar[str]
    parameters: ClassVar[type[BaseModel]]
    batch: ClassVar[int]

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Do the work of jobs with the same parameters; give an outcome for each job id.

        Raises:
            UpstreamError: it holds for every job that has no outcome.
        """


def outcome_of(error: UpstreamError) -> Outcome:
    """What an upstream's failure means for a job."""
    match error:
        case TryAgain():
            return Again(reason=str(error), after=error.retry_after, status=error.status)
        case Busy():
            pause = BUSY_PAUSE.total_seconds()
            return Again(reason=str(error), after=pause, status=error.status, counts=False)
        case Refused():
            return Parked(reason=str(error), because=ParkedBecause.REFUSED, status=error.status)
        case _:
            return Again(reason=str(error), status=error.status, our_fault=True)
