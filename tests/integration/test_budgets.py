"""Budgets: what counts, what is given back, and whom they bind, on both databases."""

from datetime import timedelta

import pytest

from infra.ledger import Ledger, Plan
from infra.ledger.foresight import foresee
from infra.ledger.holding import Said, Verdict
from infra.ledger.redriving import By, redrive_parked
from infra.ledger.steering import Order, Steer, steer
from schemas.access import Role
from schemas.jobs import NewJob, State
from schemas.limits import Approval, Budget, Limits
from schemas.redrive import RedriveParked
from tests.conftest import Clock
from tests.support.ledger import RENEW, claim, claim_one, device, job_row, rows, settle, states, wish

ONE_A_DAY = Budget(jobs=1, per="day")


def bound(number: int, budget: Budget, days: int = 365, approval: Approval | None = None) -> NewJob:
    limits = Limits(budget=budget, approval=approval)
    return NewJob(operation=RENEW, target=device(number), parameters={"validity_days": days}, limits=limits)


def add(ledger: Ledger, clock: Clock, *jobs: NewJob) -> list[int]:
    before = {row["id"] for row in rows(ledger, "SELECT id FROM jobs")}
    with ledger.database.writing() as connection:
        ledger.planning.add(connection, [Plan(event_id=None, verdict="", jobs=jobs)], clock())
    return sorted({row["id"] for row in rows(ledger, "SELECT id FROM jobs")} - before)


def spent(ledger: Ledger) -> int:
    return int(rows(ledger, "SELECT coalesce(sum(jobs), 0) AS jobs FROM spending")[0]["jobs"])


def order(ledger: Ledger, clock: Clock, job: int, what: Steer) -> State:
    with ledger.database.writing() as connection:
        moved = steer(connection, Order(job=job, steer=what, actor="key:x", reason="again"), clock())
    assert moved is not None
    return moved[0].state


def park(ledger: Ledger, clock: Clock, count: int = 1) -> None:
    for job in claim(ledger, clock(), RENEW, limit=count):
        settle(ledger, clock(), job, State.PARKED)


def test_a_retry_counts_again_and_waits_where_the_budget_is_spent(ledger: Ledger, clock: Clock) -> None:
    (job,) = add(ledger, clock, bound(1, ONE_A_DAY))
    park(ledger, clock)
    assert order(ledger, clock, job, Steer.RETRY) is State.HELD
    row = job_row(ledger, job)
    assert row["reason"].startswith(
        "redriven by key:x: again; budget of 1 ublox.renew_certificate jobs per day is spent"
    )
    assert (row["attempts"], row["parked_because"]) == (0, None)
    assert claim(ledger, clock(), RENEW) == []
    clock.forward(days=1)
    ledger.holding.look(clock())
    assert claim_one(ledger, clock(), RENEW).id == job
    assert spent(ledger) == 2


def test_a_retry_of_what_was_begun_counts_again_too(ledger: Ledger, clock: Clock) -> None:
    (job,) = add(ledger, clock, bound(1, Budget(jobs=2, per="day")))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.PARKED, progress={"asked": "sending"})
    assert order(ledger, clock, job, Steer.RETRY) is State.DUE
    assert spent(ledger) == 2


def test_redriven_jobs_share_what_is_left_in_order_of_arrival(ledger: Ledger, clock: Clock) -> None:
    jobs = add(ledger, clock, *(bound(number, Budget(jobs=5, per="day")) for number in range(1, 4)))
    park(ledger, clock, 3)
    with ledger.database.writing() as connection:
        redriven = redrive_parked(connection, RedriveParked(ids=jobs), By(actor="key:x", now=clock()))
    assert [line.state for line in redriven.items] == [State.DUE, State.DUE, State.HELD]
    assert spent(ledger) == 5


def test_a_retry_that_is_cancelled_before_it_runs_gives_back_itself_only(ledger: Ledger, clock: Clock) -> None:
    (job,) = add(ledger, clock, wish(device(1), RENEW))
    park(ledger, clock)
    order(ledger, clock, job, Steer.RETRY)
    assert spent(ledger) == 2
    order(ledger, clock, job, Steer.CANCEL)
    assert spent(ledger) == 1, "what ran stays counted"


