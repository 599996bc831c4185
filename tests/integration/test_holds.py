"""Held jobs: windows, approvals and budgets, from a rule to the worker, on both databases."""

import threading
from datetime import datetime, time, timedelta

import pytest

from infra.ledger import Ledger, Plan
from infra.ledger.holding import NotAllowed, Said, Verdict
from infra.ledger.standing import Released
from schemas.access import Role
from schemas.jobs import NewJob, State
from schemas.limits import Approval, Budget, Limits, Window
from services.sweep import sweep
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import (
    DEVICE,
    RENEW,
    ROTATE,
    claim,
    claim_one,
    device,
    job_row,
    rows,
    settle,
    states,
    take_in,
    wish,
)
from tests.support.works import Bell

NIGHT = Window(opens=time(2), closes=time(5), timezone="Europe/Paris")  # the clock starts at 14:00 there


def held(number: int, operation: str = ROTATE, **limits: object) -> NewJob:
    return NewJob(operation=operation, target=device(number), limits=Limits.model_validate(limits))


def ask(ledger: Ledger, now: datetime, *jobs: NewJob, **evidence: object) -> list[int]:
    before = {row["id"] for row in rows(ledger, "SELECT id FROM jobs")}
    events = take_in(ledger, now, len(jobs))
    plans = [
        Plan(event_id=event, verdict="a test asks", jobs=[job], evidence=evidence)
        for event, job in zip(events, jobs, strict=True)
    ]
    ledger.planning.store(plans, now)
    return sorted({row["id"] for row in rows(ledger, "SELECT id FROM jobs")} - before)


def spent(ledger: Ledger) -> dict[tuple[str, str], int]:
    counted = "SELECT operation, substr(day, 1, 10) AS day, sum(jobs) AS jobs FROM spending GROUP BY 1, 2"
    return {(row["operation"], row["day"]): int(row["jobs"]) for row in rows(ledger, counted)}


def say(ledger: Ledger, clock: Clock, job: int, verdict: Verdict, role: Role = Role.OPERATOR) -> bool:
    with ledger.database.writing() as connection:
        said = ledger.holding.say(connection, job, Said(verdict=verdict, actor="key:x", role=role), clock())
    assert said is not None
    return said[0]


def test_a_job_waits_for_its_window_and_the_sweep_opens_it(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), held(1, window=NIGHT))
    assert job_row(ledger, job)["reason"] == "window opens 02:00 Europe/Paris on 11 May"
    sweep(ledger, ring=Bell(), clock=clock)
    assert claim(ledger, clock()) == []
    clock.now = datetime.fromisoformat("2026-05-11T02:00:01+02:00")
    bell = Bell()
    sweep(ledger, ring=bell, clock=clock)
    assert f"keyturn.{ROTATE}" in bell.tasks()
    assert claim_one(ledger, clock()).id == job


def test_what_was_not_begun_when_the_window_closes_is_held_again(ledger: Ledger, clock: Clock) -> None:
    clock.now = datetime.fromisoformat("2026-05-11T04:59:00+02:00")
    jobs = ask(ledger, clock(), held(1, window=NIGHT), held(2, window=NIGHT), held(3, window=NIGHT))
    begun = claim(ledger, clock(), limit=1)[0]
    settle(ledger, clock(), begun, State.DUE, progress={"asked": "taken"})
    clock.forward(seconds=60)
    assert [one.id for one in claim(ledger, clock())] == [begun.id], "closed to what was not begun, even before a sweep"
    assert ledger.holding.look(clock()).held == 2
    assert states(ledger, jobs) == ["running", "held", "held"]
    assert job_row(ledger, jobs[1])["reason"] == "window opens 02:00 Europe/Paris on 12 May"
    clock.forward(days=1)
    ledger.holding.look(clock() - timedelta(hours=1))
    assert states(ledger, jobs) == ["running", "due", "due"]
    assert sum(spent(ledger).values()) == 3, "a job counts once, however often its window opens"


def test_a_retry_of_what_was_not_begun_waits_for_the_next_window(ledger: Ledger, clock: Clock) -> None:
    clock.now = datetime.fromisoformat("2026-05-11T04:59:00+02:00")
    (job,) = ask(ledger, clock(), held(1, window=NIGHT))
    settle(ledger, clock(), claim_one(ledger, clock()), State.DUE, later=timedelta(minutes=5))
    clock.forward(minutes=10)
    ledger.holding.look(clock())
    assert states(ledger, [job]) == ["held"]


