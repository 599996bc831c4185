"""The CENTAGATE twin keeps users and tokens, and gives each return code for its reason."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.centagate import Caller, CentagateTwin, centagate_twin

PHONE, OTHER_PHONE = "+999000000001", "+999000000002"
SERIAL, OTHER_SERIAL = "SN00000001", "SN00000002"
ANNE, BERT = "user-0001", "user-0002"
SMS, OTP = "1", "2"
"""Types of a registration."""

STATUS_OF_OTP, STATUS_OF_SMS = "1", "2"
"""Types of every other call."""

NEW_USER = {
    "firstName": "Carla",
    "lastName": "Made-Up",
    "username": "carla",
    "userApp": "app",
    "userUniqueId": "7",
    "userClientId": "8",
    "roles": "3",
    "userGroup": "default",
    "userEmail": "carla@sandbox.invalid",
}


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
    caller = Caller(twin)
    caller.log_in()
    return caller


def status(caller: Caller, username: str, kind: str) -> Any:
    return caller.told("token/getStatus", username=username, type=kind)["status"]


def set_status(caller: Caller, username: str, kind: str, number: str) -> int:
    return caller.code("token/update/token/status", username=username, type=kind, status=number)


def test_a_phone_number_becomes_a_valid_sms_token(twin: CentagateTwin, caller: Caller) -> None:
    assert caller.register(ANNE, PHONE, SMS) == 0
    assert caller.told("user/auth/list", username=ANNE) == [{"method": "SMS", "tokenSn": PHONE, "type": 2, "status": 2}]
    assert twin.tokens(ANNE) == {"sms": PHONE}
    assert caller.told("user/auth/list", username=BERT) == []


def test_a_deactivated_hardware_token_becomes_valid(twin: CentagateTwin, caller: Caller) -> None:
    assert caller.register(ANNE, SERIAL, OTP) == 0
    assert status(caller, ANNE, STATUS_OF_OTP) == 2
    assert twin.tokens(ANNE) == {"otp": SERIAL}


def test_the_number_of_a_type_means_another_token_in_a_registration(twin: CentagateTwin, caller: Caller) -> None:
    caller.register(ANNE, PHONE, SMS)
    caller.register(ANNE, SERIAL, OTP)
    assert set_status(caller, ANNE, "1", "3") == 0
    assert (status(caller, ANNE, STATUS_OF_OTP), status(caller, ANNE, STATUS_OF_SMS)) == (3, 2)
    assert caller.code("token/unregisterActiveToken", username=ANNE, type="1") == 0
    assert twin.tokens(ANNE) == {"sms": PHONE}


def test_a_number_may_be_sent_as_a_number(caller: Caller) -> None:
    body = {"username": ANNE, "tokenSn": 999000000001, "tokenType": 1}
    assert caller.code("token/registerActiveToken", **body) == 0
    assert caller.told("token/getStatus", username=ANNE, type=2) == {"type": 2, "status": 2}


def test_the_members_that_older_clients_send_are_taken(caller: Caller) -> None:
    body = {"username": ANNE, "tokenSn": SERIAL, "tokenType": OTP, "email": "a@sandbox.invalid", "id": "1"}
    assert caller.code("token/registerActiveToken", **body, activateToken="0") == 29011
    assert caller.code("token/registerActiveToken", **body, activateToken="1") == 0


def test_an_unknown_user_is_told_by_every_call(caller: Caller) -> None:
    caller.register(ANNE, PHONE, SMS)
    codes = {
        caller.register("nobody", OTHER_PHONE, SMS),
        caller.register("nobody", SERIAL, OTP),
        caller.code("user/auth/list", username="nobody"),
        caller.code("token/getStatus", username="nobody", type="1"),
        caller.code("token/unregisterActiveToken", username="nobody", type="1"),
        caller.code("token/unlockToken", username="nobody"),
        set_status(caller, "nobody", "1", "3"),
        caller.code("user/status/update", username="nobody", status="0"),
        caller.code("user/unbindAndDelete", username="nobody"),
    }
    assert codes == {22002}


def test_an_inactive_user_gets_no_token_but_may_be_looked_at_and_unbound(caller: Caller) -> None:
    caller.register(ANNE, SERIAL, OTP)
    assert caller.code("user/status/update", username=ANNE, status="0") == 0
    assert caller.register(ANNE, PHONE, SMS) == 22004
    assert status(caller, ANNE, STATUS_OF_OTP) == 2
    assert caller.code("token/unregisterActiveToken", username=ANNE, type="1") == 0
    assert caller.register(ANNE, SERIAL, OTP) == 22004
    caller.code("user/status/update", username=ANNE, status="1")
    assert caller.register(ANNE, SERIAL, OTP) == 0


@pytest.mark.parametrize("second", [ANNE, BERT])
def test_a_phone_number_is_registered_once_with_and_without_its_plus(
    twin: CentagateTwin, caller: Caller, second: str
) -> None:
    assert caller.register(ANNE, PHONE, SMS) == 0
    assert caller.register(second, PHONE, SMS) == 29004
    assert caller.register(second, PHONE.lstrip("+"), SMS) == 29004
    assert twin.stats()["registrations"] == {f"{ANNE}/sms": 1}


def test_a_user_has_one_phone_number(caller: Caller) -> None:
    caller.register(ANNE, PHONE, SMS)
    assert caller.register(ANNE, OTHER_PHONE, SMS) == 22027
    assert caller.register(BERT, OTHER_PHONE, SMS) == 0


@pytest.mark.parametrize("serial", [SERIAL, OTHER_SERIAL, "SN-UNKNOWN"])
def test_a_user_has_one_hardware_token_and_the_same_again_is_told_alike(caller: Caller, serial: str) -> None:
    assert caller.register(ANNE, SERIAL, OTP) == 0
    assert caller.register(ANNE, serial, OTP) == 29008


def test_a_serial_number_that_was_never_imported_is_not_found(caller: Caller) -> None:
    assert caller.register(ANNE, "SN-UNKNOWN", OTP) == 29001


@pytest.mark.parametrize(("number", "code"), [(1, 29002), (2, 29017), (3, 29017), (4, 0)])
def test_a_hardware_token_must_be_deactivated(twin: CentagateTwin, caller: Caller, number: int, code: int) -> None:
    serial = twin.hardware("SN-IN-SOME-STATUS", status=number)
    assert caller.register(ANNE, serial, OTP) == code
    assert twin.registrations(f"{ANNE}/otp") == (code == 0)


def test_a_hardware_token_of_another_user_cannot_be_bound(twin: CentagateTwin, caller: Caller) -> None:
    caller.register(ANNE, SERIAL, OTP)
    assert caller.register(BERT, SERIAL, OTP) == 29017
    set_status(caller, ANNE, STATUS_OF_OTP, "4")
    assert caller.register(BERT, SERIAL, OTP) == 6002
    assert twin.tokens(ANNE) == {"otp": SERIAL}


def test_a_user_may_be_barred_from_challenge_response_tokens(twin: CentagateTwin, caller: Caller) -> None:
    serial = twin.hardware("SN-CHALLENGE", challenge_response=True)
    assert caller.register(twin.user("dora", cr_otp_allowed=False), serial, OTP) == 6007
    assert caller.register(ANNE, serial, OTP) == 0


@pytest.mark.parametrize(
    "body",
    [
        {"tokenSn": PHONE, "tokenType": SMS},
        {"username": "", "tokenSn": PHONE, "tokenType": SMS},
        {"username": ANNE, "tokenType": SMS},
        {"username": ANNE, "tokenSn": PHONE, "tokenType": "3"},
        {"username": ANNE, "tokenSn": PHONE, "tokenType": True},
        {"username": ANNE, "tokenSn": "no number", "tokenType": SMS},
        {"Username": ANNE, "TokenSn": PHONE, "TokenType": SMS},
    ],
)
def test_a_registration_that_does_not_fit_is_invalid_input(twin: CentagateTwin, caller: Caller, body: Any) -> None:
    assert caller.code("token/registerActiveToken", **body) == 10002
    assert twin.stats()["registrations"] == {}


def test_the_status_of_a_token_that_the_user_does_not_have_is_not_found(caller: Caller) -> None:
    caller.register(ANNE, PHONE, SMS)
    codes = [caller.code("token/getStatus", username=ANNE, type=kind) for kind in "12345"]
    assert codes == [29001, 0, 29001, 29001, 10002]


def test_a_token_that_the_user_does_not_have_cannot_be_changed(caller: Caller) -> None:
    assert set_status(caller, ANNE, STATUS_OF_SMS, "3") == 29013
    assert caller.code("token/unregisterActiveToken", username=ANNE, type=STATUS_OF_OTP) == 29013
    assert caller.code("token/unlockToken", username=ANNE) == 29013


@pytest.mark.parametrize("number", ["1", "2", "3", "4"])
def test_a_token_takes_every_status(caller: Caller, number: str) -> None:
    caller.register(ANNE, PHONE, SMS)
    assert set_status(caller, ANNE, STATUS_OF_SMS, number) == 0
    assert status(caller, ANNE, STATUS_OF_SMS) == int(number)
    assert set_status(caller, ANNE, STATUS_OF_SMS, "5") == 10002


@pytest.mark.parametrize(("number", "code"), [("1", 29002), ("2", 29017), ("3", 0), ("4", 29002)])
def test_only_a_hardware_token_that_is_temporarily_deactivated_is_unlocked(
    caller: Caller, number: str, code: int
) -> None:
    caller.register(ANNE, SERIAL, OTP)
    set_status(caller, ANNE, STATUS_OF_OTP, number)
    assert caller.code("token/unlockToken", username=ANNE) == code
    assert status(caller, ANNE, STATUS_OF_OTP) == (2 if code == 0 else int(number))


def test_what_is_unregistered_may_be_registered_again(twin: CentagateTwin, caller: Caller) -> None:
    for number, kind, other in ((PHONE, SMS, STATUS_OF_SMS), (SERIAL, OTP, STATUS_OF_OTP)):
        assert caller.register(ANNE, number, kind) == 0
        assert caller.code("token/unregisterActiveToken", username=ANNE, type=other) == 0
        assert caller.register(BERT, number, kind) == 0
    assert twin.tokens(BERT) == {"sms": PHONE, "otp": SERIAL}
    assert twin.stats()["removals"] == {f"{ANNE}/sms": 1, f"{ANNE}/otp": 1}


def test_a_user_is_made_active_and_deleted_with_all_tokens(twin: CentagateTwin, caller: Caller) -> None:
    assert caller.code("user/registerUserActivate", **NEW_USER) == 0
    caller.register("carla", PHONE, SMS)
    caller.register("carla", SERIAL, OTP)
    assert caller.code("user/unbindAndDelete", username="carla") == 0
    assert caller.code("user/auth/list", username="carla") == 22002
    assert (caller.register(ANNE, PHONE, SMS), caller.register(ANNE, SERIAL, OTP)) == (0, 0)
    assert "carla" not in twin.state()["users"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 22025),
        ({"username": "carl"}, 22001),
        ({"username": "carl", "userEmail": "carl@sandbox.invalid", "userGroup": "no-group"}, 21001),
        ({"username": "carl", "userEmail": "no address"}, 10002),
        ({"username": "carl", "roles": "1"}, 10002),
    ],
)
def test_a_user_that_cannot_be_made_is_told_why(caller: Caller, changes: Any, code: int) -> None:
    caller.code("user/registerUserActivate", **NEW_USER)
    assert caller.code("user/registerUserActivate", **{**NEW_USER, **changes}) == code


def test_a_body_is_looked_at_before_the_session_and_the_session_before_the_user(
    twin: CentagateTwin, caller: Caller
) -> None:
    twin.end_sessions()
    assert caller.code("token/registerActiveToken", username="nobody") == 10002
    assert caller.register("nobody", PHONE, SMS) == 23018
    assert twin.stats()["asked"] == {}
