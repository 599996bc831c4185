"""What every operation is: a verb that looks, compares, acts and looks again, and is safe to run twice."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Protocol, cast

import structlog
from pydantic import BaseModel

from schemas.errors import Busy, ConfigurationError, NotYet, Refused, TryAgain, UpstreamError
from schemas.jobs import Again, Child, Job, Outcome, Parked, ParkedBecause
from schemas.ublox import DeviceLook
from services.clients.ublox import Ublox
from services.operations.centagate_access import CentagateAccess
from services.operations.tap_access import TapAccess
from services.operations.twon_access import TwonAccess

BUSY_PAUSE = timedelta(hours=1)
"""An upstream that works on an earlier change is asked again after hours, not seconds: it waits for a heartbeat."""

UNVERIFIABLE: Final = "accepted, not verifiable"
"""How the note of a `Done` begins where the outside system took the work, but shows nothing to look at afterwards."""

Note = Callable[[Sequence[tuple[Job, Mapping[str, Any]]]], set[int]]
"""Commits each job's progress before an act; gives the ids of the jobs that are still ours to act on."""

log = structlog.get_logger(__name__)


class _NotServed:
    """Stands for an outside system that a worker does not serve; whoever reaches for it is told so."""

    def __init__(self, system: str) -> None:
        self._system = system

    def __getattr__(self, name: str) -> Any:
        raise ConfigurationError(f"this worker has no settings for the outside system {self._system}")


NO_UBLOX: Final = cast("Ublox", _NotServed("ublox"))
NO_TAPS: Final = cast("TapAccess", _NotServed("tap"))
NO_TWON: Final = cast("TwonAccess", _NotServed("twon"))
NO_CENTAGATE: Final = cast("CentagateAccess", _NotServed("centagate"))


def _alert(words: str) -> None:
    log.error("alert", alert=words)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tools:
    """What an operation works with. It never sees the ledger. A worker has the outside systems of its queues.

    Attributes:
        doubt: how long u-blox may still work on a request whose answer did not come.
        children: the jobs that do a part of a job's work, the oldest first.
        revocations: what the jobs noted that revoked certificates of some devices, or are about to, by device.
        ca_ends: when the root CAs end, as they were seen last.
        remember: is told what looks at devices showed, so that nobody has to look again soon.
        alert: tells a person what no outcome tells; a dry run tells nobody.
        close: begins nothing more with any outside system; what is under way ends by itself.
    """

    ublox: Ublox = NO_UBLOX
    taps: TapAccess = NO_TAPS
    twon: TwonAccess = NO_TWON
    centagate: CentagateAccess = NO_CENTAGATE
    note: Note
    clock: Callable[[], datetime]
    renewal_look_every: timedelta
    renewal_deadline: timedelta
    doubt: timedelta = timedelta(seconds=75)
    children: Callable[[Job], Sequence[Child]] = lambda _job: ()
    revocations: Callable[[Collection[str]], Mapping[str, Sequence[Mapping[str, Any]]]] = lambda _uids: {}
    ca_ends: Callable[[], Mapping[str, datetime]] = dict
    remember: Callable[[Iterable[DeviceLook]], None] = lambda _looks: None
    alert: Callable[[str], None] = _alert
    close: Callable[[], None] = lambda: None


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
        case NotYet():
            return Again(reason=str(error), after=error.retry_after, counts=False, tried=False)
        case TryAgain():
            return Again(reason=str(error), after=error.retry_after, status=error.status)
        case Busy():
            pause = BUSY_PAUSE.total_seconds()
            return Again(reason=str(error), after=pause, status=error.status, counts=False)
        case Refused():
            return Parked(reason=str(error), because=ParkedBecause.REFUSED, status=error.status)
        case _:
            return Again(reason=str(error), status=error.status, our_fault=True)
