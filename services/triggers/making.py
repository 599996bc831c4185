"""Makes a trigger's jobs, lets them go or cancels them, chunk by chunk, whichever process comes to it."""

from collections.abc import Callable
from datetime import datetime

import structlog

from infra.broker import PREFIX, Ring
from infra.ledger import Ledger
from infra.ledger.triggers import Step

log = structlog.get_logger(__name__)


class Maker:
    """Does what is left to be done about triggers."""

    def __init__(self, ledger: Ledger, *, ring: Ring, clock: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._ring = ring
        self._clock = clock

    def step(self) -> bool:
        """Do the next bit about the oldest trigger that wants it; False when there is none."""
        trigger = self._ledger.triggers.waiting()
        if trigger is None:
            return False
        self.step_of(trigger)
        return True

    def step_of(self, trigger: str) -> Step:
        """Do the next bit about one trigger."""
        step = self._ledger.triggers.step(trigger, self._clock())
        for operation, ids in step.due.items():
            self._ring(PREFIX + operation, ids)
        if step.over:
            log.info("nothing is left to be done about a trigger", trigger=trigger)
        return step
