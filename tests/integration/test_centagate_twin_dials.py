"""The dials of the CENTAGATE twin make it slow, broken and forgetful, and what it counts can be trusted."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.sandbox.centagate.codes import Code
from tests.support.centagate import Caller, CentagateTwin, centagate_twin
from tests.support.patience import eventually

ANNE, PHONE = "user-0001", "+999000000001"
REGISTER = "token/registerActiveToken"
REGISTRATION: dict[str, Any] = {"username": ANNE, "tokenSn": PHONE, "tokenType": "1"}


@pytest.fixture(scope="module")
def server() -> Iterator[CentagateTwin]:
    with centagate_twin(users=1) as twin:
        yield twin


@pytest.fixture
def twin(server: CentagateTwin) -> CentagateTwin:
    server.reset()
    return server


@pytest.fixture
def caller(twin: CentagateTwin) -> Caller:
    caller = Caller(twin)
    caller.log_in()
    return caller


def statuses(caller: Caller, count: int) -> list[int]:
    return [caller.put("user/auth/list", username=ANNE).status_code for _ in range(count)]


def test_a_wrong_dial_is_refused_with_every_fault_and_turns_nothing(twin: CentagateTwin) -> None:
    answer = twin.http.patch("/_twin/dials", json={"latency_ms": -1, "colour": "red", "error_rate": 0.5})
    assert answer.status_code == 400
    assert {fault.partition(":")[0] for fault in answer.json()["faults"]} == {"latency_ms", "colour"}
    assert twin.http.get("/_twin/dials").json()["error_rate"] == 0
    assert twin.http.patch("/_twin/dials", content=b"{").status_code == 400


@pytest.mark.parametrize(
    ("path", "body", "fault"),
    [
        ("/next", {"path": "token/noSuchCall", "code": 29004}, "path"),
        ("/next", {"path": REGISTER}, "the kind code"),
        ("/next", {"kind": "html", "code": 29004}, "the kind code"),
        ("/next", {"kind": "hang"}, "the kind hang"),
        ("/next", {"kind": "magic"}, "kind"),
        ("/next", {"code": 1, "calls": 0}, "calls"),
        ("/users", {"username": ANNE}, "Duplicate username"),
        ("/users", {"username": ""}, "username"),
        ("/hardware", {"serial": "SN00000001"}, "serial"),
        ("/hardware", {"serial": "SN", "status": 5}, "status"),
    ],
)
def test_the_twins_own_face_names_what_is_wrong(twin: CentagateTwin, path: str, body: Any, fault: str) -> None:
    answer = twin.http.post(f"/_twin{path}", json=body)
    assert answer.status_code == 400
    assert fault in answer.json()["faults"][0]


@pytest.mark.parametrize("code", [code for code in Code if code])
def test_every_return_code_comes_when_it_is_ordered_and_nothing_happens(
    twin: CentagateTwin, caller: Caller, code: Code
) -> None:
    twin.next(REGISTER, code=code)
    assert caller.register(ANNE, PHONE, "1") == code
    assert twin.tokens(ANNE) == {}
    assert caller.register(ANNE, PHONE, "1") == 0


def test_a_code_that_nobody_documents_comes_too(twin: CentagateTwin, caller: Caller) -> None:
    twin.next("auth/authBasic", code=99999)
    assert caller.authenticate() == {"code": "99999", "message": "Error", "object": ""}


def test_a_code_may_come_although_the_call_took_effect(twin: CentagateTwin, caller: Caller) -> None:
    twin.next(REGISTER, code=10004, acted=True)
    assert caller.register(ANNE, PHONE, "1") == 10004
    assert caller.register(ANNE, PHONE, "1") == 29004
    assert (twin.registrations(f"{ANNE}/sms"), twin.stats()["asked"]) == (1, {f"{ANNE}/sms": 2})


def test_an_order_holds_for_its_path_and_so_many_calls(twin: CentagateTwin, caller: Caller) -> None:
    twin.next(REGISTER, code=10003, calls=2)
    twin.next(REGISTER, code=10004)
    assert statuses(caller, 1) == [200]
    assert twin.stats()["waiting"] == 3
    assert [caller.register(ANNE, PHONE, "1") for _ in range(4)] == [10003, 10003, 10004, 0]
    twin.next(code=23025)
    assert caller.code("user/auth/list", username=ANNE) == 23025


def test_the_connection_closes_after_the_write(twin: CentagateTwin, caller: Caller) -> None:
    twin.next(REGISTER, kind="close")
    with pytest.raises(httpx.RemoteProtocolError):
        caller.put(REGISTER, **REGISTRATION)
    assert twin.tokens(ANNE) == {"sms": PHONE}
    assert caller.register(ANNE, PHONE, "1") == 29004
    assert twin.stats()["withheld"] == {REGISTER: 1}
    assert twin.stats()["answers"][REGISTER] == {"0": 1, "29004": 1}


def test_an_answer_is_held_back_after_the_write(twin: CentagateTwin, caller: Caller) -> None:
    twin.next(REGISTER, kind="hang", seconds=5)
    with pytest.raises(httpx.ReadTimeout):
        caller.put(REGISTER, timeout=0.1, **REGISTRATION)
    assert (twin.tokens(ANNE), twin.stats()["withheld"]) == ({"sms": PHONE}, {REGISTER: 1})


def test_an_answer_that_was_held_back_comes_in_the_end(twin: CentagateTwin, caller: Caller) -> None:
    twin.turn(hang_seconds=0.2)
    assert caller.register(ANNE, PHONE, "1") == 0
    assert twin.stats()["withheld"] == {REGISTER: 1}


def test_every_connection_may_be_closed(twin: CentagateTwin, caller: Caller) -> None:
    twin.turn(close_rate=1)
    for _ in range(3):
        with pytest.raises(httpx.RemoteProtocolError):
            caller.authenticate()


@pytest.mark.parametrize("status", [500, 503])
def test_an_http_error_says_when_to_come_back(twin: CentagateTwin, caller: Caller, status: int) -> None:
    twin.turn(error_rate=1, error_status=status, retry_after_seconds=7)
    answer = caller.put(REGISTER, **REGISTRATION)
    assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
    twin.turn(retry_after_seconds=None)
    assert "retry-after" not in caller.put(REGISTER, **REGISTRATION).headers
    assert twin.tokens(ANNE) == {}
    assert twin.stats()["answers"][REGISTER] == {f"http {status}": 2}


def test_an_ordered_http_error_has_a_status_of_its_own(twin: CentagateTwin, caller: Caller) -> None:
    twin.next(kind="error", status=502)
    assert statuses(caller, 2) == [502, 200]


@pytest.mark.parametrize("dials", [{"error_rate": 1}, {"html_rate": 1}])
def test_an_error_may_come_after_the_effect(twin: CentagateTwin, caller: Caller, dials: Any) -> None:
    twin.turn(**dials, errors_after_acting=True)
    caller.put(REGISTER, **REGISTRATION)
    assert twin.registrations(f"{ANNE}/sms") == 1


def test_a_share_of_errors_is_repeated_by_the_same_seed(twin: CentagateTwin, caller: Caller) -> None:
    twin.turn(error_rate=0.5, seed=7)
    first = statuses(caller, 20)
    twin.turn(seed=7)
    assert statuses(caller, 20) == first
    assert set(first) == {200, 503}


def test_a_page_of_html_comes_with_status_200(twin: CentagateTwin, caller: Caller) -> None:
    twin.turn(html_rate=1)
    answer = caller.put(REGISTER, **REGISTRATION)
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")
    assert answer.text.startswith("<!DOCTYPE html>")
    assert twin.tokens(ANNE) == {}


def test_a_slow_server_acts_after_the_caller_has_gone() -> None:
    with centagate_twin(users=1) as twin:  # of its own: the late call must not meet the next test
        caller = Caller(twin)
        caller.log_in()
        twin.turn(latency_ms=700)
        with pytest.raises(httpx.ReadTimeout):
            caller.put(REGISTER, timeout=0.1, **REGISTRATION)
        eventually(lambda: twin.tokens(ANNE) == {"sms": PHONE})


@pytest.mark.parametrize(
    ("form", "success", "refusal"),
    [("number", '"code":0,', '"code":29004,'), ("float", '"code":0.0,', '"code":29004.0,'), ("text", '"0"', '"29004"')],
)
def test_a_management_code_is_written_in_any_form(
    twin: CentagateTwin, caller: Caller, form: str, success: str, refusal: str
) -> None:
    twin.turn(code_format=form)
    assert success in caller.put(REGISTER, **REGISTRATION).text
    assert refusal in caller.put(REGISTER, **REGISTRATION).text
    assert caller.authenticate()["code"] == "0"


def test_a_management_object_may_be_json_inside_a_text(twin: CentagateTwin, caller: Caller) -> None:
    caller.register(ANNE, PHONE, "1")
    twin.turn(object_format="text")
    assert caller.told("token/getStatus", username=ANNE, type="2") == '{"type":2,"status":2}'
    assert caller.told("token/unregisterActiveToken", username=ANNE, type="2") == ""


@pytest.mark.parametrize(
    ("numbers", "shown"),
    [("plain", {"tokenSn": "+999000000001"}), ("masked", {"tokenSn": "*********0001"}), ("absent", {})],
)
def test_the_list_may_mask_a_number_or_leave_it_out(
    twin: CentagateTwin, caller: Caller, numbers: str, shown: Any
) -> None:
    caller.register(ANNE, PHONE, "1")
    twin.turn(numbers=numbers)
    assert caller.told("user/auth/list", username=ANNE) == [{"method": "SMS", "type": 2, "status": 2, **shown}]


def test_a_status_may_be_told_bare(twin: CentagateTwin, caller: Caller) -> None:
    caller.register(ANNE, PHONE, "1")
    twin.turn(bare_status=True)
    assert caller.told("token/getStatus", username=ANNE, type="2") == "2"


def test_calls_are_counted_by_path_and_code_and_registrations_by_token(twin: CentagateTwin, caller: Caller) -> None:
    caller.register(ANNE, PHONE, "1")
    caller.register(ANNE, PHONE, "1")
    caller.register(ANNE, "SN00000001", "2")
    stats = twin.stats()
    assert stats["calls"] == {"auth/authBasic": 1, REGISTER: 3}
    assert stats["answers"][REGISTER] == {"0": 2, "29004": 1}
    assert stats["registrations"] == {f"{ANNE}/sms": 1, f"{ANNE}/otp": 1}
    assert stats["asked"] == {f"{ANNE}/sms": 2, f"{ANNE}/otp": 1}
    assert (stats["max_registrations_per_token"], stats["sessions"]) == (1, 1)
    twin.control("/stats/reset")
    assert twin.stats()["calls"] == {}
    assert twin.tokens(ANNE) == {"sms": PHONE, "otp": "SN00000001"}


def test_a_reset_begins_again(twin: CentagateTwin, caller: Caller) -> None:
    caller.register(ANNE, PHONE, "1")
    twin.user("extra")
    twin.turn(latency_ms=1)
    twin.next(code=10004, calls=5)
    twin.reset()
    assert caller.code("user/auth/list", username=ANNE) == 23018
    caller.log_in()
    assert caller.told("user/auth/list", username=ANNE) == []
    assert (set(twin.state()["users"]), twin.http.get("/_twin/dials").json()["latency_ms"]) == ({ANNE}, 0)