def test_a_certificate_that_would_expire_first_goes_ahead(ledger: Ledger, clock: Clock) -> None:
    soon, later = ask(
        ledger, clock(), held(1, RENEW, window=NIGHT), held(2, RENEW, window=NIGHT), expires="2026-05-10T20:00Z"
    )
    assert states(ledger, [soon, later]) == ["due", "due"]
    assert job_row(ledger, soon)["reason"].startswith("goes ahead of its window: the certificate expires 10 May 20:00")
    (calm,) = ask(ledger, clock(), held(3, RENEW, window=NIGHT), expires="2026-06-09T19:39Z")
    assert states(ledger, [calm]) == ["held"]


def test_a_budget_lets_so_many_go_and_the_rest_the_next_day_in_order(ledger: Ledger, clock: Clock) -> None:
    budget = Budget(jobs=2, per="day")
    jobs = ask(ledger, clock(), *(held(number, RENEW, budget=budget) for number in range(1, 6)))
    assert states(ledger, jobs) == ["due", "due", "held", "held", "held"]
    expected = f"budget of 2 {RENEW} jobs per day is spent; next at 00:00 UTC on 11 May"
    assert job_row(ledger, jobs[4])["reason"] == expected
    clock.now = clock.now.replace(hour=0) + timedelta(days=1)
    ledger.holding.look(clock())
    assert states(ledger, jobs) == ["due", "due", "due", "due", "held"]
    assert spent(ledger) == {(RENEW, "2026-05-10"): 2, (RENEW, "2026-05-11"): 2}


def test_jobs_without_a_budget_count_too_because_they_cost_the_same(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish(device(1), RENEW), wish(device(2), RENEW))
    (job,) = ask(ledger, clock(), held(3, RENEW, budget=Budget(jobs=2, per="month")))
    assert states(ledger, [job]) == ["held"]


def test_a_budget_holds_against_planners_and_sweeps_at_once(ledger: Ledger, clock: Clock) -> None:
    budget = Budget(jobs=7, per="day")
    ask(ledger, clock(), *(held(number, RENEW, budget=budget) for number in range(1, 20)))
    tomorrow = clock.now.replace(hour=1) + timedelta(days=1)
    failures: list[BaseException] = []

    def plan(first: int) -> None:
        try:
            events = take_in(ledger, tomorrow, 5)
            jobs = [held(first + number, RENEW, budget=budget) for number in range(5)]
            plans = [Plan(event_id=event, verdict="x", jobs=[job]) for event, job in zip(events, jobs, strict=True)]
            ledger.planning.store(plans, tomorrow)
            ledger.holding.look(tomorrow, batch=3)
        except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)

    threads = [threading.Thread(target=plan, args=(100 * number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    due = rows(ledger, "SELECT count(*) AS jobs FROM jobs WHERE state = 'due'")
    assert due == [{"jobs": 14}], "seven of today, seven of tomorrow"


def test_a_wish_that_need_not_wait_takes_the_place_of_one_that_does(ledger: Ledger, clock: Clock) -> None:
    (waiting,) = ask(ledger, clock(), held(1, window=NIGHT))
    (urgent,) = ask(ledger, clock(), wish(device(1)))
    assert states(ledger, [waiting, urgent]) == ["superseded", "due"]
    assert ask(ledger, clock(), held(1, window=NIGHT)) == [], "and serves one that would wait"


def test_a_second_wish_that_waits_is_served_by_the_first(ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), held(1, window=NIGHT))
    assert ask(ledger, clock(), held(1, window=NIGHT)) == []


def test_a_wish_that_waits_does_not_take_the_place_of_work_that_can_run(ledger: Ledger, clock: Clock) -> None:
    (now,) = ask(ledger, clock(), wish(device(1), days=7))
    (later,) = ask(ledger, clock(), held(1, window=NIGHT))
    assert states(ledger, [now, later]) == ["due", "held"]
    assert claim_one(ledger, clock()).id == now


@pytest.mark.parametrize("batches", [1, 2])
def test_a_wish_that_waits_for_a_window_takes_the_place_of_one_that_waits_for_a_person(
    ledger: Ledger, clock: Clock, batches: int
) -> None:
    asked, windowed = held(1, approval=Approval(role="operator")), held(1, window=NIGHT)
    wishes = [[asked, windowed]] if batches == 1 else [[asked], [windowed]]
    jobs = [job for batch in wishes for job in ask(ledger, clock(), *batch)]
    assert states(ledger, jobs) == ["superseded", "held"], "side by side, both would run"
    assert ask(ledger, clock(), asked, windowed) == [], "and serves both from now on"
    clock.now = datetime.fromisoformat("2026-05-11T02:00:01+02:00")
    ledger.holding.look(clock())
    assert claim_one(ledger, clock()).id == jobs[1]


def test_in_one_batch_the_wish_that_need_not_wait_wins_too(ledger: Ledger, clock: Clock) -> None:
    jobs = ask(ledger, clock(), held(1, window=NIGHT), wish(device(1)))
    assert sorted(states(ledger, jobs)) == ["due", "superseded"]


def test_an_approved_job_runs_and_says_who_agreed(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), held(1, approval=Approval(role="operator")))
    assert job_row(ledger, job)["reason"] == "waits for approval by an operator"
    ledger.holding.look(clock() + timedelta(days=3650))
    assert states(ledger, [job]) == ["held"], "no time opens it"
    assert say(ledger, clock, job, Verdict.APPROVE)
    assert job_row(ledger, job)["reason"] == "approved by key:x; waits for a worker"
    assert not say(ledger, clock, job, Verdict.APPROVE), "the same again changes nothing"
    assert claim_one(ledger, clock()).id == job
    assert [one.entry.action for one in ledger.audit.page(before=None, limit=10)] == ["job.approve"]


def test_an_approved_job_still_waits_for_its_window(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), held(1, approval=Approval(role="operator"), window=NIGHT))
    say(ledger, clock, job, Verdict.APPROVE)
    assert job_row(ledger, job)["reason"] == "window opens 02:00 Europe/Paris on 11 May"


