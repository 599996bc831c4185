"""The sweep: rings for what is due, gives back what was lost. Harmless when doubled: any number of beats may run."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from infra.broker import PLAN, PREFIX, Ring
from infra.ledger import Ledger
from schemas.errors import LedgerUnavailable
from schemas.jobs import State

RING_FOR: Final = 20
"""Ids that one message names; a worker that has found its batch rings for the rest."""

MAX_LOSSES: Final = 8
"""So many workers lost with the same job, and it is parked: it may be the job that kills them."""

STANDSTILL: Final = timedelta(minutes=5)
"""So long without a sweep, and nothing of Keyturn ran: silence in that time was its own."""

Fire = Callable[[datetime], None]
"""Fires the schedules whose moment has come: a `services.schedules.Beat`."""

log = structlog.get_logger(__name__)


def sweep(ledger: Ledger, *, ring: Ring, clock: Callable[[], datetime], fire: Fire = lambda _now: None) -> None:
    """Look at the whole ledger once and set going what stands still."""
    now = clock()
    _note_standstill(ledger, now)
    _give_back(ledger, now)
    ledger.work.wake(now)
    _look_at_held(ledger, now)
    if ledger.inbox.backlog(1) or ledger.triggers.waiting():
        ring(PLAN, [])
    for operation, ids in ledger.work.due(now, limit=RING_FOR).items():
        ring(PREFIX + operation, ids)
    _fire(fire, now)
    ledger.upkeep.note("last_sweep", now)


def _fire(fire: Fire, now: datetime) -> None:
    """Fire schedules; a fault in them, or in the playbook that some come from, must not keep jobs waiting."""
    try:
        fire(now)
    except LedgerUnavailable:
        raise
    except Exception:
        log.exception("schedules could not be fired")


def _look_at_held(ledger: Ledger, now: datetime) -> None:
    """Open holds; a fault in them must not keep other jobs, nor the schedules, waiting."""
    try:
        looked = ledger.holding.look(now)
    except LedgerUnavailable:
        raise
    except Exception:
        log.exception("held jobs could not be looked at")
        return
    if looked.count or looked.held:
        log.info("held jobs looked at", let_go=looked.count, held=looked.held)


def _note_standstill(ledger: Ledger, now: datetime) -> None:
    last = ledger.upkeep.noted("last_sweep")
    if last is not None and now - last > STANDSTILL:
        log.warning("nothing was swept for a while", since=last.isoformat())
        ledger.upkeep.note_standstill(last, now)


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
