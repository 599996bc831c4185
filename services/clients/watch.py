"""Hangs up on calls that take too long, from one thread for the whole process.

A timeout of a socket bounds the silence between two bytes; an upstream that sends one byte after the other passes it
for hours. A timer per call would cost a thread per call.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

_AGAIN: Final = 0.1
"""Seconds until a call that goes on after its deadline is hung up on once more: it may have had no line yet."""


class Watch:
    """Keeps the deadlines of calls that are under way."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls: dict[object, tuple[float, Callable[[], object]]] = {}
        self._thread: threading.Thread | None = None
        self._wakes = math.inf

    @contextmanager
    def until(self, deadline: float, hang_up: Callable[[], object]) -> Iterator[None]:
        """Call `hang_up` from another thread, and again, for as long as the block lasts past its deadline.

        Args:
            deadline: on the clock of `time.monotonic`.
            hang_up: returns at once and raises nothing; it is never called after the block.
        """
        call = object()
        with self._changed:
            self._calls[call] = (deadline, hang_up)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
                self._thread.start()
            elif deadline < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                del self._calls[call]

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                for deadline, hang_up in self._calls.values():
                    if deadline <= now:
                        hang_up()
                next_times = (deadline if deadline > now else now + _AGAIN for deadline, _ in self._calls.values())
                self._wakes = min(next_times, default=math.inf)
                self._changed.wait(None if self._wakes == math.inf else self._wakes - now)


WATCH: Final = Watch()
"""The one of this process."""
