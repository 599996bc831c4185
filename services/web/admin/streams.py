"""Server-Sent Events of triggers: who follows the same one shares its looks, and all of them have few threads."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import anyio
import orjson
from anyio.to_thread import run_sync
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from schemas.errors import LedgerUnavailable
from schemas.triggers import TriggerState, TriggerView
from services.web.admin.problems import Problem

LOOK_EVERY: Final = 0.5
"""Seconds between two looks at a trigger, however many follow it."""

LONGEST: Final = 120
"""Looks of one stream: then it ends, and the caller connects again; so a process that stops waits for none for long."""

STILL_THERE: Final = 20
"""Looks without news after which a comment keeps the connection open."""

MOST_STREAMS: Final = 200
"""Streams of a process at a time."""

THREADS: Final = 2
"""Looks of all streams at a time, so that streams keep neither requests nor health waiting."""

RETRY_AFTER: Final = 5
"""Seconds after which a stream may have ended."""

_ENDS: Final = frozenset({TriggerState.FINISHED, TriggerState.CANCELLED})

Look = Callable[[str], TriggerView | None]
"""Shows a trigger, from a thread."""


@dataclass(slots=True)
class _Watched:
    """One trigger that somebody follows."""

    lock: anyio.Lock = field(default_factory=anyio.Lock)
    looked_at: float = -1.0
    found: TriggerView | None = None
    followers: int = 0


class Streams:
    """The streams of one process.

    Args:
        most: how many there may be at a time.
    """

    def __init__(self, *, most: int = MOST_STREAMS) -> None:
        self._most = most
        self._watched: dict[str, _Watched] = {}
        self._limiter: anyio.CapacityLimiter | None = None  # belongs to an event loop, so it is made inside one

    def follow(self, trigger: str, look: Look) -> "EventStream":
        """Give the stream of a trigger, as the response to a request."""
        return EventStream(self, trigger, look)

    @contextmanager
    def seat(self, trigger: str) -> Iterator[None]:
        """Have a place among those who follow; only in the event loop.

        Raises:
            Problem: every place is taken.
        """
        if sum(watched.followers for watched in self._watched.values()) >= self._most:
            text = f"{self._most} streams are open, and there may be no more: come back, or ask for the trigger itself"
            raise Problem(503, text, headers={"retry-after": str(RETRY_AFTER)})
        watched = self._watched.setdefault(trigger, _Watched())
        watched.followers += 1
        try:
            yield
        finally:
            watched.followers -= 1
            if not watched.followers:
                self._watched.pop(trigger, None)

    async def look(self, trigger: str, look: Look) -> TriggerView | None:
        """What is known of a trigger, not older than the pause between two looks; for those who have a seat."""
        watched = self._watched[trigger]
        async with watched.lock:
            if anyio.current_time() - watched.looked_at >= LOOK_EVERY * 0.9 or watched.looked_at < 0:
                if self._limiter is None:
                    self._limiter = anyio.CapacityLimiter(THREADS)
                watched.found = await run_sync(_careful, look, trigger, limiter=self._limiter, abandon_on_cancel=True)
                watched.looked_at = anyio.current_time()
            return watched.found


class EventStream(StreamingResponse):
    """Tells how far a trigger has come until it has ended. It takes its seat before the first byte goes out."""

    def __init__(self, streams: Streams, trigger: str, look: Look) -> None:
        super().__init__(_news(streams, trigger, look), media_type="text/event-stream")
        self._streams = streams
        self._trigger = trigger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._streams.seat(self._trigger):
            await super().__call__(scope, receive, send)


async def _news(streams: Streams, trigger: str, look: Look) -> AsyncIterator[str]:
    told, silent = "", 0
    yield "retry: 1000\n\n"
    for _ in range(LONGEST):
        found = await streams.look(trigger, look)
        text = "" if found is None else found.model_dump_json(exclude={"asked", "parameters"})
        if text and text != told:
            told, silent = text, 0
            yield f"event: progress\ndata: {text}\n\n"
        if found is not None and found.state in _ENDS:
            yield f"event: end\ndata: {orjson.dumps({'state': found.state}).decode()}\n\n"
            return
        silent += 1
        if silent % STILL_THERE == 0:
            yield ": still there\n\n"
        await anyio.sleep(LOOK_EVERY)


def _careful(look: Look, trigger: str) -> TriggerView | None:
    try:
        return look(trigger)
    except LedgerUnavailable:
        return None  # the next look may find it
