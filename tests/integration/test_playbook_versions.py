"""Versions of the playbook: kept, compared, put in force, and taken up without a restart."""

import json
from datetime import timedelta
from typing import Any

import pytest

from infra.ledger import Ledger
from schemas.access import Role
from schemas.errors import InputError
from schemas.events import EventType
from services.operations import PARAMETERS
from services.planner import Planner
from services.playbook import ActivePlaybook, Playbook, default_text, load_playbook
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import arrival, device, event_row
from tests.support.works import Bell

ALERT = """
version = 1

[[rules]]
name = "one"
on = { event = "DEVICE_BOOTSTRAP_EVENT" }
alert = "a device"
"""
OTHER = ALERT.replace('"one"', '"other"').replace("a device", "another device")
FAULTY = ALERT.replace("BOOTSTRAP_EVENT", "BOOTSTRAP")


def load(text: str) -> Playbook:
    return load_playbook(text, operations=PARAMETERS)


@pytest.fixture
def site(ledger: Ledger, clock: Clock) -> AdminSite:
    return AdminSite(ledger, clock)


@pytest.fixture
def active(ledger: Ledger) -> ActivePlaybook:
    return ActivePlaybook(ledger, default=lambda: load(default_text()), load=load)


def names(playbook: Playbook) -> list[str]:
    return [rule.name for rule in playbook.document.rules]


def put(ledger: Ledger, clock: Clock, text: str) -> int:
    with ledger.database.writing() as connection:
        version = ledger.playbooks.add(connection, text, by="test", note="", now=clock())
        assert ledger.playbooks.activate(connection, version, clock())
    return version


def tell(ledger: Ledger, clock: Clock, number: int) -> int:
    moment = "2026-05-10T11:59Z"
    body = {"EventType": EventType.BOOTSTRAP, "ROTPublicUID": device(number), "Timestamp": moment, "Payload": {}}
    (event,) = ledger.inbox.accept([arrival(clock(), body=json.dumps(body).encode())])
    return event


def test_where_none_is_activated_the_settings_own_holds(active: ActivePlaybook) -> None:
    assert names(active()) == names(load(default_text()))


def test_a_planner_takes_up_a_new_version_with_its_next_events(
    ledger: Ledger, clock: Clock, active: ActivePlaybook
) -> None:
    planner = Planner(ledger, active, ring=Bell(), clock=clock)
    put(ledger, clock, ALERT)
    first = tell(ledger, clock, 1)
    planner.plan_waiting()
    put(ledger, clock, OTHER)
    second = tell(ledger, clock, 2)
    planner.plan_waiting()
    verdicts = [event_row(ledger, event)["verdict"] for event in (first, second)]
    assert verdicts == ["rule one: alert", "rule other: alert"]


def test_an_older_version_that_is_activated_again_holds_even_if_its_clock_is_behind(
    ledger: Ledger, clock: Clock, active: ActivePlaybook
) -> None:
    first = put(ledger, clock, ALERT)
    put(ledger, clock, OTHER)
    with ledger.database.writing() as connection:
        ledger.playbooks.activate(connection, first, clock() - timedelta(hours=1))
    assert names(active()) == ["one"]


def test_a_version_that_cannot_be_loaded_leaves_the_one_before(
    ledger: Ledger, clock: Clock, active: ActivePlaybook
) -> None:
    put(ledger, clock, ALERT)
    assert names(active()) == ["one"]
    put(ledger, clock, FAULTY)
    assert names(active()) == ["one"]
    fresh = ActivePlaybook(ledger, default=lambda: load(default_text()), load=load)
    with pytest.raises(InputError):
        fresh()


def test_over_the_api_a_version_is_kept_compared_and_activated(site: AdminSite, active: ActivePlaybook) -> None:
    assert site.get("/playbook", role=Role.VIEWER).json()["version"] is None
    made = site.post("/playbooks", {"text": ALERT, "note": "first"})
    assert (made.status_code, made.json()["version"], made.json()["active"]) == (201, 1, False)
    assert names(active()) == names(load(default_text())), "to keep is not to activate"
    assert site.post("/playbooks/1/activate", {"reason": "go"}).json()["active"] is True
    assert names(active()) == ["one"]
    site.post("/playbooks", {"text": OTHER, "activate": True})
    assert names(active()) == ["other"]
    assert [one["version"] for one in site.get("/playbooks?limit=1").json()["items"]] == [2]
    view = site.get("/playbook").json()
    assert (view["version"], view["text"], [rule["name"] for rule in view["rules"]]) == (2, OTHER, ["other"])
    actions = [one.entry.action for one in site.ledger.audit.page(before=None, limit=9)]
    assert actions[:3] == ["playbook.activate", "playbook.activate", "playbook.new"]


def test_a_faulty_playbook_is_never_kept(site: AdminSite, ledger: Ledger) -> None:
    faults = problem(site.post("/playbooks", {"text": FAULTY}), 422)["faults"]
    assert "did you mean 'DEVICE_BOOTSTRAP_EVENT'?" in faults[0]["detail"]
    checked: dict[str, Any] = site.post("/playbook/validate", {"text": FAULTY}, role=Role.VIEWER).json()
    assert (checked["ok"], len(checked["faults"])) == (False, 1)
    assert ledger.playbooks.page(None, 10) == []
    problem(site.post("/playbooks", {"text": ALERT}, role=Role.OPERATOR), 403)
    problem(site.get("/playbooks/7"), 404)
    problem(site.post("/playbooks/7/activate"), 404)


def test_a_diff_tells_each_rule(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    put(ledger, clock, ALERT)
    changed = site.post("/playbook/diff", {"text": ALERT.replace("a device", "b")}, role=Role.VIEWER).json()
    (change,) = changed["changes"]
    assert (change["rule"], change["change"], change["fields"]) == ("one", "changed", ["alert"])
    assert (change["before"]["alert"], change["after"]["alert"]) == ("a device", "b")
    other = site.post("/playbook/diff", {"text": OTHER}).json()["changes"]
    assert [(one["rule"], one["change"]) for one in other] == [("other", "added"), ("one", "removed")]
    assert site.get("/playbooks/1/diff?against=1").json()["changes"] == []
