"""The beat's side of schedules: which moments have come, which of them fire, and who is to be rung for.

Any number of beats may do this at once: a schedule is moved on by one of them, and a moment is one row.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog

from infra.broker import PREFIX, Ring
from infra.ledger import Ledger
from schemas.errors import InputError
from schemas.rhythm import GRACE, Passed, rhythm_of
from schemas.schedules import CatchUp, Firing, FiringState, Schedule

WAITS: Final = "waits for a worker"

log = structlog.get_logger(__name__)


class Beat:
    """Fires what is due.

    Args:
        wanted: gives the schedules that must be there, as they are made when they are not.
    """

    def __init__(
        self, ledger: Ledger, *, ring: Ring, wanted: Callable[[Mapping[str, Schedule], datetime], Iterable[Schedule]]
    ) -> None:
        self._ledger = ledger
        self._ring = ring
        self._wanted = wanted

    def __call__(self, now: datetime) -> None:
        """Fire every moment that has come, and ring for every firing that a worker can have."""
        known = {schedule.name: schedule for schedule in self._ledger.schedules.all()}
        self._ledger.schedules.add(self._wanted(known, now))
        for schedule in self._ledger.schedules.due(now):
            self._fire(schedule, now)
        for kind in sorted({str(firing.detail.get("kind")) for firing in self._ledger.firings.ready(now)}):
            self._ring(PREFIX + kind, [])

    def _fire(self, schedule: Schedule, now: datetime) -> None:
        try:
            rhythm = rhythm_of(schedule.name, schedule.kind, schedule.spec)
        except InputError as error:
            log.error("a schedule cannot be read", schedule=schedule.name, error=str(error))  # noqa: TRY400 - no traceback needed
            return
        passed = rhythm.passed(schedule.next_due, now)
        firings = moments_of(schedule, passed, now)
        if self._ledger.schedules.fire(schedule, firings, rhythm.after(now)):
            _tell(schedule, passed, firings)


def moments_of(schedule: Schedule, passed: Passed, now: datetime) -> list[Firing]:
    """What the moments that have come lead to, by the schedule's policy; at least one row, so that a beat wins once."""
    policy, last = schedule.spec.catch_up, passed.latest[-1]
    if policy is CatchUp.ALL:
        fired, rest = list(passed.latest), passed.count - len(passed.latest)
    elif policy is CatchUp.ONCE or now - last <= GRACE:
        fired, rest = [last], passed.count - 1
    else:
        fired, rest = [], passed.count
    told: dict[str, Any] = {"not_fired": rest, "missed": _missed(passed, rest, policy)} if rest else {}
    if not fired:
        return [_firing(schedule, last, now, FiringState.SKIPPED, {**told, "reason": told["missed"]})]
    firings = [_firing(schedule, moment, now, FiringState.WAITING, {"reason": WAITS}) for moment in fired[:-1]]
    return [*firings, _firing(schedule, last, now, FiringState.WAITING, {**told, "reason": WAITS})]


def _missed(passed: Passed, rest: int, policy: CatchUp) -> str:
    span = f"{passed.first:%d %b %H:%M} to {passed.latest[-1]:%d %b %H:%M} UTC"
    return f"{passed.count} moments had come, {span}; by the policy {policy}, {rest} of them did not fire"


def _firing(
    schedule: Schedule, moment: datetime, now: datetime, state: FiringState, detail: Mapping[str, Any]
) -> Firing:
    return Firing(
        schedule=schedule.name, due_at=moment, fired_at=now, state=state, detail={"kind": schedule.kind, **detail}
    )


def _tell(schedule: Schedule, passed: Passed, firings: list[Firing]) -> None:
    fired = sum(firing.state is FiringState.WAITING for firing in firings)
    if passed.count > 1 or not fired:
        log.warning("a schedule was missed", schedule=schedule.name, moments=passed.count, fired=fired)
