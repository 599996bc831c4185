"""Schedules over the admin API."""

import asyncio
from datetime import datetime
from typing import Any

import httpx
import pytest

from infra.ledger import Ledger
from infra.ledger.answers import prune
from schemas.access import Role
from services.schedules.shipped import SHIPPED
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import rows


@pytest.fixture
def site(ledger: Ledger, clock: Clock) -> AdminSite:
    return AdminSite(ledger, clock)


def switches(site: AdminSite) -> list[str]:
    """What the audit tells of schedules, newest first."""
    actions = [one.entry.action for one in site.ledger.audit.page(before=None, limit=9)]
    return [action for action in actions if action.startswith("schedule.")]


def test_every_schedule_is_listed_and_shown_to_a_viewer(site: AdminSite) -> None:
    listed = site.get("/schedules", role=Role.VIEWER).json()["items"]
    assert [one["name"] for one in listed] == sorted(SHIPPED)
    shown = site.get("/schedules/prune", role=Role.VIEWER)
    assert (shown.json()["does"], shown.json()["firings"], shown.headers["etag"]) == ("ledger.prune", [], '"1"')
    problem(site.get("/schedules/prun"), 404)


def test_a_schedule_is_switched_by_an_admin_and_the_audit_says_so(site: AdminSite) -> None:
    problem(site.post("/schedules/prune/disable", role=Role.OPERATOR), 403)
    off = site.post("/schedules/prune/disable", {"reason": "moving"})
    assert (off.json()["enabled"], off.json()["next_due"], off.json()["revision"]) == (False, None, 2)
    assert site.post("/schedules/prune/enable").json()["next_due"] is not None
    assert switches(site) == ["schedule.enable", "schedule.disable"]


def test_a_schedule_that_stands_so_already_is_left_as_it_is_with_what_it_is_due_for(
    site: AdminSite, clock: Clock
) -> None:
    due = site.get("/schedules/prune").json()["next_due"]
    clock.forward(days=2)
    for word, revision in (("enable", 1), ("disable", 2), ("disable", 2)):
        switched = site.post(f"/schedules/prune/{word}")
        assert (switched.status_code, switched.headers["etag"]) == (200, f'"{revision}"')
        assert switched.json()["next_due"] == (due if revision == 1 else None)
    assert switches(site) == ["schedule.disable"]
    again = datetime.fromisoformat(site.post("/schedules/prune/enable").json()["next_due"])
    assert again > clock(), "what passed while it was off is not made up for"


def test_an_edit_keeps_what_is_due_unless_it_changes_when_that_is(site: AdminSite, clock: Clock) -> None:
    shown = site.get("/schedules/certificate-scan").json()
    clock.forward(days=2)
    changes: list[dict[str, Any]] = [{"catch_up": "all"}, {"parameters": {"renew": False}}]
    for revision, change in enumerate(changes, start=1):
        body = {"spec": {**shown["spec"], **change}}
        edited = site.call("PUT", "/schedules/certificate-scan", json=body, headers={"If-Match": f'"{revision}"'})
        assert (edited.status_code, edited.json()["next_due"]) == (200, shown["next_due"])
    body = {"spec": {**shown["spec"], "timezone": "Europe/Paris"}}
    edited = site.call("PUT", "/schedules/certificate-scan", json=body, headers={"If-Match": "*"})
    assert datetime.fromisoformat(edited.json()["next_due"]) > clock()


def test_of_two_edits_of_the_same_revision_one_is_told_that_it_comes_late(site: AdminSite) -> None:
    site.get("/schedules")

    async def both() -> list[httpx.Response]:
        bodies = [{"spec": {"cron": f"{minute} 2 * * *"}} for minute in (10, 20)]
        match = {"If-Match": '"1"'}
        edits = [site.send("PUT", "/schedules/prune", json=body, headers=match) for body in bodies]
        return await asyncio.gather(*edits)

    done, late = sorted(asyncio.run(both()), key=lambda answer: answer.status_code)
    assert (done.status_code, done.headers["etag"]) == (200, '"2"')
    assert problem(late, 412)["detail"].startswith("it was changed since you have seen it")
    assert site.get("/schedules/prune").json()["spec"] == done.json()["spec"]


