"""Looks at some targets of a dry run: what is true of them now, and what a job would make of it. Nothing is written."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, Final

import structlog

from schemas.diffs import Diff
from schemas.errors import ConfigurationError, KeyturnError
from schemas.jobs import Job, NewJob
from services.operations import OPERATIONS, Tools
from services.operations.previews import PREVIEWS

LONGEST: Final = 20.0
"""Seconds of one dry run's looks; what is not told by then is told as that."""

AT_ONCE: Final = 2
"""Dry runs of a process that look at a time, so that looks keep no thread from other requests for long."""

THREADS: Final = 5
"""Targets of one dry run that are looked at a time."""

log = structlog.get_logger(__name__)


class Looker:
    """Asks outside systems for a dry run; its tools are made when they are first needed.

    Args:
        tools: gives the tools for an outside system.
        clock: the time.
        longest: seconds.
    """

    def __init__(
        self, tools: Callable[[str], Tools], *, clock: Callable[[], datetime], longest: float = LONGEST
    ) -> None:
        self._tools_of = tools
        self._clock = clock
        self._longest = longest
        self._made: dict[str, Tools] = {}
        self._making = threading.Lock()
        self._seats = threading.BoundedSemaphore(AT_ONCE)

    def look(self, wishes: Sequence[NewJob]) -> list[Diff]:
        """Tell of each wish, in their order, what its job would change; a rule's may be of several operations."""
        if not wishes:
            return []
        jobs = [self._job(number, wish) for number, wish in enumerate(wishes, 1)]
        if not self._seats.acquire(blocking=False):
            return [_unknown(job, "others are being looked at: ask again") for job in jobs]
        until = time.monotonic() + self._longest
        try:
            alike = groupby(sorted(jobs, key=_verb), key=_verb)
            found = {job.id: diff for _, group in alike for job, diff in self._of_one_verb(list(group), until)}
        finally:
            self._seats.release()
        return [found[job.id] for job in jobs]

    def _of_one_verb(self, jobs: Sequence[Job], until: float) -> list[tuple[Job, Diff]]:
        try:
            tools = self._tools(jobs[0].operation.partition(".")[0])
        except ConfigurationError as error:
            return [(job, _unknown(job, str(error))) for job in jobs]
        return self._told(jobs, tools, until)

    def close(self) -> None:
        """Let go of what was made."""
        with self._making:
            for tools in self._made.values():
                tools.close()

    def _tools(self, system: str) -> Tools:
        with self._making:
            if system not in self._made:
                self._made[system] = self._tools_of(system)
            return self._made[system]

    def _job(self, number: int, wish: NewJob) -> Job:
        """A job as it would be claimed; no job of the ledger has a negative id."""
        now = self._clock()
        return Job(
            id=-number,
            operation=wish.operation,
            target=wish.target,
            parameters=wish.parameters,
            fence=0,
            attempt=1,
            claimed_at=now,
            created_at=now,
        )

    def _told(self, jobs: Sequence[Job], tools: Tools, until: float) -> list[tuple[Job, Diff]]:
        operation = jobs[0].operation

        def note(noted: Sequence[tuple[Job, Mapping[str, Any]]]) -> set[int]:
            """Keep nothing; when time is up, say that the job is another's, which ends whatever asks."""
            return {job.id for job, _ in noted} if time.monotonic() < until else set()

        bound = replace(tools, note=note, clock=self._clock, remember=lambda _: None, alert=lambda _: None)
        largest = OPERATIONS[operation].batch
        parts = [jobs[start : start + largest] for start in range(0, len(jobs), largest)]
        pool = ThreadPoolExecutor(THREADS, thread_name_prefix="looks")
        try:
            futures = [pool.submit(_looked, operation, part, bound) for part in parts]
            wait(futures, timeout=max(0.0, until - time.monotonic()))
            found: dict[int, Diff] = {}
            for future in futures:
                found |= future.result() if future.done() and not future.cancelled() else {}
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        late = f"not looked at within {self._longest:g} seconds"
        return [(job, found.get(job.id) or _unknown(job, late)) for job in jobs]


def _looked(operation: str, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    try:
        return PREVIEWS[operation](jobs, tools)
    except KeyturnError as error:
        why = str(error)
    except Exception as error:
        log.exception("a preview failed")
        why = f"Keyturn failed: {type(error).__name__}"
    return {job.id: _unknown(job, why) for job in jobs}


def _verb(job: Job) -> tuple[str, str]:
    return job.operation, repr(sorted(job.parameters.items()))


def _unknown(job: Job, why: str) -> Diff:
    return Diff(target=job.target, operation=job.operation, then="unknown", why=why)
