"""Manual triggers: what a dry run tells is what follows, once, whatever breaks on the way."""

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.broker import PLAN
from infra.ledger import Ledger, Plan
from infra.ledger import triggers as sql
from schemas.access import Role
from schemas.errors import LedgerUnavailable
from schemas.jobs import State
from schemas.limits import Approval, Limits
from services.operations import PARAMETERS
from services.planner import Planner
from services.playbook import default_text, load_playbook
from services.triggers import Maker
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.inventory import stock
from tests.support.ledger import RENEW, ROTATE, ask, claim, device, rows, settle, wish
from tests.support.works import Bell, take_away

SITES = """
version = 1

[[sites]]
name = "lyon"
tags = ["floor-2", "north"]
devices = ["{0}", "{1}"]

[[sites]]
name = "oslo"
tags = ["north"]
devices = ["{2}"]
"""


@pytest.fixture
def site(ledger: Ledger, clock: Clock, tmp_path: Path) -> AdminSite:
    document = tmp_path / "fleet.toml"
    document.write_text(SITES.format(*map(device, (1, 2, 3))))
    stock(ledger, document)
    return AdminSite(ledger, clock)


def body(*numbers: int, **more: Any) -> dict[str, Any]:
    targets = {"devices": [device(number) for number in numbers]}
    return {"operation": ROTATE, "targets": targets, **more}


def begin(site: AdminSite, asked: dict[str, Any], **how: Any) -> str:
    response = site.post("/triggers", asked, role=Role.OPERATOR, **how)
    assert response.status_code == 202, response.text
    name = str(response.json()["id"])
    assert response.headers["location"] == f"/admin/v1/triggers/{name}"
    return name


def make(site: AdminSite, clock: Clock) -> None:
    maker = Maker(site.ledger, ring=Bell(), clock=clock)
    while maker.step():
        pass


def jobs(ledger: Ledger) -> list[tuple[str, str, str]]:
    return [(row["target"], row["state"], row["reason"]) for row in rows(ledger, "SELECT * FROM jobs ORDER BY id")]


def seen(site: AdminSite, name: str) -> dict[str, Any]:
    found: dict[str, Any] = site.get(f"/triggers/{name}", role=Role.VIEWER).json()
    return found


