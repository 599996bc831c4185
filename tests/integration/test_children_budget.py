"""Children of a job and the budget of their operation, by which the worker binds them."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from infra.ledger import Ledger
from infra.ledger.steering import Order, Steer, steer
from schemas.errors import InputError
from schemas.jobs import Done, NewJob, Spawn
from schemas.limits import Approval, Budget, Limits
from services.sweep import sweep
from tests.conftest import Clock
from tests.support.ledger import ROTATE, ask, device, job_row, rows, states, wish
from tests.support.works import Bell, Obedient, make_runner

PARENT = "ublox.roll_root_ca"
HOUR = timedelta(hours=1)


def test_the_budget_of_their_operation_binds_children_too(ledger: Ledger, clock: Clock) -> None:
    """Three devices at two a day: the parent looks again when the third has had its turn on the next day."""
    (parent,) = ask(ledger, clock(), wish("rootca:old", PARENT))

    class Parent(Obedient):
        name = PARENT

    def answer(jobs: Any) -> Any:
        (job,) = jobs
        if job.progress:
            return {job.id: Done(note="all have moved")}
        wishes = [wish(device(number)) for number in (1, 2, 3)]
        return {job.id: Spawn(reason="s", children=wishes, look_at=clock() + 96 * HOUR, progress={"stage": "x"})}

    budgets = {ROTATE: Budget(jobs=2, per="day")}
    roll = make_runner(ledger, clock, Parent(answer), Bell(), budget_of=budgets.get)
    rotate = make_runner(ledger, clock, Obedient(), Bell())
    roll.perform(PARENT)
    rotate.perform(ROTATE)
    assert [
        row["state"] for row in rows(ledger, "SELECT state FROM jobs WHERE parent_id = :id ORDER BY id", id=parent)
    ] == ["succeeded", "succeeded", "held"]
    sweep(ledger, ring=Bell(), clock=clock)
    assert job_row(ledger, parent)["state"] == "awaiting"
    clock.forward(days=1)
    sweep(ledger, ring=Bell(), clock=clock)
    rotate.perform(ROTATE)
    roll.perform(PARENT)
    assert job_row(ledger, parent)["state"] == "succeeded"


class Roll(Obedient):
    """A job that has children."""

    name = PARENT


def spawns(clock: Clock, *children: NewJob) -> Any:
    """Answer every job with these children."""
    return lambda jobs: {
        job.id: Spawn(reason="s", children=children, look_at=clock() + HOUR, progress={"stage": "x"}) for job in jobs
    }


def spent(ledger: Ledger) -> int:
    (row,) = rows(ledger, "SELECT coalesce(sum(jobs), 0) AS jobs FROM spending WHERE operation = :name", name=ROTATE)
    return int(row["jobs"])


def test_children_that_are_cancelled_with_their_parent_give_back_what_they_were_counted_for(
    ledger: Ledger, clock: Clock
) -> None:
    (parent,) = ask(ledger, clock(), wish("rootca:old", PARENT))
    children = [wish(device(number)) for number in (1, 2, 3, 4)]
    budgets = {ROTATE: Budget(jobs=2, per="day")}
    make_runner(ledger, clock, Roll(spawns(clock, *children)), Bell(), budget_of=budgets.get).perform(PARENT)
    assert spent(ledger) == 2
    with ledger.database.writing() as connection:
        steer(connection, Order(job=parent, steer=Steer.CANCEL, actor="key:boss"), clock())
    assert spent(ledger) == 0


def test_what_an_operation_says_of_its_children_stays_beside_the_budget(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish("rootca:old", PARENT))
    child = replace(wish(device(1)), limits=Limits(approval=Approval(role="operator")))
    budgets = {ROTATE: Budget(jobs=2, per="day")}
    make_runner(ledger, clock, Roll(spawns(clock, child)), Bell(), budget_of=budgets.get).perform(PARENT)
    (row,) = rows(ledger, "SELECT state, reason FROM jobs WHERE parent_id IS NOT NULL")
    assert (row["state"], "approval by an operator" in row["reason"]) == ("held", True)


def test_a_playbook_that_cannot_be_read_costs_no_other_job_its_outcome(ledger: Ledger, clock: Clock) -> None:
    def unreadable(_operation: str) -> Budget | None:
        raise InputError(["line 3: unknown operation"])

    verified, parent = ask(ledger, clock(), wish(device(1)), wish(device(2)))
    spawn = spawns(clock, wish(device(9)))
    operation = Obedient(lambda jobs: {jobs[0].id: Done(note="verified"), **spawn(jobs[1:])})
    runner = make_runner(ledger, clock, operation, Bell(), budget_of=unreadable)
    runner.perform(ROTATE)
    assert states(ledger, [verified, parent]) == ["succeeded", "due"]
    row = job_row(ledger, parent)
    assert (row["attempts"], row["progress"]) == (0, '{"stage":"x"}')
    assert row["reason"].startswith("the playbook cannot be read: line 3: unknown operation")
