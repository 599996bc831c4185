"""A worker's parts for tests: a bell that remembers, an operation that does as it is told, and their runner."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, ClassVar, cast

from pydantic import BaseModel
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from infra.ledger import Ledger
from schemas.jobs import Done, Job, Outcome
from services.operations import Tools
from services.runner import Runner, Terms
from services.settling import Patience
from tests.conftest import Clock
from tests.support.ledger import LEASE, ROTATE


@dataclass
class Bell:
    """Remembers what was rung for."""

    rung: list[tuple[str, list[int]]] = field(default_factory=list)

    def __call__(self, task: str, ids: Iterable[int]) -> None:
        """Ring."""
        self.rung.append((task, list(ids)))

    def tasks(self) -> list[str]:
        """The names that were rung for, in order."""
        return [task for task, _ in self.rung]


class Anything(BaseModel):
    """Parameters that nobody checks."""


def done(jobs: Sequence[Job]) -> Mapping[int, Outcome]:
    """Every job succeeds."""
    return {job.id: Done(note="it is so") for job in jobs}


class Obedient:
    """An operation that takes batches of a hundred and answers as the test says.

    Attributes:
        batches: the targets of each call.
    """

    name: ClassVar[str] = ROTATE
    parameters: ClassVar[type[BaseModel]] = Anything
    batch: ClassVar[int] = 100

    def __init__(self, answer: Callable[[Sequence[Job]], Mapping[int, Outcome]] = done) -> None:
        self.answer = answer
        self.batches: list[list[str]] = []
        self._guard = threading.Lock()

    def perform(self, jobs: Sequence[Job], _tools: Tools) -> Mapping[int, Outcome]:
        """Answer."""
        with self._guard:
            self.batches.append([job.target for job in jobs])
        return self.answer(jobs)


class OneByOne(Obedient):
    """The same, without batches."""

    batch: ClassVar[int] = 1


def make_runner(
    ledger: Ledger, clock: Clock, operation: Obedient, bell: Bell, *, linger: float = 0.0, **more: Any
) -> Runner:
    """A runner that knows one operation."""
    tools = Tools(
        ublox=cast("Any", None),
        note=ledger.work.note,
        children=ledger.work.children,
        clock=clock,
        renewal_look_every=timedelta(hours=1),
        renewal_deadline=timedelta(days=14),
        doubt=timedelta(seconds=75),
    )
    patience = Patience(max_attempts=3, base=2.0, cap=60.0)
    terms = Terms(worker="worker", lease=LEASE, linger=linger, patience=patience, **more)
    return Runner(ledger, tools, terms, ring=bell, clock=clock, operations={operation.name: operation})


def take_away(ledger: Ledger, *, times: int) -> None:
    """Make the ledger's next transactions fail as when its disk is full."""
    left = [None] * times

    def refuse(_connection: object) -> None:
        if left:
            left.pop()
            raise OperationalError("BEGIN", {}, OSError("disk is full"))

    event.listen(ledger.database.engine, "begin", refuse, insert=True)
