"""Who gets in, and what is answered to those who ask wrongly, over the whole table of routes."""

import asyncio
import logging
import re
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from starlette.responses import Response, StreamingResponse
from structlog.testing import capture_logs

from infra.ledger import Ledger
from schemas.access import Role
from schemas.admin import Problem, Whoami, Why
from services.web.admin.changes import change, etag, must_match
from services.web.admin.contract import Answer, Call, Route
from services.web.admin.failures import TRIES, Failures
from services.web.admin.openapi import text as text_of_document
from services.web.admin.reading import BODY_SECONDS
from services.web.admin.routes import ROUTES
from services.wiring import now
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.site import notification, serving

SECRET = "not-to-be-told-0123456789"


def crash(_call: Call) -> Answer:
    raise RuntimeError(f"{SECRET} in {__file__}")


def say(call: Call) -> Answer:
    return Answer(body=call.of(Why))


def edit(call: Call) -> Response:
    must_match(call, 7)
    return change(call, lambda _connection: Answer(body=call.of(Why), headers=etag(8)))


def stream(_call: Call) -> Response:
    return StreamingResponse(iter(["data: 1\n\n", "data: 2\n\n"]), media_type="text/event-stream")


ODD = (
    Route(
        method="PATCH",
        path="/edit",
        role=Role.OPERATOR,
        handler=edit,
        summary="Edit",
        request=Why,
        response=Why,
        once=True,
        matched=True,
    ),
    Route(
        method="GET", path="/stream", role=Role.VIEWER, handler=stream, summary="Tell", media_type="text/event-stream"
    ),
    Route(method="GET", path="/crash", role=Role.VIEWER, handler=crash, summary="Fail", response=Whoami),
    Route(method="PUT", path="/say", role=Role.OPERATOR, handler=say, summary="Say", request=Why, response=Why),
    Route(method="GET", path="/say", role=Role.VIEWER, handler=crash, summary="Nothing", response=Why),
)


@pytest.fixture
def site(ledger: Ledger, clock: Clock) -> AdminSite:
    return AdminSite(ledger, clock, routes=(*ROUTES, *ODD))


def address(route: Route) -> str:
    """An address of a route at which nothing is."""
    return re.sub(r"\{\w+\}", "999999999999", route.path)


WALK = [
    pytest.param(route, role, id=f"{route.method}-{route.path}-{role or 'nobody'}")
    for route in ROUTES
    for role in (None, *Role)
]


@pytest.mark.parametrize("database", ["sqlite"])
@pytest.mark.parametrize(("route", "role"), WALK)
def test_each_route_is_open_to_whom_the_table_says_and_to_nobody_else(
    site: AdminSite, route: Route, role: Role | None
) -> None:
    response = site.call(route.method, address(route), role=role, **({"json": {}} if route.request else {}))
    if role is None:
        assert problem(response, 401)["title"] == "Unauthorized"
        assert response.headers["www-authenticate"].startswith('Bearer realm="keyturn"')
    elif not role.covers(route.role):
        assert route.role.value in problem(response, 403)["detail"]
    else:
        assert response.status_code not in {401, 403, 405}
        assert response.status_code < 500
        if response.status_code >= 400:
            problem(response, response.status_code)
        elif route.response and response.status_code == route.status:
            route.response.model_validate_json(response.content)


def test_the_roles_go_from_viewer_to_admin() -> None:
    covered = {role: [needed for needed in Role if role.covers(needed)] for role in Role}
    assert covered == {
        Role.VIEWER: [Role.VIEWER],
        Role.OPERATOR: [Role.VIEWER, Role.OPERATOR],
        Role.ADMIN: [Role.VIEWER, Role.OPERATOR, Role.ADMIN],
    }


def test_whoami_tells_whose_key_it_is(site: AdminSite) -> None:
    key_id, key = site.new_key(Role.OPERATOR, name="gate watch", days=1)
    response = site.get("/whoami", role=None, headers={"Authorization": f"bearer {key}"})
    whoami = Whoami.model_validate_json(response.content)
    assert (whoami.id, whoami.name, whoami.role) == (key_id, "gate watch", Role.OPERATOR)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Basic a3Q6eA==", "kt_000000000000_" + "A" * 43, "Bearer kt_000000000000_" + "A" * 43],
)
def test_what_is_no_key_opens_nothing_not_even_to_tell_what_there_is(site: AdminSite, authorization: str) -> None:
    for path in ("/whoami", "/nowhere", "/openapi.json", "/"):
        problem(site.get(path, role=None, headers={"Authorization": authorization}), 401)


def test_two_authorization_headers_are_none(site: AdminSite) -> None:
    key = f"Bearer {site.key(Role.ADMIN)}"
    both = [("Authorization", key), ("Authorization", key)]
    response = asyncio.run(_raw(site, both))
    problem(response, 401)


