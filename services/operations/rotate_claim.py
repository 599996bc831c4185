"""The claim to a job, as the threads that work on it see it: whoever is about to write asks whether it still stands.

A thread may stand still for longer than its lease lasts: a machine is suspended, a process is swapped out. Meanwhile
another worker may have had the job, and the next one of the location; a list written from what was seen before would
delete the key that was made since. A device knows no fence, so the ledger is asked: before each write, unless it was
asked a moment ago.
"""

import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from schemas.jobs import Job
from services.operations.contract import Tools

LAST_CALL: Final = timedelta(minutes=8)
"""An attempt older than this begins nothing more: soon its lease ends, and another may have the job."""

_FRESH: Final = timedelta(seconds=2)
"""For so long the ledger's word counts; a fraction of the shortest lease."""


class TakenOver(Exception):
    """Another worker has the job now."""


class Claim:
    """See the module. All threads of an attempt share it."""

    def __init__(self, job: Job, tools: Tools) -> None:
        self._job = job
        self._tools = tools
        self._guard = threading.Lock()
        self._noted: Mapping[str, Any] = job.progress
        self._stood_at = job.claimed_at
        self._lost = False
        self._late = False

    @property
    def late(self) -> bool:
        """Whether nothing more is to be begun in this attempt; once it is so, it stays so."""
        self._late = self._late or not timedelta() <= self._tools.clock() - self._job.claimed_at <= LAST_CALL
        return self._late

    def note(self, progress: Mapping[str, Any]) -> None:
        """Commit how far the work has come.

        Raises:
            TakenOver: the job is no longer ours.
            LedgerUnavailable: nobody knows.
        """
        with self._guard:
            self._note(progress)

    def may_go_on(self) -> bool:
        """Ask before a conversation begins and before a device is written to.

        Returns:
            False where this attempt is to end.

        Raises:
            TakenOver: the job is no longer ours.
            LedgerUnavailable: nobody knows.
        """
        with self._guard:
            if not self._lost and not timedelta() <= self._tools.clock() - self._stood_at <= _FRESH:
                self._note(self._noted)
            if self._lost:
                raise TakenOver
        return not self.late

    def _note(self, progress: Mapping[str, Any]) -> None:
        asked_at = self._tools.clock()
        if self._lost or self._job.id not in self._tools.note([(self._job, progress)]):
            self._lost = True
            raise TakenOver
        self._noted, self._stood_at = progress, asked_at
