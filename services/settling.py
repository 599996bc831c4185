"""What the ledger writes for an outcome: a pure decision, with the one back-off of the house."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from infra.ledger import Question, Settlement
from schemas.jobs import Again, Ask, Awaiting, Done, Job, Outcome, Parked, ParkedBecause, Spawn, State
from schemas.limits import NEVER

_CHAIN: Final = 1000
"""Links of a chain of pauses that are told again; no job has more attempts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """How often and how slowly an attempt is repeated; seconds."""

    max_attempts: int
    base: float
    cap: float

    def pause(self, attempt: int, chain: str) -> float:
        """The pause after an attempt, by decorrelated jitter: between the base and three times the pause before it.

        Args:
            attempt: 1 for the first.
            chain: names the job. Its pauses are a chain that can be told again from the name, so that the one before
                needs no place in the ledger; the chains of a thousand jobs that failed together drift apart.
        """
        dice = random.Random(chain)  # noqa: S311 - spreads load, keeps no secret
        pause = self.base
        for _ in range(min(attempt, _CHAIN)):
            pause = min(self.cap, dice.uniform(self.base, 3 * pause))
        return pause


def settlement_of(job: Job, outcome: Outcome, now: datetime, patience: Patience) -> Settlement:
    """Give the ledger's words for an outcome."""
    match outcome:
        case Done():
            return Settlement(
                job=job,
                state=State.SUCCEEDED,
                reason=outcome.note,
                not_before=now,
                progress=outcome.progress,
                upstream_status=outcome.status,
            )
        case Awaiting():
            return Settlement(
                job=job,
                state=State.AWAITING,
                reason=outcome.reason,
                not_before=outcome.look_at,
                progress=outcome.progress,
                upstream_status=outcome.status,
            )
        case Spawn():
            return Settlement(
                job=job,
                state=State.AWAITING,
                reason=outcome.reason,
                not_before=outcome.look_at,
                progress=outcome.progress,
                children=outcome.children,
            )
        case Ask():
            return Settlement(
                job=job,
                state=State.HELD,
                reason=f"{outcome.reason}; waits for approval by an {outcome.role}",
                not_before=NEVER,
                progress=outcome.progress,
                asks=Question(step=outcome.step, role=outcome.role),
            )
        case Parked():
            return _parked(job, outcome, now)
        case Again():
            return _again(job, outcome, now, patience)


def _again(job: Job, outcome: Again, now: datetime, patience: Patience) -> Settlement:
    if outcome.counts and job.attempt >= patience.max_attempts:
        because = ParkedBecause.OUR_FAULT if outcome.our_fault else ParkedBecause.EXHAUSTED
        reason = f"{outcome.reason} (after {job.attempt} attempts)"
        return _parked(job, Parked(reason=reason, because=because, status=outcome.status), now)
    chain = f"{job.id} {job.created_at.isoformat()}"
    pause = patience.pause(job.attempt, chain) if outcome.after is None else outcome.after
    not_before = now + timedelta(seconds=pause)
    return Settlement(
        job=job,
        state=State.DUE,
        reason=f"{outcome.reason}; next attempt {not_before:%d %b %H:%M:%S} UTC",
        not_before=not_before,
        progress=outcome.progress,
        upstream_status=outcome.status,
        counts=outcome.counts,
        tried=outcome.tried,
    )


def _parked(job: Job, outcome: Parked, now: datetime) -> Settlement:
    return Settlement(
        job=job,
        state=State.PARKED,
        reason=outcome.reason,
        not_before=now,
        progress=outcome.progress,
        parked_because=outcome.because,
        upstream_status=outcome.status,
    )
