"""Lists of events and jobs: filters, pages, and what one of them shows."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from infra.ledger import Ledger
from infra.ledger.tables import to_us
from infra.ledger.walks import Walk, walk
from schemas.jobs import State
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import (
    DEVICE,
    OTHER,
    RENEW,
    ROTATE,
    arrival,
    ask,
    claim,
    claim_one,
    confirm,
    device,
    rows,
    settle,
    take_in,
    wish,
)


@pytest.fixture
def site(ledger: Ledger, clock: Clock) -> AdminSite:
    return AdminSite(ledger, clock)


def ids(api: AdminSite, path: str, /, **query: Any) -> list[int]:
    response = api.get(path, params=query)
    assert response.status_code == 200, response.text
    assert response.json()["next"] is None
    return [item["id"] for item in response.json()["items"]]


def all_pages(site: AdminSite, path: str, **query: Any) -> list[int]:
    found: list[int] = []
    cursor = None
    while True:
        page = site.get(path, params=query | ({"cursor": cursor} if cursor else {})).json()
        found += [item["id"] for item in page["items"]]
        if (cursor := page["next"]) is None:
            return found


def test_events_are_found_by_whatever_they_have(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    first, second = take_in(ledger, clock(), 2)
    clock.forward(hours=1)
    ledger.inbox.accept([arrival(clock(), fault="not JSON", body=b"\xff{")])
    third = max(row["id"] for row in rows(ledger, "SELECT id FROM events"))
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE events SET hook = 'gate', state = 'planned' WHERE id = :id"), {"id": second})
    assert ids(site, "/events") == [third, second, first]
    assert ids(site, "/events", state="malformed") == [third]
    assert ids(site, "/events", state="planned") == [second]
    assert ids(site, "/events", state="new") == [first]
    assert ids(site, "/events", device=DEVICE) == [second, first]
    assert ids(site, "/events", device=OTHER) == []
    assert ids(site, "/events", hook="gate") == [second]
    assert ids(site, "/events", type="DEVICE_BOOTSTRAP_EVENT", device=DEVICE, hook="gate") == [second]
    assert ids(site, "/events", since=clock().isoformat()) == [third]
    assert ids(site, "/events", until=clock().isoformat()) == [second, first]


def test_polled_events_are_found_by_their_source_and_by_who_polled(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    (pushed,) = take_in(ledger, clock())
    hook = f"notification-catch-up@{to_us(clock())}"
    (polled,) = ledger.inbox.accept([replace(arrival(clock()), source="poll", hook=hook)])
    assert ids(site, "/events", source="poll") == [polled]
    assert ids(site, "/events", source="webhook") == [pushed]
    assert ids(site, "/events", source="poll", hook=hook) == [polled]
    problem(site.get("/events?source=post"), 422)
    problem(site.get("/events?hook=@"), 422)


def test_an_event_shows_what_was_delivered_and_what_came_of_it(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), wish())
    (event,) = rows(ledger, "SELECT id FROM events")
    shown = site.get(f"/events/{event['id']}").json()
    assert (shown["body"], shown["text"]) == ({}, None)
    (of_event,) = shown["jobs"]
    assert (of_event["id"], of_event["role"], of_event["operation"]) == (job, "caused", ROTATE)


@pytest.mark.parametrize(
    "body", [b"\xff{", b"not json", b"[" * 500 + b"]" * 500, b"[" * 254 + b"]" * 254, b'{"a": 1e999}', b""]
)
def test_a_delivery_that_is_no_json_is_shown_as_text(
    site: AdminSite, ledger: Ledger, clock: Clock, body: bytes
) -> None:
    ledger.inbox.accept([arrival(clock(), fault="not understood", body=body)])
    (row,) = rows(ledger, "SELECT id FROM events")
    response = site.get(f"/events/{row['id']}")
    assert response.status_code == 200
    assert response.json()["body"] is None
    assert response.json()["text"] == body.decode("utf-8", "backslashreplace")


def test_jobs_are_found_by_whatever_they_have(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    one, two = ask(ledger, clock(), wish(), wish(OTHER, RENEW))
    clock.forward(hours=1)
    (three,) = ask(ledger, clock(), wish(device(3)))
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE jobs SET site = 'lyon', trigger_id = 't1' WHERE id = :id"), {"id": two})
    (first, _) = claim(ledger, clock())
    settle(ledger, clock(), first, State.SUCCEEDED)
    event = rows(ledger, "SELECT event_id FROM jobs WHERE id = :id", id=two)[0]["event_id"]
    assert ids(site, "/jobs") == [three, two, one]
    assert ids(site, "/jobs", state="succeeded") == [one]
    assert ids(site, "/jobs", state="due") == [two]
    assert ids(site, "/jobs", state="running") == [three]
    assert ids(site, "/jobs", operation=RENEW) == [two]
    assert ids(site, "/jobs", target=OTHER) == [two]
    assert ids(site, "/jobs", site="lyon", state="due") == [two]
    assert ids(site, "/jobs", trigger="t1") == [two]
    assert ids(site, "/jobs", event=event) == [two]
    assert ids(site, "/jobs", event=10**9) == []
    assert ids(site, "/jobs", since=clock().isoformat()) == [three]
    assert ids(site, "/jobs", until=clock().isoformat()) == [two, one]


def test_a_job_is_found_by_the_event_that_confirmed_it_too(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), wish(operation=RENEW))
    settle(ledger, clock(), claim_one(ledger, clock(), RENEW), State.AWAITING, later=timedelta(days=1))
    event = confirm(ledger, clock())
    assert ids(site, "/jobs", event=event["id"]) == [job]
    shown = site.get(f"/jobs/{job}").json()
    assert [one["role"] for one in shown["events"]] == ["caused", "confirmed"]
    assert [one["role"] for one in site.get(f"/events/{event['id']}").json()["jobs"]] == ["confirmed"]


def test_a_job_shows_every_try_and_no_secret(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    (job,) = ask(ledger, clock(), wish(key="aes"), evidence={"token": "tell-nobody-1", "seen": "yes"})
    for reason in ("first", "second"):
        progress = {"password": "tell-nobody-2", "serial": "42"}
        claimed = claim_one(ledger, clock())
        settle(ledger, clock(), claimed, State.DUE, reason=reason, progress=progress, upstream_status=503)
        clock.forward(minutes=1)
    response = site.get(f"/jobs/{job}")
    shown = response.json()
    assert [(one["number"], one["outcome"], one["reason"]) for one in shown["tries"]] == [
        (1, "due", "first"),
        (2, "due", "second"),
    ]
    assert shown["tries"][0]["upstream_status"] == 503
    assert (shown["progress"]["serial"], shown["evidence"]["seen"], shown["parameters"]) == (
        "42",
        "yes",
        {"key": "aes"},
    )
    assert "tell-nobody" not in response.text


def test_pages_give_each_job_once_though_others_come_meanwhile(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    jobs = ask(ledger, clock(), *(wish(device(number)) for number in range(7)))
    first = site.get("/jobs?limit=3").json()
    ask(ledger, clock(), wish(device(100)))
    second = site.get("/jobs", params={"limit": 3, "cursor": first["next"]}).json()
    last = site.get("/jobs", params={"limit": 3, "cursor": second["next"]}).json()
    found = [item["id"] for page in (first, second, last) for item in page["items"]]
    assert found == sorted(jobs, reverse=True)
    assert last["next"] is None


def test_a_cursor_that_was_changed_or_is_of_another_list_is_refused(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    ask(ledger, clock(), *(wish(device(number)) for number in range(3)))
    cursor = site.get("/jobs?limit=1&state=due").json()["next"]
    assert site.get(f"/jobs?limit=2&state=due&cursor={cursor}").status_code == 200
    changed = ("B" if cursor[8] == "A" else "A").join((cursor[:8], cursor[9:]))
    for path in (
        f"/jobs?cursor={cursor}",
        f"/jobs?state=held&cursor={cursor}",
        f"/events?cursor={cursor}",
        f"/jobs?state=due&cursor={changed}",
        f"/jobs?state=due&cursor={cursor[:-4]}",
        "/jobs?cursor=",
        "/jobs?cursor=%C3%A9%C3%A9",
        "/jobs?cursor=AAAA",
    ):
        assert problem(site.get(path), 422)["faults"][0]["at"] == "query/cursor", path


def test_the_audit_is_paged_in_the_same_way(site: AdminSite) -> None:
    for number in range(5):
        site.post("/keys", {"name": f"key-{number}", "role": "viewer"})
    assert all_pages(site, "/audit", limit=2, action="key.new") == [6, 5, 4, 3, 2, 1]  # and the site's own key
    assert site.get("/audit/verify").json() | {"hash": ""} == {"holds": True, "rows": 6, "faults": [], "hash": ""}


def fill(ledger: Ledger, clock: Clock, count: int) -> None:
    """Events a second apart; the machines' clocks differ by up to five minutes."""
    seed = random.Random(7)
    arrivals = [
        arrival(clock() + timedelta(seconds=number + seed.uniform(-300, 300)), receipt=f"evt_{number}")
        for number in range(count)
    ]
    ledger.inbox.accept(arrivals)