def test_a_dry_run_tells_what_follows_and_does_nothing(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    asked = body(1, 2, 3, 4, parameters={"days": 3})
    (under_way,) = ask(ledger, clock(), wish(device(1), type="AUTOMATIC", days=3, even_if_set=False))
    (other,) = ask(ledger, clock(), wish(device(2), type="AUTOMATIC", days=9, even_if_set=False))
    response = site.post("/triggers", {**asked, "dry_run": True})
    assert response.status_code == 200
    told = response.json()
    assert [told[name] for name in ("total", "due", "held", "served")] == [4, 3, 0, 1]
    assert told["parameters"] == {"type": "AUTOMATIC", "days": 3, "even_if_set": False}
    assert [(one["then"], one["job"], one["supersedes"], one["site"]) for one in told["targets"]] == [
        ("served", under_way, [], "lyon"),
        ("due", None, [other], "lyon"),
        ("due", None, [], "oslo"),
        ("due", None, [], None),
    ]
    assert told["targets"][0]["why"] == f"served by job {under_way}, which is due"
    assert (told["calls"]["batches"], told["calls"]["largest"]) == (1, 100)
    assert told["notes"] == ["1 of the targets belong to no site of the inventory"]
    assert len(jobs(ledger)) == 2
    assert rows(ledger, "SELECT * FROM triggers") == []


def test_what_the_dry_run_told_is_what_follows(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    asked = body(*range(1, 8), operation=RENEW, budget={"jobs": 3, "per": "day"})
    told = site.post("/triggers", {**asked, "dry_run": True}).json()["targets"]
    begin(site, asked)
    make(site, clock)
    assert [(one["target"], one["then"], one["why"]) for one in told] == jobs(ledger)
    assert [one["then"] for one in told] == ["due"] * 3 + ["held"] * 4


def test_a_trigger_is_planned_and_its_end_is_told(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    name = begin(site, body(1, 2, 3, reason="a new policy"))
    assert site.rung == [(PLAN, [])]
    assert seen(site, name)["state"] == "planning"
    make(site, clock)
    found = seen(site, name)
    assert (found["state"], found["planned"], found["made"], found["jobs"]) == ("running", 3, 3, {"due": 3})
    for job in claim(ledger, clock()):
        settle(ledger, clock(), job, State.SUCCEEDED)
    assert (seen(site, name)["state"], seen(site, name)["jobs"]) == ("finished", {"succeeded": 3})
    listed = site.get(f"/jobs?trigger={name}").json()["items"]
    assert {job["site"] for job in listed} == {"lyon", "oslo"}
    (entry,) = [one.entry for one in ledger.audit.page(before=None, limit=9) if one.entry.action == "trigger.new"]
    assert (entry.reason, entry.detail["targets"]) == ("a new policy", 3)


@pytest.mark.parametrize(
    ("targets", "numbers"),
    [
        ({"sites": ["oslo"]}, [3]),
        ({"tags": ["north"]}, [1, 2, 3]),
        ({"tags": ["floor-2"], "devices": [device(9), device(2)]}, [9, 2, 1]),
        ({"all": True}, [1, 2, 3]),
    ],
)
def test_targets_are_named_by_site_tag_device_or_all(
    site: AdminSite, ledger: Ledger, clock: Clock, targets: dict[str, Any], numbers: list[int]
) -> None:
    begin(site, {"operation": ROTATE, "targets": targets})
    make(site, clock)
    assert [target for target, _, _ in jobs(ledger)] == [device(number) for number in numbers]


def test_targets_are_found_by_what_the_ledger_knows(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    ask(ledger, clock(), wish(device(5)), wish(device(6)), wish(device(7), RENEW))
    for job in claim(ledger, clock()):
        settle(ledger, clock(), job, State.PARKED)
    query = {"jobs": {"state": "parked", "operation": ROTATE, "since": "2026-05-10T00:00:00Z"}}
    told = site.post("/triggers", {"operation": RENEW, "targets": {"query": query}, "dry_run": True}).json()
    assert [one["target"] for one in told["targets"]] == [device(5), device(6)]
    events = {"events": {"type": "DEVICE_BOOTSTRAP_EVENT"}}
    told = site.post("/triggers", {"operation": RENEW, "targets": {"query": events}, "dry_run": True}).json()
    assert told["total"] == 1


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"operation": "ublox.rotate_e2e"}, "did you mean 'ublox.rotate_e2e_key'?"),
        ({"parameters": {"days": 99}}, "parameters.days: "),
        ({"parameters": {"colour": "red"}}, "parameters.colour: "),
        ({"targets": {"devices": ["lamp"]}}, "ROTPublicUID must be 16 hexadecimal digits"),
        ({"targets": {"sites": ["rome"]}}, "the inventory has no site rome"),
        ({"targets": {"tags": ["attic"]}}, "no site of the inventory has the tag attic"),
        ({"targets": {}}, "expected some of devices, sites, tags, cas, query, or all alone"),
        ({"targets": {"all": True, "sites": ["oslo"]}}, "or all alone"),
        ({"targets": {"query": {}}}, "expected exactly one of events, jobs"),
        ({"operation": "tap.reconfigure", "targets": {"devices": ["IOTZ1"]}}, "the inventory has no 'IOTZ1'"),
        (
            {"operation": "tap.reconfigure", "parameters": {}, "targets": {"all": True}},
            "nothing that operations of tap",
        ),
        ({"window": {"opens": "02:00:00", "closes": "02:00:00", "timezone": "UTC"}}, "can never be met"),
        ({"window": {"opens": "02:00:00", "closes": "03:00:00", "timezone": "Mars/Crater"}}, "IANA"),
    ],
)
def test_every_fault_is_told_and_nothing_is_done(
    site: AdminSite, ledger: Ledger, change: dict[str, Any], expected: str
) -> None:
    faults = problem(site.post("/triggers", {**body(1), **change}), 422)["faults"]
    assert expected in " ".join(fault["detail"] for fault in faults)
    assert rows(ledger, "SELECT * FROM triggers") == []