def test_a_rejected_job_is_cancelled(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), held(1, approval=Approval(role="operator")))
    assert say(ledger, clock, job, Verdict.REJECT)
    assert not say(ledger, clock, job, Verdict.REJECT)
    row = job_row(ledger, job)
    assert (row["state"], row["reason"], row["finished_at"] is None) == ("cancelled", "rejected by key:x", False)


def test_an_operator_cannot_give_an_admins_word(ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), held(1, approval=Approval(role="admin")))
    with pytest.raises(NotAllowed):
        say(ledger, clock, job, Verdict.APPROVE)
    assert say(ledger, clock, job, Verdict.APPROVE, Role.ADMIN)


def test_ten_thousand_held_jobs_are_opened_in_short_transactions(ledger: Ledger, clock: Clock) -> None:
    for first in range(0, 2_000, 500):
        ask(ledger, clock(), *(held(number, window=NIGHT) for number in range(first, first + 500)))
    clock.now = datetime.fromisoformat("2026-05-11T02:00:01+02:00")
    released = ledger.holding.look(clock(), batch=300)
    assert released.count == 2_000
    assert ledger.holding.look(clock()) == Released()


def test_over_the_api_a_job_is_approved_rejected_or_neither(ledger: Ledger, clock: Clock) -> None:
    site = AdminSite(ledger, clock)
    approval = Approval(role="admin")
    first, second = ask(ledger, clock(), held(1, approval=approval), held(2, approval=approval))
    (plain,) = ask(ledger, clock(), wish(DEVICE))
    assert "admin" in problem(site.post(f"/jobs/{first}/approve", role=Role.OPERATOR), 403)["detail"]
    answer = site.post(f"/jobs/{first}/approve", {"reason": "seen"})
    assert (answer.json()["changed"], answer.json()["job"]["state"]) == (True, "due")
    assert site.rung == [(f"keyturn.{ROTATE}", [first])]
    assert site.post(f"/jobs/{second}/reject").json()["job"]["state"] == "cancelled"
    assert "due" in problem(site.post(f"/jobs/{plain}/approve"), 409)["detail"]
    problem(site.post("/jobs/999999/approve"), 404)
