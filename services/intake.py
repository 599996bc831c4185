"""Takes deliveries in: many requests share one durable commit, and nobody is answered before it.

Requests that arrive while a commit is under way wait for the next one, so the batch grows with the load and no timer
adds latency. The event loop only collects and answers; one writer thread commits.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import structlog

from infra.ledger import Arrival, Inbox
from schemas.errors import LedgerUnavailable

MAX_BATCH: Final = 512
"""Rows of one commit: keeps a commit's time, and so the latency of the next batch, bounded."""

_WATCH_EVERY: Final = 0.1
_GAUGE_EVERY: Final = 1.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Waiter:
    arrival: Arrival
    answer: asyncio.Future[None]
    since: float


class Intake:
    """Accepts deliveries durably.

    Args:
        on_accepted: called from the writer thread with the ids of new events after each commit; must not block.
        timeout: seconds within which a delivery is committed or refused.
        queue_limit: deliveries that may wait in memory; more are refused at once.
        backlog_limit: unplanned events in the ledger; above it new deliveries are refused.
    """

    def __init__(
        self,
        inbox: Inbox,
        *,
        on_accepted: Callable[[Sequence[int]], None],
        timeout: float,
        queue_limit: int,
        backlog_limit: int,
    ) -> None:
        self._inbox = inbox
        self._on_accepted = on_accepted
        self._timeout = timeout
        self._queue_limit = queue_limit
        self._backlog_limit = backlog_limit
        self._waiting: list[_Waiter] = []
        self._committing: list[_Waiter] = []
        self._over_backlog = False
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start the writer; call it inside the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="intake")
        self._gauge = threading.Thread(target=self._watch_backlog, name="backlog", daemon=True)
        self._gauge.start()
        self._watch = self._loop.call_later(_WATCH_EVERY, self._refuse_overdue)

    async def stop(self) -> None:
        """Commit what waits, then stop."""
        self._stopped.set()
        answers = [waiter.answer for waiter in (*self._committing, *self._waiting)]
        await asyncio.gather(*answers, return_exceptions=True)
        self._watch.cancel()
        self._writer.shutdown()

    def accept(self, arrival: Arrival) -> asyncio.Future[None]:
        """Queue a delivery; the future ends when it is committed.

        Raises:
            LedgerUnavailable: at once or through the future; the delivery may be sent again.
        """
        if self._over_backlog:
            raise LedgerUnavailable(f"more than {self._backlog_limit} events wait for their plan")
        if len(self._waiting) >= self._queue_limit:
            raise LedgerUnavailable(f"{self._queue_limit} deliveries wait for the ledger")
        answer: asyncio.Future[None] = self._loop.create_future()
        if not self._waiting and not self._committing:
            self._loop.call_soon(self._commit_next)
        self._waiting.append(_Waiter(arrival, answer, self._loop.time()))
        return answer

    def _commit_next(self) -> None:
        if self._committing or not self._waiting:
            return
        self._committing, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
        arrivals = [waiter.arrival for waiter in self._committing]
        self._writer.submit(self._store, arrivals)

    def _store(self, arrivals: list[Arrival]) -> None:
        """Runs in the writer thread: commit, let the loop answer, then tell the workers."""
        ids: list[int] = []
        errors: list[Exception | None] = [None] * len(arrivals)
        try:
            ids = self._inbox.accept(arrivals)
        except LedgerUnavailable as error:
            errors = [error] * len(arrivals)
        except Exception:
            log.exception("a batch was refused by the ledger; storing one by one")  # one row must not sink the others
            errors = [self._store_alone(arrival, ids) for arrival in arrivals]
        self._loop.call_soon_threadsafe(self._answer, errors)
        if ids:
            self._on_accepted(ids)

    def _store_alone(self, arrival: Arrival, ids: list[int]) -> Exception | None:
        try:
            ids.extend(self._inbox.accept([arrival]))
        except Exception as error:  # noqa: BLE001 - reported to its own sender
            return error
        return None

    def _answer(self, errors: list[Exception | None]) -> None:
        answered, self._committing = self._committing, []
        if failed := [error for error in errors if error]:
            log.error("deliveries were not stored", deliveries=len(failed), error=str(failed[0]))
        for waiter, error in zip(answered, errors, strict=True):
            if waiter.answer.done():
                continue
            if error is None:
                waiter.answer.set_result(None)
            else:
                waiter.answer.set_exception(LedgerUnavailable("the ledger did not take it"))
        self._commit_next()

    def _refuse_overdue(self) -> None:
        """Answer those that waited too long; a commit that still succeeds makes their repeat a duplicate."""
        limit = self._loop.time() - self._timeout
        for waiter in (*self._committing, *self._waiting):
            if waiter.since > limit:
                break
            if not waiter.answer.done():
                waiter.answer.set_exception(LedgerUnavailable(f"no commit within {self._timeout:g} s"))
        self._waiting = [waiter for waiter in self._waiting if not waiter.answer.done()]
        self._watch = self._loop.call_later(_WATCH_EVERY, self._refuse_overdue)

    def _watch_backlog(self) -> None:
        while not self._stopped.wait(_GAUGE_EVERY):
            try:
                over = self._inbox.backlog(self._backlog_limit + 1) > self._backlog_limit
            except LedgerUnavailable:
                continue
            if over != self._over_backlog:
                log.warning("backlog over its limit" if over else "backlog within its limit", limit=self._backlog_limit)
            self._over_backlog = over
