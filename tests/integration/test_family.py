"""Jobs with children, on both databases."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert
from typer.testing import CliRunner

from infra.ledger import Ledger, Plan
from infra.ledger.steering import Steer
from infra.ledger.tables import inventory
from schemas.access import Role
from schemas.jobs import Ask, Spawn, State
from services.cli.main import app
from services.sweep import sweep
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.family import HOUR, PARENT, children, parent_of, question, spawn, steered
from tests.support.ledger import (
    RENEW,
    ROTATE,
    ask,
    attempt_rows,
    claim,
    claim_one,
    device,
    job_row,
    settle,
    states,
    wish,
)
from tests.support.works import Bell, Obedient, make_runner


def test_children_are_stored_with_the_settlement_of_their_parent(ledger: Ledger, clock: Clock) -> None:
    parent = parent_of(ledger, clock)
    due = spawn(ledger, clock, parent, wish(device(1)), wish(device(2)))
    made = children(ledger, parent)
    assert [(row["target"], row["state"], row["rule"]) for row in made] == [
        (device(1), "due", "manual"),
        (device(2), "due", "manual"),
    ]
    assert due == {ROTATE: [row["id"] for row in made]}, "the worker can ring for them"
    assert job_row(ledger, parent.id)["state"] == "awaiting"
    assert [child.target for child in ledger.work.children(parent)] == [device(1), device(2)]
    assert [attempt["outcome"] for attempt in attempt_rows(ledger, parent.id)] == ["awaiting"]


def test_children_know_the_site_of_their_device(ledger: Ledger, clock: Clock) -> None:
    kept = [("device", device(1), "paris"), ("tap", device(2), "rome")]
    with ledger.database.writing() as connection:
        rows_kept = [
            {"kind": kind, "key": key, "site": site, "entry": "{}", "updated_at": 0} for kind, key, site in kept
        ]
        connection.execute(insert(inventory), rows_kept)
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)), wish(device(2)))
    assert [row["site"] for row in children(ledger, parent)] == ["paris", None]


def test_a_late_worker_makes_no_children(ledger: Ledger, clock: Clock) -> None:
    late = parent_of(ledger, clock)
    clock.forward(minutes=5)
    ledger.work.reclaim(clock(), max_losses=8)
    assert claim_one(ledger, clock(), PARENT).fence == late.fence + 1
    assert spawn(ledger, clock, late, wish(device(1))) == {}
    assert children(ledger, late) == []
    assert job_row(ledger, late.id)["state"] == "running"


def test_what_an_open_job_does_already_gets_no_child(ledger: Ledger, clock: Clock) -> None:
    (there,) = ask(ledger, clock(), wish(device(1)))
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)), wish(device(2)))
    assert [row["target"] for row in children(ledger, parent)] == [device(2)]
    assert job_row(ledger, there)["state"] == "due"


def test_a_crash_between_the_two_leaves_neither(ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    parent = parent_of(ledger, clock)

    def fail(*_: object) -> None:
        raise RuntimeError("the power is gone")

    with monkeypatch.context() as patched:
        patched.setattr("infra.ledger.work.make_children", fail)
        with pytest.raises(RuntimeError):
            spawn(ledger, clock, parent, wish(device(1)))
    assert (children(ledger, parent), job_row(ledger, parent.id)["state"]) == ([], "running")
    assert attempt_rows(ledger, parent.id) == []


def test_the_parent_looks_when_its_last_child_has_ended_however_it_ended(ledger: Ledger, clock: Clock) -> None:
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)), wish(device(2)))
    clock.forward(seconds=5)
    first, second = claim(ledger, clock())
    settle(ledger, clock(), first, State.SUCCEEDED)
    assert job_row(ledger, parent.id)["state"] == "awaiting"
    settle(ledger, clock(), second, State.PARKED)
    row = job_row(ledger, parent.id)
    assert (row["state"], row["reason"]) == ("due", "its children have ended; looking")
    assert claim_one(ledger, clock(), PARENT).id == parent.id


def test_a_parent_at_work_when_its_last_child_ends_looks_once_more(ledger: Ledger, clock: Clock) -> None:
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)))
    child = claim_one(ledger, clock())
    clock.forward(hours=1)
    ledger.work.wake(clock())
    again = claim_one(ledger, clock(), PARENT)
    settle(ledger, clock(), child, State.SUCCEEDED)
    settle(ledger, clock(), again, State.AWAITING, later=HOUR)
    assert ledger.work.wake(clock()) == 1
    assert job_row(ledger, parent.id)["state"] == "due"


def test_a_child_that_a_person_ends_wakes_its_parent_at_the_next_sweep_and_only_once(
    ledger: Ledger, clock: Clock
) -> None:
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)))
    clock.forward(seconds=1)
    steered(ledger, clock, children(ledger, parent)[0]["id"], Steer.CANCEL)
    bell = Bell()
    sweep(ledger, ring=bell, clock=clock)
    assert f"keyturn.{PARENT}" in bell.tasks()
    settle(ledger, clock(), claim_one(ledger, clock.forward(seconds=1), PARENT), State.AWAITING, later=HOUR)
    sweep(ledger, ring=bell, clock=clock)
    assert job_row(ledger, parent.id)["state"] == "awaiting", "nothing has ended since it looked"


def test_a_cancelled_parent_takes_the_children_along_that_have_not_begun(ledger: Ledger, clock: Clock) -> None:
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, *(wish(device(number)) for number in range(4)))
    running, begun = claim(ledger, clock(), limit=2)
    settle(ledger, clock(), begun, State.AWAITING, later=HOUR, progress={"asked": "taken"})
    steered(ledger, clock, parent.id, Steer.CANCEL)
    assert [row["state"] for row in children(ledger, parent)] == ["running", "awaiting", "cancelled", "cancelled"]
    assert job_row(ledger, parent.id)["reason"] == (
        "cancelled by key:boss; with it 2 jobs of its children that had not begun;"
        " 2 jobs of its children under way, to the end"
    )
    assert children(ledger, parent)[2]["reason"] == f"with job {parent.id}: cancelled by key:boss"
    settle(ledger, clock(), running, State.SUCCEEDED)
    assert states(ledger, [parent.id]) == ["cancelled"]


def test_a_runner_carries_it_all_and_rings_for_whoever_can_go_on(ledger: Ledger, clock: Clock) -> None:
    (parent,) = ask(ledger, clock(), wish(device(9), RENEW))

    class Parent(Obedient):
        name = RENEW

    def spawn_once(jobs: Any) -> Any:
        (job,) = jobs
        return {job.id: Spawn(reason="s", children=[wish(device(1))], look_at=clock() + HOUR, progress={"stage": "x"})}

    bell = Bell()
    make_runner(ledger, clock, Parent(spawn_once), bell).perform(RENEW)
    assert bell.tasks() == [f"keyturn.{ROTATE}"]
    make_runner(ledger, clock, Obedient(), bell).perform(ROTATE)
    assert bell.tasks()[-1] == f"keyturn.{RENEW}"
    asks = Parent(lambda jobs: {job.id: Ask(reason="a", step="go", role="operator", progress={}) for job in jobs})
    make_runner(ledger, clock, asks, bell).perform(RENEW)
    assert states(ledger, [parent]) == ["held"]


def test_the_api_shows_the_family_and_the_question(ledger: Ledger, clock: Clock) -> None:
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)), wish(device(2)))
    settle(ledger, clock(), claim(ledger, clock(), limit=1)[0], State.PARKED)
    site = AdminSite(ledger, clock)
    shown = site.get(f"/jobs/{parent.id}").json()
    assert (shown["children"], shown["asks"], shown["parent_id"]) == ({"due": 1, "parked": 1}, None, None)
    listed = site.get(f"/jobs?parent={parent.id}").json()["items"]
    assert {(job["parent_id"], job["target"]) for job in listed} == {(parent.id, device(1)), (parent.id, device(2))}
    clock.forward(hours=1)
    ledger.work.wake(clock())
    question(ledger, clock, claim_one(ledger, clock(), PARENT))
    assert site.get(f"/jobs/{parent.id}").json()["asks"] == "transfer"
    problem(site.post(f"/jobs/{parent.id}/approve", role=Role.OPERATOR), 403)
    problem(site.post(f"/jobs/{parent.id}/approve"), 409)  # a yes that was meant for something else names no step
    stale = problem(site.post(f"/jobs/{parent.id}/approve", {"step": "delete"}), 409)
    assert stale["detail"] == f"job {parent.id} asks about transfer, not about delete: name the step that you mean"
    assert site.post(f"/jobs/{parent.id}/approve", {"step": "transfer"}).json()["changed"]
    assert site.get(f"/jobs/{parent.id}").json()["asks"] is None


def test_the_command_line_shows_the_family_and_answers_the_question(
    ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = ledger.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url.replace("postgresql+psycopg://", "postgresql://", 1))
    monkeypatch.setenv("KEYTURN_WEBHOOK_TOKENS", "Bearer hook-token-0123456789")
    monkeypatch.setenv("COLUMNS", "250")

    def run(*words: object) -> str:
        return CliRunner().invoke(app, [str(word) for word in words]).output

    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)), wish(device(2)))
    assert "2 due" in run("jobs", "show", parent.id)
    assert len(json.loads(run("jobs", "list", "--parent", parent.id, "--json"))["items"]) == 2
    clock.forward(hours=1)
    ledger.work.wake(clock())
    question(ledger, clock, claim_one(ledger, clock(), PARENT))
    shown = run("jobs", "show", parent.id)
    assert [line.split() for line in shown.splitlines() if line.startswith("asks")] == [["asks", "transfer"]]
    assert "asks about transfer, not about delete" in run("approve", parent.id, "--step", "delete")
    assert "approved" in run("approve", parent.id, "--step", "transfer")
    assert job_row(ledger, parent.id)["state"] == "due"


def test_children_are_not_forgotten_while_their_parent_works(ledger: Ledger, clock: Clock) -> None:
    """Or a transfer that a person cancelled would be made, and paid for, once more."""
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)), wish(device(2)))
    steered(ledger, clock, children(ledger, parent)[0]["id"], Steer.CANCEL)
    (other,) = claim(ledger, clock())
    settle(ledger, clock(), other, State.SUCCEEDED)
    clock.forward(days=100)
    ledger.upkeep.prune(clock(), keep=timedelta(days=90))
    assert [row["state"] for row in children(ledger, parent)] == ["cancelled", "succeeded"]
    sweep(ledger, ring=Bell(), clock=clock)
    settle(ledger, clock(), claim_one(ledger, clock(), PARENT), State.SUCCEEDED)
    clock.forward(days=100)
    ledger.upkeep.prune(clock(), keep=timedelta(days=90))
    assert children(ledger, parent) == []


def test_a_child_on_which_a_persons_trigger_relies_outlives_its_parent(ledger: Ledger, clock: Clock) -> None:
    parent = parent_of(ledger, clock)
    spawn(ledger, clock, parent, wish(device(1)), wish(device(2)))
    asked = Plan(event_id=None, verdict="a person asks", jobs=[replace(wish(device(1)), trigger="trg_1")])
    with ledger.database.writing() as connection:
        assert ledger.planning.add(connection, [asked], clock()).served == 1
    steered(ledger, clock, parent.id, Steer.CANCEL)
    assert [row["state"] for row in children(ledger, parent)] == ["due", "cancelled"]
