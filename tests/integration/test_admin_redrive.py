"""Parked jobs, our own faults, and events that are planned again: seen first, then done, once, and recorded."""

import threading
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from infra.ledger import Ledger
from infra.ledger.redriving import By, replay
from schemas.access import Role
from schemas.jobs import ParkedBecause, State
from services.operations import PARAMETERS
from services.planner import Planner
from services.playbook import default_text, load_playbook
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import arrival, ask, claim, claim_one, device, event_row, job_row, rows, settle, take_in, wish
from tests.support.site import notification

ROTATE_QUEUE = "keyturn.ublox.rotate_e2e_key"


@pytest.fixture
def site(ledger: Ledger, clock: Clock) -> AdminSite:
    return AdminSite(ledger, clock)


def park(ledger: Ledger, clock: Clock, because: ParkedBecause, number: int) -> int:
    (job,) = ask(ledger, clock(), wish(device(number)))
    settle(ledger, clock(), claim_one(ledger, clock()), State.PARKED, parked_because=because)
    return job


@pytest.fixture
def parked(ledger: Ledger, clock: Clock) -> dict[ParkedBecause, list[int]]:
    return {
        because: [park(ledger, clock, because, 10 * index + number) for number in range(3)]
        for index, because in enumerate(ParkedBecause)
    }


def fail(ledger: Ledger, *events: int) -> None:
    with ledger.database.writing() as connection:
        for event in events:
            connection.execute(
                text("UPDATE events SET state = 'fault', verdict = 'could not be planned' WHERE id = :id"),
                {"id": event},
            )


def audited(ledger: Ledger) -> list[tuple[str, Any]]:
    found = ledger.audit.page(before=None, limit=100)
    return [(one.entry.action, dict(one.entry.detail)) for one in found if not one.entry.action.startswith("key.")]


def bootstrap(ledger: Ledger, clock: Clock) -> int:
    body = orjson.dumps(notification())
    (event,) = ledger.inbox.accept([arrival(clock(), body=body)])
    return event


def planner(ledger: Ledger, clock: Clock) -> Planner:
    playbook = load_playbook(default_text(), operations=PARAMETERS)
    return Planner(ledger, playbook, ring=lambda _task, _ids: None, clock=clock)


def test_the_three_kinds_of_parked_jobs_are_kept_apart(site: AdminSite, parked: dict[ParkedBecause, list[int]]) -> None:
    for because, jobs in parked.items():
        items = site.get(f"/parked?because={because}", role=Role.VIEWER).json()["items"]
        assert [job["id"] for job in items] == jobs[::-1]
        assert {job["parked_because"] for job in items} == {because}
    first = site.get("/parked?limit=5").json()
    rest = site.get(f"/parked?limit=5&cursor={first['next']}").json()
    assert len(first["items"]) + len(rest["items"]) == 9


def test_a_dry_run_tells_which_jobs_it_would_be_and_does_nothing(
    site: AdminSite, ledger: Ledger, parked: dict[ParkedBecause, list[int]]
) -> None:
    asked = {"filter": {"because": "exhausted"}, "dry_run": True}
    told = site.post("/parked/redrive", asked, role=Role.OPERATOR).json()
    assert [job["id"] for job in told["items"]] == parked[ParkedBecause.EXHAUSTED]
    assert {job["state"] for job in told["items"]} == {"parked"}
    assert audited(ledger) == []
    assert site.rung == []


def test_redriven_jobs_run_again_with_new_tries_and_the_others_stay(
    site: AdminSite, ledger: Ledger, clock: Clock, parked: dict[ParkedBecause, list[int]]
) -> None:
    chosen = parked[ParkedBecause.EXHAUSTED]
    asked = {"filter": {"because": "exhausted"}, "reason": "u-blox is back"}
    done = site.post("/parked/redrive", asked, role=Role.OPERATOR).json()
    assert [(job["id"], job["state"], job["attempts"]) for job in done["items"]] == [(job, "due", 0) for job in chosen]
    assert "u-blox is back" in job_row(ledger, chosen[0])["reason"]
    assert site.rung == [(ROTATE_QUEUE, chosen)]
    assert audited(ledger) == [("parked.redrive", {"jobs": chosen, "count": 3, "filter": {"because": "exhausted"}})]
    assert sorted(job.id for job in claim(ledger, clock())) == chosen
    assert {job_row(ledger, job)["state"] for job in parked[ParkedBecause.REFUSED]} == {"parked"}
    assert ledger.audit.verify().holds


def test_a_filter_takes_a_bounded_batch_and_says_that_there_is_more(
    site: AdminSite, ledger: Ledger, parked: dict[ParkedBecause, list[int]]
) -> None:
    everything = sorted(job for jobs in parked.values() for job in jobs)
    asked = {"filter": {}, "limit": 4}
    batches = [site.post("/parked/redrive", asked).json() for _ in range(4)]
    assert [len(batch["items"]) for batch in batches] == [4, 4, 1, 0]
    assert [batch["more"] for batch in batches] == [True, True, False, False]
    assert [job["id"] for batch in batches for job in batch["items"]] == everything
    assert len(audited(ledger)) == 3


def test_numbers_that_need_no_redrive_are_passed_over_with_the_reason(
    site: AdminSite, ledger: Ledger, parked: dict[ParkedBecause, list[int]]
) -> None:
    job = parked[ParkedBecause.REFUSED][0]
    done = site.post("/parked/redrive", {"ids": [job, 999_999, job]}).json()
    assert [one["id"] for one in done["items"]] == [job]
    assert done["passed"] == [{"id": 999_999, "why": "it is not there"}]
    again = site.post("/parked/redrive", {"ids": [job]}).json()
    assert (again["items"], again["passed"]) == ([], [{"id": job, "why": "it is due"}])
    assert len(audited(ledger)) == 1


