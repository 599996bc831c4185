"""The u-blox twin answers as the document says: logins, devices, key rotation, pages."""

import base64
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.sandbox.ublox.twin import API_KEY, API_SECRET
from tests.fixtures.ublox import LONG_AGO, Caller, calling

UNKNOWN = "135700008928c093"


@pytest.fixture(scope="module")
def server() -> Iterator[Caller]:
    with calling() as caller:
        yield caller


@pytest.fixture
def twin(server: Caller) -> Caller:
    server.reset()
    return server


def claims_of(token: str) -> Any:
    head, claims, _ = token.split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "=="))["alg"] == "RS256"
    return json.loads(base64.urlsafe_b64decode(claims + "=="))


def test_a_login_gives_an_id_token_of_one_hour(twin: Caller) -> None:
    claims = claims_of(twin.tokens["AuthToken"])
    assert claims["token_use"] == "id"
    assert claims["exp"] - claims["iat"] == 3600
    assert "nbf" not in claims


def test_a_wrong_secret_is_not_authorized_and_half_a_login_is_a_bad_request(twin: Caller) -> None:
    wrong = twin.http.post("/v1/authenticate", json={"APIKey": API_KEY, "APISecret": "x"})
    half = twin.http.post("/v1/authenticate", json={"APIKey": API_KEY})
    assert (wrong.status_code, wrong.json()) == (401, {"message": "Not Authorized."})
    assert (half.status_code, half.json()) == (400, {"message": "Bad Request"})


def test_a_refresh_gives_only_a_new_token_of_the_same_login(twin: Caller) -> None:
    answer = twin.ask("/refreshauthtoken", APIKey=API_KEY, RefreshToken=twin.tokens["RefreshToken"])
    assert list(answer) == ["AuthToken"]
    before, after = claims_of(twin.tokens["AuthToken"]), claims_of(answer["AuthToken"])
    assert (after["event_id"], after["auth_time"]) == (before["event_id"], before["auth_time"])


def test_a_refresh_needs_authorization_itself(twin: Caller) -> None:
    body = {"APIKey": API_KEY, "RefreshToken": twin.tokens["RefreshToken"]}
    assert twin.http.post("/v1/refreshauthtoken", json=body).status_code == 401


def test_an_unknown_refresh_token_is_not_authorized(twin: Caller) -> None:
    assert twin.call("/refreshauthtoken", APIKey=API_KEY, RefreshToken="x.y").status_code == 401


def test_a_token_that_is_over_forged_or_missing_is_not_authorized(twin: Caller) -> None:
    token = twin.tokens["AuthToken"]
    twin.turn(token_life_seconds=0)
    twin.log_in()
    forged = token[:-8] + ("AAAAAAAA" if token[-8:] != "AAAAAAAA" else "BBBBBBBB")
    for header in (twin.header, {"Authorization": f"Bearer {forged}"}, {"Authorization": "Bearer x"}, {}):
        answer = twin.http.post("/v1/apiversion", headers=header)
        assert (answer.status_code, answer.json()) == (401, {"message": "Not Authorized."})


@pytest.mark.parametrize(("scheme", "bearer", "bare"), [("both", 200, 200), ("bearer", 200, 401), ("bare", 401, 200)])
def test_the_scheme_of_the_header_is_a_dial(twin: Caller, scheme: str, bearer: int, bare: int) -> None:
    twin.turn(authorization=scheme)
    token = twin.tokens["AuthToken"]
    seen = [
        twin.http.post("/v1/apiversion", headers={"Authorization": f"{word}{token}"}).status_code
        for word in ("Bearer ", "")
    ]
    assert seen == [bearer, bare]


def test_the_version_can_be_asked_with_get_and_post(twin: Caller) -> None:
    assert (
        twin.ask("/apiversion") == twin.http.get("/v1/apiversion", headers=twin.header).json() == {"Version": "1.1.1"}
    )


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"PageNumber": 0}', b'{"Filter": "NONE"}'])
def test_a_body_that_does_not_fit_is_a_bad_request(twin: Caller, content: bytes) -> None:
    answer = twin.http.post("/v1/device/list/get", content=content, headers=twin.header)
    assert (answer.status_code, answer.json()) == (400, {"message": "Bad Request"})


def test_an_unknown_call_is_not_found(twin: Caller) -> None:
    assert twin.call("/device/nothing/get").status_code == 404
    assert twin.http.get("/v1/device/list/get", headers=twin.header).status_code == 405


def test_devices_are_listed_in_pages_of_a_hundred(twin: Caller) -> None:
    uids = twin.devices(230)
    pages = [twin.ask("/device/list/get", Filter="ALL", PageNumber=number) for number in (1, 2, 3, 4)]
    assert [uid for page in pages for uid in page["ROTPublicUIDs"]] == uids
    assert pages[2] == {"ROTPublicUIDs": uids[200:], "PageNumber": 3, "PageSize": 100, "TotalRecords": 230}


def test_the_list_can_be_filtered_by_blacklist(twin: Caller) -> None:
    good, bad = twin.devices(2), twin.devices(3, blacklisted=True)
    assert twin.ask("/device/list/get", Filter="WHITELISTED")["ROTPublicUIDs"] == good
    assert twin.ask("/device/list/get", Filter="BLACKLISTED")["ROTPublicUIDs"] == bad


def test_info_holds_the_groups_that_were_asked_for(twin: Caller) -> None:
    (uid,) = twin.devices(1)
    for options in (["CORE"], ["ZTP", "PROVISIONING"]):
        (item,) = twin.ask("/device/info/get", ROTPublicUIDs=[uid], Options=options)["DeviceInfo"]
        assert set(item) == {"ROTPublicUID", *options}
    assert set(twin.info(uid)) == {"ROTPublicUID", "CORE", "PROVISIONING", "ZTP"}