@pytest.mark.parametrize("limited", [True, False])
def test_a_job_that_is_cancelled_before_it_ran_is_given_back(
    ledger: Ledger,
    clock: Clock,
    limited: bool,  # noqa: FBT001 - a column of the table
) -> None:
    (job,) = add(ledger, clock, bound(1, ONE_A_DAY) if limited else wish(device(1), RENEW))
    clock.forward(hours=2)
    order(ledger, clock, job, Steer.CANCEL)
    assert spent(ledger) == 0
    (other,) = add(ledger, clock, bound(2, ONE_A_DAY))
    assert states(ledger, [other]) == ["due"]


@pytest.mark.parametrize("counts", [True, False])
def test_a_job_that_ran_and_is_cancelled_stays_counted(
    ledger: Ledger,
    clock: Clock,
    counts: bool,  # noqa: FBT001 - a column of the table
) -> None:
    (job,) = add(ledger, clock, bound(1, ONE_A_DAY))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.DUE, later=timedelta(hours=1), counts=counts)
    order(ledger, clock, job, Steer.CANCEL)
    assert spent(ledger) == 1


def test_a_job_that_is_superseded_before_it_ran_leaves_its_place_to_the_newer(ledger: Ledger, clock: Clock) -> None:
    jobs = []
    for days in (365, 200, 100, 50):
        foreseen = foresee(ledger.database, [bound(1, ONE_A_DAY, days)], clock())
        jobs += add(ledger, clock, bound(1, ONE_A_DAY, days))
        assert [(one.then, one.supersedes) for one in foreseen] == [("due", jobs[-2:-1])], "the dry run knows it"
    assert states(ledger, jobs) == ["superseded", "superseded", "superseded", "due"]
    assert spent(ledger) == 1
    (other,) = add(ledger, clock, bound(2, ONE_A_DAY))
    assert states(ledger, [other]) == ["held"]


def test_a_job_that_waits_for_a_person_and_is_rejected_was_never_counted(ledger: Ledger, clock: Clock) -> None:
    (job,) = add(ledger, clock, bound(1, ONE_A_DAY, approval=Approval(role="operator")))
    with ledger.database.writing() as connection:
        said = Said(verdict=Verdict.REJECT, actor="key:x", role=Role.OPERATOR)
        ledger.holding.say(connection, job, said, clock())
    assert spent(ledger) == 0


def test_a_budget_of_an_hour_holds_until_the_next_hour_and_a_day_counts_its_hours(ledger: Ledger, clock: Clock) -> None:
    hourly = Budget(jobs=1, per="hour")
    first, second = add(ledger, clock, bound(1, hourly), bound(2, hourly))
    assert states(ledger, [first, second]) == ["due", "held"]
    clock.now = clock.now.replace(minute=0) + timedelta(hours=1)
    ledger.holding.look(clock())
    assert states(ledger, [second]) == ["due"]
    (daily,) = add(ledger, clock, bound(3, Budget(jobs=2, per="day")))
    (monthly,) = add(ledger, clock, bound(4, Budget(jobs=3, per="month")))
    assert states(ledger, [daily, monthly]) == ["held", "due"]


def test_the_last_hour_of_a_month_ends_with_it(ledger: Ledger, clock: Clock) -> None:
    clock.now = clock.now.replace(day=31, hour=23, minute=59)
    for number, per in enumerate(("hour", "day", "month"), start=1):
        budget = Budget.model_validate({"jobs": number, "per": per})
        now, later = add(ledger, clock, bound(10 * number, budget), bound(10 * number + 1, budget))
        assert states(ledger, [now, later]) == ["due", "held"]
    clock.forward(minutes=1)
    ledger.holding.look(clock())
    assert rows(ledger, "SELECT id FROM jobs WHERE state = 'held'") == [], "June has begun for all of them"
