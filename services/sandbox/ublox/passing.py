"""How time passes for a twin: by itself in real time, or at one go when a virtual clock is moved on."""

import asyncio
from datetime import timedelta
from functools import partial
from typing import Final

from schemas.errors import InputError
from services.sandbox.ublox.clock import Clock, VirtualClock
from services.sandbox.ublox.timeline import BATCH, Timeline, nobody
from services.sandbox.ublox.webhooks import Post

_LONGEST_REST: Final = 1.0
"""Seconds between two looks at the clock, which a test may have moved."""

_SHORTEST_REST: Final = 0.01

_MOST_UNDELIVERED: Final = 1000
"""Deliveries that may wait before time passes on: the receivers of a year must not overflow in a second."""


async def lived(timeline: Timeline, clock: Clock) -> None:
    """Let whatever is due happen, for ever; with a virtual clock nothing happens by itself."""
    if isinstance(clock, VirtualClock):
        return
    changed = asyncio.Event()
    timeline.tell_change = partial(asyncio.get_running_loop().call_soon_threadsafe, changed.set)
    try:
        while True:
            changed.clear()
            done = 0
            while done < BATCH and (due := timeline.take_due(clock())):
                due[1]()
                done += 1
            await asyncio.sleep(0)
            if done < BATCH:
                await _rest(timeline, clock, changed)
    finally:
        timeline.tell_change = nobody


async def _rest(timeline: Timeline, clock: Clock, changed: asyncio.Event) -> None:
    """Sleep until the next moment, or until a change."""
    moment = timeline.next_moment
    pause = (moment - clock()).total_seconds() if moment else _LONGEST_REST
    try:
        await asyncio.wait_for(changed.wait(), min(_LONGEST_REST, max(_SHORTEST_REST, pause)))
    except TimeoutError:
        return


async def forwarded(timeline: Timeline, clock: Clock, post: Post, by: timedelta) -> None:
    """Live through a time: everything in it happens in order, each at its own time of the clock.

    Raises:
        InputError: the clock is not a virtual one.
    """
    if not isinstance(clock, VirtualClock):
        raise InputError(["the clock of this twin is the one on the wall; start it with --virtual-clock"])
    end = clock() + by
    done = 0
    while due := timeline.take_due(end):
        moment, act = due
        clock.move_to(moment)
        act()
        done += 1
        if post.waiting > _MOST_UNDELIVERED:
            await asyncio.to_thread(post.drain)
        elif done % BATCH == 0:
            await asyncio.sleep(0)
    clock.move_to(end)
    await asyncio.to_thread(post.drain)