def test_info_finds_devices_by_uid_number_tag_and_serial(twin: Caller) -> None:
    """A UID may come as the integer of the document's samples, and tags know no case."""
    (uid,) = twin.devices(1, first="0002000089282245", tags=["Downtown"])
    serial = twin.info(uid)["CORE"]["DeviceSerialNumber"]
    ways: list[dict[str, Any]] = [
        {"ROTPublicUIDs": [2000089282245]},
        {"TagNames": ["downTOWN"]},
        {"DeviceSerialNumbers": [serial]},
    ]
    for way in ways:
        (item,) = twin.ask("/device/info/get", Options=["CORE"], **way)["DeviceInfo"]
        assert item["ROTPublicUID"] == uid


def test_devices_must_be_named_in_exactly_one_way(twin: Caller) -> None:
    uids = twin.devices(1, tags=["t"])
    assert twin.call("/device/info/get").json() == {"message": "Bad Request"}
    assert twin.call("/device/info/get", ROTPublicUIDs=uids, TagNames=["t"]).status_code == 400
    assert twin.call("/device/info/get", ROTPublicUIDs=[]).status_code == 400


def test_one_unknown_device_refuses_the_whole_batch(twin: Caller) -> None:
    uids = twin.devices(2)
    answer = twin.call("/e2e/key/rotate", ROTPublicUIDs=[*uids, UNKNOWN], Type="CONTINUOUS")
    assert (answer.status_code, answer.json()) == (400, {"Message": "Bad Request. Invalid ROTPublicUIDs"})
    assert twin.stats()["actions"]["rotations"]["total"] == 0
    assert twin.info(uids[0])["PROVISIONING"]["DesiredProperties"]["E2EKeyRotation"] == {}


def test_a_rotation_policy_is_desired_at_once_and_current_after_a_heartbeat(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=3600)
    answer = twin.ask("/e2e/key/rotate", ROTPublicUIDs=[uid], Type="AUTOMATIC")
    assert answer == {"Message": "The automatic rotation has been set. The key will be rotated every 7 days."}
    before = twin.info(uid)["PROVISIONING"]
    assert before["DesiredProperties"]["E2EKeyRotation"] == {"Type": "AUTOMATIC", "Days": 7}
    assert before["CurrentProperties"]["E2EKeyRotation"] == {}
    twin.beat(uid)
    assert twin.info(uid)["PROVISIONING"]["CurrentProperties"]["E2EKeyRotation"]["Days"] == 7


def test_a_rotation_shorter_than_the_heartbeat_shortens_the_heartbeat(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=604_800)
    answer = twin.ask("/e2e/key/rotate", ROTPublicUIDs=[uid], Type="AUTOMATIC", Days=1)
    assert answer["Message"] == (
        "The automatic rotation has been set. The key will be rotated every 1 day. "
        "The Security heartbeat has been adjusted to 1 day."
    )
    twin.beat(uid)
    assert twin.info(uid)["PROVISIONING"]["CurrentProperties"]["NetworkParameters"][0]["Value"] == 86_400


@pytest.mark.parametrize("wish", [{"Type": "NOW"}, {"Type": "AUTOMATIC", "Days": 0}, {"Type": "AUTOMATIC", "Days": 31}])
def test_a_wrong_rotation_is_refused_under_a_capital_message(twin: Caller, wish: dict[str, Any]) -> None:
    answer = twin.call("/e2e/key/rotate", ROTPublicUIDs=twin.devices(1), **wish)
    assert (answer.status_code, answer.json()) == (400, {"Message": "Bad Request"})


def test_what_a_device_did_can_be_read_in_its_activities(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=3600)
    twin.ask("/e2e/key/rotate", ROTPublicUIDs=[uid], Type="CONTINUOUS")
    twin.beat(uid)
    page = twin.ask("/device/activity/get", ROTPublicUID=uid, FromDate=LONG_AGO)
    assert [activity["Command"] for activity in page["Activities"]] == ["APPLY_PROPERTIES"]
    assert page["TotalRecords"] == 1
    assert page["LastSeen"].endswith("Z")
    assert twin.call("/device/activity/get", ROTPublicUID=UNKNOWN, FromDate=LONG_AGO).status_code == 400


def test_the_imei_has_a_correct_check_digit(twin: Caller) -> None:
    (uid,) = twin.devices(1)
    digits = [int(digit) for digit in twin.info(uid)["CORE"]["IMEI"]]
    doubled = [digit if place % 2 == 0 else sum(divmod(digit * 2, 10)) for place, digit in enumerate(digits)]
    assert len(digits) == 15
    assert sum(doubled) % 10 == 0


def test_ten_thousand_devices_are_made_at_once(twin: Caller) -> None:
    started = time.process_time()  # the twin is a thread of this process
    assert len(twin.devices(10_000)) == 10_000
    assert time.process_time() - started < 5  # about 0.7 s


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_one_line_and_stops_cleanly(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "services.cli.sandbox", "ublox", "--port", "0", "--devices", "3"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        found = re.search(r"API (http://127\.0\.0\.1:\d+/v1) +dials (\S+)", line)
        assert found, line
        login = httpx.post(f"{found[1]}/authenticate", json={"APIKey": API_KEY, "APISecret": API_SECRET})
        assert (login.status_code, httpx.get(found[2]).status_code) == (200, 200)
        run.send_signal(number)
        assert (run.wait(timeout=60), run.stdout.read()) == (0, "")
