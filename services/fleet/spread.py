"""The same work with many things at once: one pool of threads for all jobs of a process."""

import queue
import statistics
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

GRACE: Final = 1.5
"""Seconds that each of the last few has in a hurry, at least; a small device's TLS handshake may take most of one."""

PATIENCE: Final = 2.5
"""So many times what the others took, in the middle of them, has each of the last few in a hurry."""

_WAITING: Final = 8
"""One thing for so many threads waits for the next free one, which would else wait until a result was looked at."""


class Spread:
    """A bounded pool of threads; callers that use it at the same time share it fairly.

    Each caller has at most as many in the pool as it has threads, and a few that wait for one, so that one with a
    thousand things to do does not stand in front of one with two for much longer than a turn.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="spread")
        self._most = threads + -(-threads // _WAITING)

    def each(self, work: Callable[[T], R], items: Sequence[T], *, hurry: bool = False) -> Generator[R, None, None]:
        """Do the work with each; results come as they are ready.

        When the caller stops listening, or the work raises, nothing more is begun, and what is under way is waited for.
        After `close` the results end; what was not begun gives none.

        Args:
            work: called once for each, from any thread.
            items: in the order in which they are begun.
            hurry: leave the last few to themselves when they take much longer than the others; they give no result.
        """
        round_ = _Round(self._pool, work, iter(items))
        try:
            while round_.begin(self._most):
                result = round_.next(last=hurry and len(round_.running) < self._most)
                if result is None:
                    return
                yield result[0]
        finally:
            # One that was cancelled before it had a thread never counts as done: only the others are waited for.
            wait([future for future in round_.running if not future.cancel()])

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


@dataclass(slots=True)
class _Started:
    """When a thing was begun; None while it waits for a thread."""

    at: float | None = None


class _Round(Generic[T, R]):
    """One caller's things. What is ready comes through a queue: to ask every future each time costs a core's share."""

    def __init__(self, pool: ThreadPoolExecutor, work: Callable[[T], R], coming: Iterator[T]) -> None:
        self.running: dict[Future[R], _Started] = {}
        self._pool = pool
        self._work = work
        self._coming = coming
        self._ready: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
        self._took: list[float] = []

    def begin(self, most: int) -> bool:
        """Begin as many as there is room for; give whether any is under way."""
        while len(self.running) < most:
            try:
                item = next(self._coming)
            except StopIteration:
                break
            started = _Started()
            try:
                future = self._pool.submit(self._timed, item, started)
            except RuntimeError:  # the pool is closed
                self._coming = iter(())
                break
            self.running[future] = started
            future.add_done_callback(self._ready.put)
        return bool(self.running)

    def next(self, *, last: bool) -> tuple[R] | None:
        """Give the next result; nothing when there is none, or when those that are left are left to themselves."""
        while self.running:
            patience = self._patience() if last and self._took else None
            try:
                future = self._ready.get(timeout=None if patience is None else max(0.0, patience))
            except queue.Empty:
                if self._patience() <= 0:
                    self.running.clear()  # they end by themselves, and nobody asks what they found
                continue
            del self.running[future]
            if not future.cancelled():
                return (future.result(),)
        return None

    def _patience(self) -> float:
        """Seconds until each that is left takes much longer than most did."""
        now = time.monotonic()
        given = max(GRACE, PATIENCE * statistics.median(self._took))
        begun = (started.at for started in self.running.values())
        return given + max(now if at is None else at for at in begun) - now

    def _timed(self, item: T, started: _Started) -> R:
        started.at = began = time.monotonic()
        try:
            return self._work(item)
        finally:
            self._took.append(time.monotonic() - began)
