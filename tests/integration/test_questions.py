"""Jobs that ask for a person's word in the middle of their work, on both databases."""

from datetime import timedelta

import pytest

from infra.ledger import Ledger
from infra.ledger.holding import NotAllowed, NothingToDecide, Said, Verdict
from infra.ledger.steering import Steer, Unlawful
from infra.ledger.trigger_terms import Asked
from schemas.access import Role
from schemas.jobs import NewJob, State
from schemas.limits import NEVER, Approval, Hold, Limits
from schemas.redrive import RedriveParked
from schemas.triggers import Aim
from services.sweep import sweep
from tests.conftest import Clock
from tests.support.admin import AdminSite
from tests.support.family import PARENT, parent_of, question, say, spawn, steered
from tests.support.ledger import (
    ask,
    claim_one,
    device,
    job_row,
    rows,
    settle,
    states,
    wish,
)
from tests.support.works import Bell


def test_a_job_asks_and_goes_on_with_the_step_in_its_progress(ledger: Ledger, clock: Clock) -> None:
    job = parent_of(ledger, clock)
    question(ledger, clock, job)
    row = job_row(ledger, job.id)
    assert (row["state"], row["reason"]) == ("held", "7 devices will move; waits for approval by an admin")
    assert say(ledger, clock, job.id)
    again = claim_one(ledger, clock(), PARENT)
    assert again.approved == {"transfer"}
    assert (again.progress["stage"], again.attempt) == ("transfer", 1)
    question(ledger, clock, again, step="delete")
    assert say(ledger, clock, job.id)
    assert claim_one(ledger, clock(), PARENT).approved == {"transfer", "delete"}


def test_an_approval_is_said_once_and_by_somebody_who_may(ledger: Ledger, clock: Clock) -> None:
    job = parent_of(ledger, clock)
    question(ledger, clock, job)
    with pytest.raises(NotAllowed, match="waits for the word of an admin"):
        say(ledger, clock, job.id, role=Role.OPERATOR)
    assert say(ledger, clock, job.id)
    assert not say(ledger, clock, job.id)


def test_a_refused_step_cancels_the_job(ledger: Ledger, clock: Clock) -> None:
    job = parent_of(ledger, clock)
    question(ledger, clock, job)
    assert say(ledger, clock, job.id, Verdict.REJECT)
    row = job_row(ledger, job.id)
    assert (row["state"], row["reason"]) == ("cancelled", "rejected by key:boss")


def test_nothing_but_an_approval_brings_a_job_past_its_question(ledger: Ledger, clock: Clock) -> None:
    job = parent_of(ledger, clock)
    question(ledger, clock, job)
    for what in (Steer.FORCE, Steer.RETRY):
        with pytest.raises(Unlawful):
            steered(ledger, clock, job.id, what)
    site = AdminSite(ledger, clock)
    redriven = site.post("/parked/redrive", RedriveParked(ids=[job.id]).model_dump(exclude_defaults=True))
    assert redriven.json()["items"] == []
    clock.now = NEVER - timedelta(days=1)
    sweep(ledger, ring=Bell(), clock=clock)
    assert job_row(ledger, job.id)["state"] == "held"


def test_an_operation_cannot_write_that_a_step_was_approved(ledger: Ledger, clock: Clock) -> None:
    job = parent_of(ledger, clock)
    ledger.work.note([(job, {"stage": "delete", "approved": ["delete"]})])
    assert "approved" not in job_row(ledger, job.id)["progress"]
    settle(ledger, clock(), job, State.DUE, progress={"approved": ["delete"]})
    again = claim_one(ledger, clock(), PARENT)
    assert again.approved == frozenset()
    question(ledger, clock, again)
    say(ledger, clock, job.id)
    agreed = claim_one(ledger, clock(), PARENT)
    settle(ledger, clock(), agreed, State.DUE, progress={"stage": "x"})
    assert claim_one(ledger, clock(), PARENT).approved == {"transfer"}, "nor lose it"


def test_a_wish_for_a_job_that_asks_is_served_by_it(ledger: Ledger, clock: Clock) -> None:
    job = parent_of(ledger, clock)
    question(ledger, clock, job)
    for same in (wish("rootca:old", PARENT), wish("rootca:old", PARENT, unless_under_way=True, days=3)):
        ask(ledger, clock(), same)
        assert len(rows(ledger, "SELECT id FROM jobs")) == 1
    approval = Limits(approval=Approval(role="admin"))
    ask(ledger, clock(), NewJob(operation=PARENT, target="rootca:old", limits=approval))
    assert states(ledger, [job.id]) == ["held"]


def test_the_question_spends_nothing_more_of_a_budget(ledger: Ledger, clock: Clock) -> None:
    job = parent_of(ledger, clock)
    question(ledger, clock, job)
    say(ledger, clock, job.id)
    (spent,) = rows(ledger, "SELECT jobs FROM spending WHERE operation = :name", name=PARENT)
    assert spent["jobs"] == 1


def test_agreeing_to_a_trigger_agrees_to_no_question_of_its_jobs(ledger: Ledger, clock: Clock) -> None:
    asked = Asked(
        id="trg_1",
        actor="key:asker",
        at=clock(),
        operation=PARENT,
        parameters={},
        asked={},
        aims=[Aim("rootca:old")],
        limits=Limits(approval=Approval(role="operator")),
        reason="",
        key=None,
        request_hash="",
    )
    with ledger.database.writing() as connection:
        ledger.triggers.add(connection, asked)
    ledger.triggers.step("trg_1", clock())
    said = Said(verdict=Verdict.APPROVE, actor="key:boss", role=Role.ADMIN)
    with ledger.database.writing() as connection:
        ledger.triggers.approve(connection, "trg_1", said)
    ledger.triggers.chunk = 1  # one job fills a step, so the next looks again
    assert not ledger.triggers.step("trg_1", clock()).over
    question(ledger, clock, claim_one(ledger, clock(), PARENT))
    assert ledger.triggers.step("trg_1", clock()).over
    (row,) = rows(ledger, "SELECT * FROM jobs")
    assert row["state"] == "held"
    own = Said(verdict=Verdict.APPROVE, actor="key:asker", role=Role.ADMIN)
    with pytest.raises(NotAllowed, match="another person"), ledger.database.writing() as connection:
        ledger.holding.say(connection, row["id"], own, clock())


def test_a_question_keeps_what_else_binds_the_job(ledger: Ledger, clock: Clock) -> None:
    parent = parent_of(ledger, clock)
    question(ledger, clock, parent)
    kept = Hold.read(str(job_row(ledger, parent.id)["hold"]))
    assert (kept.step, kept.waits, kept.approval) == ("transfer", "approval", Approval(role="admin"))
    assert kept.counted is not None
    assert kept.counted.fence < parent.fence  # it has run: nothing is given back


def test_nobody_decides_about_a_job_that_asks_nothing(ledger: Ledger, clock: Clock) -> None:
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)))
    with pytest.raises(NothingToDecide):
        say(ledger, clock, parent.id)
