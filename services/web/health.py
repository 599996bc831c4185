"""Is it alive, and can it do its work: for a load balancer and for a person."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse

from infra.ledger import Ledger
from schemas.errors import LedgerUnavailable

_SWEEPS_MISSED: Final = 5
"""So many sweeps without a trace, and beat or the control worker stands still."""


class Health:
    """The two health addresses. They tell nothing that needs a key."""

    def __init__(self, ledger: Ledger, *, clock: Callable[[], datetime], sweep_every: float) -> None:
        self._ledger = ledger
        self._clock = clock
        self._sweep_every = sweep_every

    async def alive(self, _request: Request) -> JSONResponse:
        """200 as long as the process answers: trouble of a neighbour is no reason to restart this one."""
        return JSONResponse({"status": "alive"})

    def ready(self, _request: Request) -> JSONResponse:
        """200 when the ledger can be reached, with the ages that show whether work moves on; else 503."""
        now = self._clock()
        try:
            health = self._ledger.upkeep.health(now)
        except LedgerUnavailable as error:
            return JSONResponse(
                {"status": "not ready", "ledger": str(error)}, status_code=503, headers={"retry-after": "5"}
            )
        sweep_age = _age(now, health.last_sweep)
        moving = sweep_age is not None and sweep_age <= _SWEEPS_MISSED * self._sweep_every + 1
        document: dict[str, Any] = {
            "status": "ready",
            "ledger": "reachable",
            "work": "moving" if moving else "standing still: no sweep; are beat and the control worker running?",
            "oldest_due_job_seconds": _age(now, health.oldest_due),
            "oldest_unplanned_event_seconds": _age(now, health.oldest_unplanned),
            "parked_jobs": health.parked_jobs,
            "faulty_events": health.faulty_events,
            "last_sweep": health.last_sweep.isoformat() if health.last_sweep else None,
            "last_sweep_seconds_ago": sweep_age,
        }
        return JSONResponse(document)


def _age(now: datetime, moment: datetime | None) -> float | None:
    return None if moment is None else round(max(0.0, (now - moment).total_seconds()), 3)
