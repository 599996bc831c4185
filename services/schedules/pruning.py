"""``ledger.prune``: deletes what is past its retention, a little at a time, so that nobody waits for the ledger."""

import time
from datetime import timedelta
from typing import Final

from infra.ledger.answers import prune as prune_answers
from services.schedules.lag import asks_since
from services.schedules.turn import Found, Turn

LONGEST: Final = timedelta(minutes=30)
"""After this the rest is left to the next night."""

_PAUSE: Final = 0.02
"""Seconds between two transactions, in which others may write."""


def work(turn: Turn) -> Found:
    """Delete finished jobs, settled events, old firings and remembered answers that are old enough."""
    ledger, keep, clock = turn.means.ledger, turn.means.retention, turn.means.clock
    until, deleted, asked = time.monotonic() + LONGEST.total_seconds(), 0, asks_since(ledger, clock())
    while rows := ledger.upkeep.prune(clock(), keep=keep, events_before=asked) + prune_answers(
        ledger.database, clock()
    ):
        deleted += rows
        if time.monotonic() > until:
            return Found(reason=f"{deleted} rows deleted; the rest is left to the next time", detail={"rows": deleted})
        time.sleep(_PAUSE)
    firings = ledger.firings.prune(clock() - keep)
    reason = f"{deleted} rows and {firings} firings deleted"
    if asked is not None and asked < clock() - keep:
        reason += f"; events since {asked:%d %b %H:%M} UTC are kept: catching up may bring them again"
    return Found(reason=reason, detail={"rows": deleted, "firings": firings})
