"""What stands before every call of an outside system: how often, whether at all, and what became of it.

- A rate that all processes share. A call waits a few seconds for its turn; then it comes back later.
- A circuit breaker: for a cloud one, for devices one each, because a dead device says nothing of its neighbours. It
  opens after five failures in a row, and at once when the system tells how long to stay away (Retry-After); then
  one call of one process probes.
- Counts for the metrics: calls, how long they took, what failed, what was held back.

A failure is what `TryAgain` says: no answer, 5xx, 429. Every other answer shows that the system is there.
"""

import random
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import structlog

from infra.circuits import Circuit, Circuits
from infra.meters import Meters
from infra.rates import Rate
from schemas.errors import NotYet, TryAgain, UpstreamError
from services.clients.answers import Answer
from services.clients.transport import Transport

PATIENCE: Final = 10.0
"""Seconds that a call waits for its turn under a rate: rather than to break off work that has begun."""

PROBE_PAUSE: Final = 3.0
"""Who finds another's probe under way comes back at the next multiple of so many seconds.

All who are held back come back together, because jobs that come together share a call.
"""

CALLS: Final = "keyturn_upstream_call_seconds"
ERRORS: Final = "keyturn_upstream_errors"
HELD_BACK: Final = "keyturn_upstream_calls_held_back"
OPENED: Final = "keyturn_upstream_breaker_opened"

log = structlog.get_logger(__name__)


def _spread(seconds: float) -> float:
    return random.uniform(0.0, seconds)  # noqa: S311 - spreads load, keeps no secret


@dataclass(kw_only=True, slots=True)
class Guard:
    """Stands before the calls of one outside system; all threads of a process share it.

    Attributes:
        system: as in the name of an operation, such as ``ublox``.
        label: its name for a person; of devices, what each of them is.
        rate: how often it may be called; None means as often as there is work.
        patience: seconds that a call waits for its turn.
    """

    system: str
    label: str
    circuits: Circuits
    meters: Meters
    rate: Rate | None = None
    patience: float = PATIENCE
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic
    spread: Callable[[float], float] = _spread

    @contextmanager
    def call(self, call: str, device: str = "") -> Iterator[None]:
        """Let the block make one call, or hold it back.

        Args:
            call: the verb or path, for an error.
            device: which device of the system is called, where each has a breaker of its own.

        Raises:
            NotYet: nothing was called; come back after ``retry_after`` seconds.
        """
        name, ticket = f"{self.system}:{device}" if device else self.system, uuid.uuid4().hex
        if (shut := self.circuits.enter(name, ticket)) is not None:
            raise self._shut(shut, call, device)
        try:
            self._wait_for_turn(call)
            began = self.monotonic()
            try:
                yield
            finally:
                self.meters.observe(CALLS, self.monotonic() - began, upstream=self.system)
        except NotYet:
            self.circuits.abandoned(name, ticket)
            raise
        except TryAgain as error:
            self._failed(name, ticket, error)
            raise
        except UpstreamError as error:
            self._count_error(error)
            self.circuits.succeeded(name, ticket)
            raise
        except BaseException:
            self.circuits.abandoned(name, ticket)
            raise
        self.circuits.succeeded(name, ticket)

    def _failed(self, name: str, ticket: str, error: TryAgain) -> None:
        self._count_error(error)
        reason = f"answered {error.status}" if error.status else "no answer"
        if (circuit := self.circuits.failed(name, ticket, told=error.retry_after, reason=reason)) is not None:
            self.meters.count(OPENED, upstream=self.system)
            log.warning("breaker open", upstream=name, because=reason, trips=circuit.trips, until=_time(circuit.until))

    def _count_error(self, error: UpstreamError) -> None:
        self.meters.count(ERRORS, upstream=self.system, kind=_kind(error))

    def _shut(self, circuit: Circuit, call: str, device: str) -> NotYet:
        self.meters.count(HELD_BACK, upstream=self.system, because="breaker")
        who = f"{self.label} {device}".strip()
        now = self.circuits.clock().timestamp()
        if now < circuit.until:
            text = f"{who} breaker open, next probe {_time(circuit.until)} ({circuit.reason})"
            pause = circuit.until - now
        else:
            text = f"{who} breaker open, a probe is under way ({circuit.reason})"
            pause = PROBE_PAUSE - now % PROBE_PAUSE
        return NotYet(text, call=call, sent=False, retry_after=pause)

    def _wait_for_turn(self, call: str) -> None:
        if self.rate is None:
            return
        ends = self.monotonic() + self.patience
        while (wait := self.rate.take()) > 0:
            if self.monotonic() + wait > ends:
                self.meters.count(HELD_BACK, upstream=self.system, because="rate")
                text = f"{self.label} is called as often as its rate allows, next call in {wait:.0f} s"
                raise NotYet(text, call=call, sent=False, retry_after=wait + self.spread(wait))
            self.sleep(wait + self.spread(wait / 4))  # who wait together do not ask again together


class GuardedTransport(Transport):
    """A transport whose requests pass a guard."""

    def __init__(self, guard: Guard, base_url: str, **terms: Any) -> None:
        super().__init__(base_url, **terms)
        self._guard = guard

    def request(self, method: str, path: str, **terms: Any) -> Answer:
        """As `Transport.request`.

        Raises:
            NotYet: the guard holds the call back.
        """
        with self._guard.call(path):
            return super().request(method, path, **terms)


def _kind(error: UpstreamError) -> str:
    """Few words for many errors: every one is a series of its own for ever."""
    if error.status is None:
        return "no answer" if isinstance(error, TryAgain) else "ours"
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return "429"
    return f"{error.status // 100}xx" if HTTPStatus.CONTINUE <= error.status < 600 else "other"  # noqa: PLR2004 - the last class of HTTP


def _time(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%H:%M:%S} UTC"
