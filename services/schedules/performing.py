"""The worker's side of schedules: claims a firing, has its action done, and writes what became of it."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from infra.ledger import Effects, FiringLost
from infra.ledger.tables import to_us
from schemas.errors import KeyturnError, LedgerUnavailable, NotYet, Refused, TryAgain, UpstreamError
from schemas.schedules import Firing, FiringState, Schedule, Spec
from services.schedules.registry import ACTIONS, parameters_of
from services.schedules.turn import Found, Means, Turn
from services.settling import Patience

_KEPT: Final = ("kind", "attempt", "missed", "not_fired", "run_by")
"""What stays in the detail of a firing whatever becomes of it."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """On what terms a process does the work of schedules; see `services.runner.Terms`."""

    worker: str
    lease: timedelta
    patience: Patience


class Performer:
    """Does what schedules ask for."""

    def __init__(self, means: Means, terms: Terms) -> None:
        self._means = means
        self._terms = terms
        self._turns: set[Turn] = set()
        self._guard = threading.Lock()

    def perform(self, kind: str) -> int:
        """Do every firing of an action that can be had now; give how many there were."""
        done = 0
        while firing := self._means.ledger.firings.claim(
            kind, worker=self._terms.worker, now=self._means.clock(), lease=self._terms.lease
        ):
            with structlog.contextvars.bound_contextvars(schedule=firing.schedule, due_at=firing.due_at.isoformat()):
                self._do(firing)
            done += 1
        return done

    def keep_leases(self) -> None:
        """Renew the leases of what this process is at."""
        with self._guard:
            turns = list(self._turns)
        for turn in turns:
            turn.keep(self._terms.lease)

    def _do(self, firing: Firing) -> None:
        schedule = self._means.ledger.schedules.find(firing.schedule)
        spec = schedule.spec if schedule else Spec(every_seconds=86_400)
        turn = Turn(firing, self._means, spec)
        with self._guard:
            self._turns.add(turn)
        try:
            self._settle(turn, self._found(turn, schedule), schedule)
        except FiringLost:
            log.warning("the firing went to another worker")
        finally:
            with self._guard:
                self._turns.discard(turn)

    def _found(self, turn: Turn, schedule: Schedule | None) -> Found | Exception:
        if schedule is None:
            return Found(reason="the schedule is not there any more", attention=True)
        try:
            parameters_of(schedule.kind, schedule.spec.parameters)
            return ACTIONS[schedule.kind].work(turn)
        except (FiringLost, LedgerUnavailable):
            raise
        except KeyturnError as error:
            return error
        except Exception as error:
            log.exception("a schedule's action failed")
            return error

    def _settle(self, turn: Turn, found: Found | Exception, schedule: Schedule | None) -> None:
        kept = {name: turn.firing.detail[name] for name in _KEPT if name in turn.firing.detail}
        if isinstance(found, Exception):
            self._again(turn, found, schedule, kept)
            return
        state = FiringState.ATTENTION if found.attention else FiringState.SUCCEEDED
        ended = {"ended_at": self._means.clock().isoformat()}
        turn.settle(state, {**found.detail, **kept, **ended, "reason": found.reason}, found.effects)
        say = log.error if found.attention else log.info
        say("schedule done", outcome=state.value, reason=found.reason)

    def _again(self, turn: Turn, error: Exception, schedule: Schedule | None, kept: Mapping[str, Any]) -> None:
        """Try again until the next moment comes, unless trying cannot help."""
        now, attempt = self._means.clock(), int(turn.firing.detail["attempt"])
        pause = timedelta(seconds=_pause(error, attempt, turn.firing, self._terms.patience))
        reason = str(error) if isinstance(error, KeyturnError) else f"Keyturn failed: {type(error).__name__}"
        vain = isinstance(error, Refused) or (isinstance(error, KeyturnError) and not isinstance(error, UpstreamError))
        if vain or attempt >= self._terms.patience.max_attempts or _comes_next(schedule, turn.firing, now + pause):
            told = f"{reason} (after {attempt} attempts)" if attempt > 1 else reason
            turn.settle(FiringState.FAILED, {**kept, "ended_at": now.isoformat(), "reason": told}, Effects())
            log.error("schedule failed", reason=told)
            return
        later = now + pause
        words = f"{reason}; next attempt {later:%d %b %H:%M:%S} UTC"
        tries = attempt - 1 if isinstance(error, NotYet) else attempt  # held back by ourselves: nothing was tried
        known = {"attempt": tries, "known": dict(turn.known), "not_before": to_us(later)}
        detail = {**kept, **known, "reason": words}
        turn.settle(FiringState.WAITING, detail, Effects())
        log.warning("schedule tries again", reason=words)


def _pause(error: Exception, attempt: int, firing: Firing, patience: Patience) -> float:
    told = error.retry_after if isinstance(error, TryAgain) else None
    pause = patience.pause(attempt, f"{firing.schedule} {firing.due_at}") if told is None else told
    return max(pause, patience.base)


def _comes_next(schedule: Schedule | None, firing: Firing, moment: datetime) -> bool:
    """Whether the next moment of the schedule would come first, and do the same work."""
    return schedule is None or (schedule.enabled and firing.due_at < schedule.next_due <= moment)