def test_the_same_key_finds_the_same_trigger_even_after_its_answer_is_forgotten(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    how = {"headers": {"Idempotency-Key": "once"}}
    first = begin(site, body(1), **how)
    assert begin(site, body(1), **how) == first
    clock.forward(days=2)
    assert begin(site, body(1), **how) == first
    clock.forward(days=2)
    problem(site.post("/triggers", body(2), role=Role.OPERATOR, **how), 422)
    assert len(rows(ledger, "SELECT * FROM triggers")) == 1


def test_a_crash_half_way_costs_nothing_and_nothing_is_planned_twice(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    ledger.triggers.chunk = 30
    name = begin(site, body(*range(1, 101)))
    ledger.triggers.step(name, clock())
    take_away(ledger, times=1)
    with pytest.raises(LedgerUnavailable):
        ledger.triggers.step(name, clock())
    assert (seen(site, name)["planned"], len(jobs(ledger))) == (30, 30)
    playbook = load_playbook(default_text(), operations=PARAMETERS)
    Planner(ledger, playbook, ring=Bell(), clock=clock).plan_waiting()
    assert [target for target, _, _ in jobs(ledger)] == [device(number) for number in range(1, 101)]
    assert ledger.triggers.waiting() is None


def test_a_crash_inside_a_chunk_leaves_nothing_of_it(
    site: AdminSite, ledger: Ledger, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.triggers.chunk = 5
    name = begin(site, body(*range(1, 11)))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sql, "_write", die)
        with pytest.raises(KeyboardInterrupt):
            ledger.triggers.step(name, clock())
    assert jobs(ledger) == []
    make(site, clock)
    assert len(jobs(ledger)) == 10


def test_many_planners_plan_a_trigger_once(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    ledger.triggers.chunk = 7
    name = begin(site, body(*range(1, 201)))
    failures: list[BaseException] = []

    def work() -> None:
        try:
            while not ledger.triggers.step(name, clock()).over:
                pass
        except BaseException as error:  # noqa: BLE001 - a thread's failure is the test's
            failures.append(error)

    together(work, 4)
    assert not failures
    assert [target for target, _, _ in jobs(ledger)] == [device(number) for number in range(1, 201)]
    assert seen(site, name)["made"] == 200


def together(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


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
    assert site.post(f"/triggers/{name}/approve", {"reason": "ok"}).status_code == 202
    make(site, clock)
    found = seen(site, name)
    assert (found["jobs"], found["approved_by"] is None) == ({"due": 10}, False)
    assert len(claim(ledger, clock())) == 10


def test_a_rejected_trigger_is_cancelled(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    name = begin(site, body(1, 2, approval={"role": "admin"}))
    make(site, clock)
    problem(site.post(f"/triggers/{name}/approve", role=Role.OPERATOR), 403)
    site.post(f"/triggers/{name}/reject", {"reason": "not now"}, role=Role.OPERATOR)
    make(site, clock)
    assert {state for _, state, _ in jobs(ledger)} == {"cancelled"}
    assert jobs(ledger)[0][2].startswith("rejected by ")


def test_a_trigger_that_asks_for_no_approval_has_none_to_give(site: AdminSite, clock: Clock) -> None:
    name = begin(site, body(1))
    make(site, clock)
    problem(site.post(f"/triggers/{name}/approve"), 409)
    for action in ("approve", "reject", "cancel"):
        problem(site.post(f"/triggers/trg_{'0' * 24}/{action}"), 404)
    problem(site.get(f"/triggers/trg_{'0' * 24}/events"), 404)


def test_progress_streams_until_the_end(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    name = begin(site, body(1, 2))
    make(site, clock)
    for job in claim(ledger, clock()):
        settle(ledger, clock(), job, State.SUCCEEDED)
    response = site.get(f"/triggers/{name}/events", role=Role.VIEWER)
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = [block.splitlines() for block in response.text.strip().split("\n\n")]
    assert [block[0] for block in blocks] == ["retry: 1000", "event: progress", "event: end"]
    assert json.loads(blocks[1][1].removeprefix("data: "))["jobs"] == {"succeeded": 2}


def test_a_viewer_may_look_but_not_ask(site: AdminSite) -> None:
    problem(site.post("/triggers", {**body(1), "dry_run": True}, role=Role.VIEWER), 403)
    assert site.get("/triggers", role=Role.VIEWER).json() == {"items": [], "next": None}


def test_triggers_are_listed_page_by_page_the_newest_first(site: AdminSite, clock: Clock) -> None:
    names = []
    for number in range(1, 6):
        names.append(begin(site, body(number)))
        clock.forward(seconds=1)
    first = site.get("/triggers?limit=3").json()
    rest = site.get(f"/triggers?limit=3&cursor={first['next']}").json()
    assert [one["id"] for one in first["items"] + rest["items"]] == names[::-1]
    assert rest["next"] is None


def test_the_playbooks_budget_binds_a_person_too(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    text = default_text().replace(
        'on = { event = "DEVICE_CERTIFICATE_EXPIRATION_EVENT" }',
        'on = { event = "DEVICE_CERTIFICATE_EXPIRATION_EVENT" }\nbudget = { jobs = 2, per = "day" }',
        1,
    )
    with ledger.database.writing() as connection:
        version = ledger.playbooks.add(connection, text, by="test", note="", now=clock())
        ledger.playbooks.activate(connection, version, clock())
    told = site.post("/triggers", {**body(1, 2, 3, operation=RENEW), "dry_run": True}).json()
    assert (told["due"], told["held"]) == (2, 1)
    assert told["notes"] == [f"the playbook's budget holds: 2 {RENEW} jobs per day"]


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
