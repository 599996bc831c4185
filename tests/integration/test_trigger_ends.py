"""How a trigger ends: cancelled, rejected, approved or forgotten, without harm to what others wish for."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.ledger import Ledger, Plan
from schemas.access import Role
from schemas.jobs import State
from schemas.limits import Approval, Limits
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import ask, claim, device, rows, settle, wish
from tests.support.triggers import begin, body, jobs, make, seen, triggering


@pytest.fixture
def site(ledger: Ledger, clock: Clock, tmp_path: Path) -> AdminSite:
    return triggering(ledger, clock, tmp_path)


def test_cancel_stops_what_has_not_run(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    ledger.triggers.chunk = 6
    name = begin(site, body(*range(1, 11)))
    ledger.triggers.step(name, clock())
    running = claim(ledger, clock(), limit=2)
    settle(ledger, clock(), running[1], State.DUE, progress={"asked": "sending"})
    answer = site.post(f"/triggers/{name}/cancel", {"reason": "wrong site"}, role=Role.OPERATOR)
    assert answer.status_code == 200
    found = seen(site, name)
    assert (found["state"], found["planned"]) == ("cancelled", 6)
    assert found["jobs"] == {"cancelled": 4, "running": 1, "due": 1}, "what is begun outside goes on to its end"
    make(site, clock)
    assert len(jobs(ledger)) == 6
    assert site.post(f"/triggers/{name}/cancel", role=Role.OPERATOR).json()["state"] == "cancelled"
    reasons = {reason for _, state, reason in jobs(ledger) if state == "cancelled"}
    assert [reason.endswith("wrong site") for reason in reasons] == [True]


def test_a_cancel_that_was_cut_off_is_finished_by_the_planner(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    name = begin(site, body(*range(1, 11)))
    make(site, clock)
    with ledger.database.writing() as connection:
        ledger.triggers.cancel(connection, name, "cancelled by nobody")
    assert seen(site, name)["state"] == "cancelling"
    make(site, clock)
    assert (seen(site, name)["state"], seen(site, name)["jobs"]) == ("cancelled", {"cancelled": 10})


@pytest.mark.parametrize("chunk", [1, 6])
def test_cancel_leaves_a_job_that_events_of_others_rely_on(
    site: AdminSite, ledger: Ledger, clock: Clock, chunk: int
) -> None:
    ledger.triggers.chunk = chunk
    name = begin(site, body(1, 2, 3, parameters={"days": 3}))
    make(site, clock)
    assert ask(ledger, clock(), wish(device(2), type="AUTOMATIC", days=3, even_if_set=False)) == [], "served"
    site.post(f"/triggers/{name}/cancel", {"reason": "wrong site"}, role=Role.OPERATOR)
    make(site, clock)
    assert [state for _, state, _ in jobs(ledger)] == ["cancelled", "due", "cancelled"]
    assert (seen(site, name)["state"], seen(site, name)["jobs"]) == ("cancelled", {"cancelled": 2})
    assert [job.target for job in claim(ledger, clock())] == [device(2)]


def wishes_again(site: AdminSite, ledger: Ledger, clock: Clock, who: str, days: int, **more: Any) -> str | None:
    """Somebody else wishes the same of the second device; give the trigger, where it is one."""
    parameters: dict[str, Any] = {"type": "AUTOMATIC", "days": days, "even_if_set": False}
    match who:
        case "event":
            assert ask(ledger, clock(), wish(device(2), **parameters)) == [], "served"
        case "schedule":
            with ledger.database.writing() as connection:
                plan = Plan(event_id=None, verdict="", jobs=[wish(device(2), **parameters)])
                assert ledger.planning.add(connection, [plan], clock()).served == 1
        case _:
            name = str(site.post("/triggers", body(2, parameters={"days": days}, **more)).json()["id"])
            make(site, clock)
            assert seen(site, name)["served"] == 1
            return name
    return None


@pytest.mark.parametrize("who", ["event", "schedule", "trigger"])
def test_cancel_leaves_a_job_that_serves_somebody_elses_wish(
    site: AdminSite, ledger: Ledger, clock: Clock, who: str
) -> None:
    name = begin(site, body(1, 2, 3, parameters={"days": 3}))
    make(site, clock)
    other = wishes_again(site, ledger, clock, who, 3)
    site.post(f"/triggers/{name}/cancel", role=Role.OPERATOR)
    make(site, clock)
    assert [state for _, state, _ in jobs(ledger)] == ["cancelled", "due", "cancelled"]
    assert seen(site, name)["jobs"] == {"cancelled": 2}
    counted = rows(ledger, "SELECT sum(jobs) AS jobs FROM spending")
    assert int(counted[0]["jobs"]) == 1, "the cancelled two are given back"
    if other is not None:
        assert seen(site, other)["jobs"] == {"due": 1}, "it is the other trigger's now"
        site.post(f"/triggers/{other}/cancel", role=Role.OPERATOR)
        make(site, clock)
        assert {state for _, state, _ in jobs(ledger)} == {"cancelled"}, "nobody wishes for it any more"


def test_whichever_trigger_is_cancelled_first_the_last_one_takes_the_job_with_it(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    first = begin(site, body(2, parameters={"days": 3}))
    make(site, clock)
    second = wishes_again(site, ledger, clock, "trigger", 3)
    for name, state in ((second, "due"), (first, "cancelled")):
        site.post(f"/triggers/{name}/cancel", role=Role.OPERATOR)
        make(site, clock)
        assert [one for _, one, _ in jobs(ledger)] == [state]


def test_a_job_that_stays_for_another_wish_waits_as_that_wish_says(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    first = begin(site, body(2, parameters={"days": 3}))
    make(site, clock)
    wishes_again(site, ledger, clock, "trigger", 3, approval={"role": "operator"})
    site.post(f"/triggers/{first}/cancel", role=Role.OPERATOR)
    make(site, clock)
    ((_, state, reason),) = jobs(ledger)
    assert (state, reason.endswith("waits for approval by an operator")) == ("held", True)
    assert rows(ledger, "SELECT sum(jobs) AS jobs FROM spending")[0]["jobs"] == 0


def test_who_asked_cannot_approve_his_wish_when_his_trigger_is_gone(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    asked = {"role": "operator"}
    first = begin(site, body(2, parameters={"days": 3}, approval=asked))
    make(site, clock)
    parameters: dict[str, Any] = {"type": "AUTOMATIC", "days": 3, "even_if_set": False}
    rule = replace(wish(device(2), **parameters), limits=Limits(approval=Approval(role="operator")))
    assert ask(ledger, clock(), rule) == [], "a rule wishes the same, and waits for the same word"
    site.post(f"/triggers/{first}/cancel", role=Role.OPERATOR)
    make(site, clock)
    (row,) = rows(ledger, "SELECT * FROM jobs")
    assert (row["state"], row["trigger_id"]) == ("held", None)
    detail = problem(site.post(f"/jobs/{row['id']}/approve", role=Role.OPERATOR), 403)["detail"]
    assert detail == "who asked for it cannot approve it: another person must"
    assert site.post(f"/jobs/{row['id']}/approve").json()["job"]["state"] == "due"


def test_an_approval_lets_a_trigger_go_but_not_by_who_asked(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    ledger.triggers.chunk = 4
    name = begin(site, body(*range(1, 11), approval={"role": "operator"}))
    ledger.triggers.step(name, clock())
    assert seen(site, name)["holds"] == [{"why": "waits for approval by an operator", "jobs": 4}]
    detail = problem(site.post(f"/triggers/{name}/approve", role=Role.OPERATOR), 403)["detail"]
    assert detail == "who asked for it cannot approve it: another person must"
    job = rows(ledger, "SELECT min(id) AS id FROM jobs")[0]["id"]
    problem(site.post(f"/jobs/{job}/approve", role=Role.OPERATOR), 403)
    answer = site.post(f"/triggers/{name}/approve", {"reason": "ok"})
    assert (answer.status_code, answer.headers["location"]) == (202, f"/admin/v1/triggers/{name}")
    make(site, clock)
    found = seen(site, name)
    assert (found["jobs"], found["approved_by"] is None) == ({"due": 10}, False)
    assert len(claim(ledger, clock())) == 10


def test_a_rejected_trigger_is_cancelled(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    name = begin(site, body(1, 2, approval={"role": "admin"}))
    make(site, clock)
    problem(site.post(f"/triggers/{name}/approve", role=Role.OPERATOR), 403)
    answer = site.post(f"/triggers/{name}/reject", {"reason": "not now"}, role=Role.OPERATOR)
    assert (answer.status_code, answer.headers["location"]) == (202, f"/admin/v1/triggers/{name}")
    make(site, clock)
    assert {state for _, state, _ in jobs(ledger)} == {"cancelled"}
    assert jobs(ledger)[0][2].startswith("rejected by ")


def said(ledger: Ledger) -> list[str]:
    """What the audit has of triggers, the oldest first."""
    return [row["action"] for row in rows(ledger, "SELECT action FROM audit WHERE action LIKE 'trigger.%' ORDER BY id")]


def test_a_trigger_that_asks_for_no_approval_has_none_to_give(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    name = begin(site, body(1))
    for _ in ("while it is planned", "and then"):
        problem(site.post(f"/triggers/{name}/approve"), 409)
        problem(site.post(f"/triggers/{name}/reject"), 409)
        make(site, clock)
    assert ([state for _, state, _ in jobs(ledger)], said(ledger)) == (["due"], ["trigger.new"])
    for action in ("approve", "reject", "cancel"):
        problem(site.post(f"/triggers/trg_{'0' * 24}/{action}"), 404)
    problem(site.get(f"/triggers/trg_{'0' * 24}/events"), 404)


def test_an_approved_trigger_is_cancelled_and_no_more_rejected(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    name = begin(site, body(1, approval={"role": "operator"}))
    make(site, clock)
    site.post(f"/triggers/{name}/approve")
    problem(site.post(f"/triggers/{name}/reject"), 409)
    site.post(f"/triggers/{name}/cancel")
    assert site.post(f"/triggers/{name}/reject").status_code == 202, "the same again changes nothing"
    assert said(ledger) == ["trigger.new", "trigger.approve", "trigger.cancel"]


def test_a_trigger_whose_jobs_were_all_approved_one_by_one_waits_for_nobody(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    name = begin(site, body(1, approval={"role": "operator"}))
    make(site, clock)
    (job,) = rows(ledger, "SELECT id FROM jobs")
    assert site.post(f"/jobs/{job['id']}/approve").status_code == 200
    for action in ("approve", "reject"):
        problem(site.post(f"/triggers/{name}/{action}"), 409)
    assert [state for _, state, _ in jobs(ledger)] == ["due"]


def test_cancelling_what_has_ended_is_no_news(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    name = begin(site, body(1, 2))
    make(site, clock)
    done, failed = claim(ledger, clock())
    settle(ledger, clock(), done, State.SUCCEEDED)
    settle(ledger, clock(), failed, State.PARKED)
    answer = site.post(f"/triggers/{name}/cancel", {"reason": "too late"}, role=Role.OPERATOR)
    assert (answer.status_code, answer.json()["state"], said(ledger)) == (200, "finished", ["trigger.new"])
    assert answer.json()["jobs"] == {"succeeded": 1, "parked": 1}


def test_a_trigger_whose_wishes_a_job_of_others_serves_has_ended_with_that_job(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    begin(site, body(2, parameters={"days": 3}))
    make(site, clock)
    open_still, ended = (wishes_again(site, ledger, clock, "trigger", 3) for _ in range(2))
    site.post(f"/triggers/{open_still}/cancel", role=Role.OPERATOR)
    settle(ledger, clock(), claim(ledger, clock())[0], State.SUCCEEDED)
    site.post(f"/triggers/{ended}/cancel", role=Role.OPERATOR)
    assert [seen(site, str(name))["state"] for name in (open_still, ended)] == ["cancelled", "finished"]


def test_an_ended_trigger_is_forgotten_with_its_jobs_and_no_other(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    ended = begin(site, body(1))
    make(site, clock)
    settle(ledger, clock(), claim(ledger, clock())[0], State.SUCCEEDED)
    unfinished = begin(site, body(2))
    make(site, clock)
    waiting = begin(site, body(3))
    ledger.upkeep.prune(clock.forward(days=91), keep=timedelta(days=90))
    assert ledger.triggers.show(ended) is None
    assert {row["id"] for row in rows(ledger, "SELECT id FROM triggers")} == {unfinished, waiting}