async def _raw(site: AdminSite, headers: list[tuple[str, str]]) -> Any:
    transport = httpx.ASGITransport(site.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://keyturn.test") as client:
        return await client.get("/admin/v1/whoami", headers=headers)


def test_an_address_that_is_not_there_is_a_problem(site: AdminSite) -> None:
    for path in ("/nowhere", "/jobs/", "/jobs/1/2/3", "/"):
        problem(site.get(path), 404)


def test_a_path_that_can_name_nothing_is_not_found_and_says_what_would(site: AdminSite) -> None:
    for number in ("abc", "0", "-1", "1.5", str(2**63), "%00"):
        document = problem(site.get(f"/jobs/{number}"), 404)
        assert document["faults"][0]["at"] == "path/id"


def test_another_method_is_told_which_there_are(site: AdminSite) -> None:
    response = site.call("DELETE", "/keys")
    problem(response, 405)
    assert response.headers["allow"] == "GET, HEAD, POST"
    assert site.call("DELETE", "/say").headers["allow"] == "GET, HEAD, PUT"
    assert site.call("HEAD", "/whoami").status_code == 200


def test_every_fault_of_a_request_is_told_with_its_place_and_without_its_value(site: AdminSite) -> None:
    response = site.post("/keys?x=1", {"name": f"\n{SECRET}", "role": "king", "days": "7", "more": SECRET})
    faults = {fault["at"]: fault["detail"] for fault in problem(response, 422)["faults"]}
    assert faults.keys() == {"query/x", "body/name", "body/role", "body/days", "body/more"}
    assert "'viewer', 'operator' or 'admin'" in faults["body/role"]
    assert SECRET not in response.text
    response = site.get("/jobs?limit=0&state=lost&event=x&since=yesterday&since=today")
    assert {fault["at"] for fault in problem(response, 422)["faults"]} == {"query/since"}
    response = site.get("/jobs?limit=0&state=lost&event=x&since=yesterday")
    places = {"query/limit", "query/state", "query/event", "query/since"}
    assert {fault["at"] for fault in problem(response, 422)["faults"]} == places


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 422),
        (b'{"reason": NaN}', "application/json", 422),
        (b'{"reason": "\xff"}', "application/json", 422),
        (b'{"reason": "a\\u0000b"}', "application/json", 422),
        (b'{"reason": "\\ud800"}', "application/json", 422),
        (b"[]", "application/json", 422),
        (b"null", "application/json", 422),
        (b"[" * 100_000, "application/json", 422),
        (b'{"reason": "a"}', "text/plain", 415),
        (b'{"reason": "a"}', "", 415),
        (b'{"reason": "a"}', "application/problem+json; charset=utf-8", 200),
        (b'{"reason": "a \\\\u0000"}', "application/json", 200),
        (b"", "", 200),
        (b"{}" + b" " * 256 * 1024, "application/json", 413),
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_refused(
    site: AdminSite, content: bytes, kind: str, status: int
) -> None:
    response = site.call("PUT", "/say", content=content, headers={"Content-Type": kind} if kind else {})
    if status == 200:
        assert response.status_code == 200
    else:
        problem(response, status)


def test_a_body_in_pieces_has_the_same_limit(site: AdminSite) -> None:
    async def pieces() -> Any:
        for _ in range(300):
            yield b" " * 1024

    problem(site.call("PUT", "/say", content=pieces(), headers={"Content-Type": "application/json"}), 413)


def test_a_packed_body_is_refused(site: AdminSite) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    problem(site.call("PUT", "/say", content=b"{}", headers=headers), 415)


