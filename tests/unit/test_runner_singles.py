"""An operation that takes one job at a time still runs many at once: each claim rings for the next."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast

from pydantic import BaseModel

from infra.ledger import Ledger, Settlement
from schemas.jobs import Done, Job, Outcome, State
from services.operations import Tools
from services.runner import Runner, Terms
from services.settling import Patience

NOW = datetime(2026, 3, 1, tzinfo=UTC)
MANY = 8


class Nothing(BaseModel):
    """No parameters."""


class Together:
    """An operation whose jobs end only when all of them are under way."""

    name: ClassVar = "tap.together"
    parameters: ClassVar[type[BaseModel]] = Nothing
    batch: ClassVar = 1

    def __init__(self) -> None:
        self.gathered = threading.Barrier(MANY)

    def perform(self, jobs: Sequence[Job], tools: Tools) -> Mapping[int, Outcome]:  # noqa: ARG002 - needs none
        """Wait for the others."""
        self.gathered.wait(timeout=20)
        return {job.id: Done(note="met all the others") for job in jobs}


class Shelf:
    """As much of a ledger as the runner touches."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting = list(range(1, MANY + 1))
        self.settled: list[Settlement] = []

    @property
    def work(self) -> "Shelf":
        """The ledger's part that holds jobs."""
        return self

    def claim(self, operation: str, *, limit: int, **_: Any) -> list[Job]:
        """Hand out what waits."""
        with self.lock:
            taken, self.waiting = self.waiting[:limit], self.waiting[limit:]
        return [self._job(number, operation) for number in taken]

    def _job(self, number: int, operation: str) -> Job:
        return Job(
            id=number,
            operation=operation,
            target=str(number),
            parameters={},
            fence=1,
            attempt=1,
            claimed_at=NOW,
            created_at=NOW,
        )

    def settle(self, settlements: Sequence[Settlement], _: datetime) -> None:
        """Keep the ends."""
        self.settled.extend(settlements)


def test_one_ring_sets_every_waiting_job_going_at_once() -> None:
    shelf, operation = Shelf(), Together()
    tools = Tools(
        note=lambda _: set(), clock=lambda: NOW, renewal_look_every=timedelta(1), renewal_deadline=timedelta(1)
    )
    patience = Patience(max_attempts=1, base=1, cap=1)
    terms = Terms(worker="w", lease=timedelta(seconds=15), linger=0, patience=patience)
    with ThreadPoolExecutor(2 * MANY) as pool:

        def ring(name: str, _: Iterable[int]) -> None:
            pool.submit(runner.perform, name.removeprefix("keyturn."))

        runner = Runner(
            cast("Ledger", shelf), tools, terms, ring=ring, clock=lambda: NOW, operations={operation.name: operation}
        )
        ring(operation.name, [])
        operation_ended = threading.Event()
        for _ in range(400):
            if len(shelf.settled) == MANY or operation_ended.wait(0.05):
                break
    assert [settlement.state for settlement in shelf.settled] == [State.SUCCEEDED] * MANY
