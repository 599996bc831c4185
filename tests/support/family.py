"""A job that has children and asks for a person's word, and the person."""

from datetime import timedelta
from typing import Any, Literal

from infra.ledger import Ledger
from infra.ledger.holding import Said, Verdict
from infra.ledger.steering import Order, Steer, steer
from schemas.access import Role
from schemas.jobs import Ask, Job, NewJob, Spawn
from services.settling import Patience, settlement_of
from tests.conftest import Clock
from tests.support.ledger import (
    ask,
    claim_one,
    rows,
    wish,
)

PARENT = "ublox.roll_root_ca"
HOUR = timedelta(hours=1)
PATIENCE = Patience(max_attempts=3, base=2.0, cap=60.0)


def parent_of(ledger: Ledger, clock: Clock) -> Job:
    """A claimed job that is going to have children."""
    ask(ledger, clock(), wish("rootca:old", PARENT))
    return claim_one(ledger, clock(), PARENT)


def spawn(ledger: Ledger, clock: Clock, parent: Job, *children: NewJob) -> dict[str, list[int]]:
    outcome = Spawn(reason="moving", children=children, look_at=clock() + HOUR, progress={"stage": "transfer"})
    return ledger.work.settle([settlement_of(parent, outcome, clock(), PATIENCE)], clock())


def question(
    ledger: Ledger, clock: Clock, job: Job, *, step: str = "transfer", role: Literal["operator", "admin"] = "admin"
) -> None:
    outcome = Ask(reason="7 devices will move", step=step, role=role, progress={"stage": step})
    ledger.work.settle([settlement_of(job, outcome, clock(), PATIENCE)], clock())


def say(ledger: Ledger, clock: Clock, job: int, verdict: Verdict = Verdict.APPROVE, *, role: Role = Role.ADMIN) -> bool:
    """A person's word about what the job asks now."""
    shown = ledger.admin.job(job)
    said = Said(verdict=verdict, actor="key:boss", role=role, step=shown.asks if shown else None)
    with ledger.database.writing() as connection:
        found = ledger.holding.say(connection, job, said, clock())
    assert found is not None
    return found[0]


def steered(ledger: Ledger, clock: Clock, job: int, what: Steer) -> None:
    with ledger.database.writing() as connection:
        steer(connection, Order(job=job, steer=what, actor="key:boss"), clock())


def children(ledger: Ledger, parent: Job) -> list[dict[str, Any]]:
    return rows(ledger, "SELECT * FROM jobs WHERE parent_id = :id ORDER BY id", id=parent.id)
