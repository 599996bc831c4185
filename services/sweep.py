"""The sweep: rings for what is due, gives back what was lost. Harmless when doubled: any number of beats may run."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from infra.broker import PLAN, PREFIX, Ring
from infra.ledger import Ledger
from schemas.jobs import State

RING_FOR: Final = 20
"""Ids that one message names; a worker that has found its batch rings for the rest."""

MAX_LOSSES: Final = 8
"""So many workers lost with the same job, and it is parked: it may be the job that kills them."""

PRUNE_EVERY: Final = timedelta(hours=1)

log = structlog.get_logger(__name__)


def sweep(ledger: Ledger, *, ring: Ring, clock: Callable[[], datetime], retention: timedelta) -> None:
    """Look at the whole ledger once and set going what stands still."""
    now = clock()
    _give_back(ledger, now)
    ledger.work.wake(now)
    if ledger.inbox.backlog(1):
        ring(PLAN, [])
    for operation, ids in ledger.work.due(now, limit=RING_FOR).items():
        ring(PREFIX + operation, ids)
    ledger.upkeep.note("last_sweep", now)
    _prune(ledger, now, retention)


def _give_back(ledger: Ledger, now: datetime) -> None:
    lost = ledger.work.reclaim(now, max_losses=MAX_LOSSES)
    if lost:
        log.warning("jobs lost their worker", jobs=len(lost))
    for job in lost:
        if job.state is State.PARKED:
            log.error(
                "job parked",
                job_id=job.id,
                operation=job.operation,
                target=job.target,
                because=job.parked_because,
                reason=job.reason,
            )


def _prune(ledger: Ledger, now: datetime, retention: timedelta) -> None:
    last = ledger.upkeep.noted("last_prune")
    if last is not None and now - last < PRUNE_EVERY:
        return
    deleted = ledger.upkeep.prune(now, keep=retention)
    if deleted:
        log.info("old work deleted", rows=deleted)
    if not deleted:  # until nothing is left to delete, the next sweep goes on
        ledger.upkeep.note("last_prune", now)
