"""Manual triggers: what a dry run tells is what follows, once, whatever breaks on the way."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.broker import PLAN
from infra.ledger import Ledger
from infra.ledger import triggers as sql
from schemas.access import Role
from schemas.errors import LedgerUnavailable
from schemas.jobs import State
from services.operations import PARAMETERS
from services.planner import Planner
from services.playbook import default_text, load_playbook
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import RENEW, ROTATE, ask, claim, device, rows, settle, wish
from tests.support.triggers import begin, body, jobs, make, seen, triggering
from tests.support.works import Bell, take_away


@pytest.fixture
def site(ledger: Ledger, clock: Clock, tmp_path: Path) -> AdminSite:
    return triggering(ledger, clock, tmp_path)


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


@pytest.mark.parametrize("seconds", [1, 0])
def test_triggers_are_listed_page_by_page_the_newest_first(site: AdminSite, clock: Clock, seconds: int) -> None:
    made = [(clock.forward(seconds=seconds), begin(site, body(number))) for number in range(1, 6)]
    first = site.get("/triggers?limit=3").json()
    rest = site.get(f"/triggers?limit=3&cursor={first['next']}").json()
    assert [one["id"] for one in first["items"] + rest["items"]] == [name for _, name in sorted(made, reverse=True)]
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
