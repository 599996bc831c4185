"""``ledger.prune``: deletes what is past its retention, a little at a time, so that nobody waits for the ledger."""

import time
from datetime import timedelta
from typing import Final

from infra.ledger.answers import prune as prune_answers
from services.schedules.turn import Found, Turn

LONGEST: Final = timedelta(minutes=30)
"""After this the rest is left to the next night."""

_PAUSE: Final = 0.02
"""Seconds between two transactions, in which others may write."""


def work(turn: Turn) -> Found:
    """Delete finished jobs, settled events, old firings and remembered answers that are old enough."""
    ledger, keep = turn.means.ledger, turn.means.retention
    until, deleted = time.monotonic() + LONGEST.total_seconds(), 0
    while rows := ledger.upkeep.prune(turn.means.clock(), keep=keep) + prune_answers(
        ledger.database, turn.means.clock()
    ):
        deleted += rows
        if time.monotonic() > until:
            return Found(reason=f"{deleted} rows deleted; the rest is left to the next time", detail={"rows": deleted})
        time.sleep(_PAUSE)
    firings = ledger.firings.prune(turn.means.clock() - keep)
    return Found(reason=f"{deleted} rows and {firings} firings deleted", detail={"rows": deleted, "firings": firings})
