"""The same work with many things at once: one pool of threads for all jobs of a process."""

import queue
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

GRACE: Final = 1.5
"""Seconds that the last few are given in a hurry, at least; a small device's TLS handshake may take most of one."""

PATIENCE: Final = 2.5
"""So many times what the others took on the average are the last few given in a hurry."""


class Spread:
    """A bounded pool of threads; callers that use it at the same time share it fairly.

    Each caller has at most as many in the pool as it has threads, so that one with a thousand things to do does not
    stand in front of one with two for longer than a turn.
    """

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="spread")
        self._threads = threads

    def each(self, work: Callable[[T], R], items: Sequence[T], *, hurry: bool = False) -> Generator[R, None, None]:
        """Do the work with each; results come as they are ready.

        When the caller stops listening, or the work raises, nothing more is begun, and what is under way is waited for.

        Args:
            work: called once for each, from any thread.
            items: in the order in which they are begun.
            hurry: leave the last few to themselves when they take much longer than the others; they give no result.
        """
        round_ = _Round(self._pool, work, iter(items))
        try:
            while round_.begin(self._threads):
                last = hurry and len(round_.running) < self._threads
                result = round_.next(last=last)
                if result is None:
                    return
                yield result[0]
        finally:
            for future in round_.running:
                future.cancel()
            wait(round_.running)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class _Round(Generic[T, R]):
    """One caller's things. What is ready comes through a queue: to ask every future each time costs a core's share."""

    def __init__(self, pool: ThreadPoolExecutor, work: Callable[[T], R], coming: Iterator[T]) -> None:
        self.running: set[Future[R]] = set()
        self._pool = pool
        self._work = work
        self._coming = coming
        self._ready: queue.SimpleQueue[Future[R]] = queue.SimpleQueue()
        self._seconds = self._count = 0.0

    def begin(self, most: int) -> bool:
        """Begin as many as there is room for; give whether any is under way."""
        while len(self.running) < most:
            try:
                item = next(self._coming)
            except StopIteration:
                break
            future = self._pool.submit(self._timed, item)
            self.running.add(future)
            future.add_done_callback(self._ready.put)
        return bool(self.running)

    def next(self, *, last: bool) -> tuple[R] | None:
        """Give the next result; nothing when those that are left are left to themselves."""
        while True:
            patience = max(GRACE, PATIENCE * self._seconds / self._count) if last and self._count else None
            try:
                future = self._ready.get(timeout=patience)
            except queue.Empty:
                if all(future.running() for future in self.running):
                    self.running.clear()  # they end by themselves, and nobody asks what they found
                    return None
                continue  # some have not begun: others use the pool too
            self.running.discard(future)
            return (future.result(),)

    def _timed(self, item: T) -> R:
        began = time.monotonic()
        try:
            return self._work(item)
        finally:
            self._seconds += time.monotonic() - began  # a lost race of two threads changes an average, no more
            self._count += 1