def test_the_same_redrive_under_one_key_is_done_once(site: AdminSite, parked: dict[ParkedBecause, list[int]]) -> None:
    once = {"Idempotency-Key": "a-1"}
    first = site.post("/parked/redrive", {"filter": {}, "limit": 2}, headers=once)
    again = site.post("/parked/redrive", {"filter": {}, "limit": 2}, headers=once)
    assert again.content == first.content
    assert len(site.get("/parked").json()["items"]) == sum(map(len, parked.values())) - 2


@pytest.mark.parametrize("asked", [{}, {"ids": [1], "filter": {}}, {"ids": []}, {"ids": [0]}, {"filter": {"no": 1}}])
def test_neither_both_nor_none_of_numbers_and_filter_will_do(site: AdminSite, asked: dict[str, Any]) -> None:
    for thing in ("parked", "faults"):
        assert problem(site.post(f"/{thing}/redrive", asked), 422)["faults"]


def test_our_faults_are_listed_and_planned_again(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    events = [*take_in(ledger, clock(), 3), bootstrap(ledger, clock)]
    fail(ledger, *events[1:])
    assert [one["id"] for one in site.get("/faults", role=Role.VIEWER).json()["items"]] == events[:0:-1]
    would = site.post("/faults/redrive", {"filter": {}, "dry_run": True}).json()
    assert [one["id"] for one in would["items"]] == events[1:]
    assert event_row(ledger, events[3])["state"] == "fault"
    done = site.post("/faults/redrive", {"ids": events}, role=Role.OPERATOR).json()
    assert {one["state"] for one in done["items"]} == {"new"}
    assert done["passed"] == [{"id": events[0], "why": "it is new"}]
    assert site.rung == [("keyturn.plan", [])]
    assert audited(ledger) == [("faults.redrive", {"events": events[1:], "count": 3})]
    planner(ledger, clock).plan_waiting()
    assert event_row(ledger, events[3])["state"] == "planned"
    assert rows(ledger, "SELECT operation FROM jobs WHERE event_id = :id", id=events[3])


def test_an_event_that_is_replayed_twice_waits_for_one_plan(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    event = bootstrap(ledger, clock)
    planner(ledger, clock).plan_waiting()
    before = rows(ledger, "SELECT id FROM jobs ORDER BY id")
    first = site.post(f"/events/{event}/replay", {"reason": "the site was added"}, role=Role.OPERATOR).json()
    assert (first["changed"], first["event"]["state"]) == (True, "new")
    assert site.post(f"/events/{event}/replay").json()["changed"] is False
    for _ in range(3):
        assert planner(ledger, clock).plan_waiting() == 1
        assert rows(ledger, "SELECT id FROM jobs ORDER BY id") == before  # what waits already serves the same wish
        assert "served by job" in event_row(ledger, event)["verdict"]
        site.post(f"/events/{event}/replay")
    (entry, *_) = [detail for action, detail in audited(ledger)[::-1] if action == "event.replay"]
    assert entry["from"] == "planned"


def test_a_replay_makes_a_new_job_where_the_first_is_finished(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    event = bootstrap(ledger, clock)
    planner(ledger, clock).plan_waiting()
    settle(ledger, clock(), claim_one(ledger, clock()), State.SUCCEEDED)
    site.post(f"/events/{event}/replay")
    planner(ledger, clock).plan_waiting()
    states = rows(ledger, "SELECT state FROM jobs WHERE operation = 'ublox.rotate_e2e_key' ORDER BY id")
    assert [row["state"] for row in states] == ["succeeded", "due"]


def test_what_was_not_understood_cannot_be_replayed(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    ledger.inbox.accept([arrival(clock(), fault="no JSON")])
    event = rows(ledger, "SELECT id FROM events")[0]["id"]
    assert "nothing to plan" in problem(site.post(f"/events/{event}/replay"), 409)["detail"]
    problem(site.post("/events/77/replay"), 404)
    assert audited(ledger) == []


def test_many_replays_at_once_are_one(ledger: Ledger, clock: Clock) -> None:
    event = bootstrap(ledger, clock)
    planner(ledger, clock).plan_waiting()
    start, changed = threading.Barrier(6), []

    def one() -> None:
        start.wait()
        with ledger.database.writing() as connection:
            found = replay(connection, event, By(actor="test", now=clock()))
        assert found is not None
        changed.append(found[1])

    threads = [threading.Thread(target=one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(changed) == [False] * 5 + [True]
    assert len(audited(ledger)) == 1


@pytest.mark.parametrize("moment", ["2026", "0.5", "1778414400", "2026-05-10", "2026-05-10T12:00:00"])
def test_a_time_is_written_out_with_its_zone(site: AdminSite, moment: str) -> None:
    for thing in ("parked", "faults"):
        assert problem(site.get(f"/{thing}?since={moment}"), 422)["faults"][0]["at"] == "query/since"
        problem(site.post(f"/{thing}/redrive", {"filter": {"since": moment}, "dry_run": True}), 422)
        right = {"filter": {"since": "2026-05-10T12:00:00Z"}, "dry_run": True}
        assert site.post(f"/{thing}/redrive", right).status_code == 200
