"""``tap.reconfigure``: a Tap gets the configuration that is wished of it, and is asked afterwards whether it has it.

What a job knows of its own work stands in its progress, committed before the act:

    {}                        nothing that a look at the Tap would not tell
    {"password": "sent"}      the wanted password of our own user may be in force: it is tried first
    {"restart": "owed", …}    what is written needs a restart, which has not been seen
    {"restart": "asked", …}   the Tap has been told to, at `since`; when it is back it is looked at again
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, Final

from pydantic import BaseModel, ConfigDict

from schemas.errors import InputError, OurFault, TryAgain, UpstreamError
from schemas.jobs import Again, Awaiting, Done, Job, Outcome, Parked, ParkedBecause
from services.clients.tap import TapError
from services.clients.tap.faults import upstream_error
from services.operations.contract import Tools, outcome_of
from services.operations.tap_plan import Plan
from services.operations.tap_work import TapWork

RESTART_PAUSE: Final = timedelta(seconds=10)
"""Between the restart and the next look."""

RESTART_DEADLINE: Final = timedelta(minutes=3)
"""A Tap that is not back by then is not restarting but gone; no document names a figure."""


MOST_RESTARTS: Final = 3
"""A Tap that has other values after so many restarts will have them after the next."""


class ReconfigureTapParameters(BaseModel):
    """Nothing: the inventory tells what is wished of a Tap."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ReconfigureTap:
    """Brings one Tap to its wanted configuration."""

    name: ClassVar = "tap.reconfigure"
    parameters: ClassVar[type[BaseModel]] = ReconfigureTapParameters
    batch: ClassVar = 1

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:
        """Look, compare, write in an order that keeps the way back open, look again."""
        return {job.id: _performed(job, tools) for job in jobs}


def _performed(job: Job, tools: Tools) -> Outcome:
    try:
        order = tools.taps.order(job.target)
        return _carried_out(job, tools, TapWork(order, tools.taps, wanted_first=bool(job.progress)))
    except InputError as error:
        return Parked(reason="; ".join(error.faults), because=ParkedBecause.OUR_FAULT)
    except TryAgain as error:
        return _unless_restarting(job, tools, error)
    except OurFault as error:
        return Parked(reason=str(error), because=ParkedBecause.OUR_FAULT, status=error.status)
    except UpstreamError as error:
        return outcome_of(error)
    except TapError as error:
        return outcome_of(upstream_error(error, job.operation))


def _carried_out(job: Job, tools: Tools, work: TapWork) -> Outcome:
    plan = work.look()
    if plan.refusals:
        return Parked(reason="; ".join(plan.refusals), because=ParkedBecause.REFUSED)
    if plan.steps and job.progress.get("restarts", 0) >= MOST_RESTARTS:
        labels = ", ".join(step.wish.label for step in plan.steps)
        reason = f"the Tap took everything, and after {MOST_RESTARTS} restarts it still has other values of {labels}"
        return Parked(reason=reason, because=ParkedBecause.EXHAUSTED)
    if plan.steps:
        return _written(job, tools, work, plan)
    if job.progress.get("restart") == "owed":
        return _restarted(job, tools, work)
    seen = "looked again after the restart" if job.progress.get("restart") else "nothing to do"
    return Done(note=f"{seen}: the Tap has version {work.target.version}")


def _written(job: Job, tools: Tools, work: TapWork, plan: Plan) -> Outcome:
    restarts = plan.restarts or job.progress.get("restart") == "owed"
    progress = {"password": "sent"} | ({"restart": "owed"} if restarts else {})
    if job.id not in tools.note([(job, {**job.progress, **progress})]):
        return Again(reason="another worker has taken this job over", counts=False)
    work.write(plan, _unheard)
    work.prove(plan, _unheard)
    work.settle(plan)
    if restarts:
        return _restarted(job, tools, work)
    count = len(plan.but_version)
    return Done(note=f"wrote {count} values and looked again: the Tap has version {work.target.version}")


def _restarted(job: Job, tools: Tools, work: TapWork) -> Outcome:
    work.restart()
    now = tools.clock()
    progress = {"restart": "asked", "since": now.isoformat(), "restarts": job.progress.get("restarts", 0) + 1}
    return Awaiting(reason="everything is written; the Tap restarts", look_at=now + RESTART_PAUSE, progress=progress)


def _unless_restarting(job: Job, tools: Tools, error: TryAgain) -> Outcome:
    """A Tap that was told to restart may be away for a while; that costs no attempt."""
    if job.progress.get("restart") != "asked" or error.sent:
        return outcome_of(error)
    deadline = datetime.fromisoformat(job.progress["since"]) + RESTART_DEADLINE
    if (now := tools.clock()) < deadline:
        reason = f"waiting for the Tap to come back until {deadline:%H:%M:%S} UTC"
        return Awaiting(reason=reason, look_at=min(now + RESTART_PAUSE, deadline), progress=job.progress)
    hint = "not seen since its restart: is it in its new network, and has the inventory its new address?"
    return Again(reason=f"{error}; {hint}", after=error.retry_after)


def _unheard(_done: int, _of: int, _what: str) -> None:
    """Nobody watches a worker's progress bar."""