def test_of_two_switches_at_once_both_are_done(site: AdminSite) -> None:
    site.get("/schedules")

    async def both() -> list[httpx.Response]:
        return await asyncio.gather(*(site.send("POST", "/schedules/prune/disable", json={}) for _ in range(2)))

    assert [(one.status_code, one.headers["etag"]) for one in asyncio.run(both())] == [(200, '"2"')] * 2
    assert switches(site) == ["schedule.disable"]


def test_an_edit_wants_the_newest_revision_and_a_rhythm_that_makes_sense(site: AdminSite) -> None:
    body = {"spec": {"cron": "30 2 * * *", "timezone": "Europe/Paris"}, "reason": "quieter"}
    problem(site.call("PUT", "/schedules/prune", json=body), 428)
    problem(site.call("PUT", "/schedules/prune", json=body, headers={"If-Match": '"7"'}), 412)
    match = {"If-Match": '"1"'}
    for spec in ({"cron": "61 2 * * *"}, {}, {"every_seconds": 60, "parameters": {"depth": 3}}):
        problem(site.call("PUT", "/schedules/prune", json={"spec": spec}, headers=match), 422)
    done = site.call("PUT", "/schedules/prune", json=body, headers=match)
    assert (done.status_code, done.headers["etag"], done.json()["spec"]["cron"]) == (200, '"2"', "30 2 * * *")
    problem(site.call("PUT", "/schedules/prune", json=body, headers=match), 412)


def test_an_operator_runs_a_schedule_now_and_a_repeat_of_the_request_does_not(site: AdminSite, clock: Clock) -> None:
    problem(site.post("/schedules/prune/run", role=Role.VIEWER), 403)
    key = {"Idempotency-Key": "once"}
    first = site.post("/schedules/prune/run", {"reason": "full"}, role=Role.OPERATOR, headers=key)
    clock.forward(minutes=1)
    again = site.post("/schedules/prune/run", {"reason": "full"}, role=Role.OPERATOR, headers=key)
    assert (first.status_code, first.json()["state"]) == (202, "waiting")
    assert again.json() == first.json()
    assert [answer.headers["location"] for answer in (first, again)] == ["/admin/v1/schedules/prune"] * 2
    assert len(site.ledger.firings.of("prune", 10)) == 1
    assert ("keyturn.ledger.prune", []) in site.rung


def test_a_schedule_is_run_once_at_a_moment(site: AdminSite, clock: Clock) -> None:
    assert site.post("/schedules/prune/run").status_code == 202
    assert "fired at this very moment" in problem(site.post("/schedules/prune/run"), 409)["detail"]
    clock.forward(seconds=1)
    assert site.post("/schedules/prune/run").status_code == 202


def test_a_repeat_of_an_edit_gets_the_first_answer_although_its_revision_is_old_now(site: AdminSite) -> None:
    body = {"spec": {"cron": "30 2 * * *", "timezone": "Europe/Paris"}, "reason": "quieter"}
    headers = {"If-Match": '"1"', "Idempotency-Key": "edit-1"}
    first = site.call("PUT", "/schedules/prune", json=body, headers=headers)
    again = site.call("PUT", "/schedules/prune", json=body, headers=headers)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers["idempotency-replayed"] == "true"
    assert again.json()["revision"] == 2
    other = {**body, "reason": "another"}
    problem(site.call("PUT", "/schedules/prune", json=other, headers=headers), 422)
    problem(site.call("PUT", "/schedules/prune", json=body, headers={"If-Match": '"1"', "Idempotency-Key": "2"}), 412)


def test_remembered_answers_are_forgotten_by_the_nightly_prune(site: AdminSite, clock: Clock) -> None:
    site.post("/schedules/prune/run", {}, headers={"Idempotency-Key": "once"})
    assert prune(site.ledger.database, clock.forward(hours=23)) == 0
    assert prune(site.ledger.database, clock.forward(hours=2)) == 1
    assert rows(site.ledger, "SELECT * FROM answers") == []
