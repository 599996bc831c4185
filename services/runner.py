"""Performs jobs: claim, operation, settle. While a job runs nobody else writes its state, unless its lease runs out.

A doorbell may ring many times for the same work; what counts is what the ledger says is due. Bulk operations gather:
one thread of a process collects a batch while the others are busy with theirs, so that ten thousand devices cost about
a hundred calls, and a lone device does not wait for company.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from infra.broker import PREFIX, Ring
from infra.ledger import Ledger, Settlement
from infra.meters import Meters
from schemas.errors import ConfigurationError, InputError, LedgerUnavailable, NotYet, UpstreamError
from schemas.jobs import Again, Job, NewJob, Outcome, Spawn, State
from schemas.limits import Budget, Limits
from services.operations import OPERATIONS, Operation, Tools
from services.operations.contract import outcome_of
from services.settling import Patience, settlement_of

LONGEST_ATTEMPT: Final = timedelta(minutes=10)
"""A lease is renewed no longer than this: a thread that hangs for ever must not hold its jobs for ever."""

ATTEMPTS: Final = "keyturn_attempts"

_PACE_WINDOWS: Final = (0.5, 2.0)
"""Seconds over which the pace of jobs is told: the longer one outlives a moment in which nobody got the processor."""

_GATHER_STEP: Final = 0.025

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Gate:
    """Who gathers for one operation in this process, and how fast jobs came lately."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    asked: bool = False
    claims: deque[tuple[float, int]] = field(default_factory=deque)

    def pace(self, waiting: int, now: float) -> float:
        """Jobs per second, by those that wait and those that were claimed of late."""
        while self.claims and self.claims[0][0] < now - _PACE_WINDOWS[-1]:
            self.claims.popleft()
        return max(
            (waiting + sum(count for when, count in self.claims if when >= now - window)) / window
            for window in _PACE_WINDOWS
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """On what terms a process works.

    Attributes:
        worker: names this process in the ledger; unique for each start.
        lease: how long a claim lasts unless it is renewed.
        linger: seconds that a bulk operation may wait for a batch that is filling quickly.
        budget_of: the budget that binds every job of an operation, the children of other jobs too.
    """

    worker: str
    lease: timedelta
    linger: float
    patience: Patience
    budget_of: Callable[[str], Budget | None] = lambda _: None


class Runner:
    """Carries out operations on due jobs."""

    def __init__(
        self,
        ledger: Ledger,
        tools: Tools,
        terms: Terms,
        *,
        ring: Ring,
        clock: Callable[[], datetime],
        operations: Mapping[str, Operation] = OPERATIONS,
        meters: Meters | None = None,
    ) -> None:
        self._ledger = ledger
        self._tools = tools
        self._terms = terms
        self._ring = ring
        self._clock = clock
        self._operations = operations
        self._meters = meters or Meters()
        self._gates: dict[str, _Gate] = defaultdict(_Gate)
        self._in_hand: set[tuple[int, int]] = set()  # (id, fence): a job may come back while an old attempt hangs
        self._guard = threading.Lock()

    def perform(self, name: str) -> int:
        """Claim and carry out one batch of due jobs of an operation; give how many there were."""
        operation, gate = self._operations[name], self._gates[name]
        gate.asked = True
        if not gate.turn.acquire(blocking=False):
            return 0  # the one at the gate sees our jobs, or rings again
        try:
            gate.asked = False
            if operation.batch > 1:
                self._wait_for_company(operation, gate)
            jobs = self._claim(operation)
            if operation.batch > 1:
                gate.claims.append((time.monotonic(), len(jobs)))
        finally:
            gate.turn.release()
        if not jobs:
            return self.perform(name) if gate.asked else 0
        with self._holding(jobs):
            if gate.asked or len(jobs) == operation.batch or self._more_waits(operation):
                self._ring(PREFIX + name, [])
            self._carry_out(operation, jobs)
        return len(jobs)

    def close(self) -> None:
        """Begin nothing more with any outside system."""
        self._tools.close()

    def keep_leases(self) -> int:
        """Renew the leases of what this process works on, and of nothing else that the ledger says it has."""
        with self._guard:
            ids = {job_id for job_id, _ in self._in_hand}
        return self._ledger.work.extend(
            ids, worker=self._terms.worker, now=self._clock(), lease=self._terms.lease, longest=LONGEST_ATTEMPT
        )

    @contextmanager
    def _holding(self, jobs: Sequence[Job]) -> Iterator[None]:
        claims = {(job.id, job.fence) for job in jobs}
        with self._guard:
            self._in_hand |= claims
        try:
            yield
        finally:
            with self._guard:
                self._in_hand -= claims

    def _claim(self, operation: Operation) -> list[Job]:
        return self._ledger.work.claim(
            operation.name, worker=self._terms.worker, now=self._clock(), lease=self._terms.lease, limit=operation.batch
        )

    def _more_waits(self, operation: Operation) -> bool:
        """Whether a claim that was not full left others behind: those of other parameters. Yes, when in doubt."""
        try:
            return self._ledger.work.batch_size(operation.name, self._clock(), 1) > 0
        except LedgerUnavailable:
            return True

    def _wait_for_company(self, operation: Operation, gate: _Gate) -> None:
        """Wait while the batch would fill within the linger, at the pace of late or by events about to be planned."""
        until = time.monotonic() + self._terms.linger
        while (now := time.monotonic()) < until:
            waiting = self._ledger.work.batch_size(operation.name, self._clock(), operation.batch)
            if not 0 < waiting < operation.batch:
                return
            coming = gate.pace(waiting, now) * self._terms.linger
            if waiting + coming < operation.batch and not self._plans_come(operation.batch - waiting):
                return
            time.sleep(_GATHER_STEP)

    def _plans_come(self, missing: int) -> bool:
        """Whether so many events wait for their plan: with a planner that is behind, jobs say little of what comes."""
        return self._ledger.inbox.backlog(missing) >= missing

    def _carry_out(self, operation: Operation, jobs: Sequence[Job]) -> None:
        ids = [job.id for job in jobs]
        with structlog.contextvars.bound_contextvars(operation=operation.name, jobs=_span(ids)):
            outcomes = self._outcomes(operation, jobs)
            now = self._clock()
            settlements = [settlement_of(job, outcomes[job.id], now, self._terms.patience) for job in jobs]
            for name, others in self._settle(settlements, now).items():
                self._ring(PREFIX + name, others)
            ended: dict[str, int] = defaultdict(int)
            for settlement in settlements:
                ended[settlement.state.value] += 1
                if settlement.tried:
                    self._meters.count(ATTEMPTS, operation=operation.name, outcome=settlement.state.value)
            log.info("jobs settled", **ended)
            _report_parked(settlements)
            _report_questions(settlements)

    def _outcomes(self, operation: Operation, jobs: Sequence[Job]) -> dict[int, Outcome]:
        missing: Outcome
        try:
            told = dict(operation.perform(jobs, self._tools))
            missing = Again(reason=f"{operation.name} gave no outcome for this job", our_fault=True)
        except NotYet as error:
            told, missing = {}, outcome_of(error)
        except UpstreamError as error:
            log.warning("an upstream failed", call=error.call, status=error.status, error=str(error))
            told, missing = {}, outcome_of(error)
        except LedgerUnavailable as error:
            told, missing = {}, Again(reason=str(error), counts=False)
        except ConfigurationError as error:
            log.error("the settings lack something", error=str(error))  # noqa: TRY400 - the text says all there is
            told, missing = {}, Again(reason=str(error), our_fault=True)
        except Exception as error:
            log.exception("an operation failed")
            told, missing = {}, Again(reason=f"Keyturn failed: {type(error).__name__}", our_fault=True)
        return {job.id: self._bound(told.get(job.id, missing)) for job in jobs}

    def _bound(self, outcome: Outcome) -> Outcome:
        """Let children run on the terms that bind every job of their operation."""
        if not isinstance(outcome, Spawn):
            return outcome
        try:
            budgets = {name: self._terms.budget_of(name) for name in {child.operation for child in outcome.children}}
        except (LedgerUnavailable, InputError) as error:
            return Again(reason=f"the playbook cannot be read: {error}", counts=False, progress=outcome.progress)
        return replace(outcome, children=[_within(budgets[one.operation], one) for one in outcome.children])

    def _settle(self, settlements: Sequence[Settlement], now: datetime) -> Mapping[str, Sequence[int]]:
        """Write the outcomes; a ledger that is away for a moment gets them when it is back.

        Returns:
            other jobs that can run now, by operation.

        Raises:
            LedgerUnavailable: it stays away. The outcomes are lost: no lease is renewed any more, the sweep gives the
                jobs back, and the next attempt looks at what this one did.
        """
        for pause in (0.2, 1.0, 3.0):
            try:
                return self._ledger.work.settle(settlements, now)
            except LedgerUnavailable:
                time.sleep(pause)
        return self._ledger.work.settle(settlements, now)


def _within(budget: Budget | None, child: NewJob) -> NewJob:
    if budget is None:
        return child
    return replace(child, limits=(child.limits or Limits()).model_copy(update={"budget": budget}))


def _report_parked(settlements: Iterable[Settlement]) -> None:
    for settlement in settlements:
        if settlement.state is State.PARKED:
            log.error(
                "job parked",
                job_id=settlement.job.id,
                operation=settlement.job.operation,
                target=settlement.job.target,
                because=settlement.parked_because,
                reason=settlement.reason,
            )


def _report_questions(settlements: Iterable[Settlement]) -> None:
    for settlement in settlements:
        if settlement.asks is not None:
            log.warning(
                "a job asks for a person's word",
                job_id=settlement.job.id,
                operation=settlement.job.operation,
                target=settlement.job.target,
                step=settlement.asks.step,
                role=settlement.asks.role,
                reason=settlement.reason,
            )


def _span(ids: Iterable[int]) -> str:
    """Ids for a log line: all of a few, the ends of many."""
    known = sorted(ids)
    return ",".join(map(str, known)) if len(known) <= 5 else f"{known[0]}…{known[-1]} ({len(known)})"  # noqa: PLR2004 - a line stays short