def test_a_body_that_does_not_come_is_given_up(site: AdminSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.web.admin.reading.BODY_SECONDS", BODY_SECONDS / 1000)

    async def never() -> Any:
        yield b"{"
        await asyncio.sleep(60)

    problem(site.call("PUT", "/say", content=never(), headers={"Content-Type": "application/json"}), 408)


def test_a_body_where_none_is_taken_is_refused(site: AdminSite) -> None:
    document = problem(site.call("GET", "/whoami", json={}), 422)
    assert document["faults"] == [{"at": "body", "detail": "no body is taken here"}]


def test_what_nobody_foresaw_is_a_problem_without_our_inside_and_a_line_in_the_log(site: AdminSite) -> None:
    with capture_logs() as logs:
        response = site.get("/crash")
    document = problem(response, 500)
    Problem.model_validate(document)
    for inside in (SECRET, "RuntimeError", "Traceback", ".py"):
        assert inside not in response.text
    (line,) = [line for line in logs if line["log_level"] == "error"]
    assert isinstance(line["exc_info"], RuntimeError)


def test_a_ledger_that_is_away_is_503_and_says_when_to_come_again(site: AdminSite, ledger: Ledger) -> None:
    site.key(Role.ADMIN)
    with ledger.database.writing() as connection:
        connection.execute(text("DELETE FROM watermarks"))
    response = site.post("/keys", {"name": "ann", "role": "viewer"})
    document = problem(response, 503)
    assert response.headers["retry-after"] == "5"
    assert document["detail"] == "the ledger cannot be used now: nothing was changed"
    assert len(ledger.keys.list()) == 1


def test_the_id_of_a_request_is_kept_where_it_is_one_and_made_where_not(site: AdminSite) -> None:
    sent = site.get("/whoami", headers={"X-Request-ID": "my.id_7-a"})
    assert sent.headers["x-request-id"] == "my.id_7-a"
    made = {site.get("/whoami", headers={"X-Request-ID": odd}).headers["x-request-id"] for odd in ("", "a b", "x" * 65)}
    assert len(made) == 3
    assert all(len(name) == 32 for name in made)
    refused = site.get("/whoami", role=None, headers={"X-Request-ID": "mine"})
    assert problem(refused, 401)["request_id"] == "mine"


def test_no_answer_is_kept_by_anybody_on_the_way(site: AdminSite) -> None:
    for response in (site.get("/whoami"), site.get("/nowhere")):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"


def test_who_shows_too_many_wrong_keys_waits_but_locks_out_nobody_who_was_in(
    ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    site = AdminSite(ledger, clock, failures=Failures(clock=lambda: 0.0))
    assert site.get("/whoami").status_code == 200
    wrong = {"Authorization": "Bearer kt_000000000000_" + "A" * 43}
    for _ in range(TRIES):
        problem(site.get("/whoami", role=None, headers=wrong), 401)
    refused = site.get("/whoami", role=None, headers=wrong)
    problem(refused, 429)
    assert int(refused.headers["retry-after"]) > 0
    assert site.get("/whoami").status_code == 200
    problem(site.get("/whoami", role=Role.VIEWER), 429)  # a key that this process has not seen yet waits as well
    assert site.get("/whoami", role=Role.VIEWER, peer="192.0.2.99").status_code == 200


def test_a_key_that_was_ended_is_refused_at_once(site: AdminSite) -> None:
    key_id, key = site.new_key(Role.VIEWER)
    bearer = {"Authorization": f"Bearer {key}"}
    assert site.get("/whoami", role=None, headers=bearer).status_code == 200
    assert site.post(f"/keys/{key_id}/end").json()["living"] is False
    problem(site.get("/whoami", role=None, headers=bearer), 401)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (None, 428),
        ('"6"', 412),
        ("7", 412),
        ("", 412),
        ('"7"', 200),
        ('W/"7"', 412),
        ('"6", "7"', 200),
        ("*", 200),
    ],
)
def test_only_who_has_seen_the_newest_revision_may_edit_it(site: AdminSite, sent: str | None, status: int) -> None:
    response = site.call("PATCH", "/edit", json={}, headers={} if sent is None else {"If-Match": sent})
    if status == 200:
        assert (response.status_code, response.headers["etag"]) == (200, '"8"')
    else:
        problem(response, status)
        assert response.headers.get("etag") == ('"7"' if status == 412 else None)


def test_a_stream_is_handed_through(site: AdminSite) -> None:
    response = site.get("/stream")
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.text == "data: 1\n\ndata: 2\n\n"


def test_the_document_is_served_to_whoever_has_a_key(site: AdminSite) -> None:
    assert site.get("/openapi.json", role=Role.VIEWER).content == text_of_document(ROUTES)


def test_the_api_stands_beside_the_receiver_on_one_port(database_url: str) -> None:
    with serving(database_url) as receiver:
        site = AdminSite(receiver.ledger, now)
        bearer = {"Authorization": f"Bearer {site.key(Role.OPERATOR)}"}
        delivered = receiver.post(notification())
        listed = receiver.get("/admin/v1/events", **bearer)
        assert (delivered.status, listed.status) == (202, 200)
        assert [event["receipt"] for event in listed.document["items"]] == [delivered.receipt]
        assert receiver.get("/admin/v1/events", Authorization=None).status == 401
        assert receiver.get("/admin/v1/events").status == 401  # a webhook token is no key
        head = receiver.post(method="HEAD", path="/admin/v1/events", headers={**bearer, "Connection": "close"})
        assert (head.status, head.headers["cache-control"]) == (200, "no-store")
        refused = receiver.post(b"{}", path="/admin/v1/jobs/1/cancel", headers={**bearer, "Content-Length": "999999"})
        assert (refused.status, refused.document["status"]) == (413, 413)


def test_a_websocket_is_refused(site: AdminSite) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/admin/v1/whoami", "headers": [], "query_string": b"", "root_path": ""}
    asyncio.run(site.app(scope, receive, send))
    assert [message["type"] for message in sent] == ["websocket.close"]


def test_an_address_with_a_line_end_in_it_is_behind_the_door_too(site: AdminSite) -> None:
    problem(site.get("/jobs/%0A", role=None), 401)
    problem(site.get("/%0A%0A"), 404)
    problem(site.get("/jobs/%0A"), 404)


def test_a_wrong_idempotency_key_is_told_also_where_nothing_is_to_be_done(site: AdminSite) -> None:
    asked = {"filter": {}, "dry_run": True}
    document = problem(site.post("/parked/redrive", asked, headers={"Idempotency-Key": "a b"}), 422)
    assert document["faults"][0]["at"] == "header/Idempotency-Key"