def test_times_are_found_by_bisection_though_clocks_differ(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    fill(ledger, clock, 3_000)
    start, end = clock.forward(seconds=900), clock.forward(seconds=600)
    known = rows(ledger, "SELECT id, received_at FROM events ORDER BY id DESC")
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    span = [(moment - epoch) // timedelta(microseconds=1) for moment in (start, end)]
    expected = [row["id"] for row in known if span[0] <= row["received_at"] < span[1]]
    found = all_pages(site, "/events", since=start.isoformat(), until=end.isoformat(), limit=200)
    assert found == expected
    assert 300 < len(found) < 900
    assert ids(site, "/events", since="9999-12-31T23:59:59Z") == []
    assert ids(site, "/events", until="0001-01-01T00:00:00+14:00") == []


def test_a_walk_without_an_index_gives_what_it_found_in_its_time_and_says_where_to_go_on(
    ledger: Ledger, clock: Clock
) -> None:
    fill(ledger, clock, 1_000)
    where, bound = ["receipt = :receipt"], {"receipt": "evt_10"}
    asked = Walk(table="events", columns="id", at="received_at", where=where, bound=bound)
    found, steps, before = [], 0, None
    with ledger.database.reading() as connection:
        while True:
            page = walk(connection, Walk(**{**as_dict(asked), "before": before}), window=100, patience=0)
            found += page.rows
            steps += 1
            if (before := page.next) is None:
                break
        whole = walk(connection, asked, window=100)
    assert len(found) == 1
    assert steps == 10
    assert (len(whole.rows), whole.next) == (1, None)


def as_dict(asked: Walk) -> dict[str, Any]:
    return {name: getattr(asked, name) for name in Walk.__slots__}


def test_a_list_of_nothing_is_empty(site: AdminSite) -> None:
    assert ids(site, "/jobs") == []
    assert ids(site, "/events", state="fault", device=DEVICE) == []
    problem(site.get("/jobs/1"), 404)
    problem(site.get("/events/1"), 404)
