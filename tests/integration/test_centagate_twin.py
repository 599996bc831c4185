"""The CENTAGATE twin authenticates as the documents say: signatures, time, second factor, sessions."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from services.sandbox.centagate.sessions import Administrator
from tests.support.centagate import PLAIN, V2, Caller, CentagateTwin, centagate_twin, signed


@pytest.fixture(scope="module")
def server() -> Iterator[CentagateTwin]:
    with centagate_twin(users=2) as twin:
        yield twin


@pytest.fixture
def twin(server: CentagateTwin) -> CentagateTwin:
    server.reset()
    return server


@pytest.fixture
def caller(twin: CentagateTwin) -> Caller:
    return Caller(twin)


def test_a_login_answers_with_a_text_code_and_an_object_that_is_json_inside_a_text(caller: Caller) -> None:
    answer = caller.authenticate()
    assert (answer["code"], answer["message"], type(answer["object"])) == ("0", "Success", str)
    told = json.loads(answer["object"])
    assert told["secretCode"]
    assert {"userId", "email", "companyId", "authMethods", "multiStepAuth", "passwordExpired"} < set(told)


def test_every_auth_token_holds_the_characters_that_a_careless_client_spoils(caller: Caller) -> None:
    tokens = [caller.log_in()["authToken"] for _ in range(10)]
    assert all({"+", "/", "="} <= set(token) for token in tokens)
    assert len(set(tokens)) == 10


def test_a_wrong_signature_is_told_before_a_wrong_password(caller: Caller) -> None:
    body = caller.login_body(password="not-the-password")
    assert caller.post("auth/authBasic", body)["code"] == "23001"
    assert caller.post("auth/authBasic", {**body, "password": "another"})["code"] == "23022"
    assert caller.post("auth/authBasic", {**body, "hmac": body["hmac"].upper()})["code"] == "23022"


def test_an_unknown_username_is_told_as_a_wrong_password(caller: Caller) -> None:
    assert caller.authenticate(username="nobody")["code"] == "23001"
    assert caller.authenticate(username="nobody", password="")["code"] == "23001"


def test_an_unknown_integration_key_is_an_unknown_api(caller: Caller) -> None:
    assert caller.authenticate(integrationKey="another-app")["code"] == "23024"
    assert caller.authenticate(integrationKey="")["code"] == "23024"


@pytest.mark.parametrize(("seconds", "code"), [(-290, "0"), (290, "0"), (-320, "23023"), (320, "23023")])
def test_a_login_may_be_five_minutes_early_or_late(caller: Caller, seconds: int, code: str) -> None:
    assert caller.authenticate(unixTimestamp=str(int(time.time()) + seconds))["code"] == code


def test_a_server_with_a_wrong_clock_finds_a_good_login_expired(twin: CentagateTwin, caller: Caller) -> None:
    twin.turn(clock_skew_seconds=3600)
    assert caller.authenticate()["code"] == "23023"
    assert caller.authenticate(unixTimestamp=str(int(time.time()) + 3600))["code"] == "0"


def test_the_optional_members_are_signed_in_the_order_of_the_table_or_of_the_sample(
    twin: CentagateTwin, caller: Caller
) -> None:
    body = caller.login_body()
    more = {"supportFido": "False", "ipAddress": "192.0.2.1", "userAgent": "agent", "browserFp": "print"}
    named, key, at = body["username"] + body["password"], body["integrationKey"], body["unixTimestamp"]
    table = named + "agent" + key + "False" + "print" + at + "192.0.2.1"
    sample = named + key + at + "False" + "192.0.2.1" + "agent" + "print"
    codes = [
        caller.post("auth/authBasic", {**body, **more, "hmac": signed(twin.secret_key, text)})["code"]
        for text in (table, sample, named + key + at)
    ]
    assert codes == ["0", "0", "23022"]


@pytest.mark.parametrize("missing", ["username", "password", "unixTimestamp", "hmac"])
def test_a_login_without_a_required_member_is_invalid_input(caller: Caller, missing: str) -> None:
    body = caller.login_body()
    del body[missing]
    answer = caller.post("auth/authBasic", body)
    assert (answer["code"], answer["message"], answer["object"]) == ("10002", "Invalid Input", "")


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff", b""])
def test_a_body_that_is_no_json_object_is_invalid_input(twin: CentagateTwin, content: bytes) -> None:
    assert twin.http.post(f"{V2}/auth/authBasic", content=content).json()["code"] == "10002"
    assert twin.http.put(f"{PLAIN}/token/getStatus/{twin.admin}", content=content).json()["code"] == 10002


def test_a_second_factor_leaves_the_secret_code_empty_and_opens_no_session(twin: CentagateTwin, caller: Caller) -> None:
    twin.turn(second_factor=True, auth_methods="OTP,CROTP")
    told = caller.log_in()
    assert (told["secretCode"], told["authMethods"], told["multiStepAuth"]) == ("", "OTP,CROTP", "true")
    assert caller.code("user/auth/list", username="user-0001") == 23018
    assert twin.stats()["sessions"] == 0


def test_one_administrator_may_need_a_second_factor() -> None:
    careful = Administrator(username="careful", password="made-up", second_factor=True)
    with centagate_twin(administrators=[careful]) as twin:
        assert Caller(twin).log_in()["secretCode"] == ""


def test_someone_who_is_no_administrator_may_log_in_and_manage_nothing() -> None:
    with centagate_twin(administrators=[Administrator(username="plain", password="made-up", role=3)], users=1) as twin:
        caller = Caller(twin)
        caller.log_in()
        assert caller.register("user-0001", "+999000000001", "1") == 10001
        assert twin.registrations("user-0001/sms") == 0


@pytest.mark.parametrize("name", ["üser@example.test", "key turn", "a/b", "50%2F"])
def test_the_path_is_percent_encoded_and_the_raw_name_is_signed(name: str) -> None:
    with centagate_twin(administrators=[Administrator(username=name, password="pässword")], users=1) as twin:
        caller = Caller(twin)
        caller.log_in()
        assert caller.register("user-0001", "+999000000001", "1") == 0
        check = f"{PLAIN}/session/check/{quote(name, safe='')}/{caller.cen_token}"
        assert twin.http.get(check).json()["code"] == 0


def test_the_cen_token_of_another_name_or_of_a_spoiled_auth_token_is_of_no_session(
    twin: CentagateTwin, caller: Caller
) -> None:
    told = caller.log_in()
    for text in ("user-0001" + told["authToken"], twin.admin + told["authToken"].replace("+", " ")):
        caller.cen_token = signed(told["secretCode"], text)
        assert caller.code("user/auth/list", username="user-0001") == 23018
    caller.cen_token = "tökén"
    assert caller.code("user/auth/list", username="user-0001") == 23018


def test_a_session_is_checked_by_put_and_by_get(twin: CentagateTwin, caller: Caller) -> None:
    caller.log_in()
    path = f"/session/check/{twin.admin}/{caller.cen_token}"
    answers = [twin.http.request(method, base + path) for method in ("PUT", "GET") for base in (PLAIN, V2)]
    assert [answer.json()["code"] for answer in answers] == [0, 0, 0, 0]
    assert twin.http.get(f"{PLAIN}/session/check/{twin.admin}/{'0' * 64}").json()["code"] == 23018


def test_a_session_ends_by_its_life_and_by_hand(twin: CentagateTwin, caller: Caller) -> None:
    caller.log_in()
    twin.turn(session_seconds=0)
    assert caller.code("user/auth/list", username="user-0001") == 23018
    twin.turn(session_seconds=60)
    assert caller.code("user/auth/list", username="user-0001") == 23018
    caller.log_in()
    assert caller.code("user/auth/list", username="user-0001") == 0
    twin.end_sessions()
    assert caller.code("user/auth/list", username="user-0001") == 23018


def test_an_administrator_has_many_sessions_unless_the_dial_allows_one(twin: CentagateTwin) -> None:
    first, second, third = Caller(twin), Caller(twin), Caller(twin)
    first.log_in()
    second.log_in()
    assert [caller.code("user/auth/list", username="user-0001") for caller in (first, second)] == [0, 0]
    twin.turn(single_session=True)
    third.log_in()
    codes = [caller.code("user/auth/list", username="user-0001") for caller in (first, second, third)]
    assert codes == [23018, 23018, 0]


def test_a_refresh_gives_a_new_pair_and_ends_the_old_one(twin: CentagateTwin, caller: Caller) -> None:
    told = caller.log_in()
    body = {"username": twin.admin, "unixTimestamp": str(int(time.time())), "authToken": told["authToken"]}
    answer = caller.post("auth/refresh", body)
    assert answer["code"] == "0"
    assert caller.code("user/auth/list", username="user-0001") == 23018
    caller.use(json.loads(answer["object"]))
    assert caller.code("user/auth/list", username="user-0001") == 0
    assert caller.post("auth/refresh", body)["code"] == "23018"
    assert caller.post("auth/refresh", {**body, "unixTimestamp": "0"})["code"] == "23023"


def test_every_call_is_there_with_and_without_v2(caller: Caller) -> None:
    caller.log_in()
    codes = [caller.put("user/auth/list", prefix=base, username="user-0001").json()["code"] for base in (PLAIN, V2)]
    assert codes == [0, 0]


def test_an_unknown_path_and_a_wrong_method_are_answered_as_an_application_server_does(twin: CentagateTwin) -> None:
    unknown = twin.http.put(f"{PLAIN}/token/no/such/call")
    wrong = twin.http.post(f"{PLAIN}/token/getStatus/{twin.admin}")
    assert (unknown.status_code, wrong.status_code) == (404, 405)
    assert unknown.headers["content-type"].startswith("text/html")
    assert twin.stats()["answers"][f"{PLAIN}/token/no/such/call"] == {"http 404": 1}


def test_no_secret_stands_in_a_repr() -> None:
    admin = Administrator(username="plain", password="made-up-password")
    assert "made-up-password" not in repr(admin)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_runs_a_twin_until_it_is_stopped(number: int) -> None:
    command = [sys.executable, "-m", "services.cli.sandbox", "centagate", "--port", "0", "--users", "2"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as run:
        assert run.stdout is not None
        line = run.stdout.readline()
        found = re.search(r"API (http://127\.0\.0\.1:\d+)(\S+) +admin (\S+) +dials (\S+)", line)
        assert found, line
        check = httpx.get(f"{found[1]}{found[2]}/session/check/{found[3]}/0")
        assert (check.json()["code"], httpx.get(found[4]).status_code) == (23018, 200)
        run.send_signal(number)
        assert (run.wait(timeout=60), run.stdout.read()) == (0, "")


def test_a_port_that_is_taken_is_told(twin: CentagateTwin) -> None:
    port = twin.url.rpartition(":")[2]
    command = [sys.executable, "-m", "services.cli.sandbox", "centagate", "--port", port]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith(f"The twin cannot listen on 127.0.0.1 port {port}")
