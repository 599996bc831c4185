"""The administrator's session: signatures as OpenSSL makes them, and log-ins of every outcome."""

import json
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.errors import OurFault, TryAgain, UpstreamError
from services.clients.answers import Answer
from services.clients.centagate.session import ASSUMED_LIFE, Administrator, Keys, login_body, read_session
from services.clients.shared_session import Seal

NOW = 1_800_000_000.0
ADMIN = Administrator(
    username="keyturn",
    password=SecretStr("Zu8-qWe4-rTy"),
    integration_key=SecretStr("5d2a8c41e7b09f36"),
    secret_key=SecretStr("Lq7vB2nX9cK4mJ1h"),
)
KEYS = Keys(auth="Zm9v+YmFy/A==", secret_code="s3cretC0de-7f", refresh_at=NOW, usable_until=NOW)


def answer(told: Any, *, code: Any = "0", status: int = 200) -> Answer:
    document = {"code": code, "message": "said", "object": told}
    return Answer.read(method="POST", path="/x", status=status, body=json.dumps(document).encode())


def test_the_cen_token_is_what_openssl_makes_of_it() -> None:
    # printf '%s' 'ops/keyturn+1@acme.testZm9v+YmFy/A==' | openssl dgst -sha256 -hmac 's3cretC0de-7f'
    # SHA2-256(stdin)= 3b7ac8cb21615f6d671df57d0faa540f1146e7033c4288d080c85cf10d9bfac7
    expected = "3b7ac8cb21615f6d671df57d0faa540f1146e7033c4288d080c85cf10d9bfac7"
    assert KEYS.cen_token("ops/keyturn+1@acme.test") == expected


def test_an_auth_token_is_hashed_exactly_as_it_came() -> None:
    # printf '%s' 'keyturn a+b/c= ' | openssl dgst -sha256 -hmac 's3cretC0de-7f'
    # SHA2-256(stdin)= 1cef93a9083208d330ee96ee64da2074abdafe230834f3185027201565246416
    keys = Keys(auth=" a+b/c= ", secret_code="s3cretC0de-7f", refresh_at=NOW, usable_until=NOW)
    assert keys.cen_token("keyturn") == "1cef93a9083208d330ee96ee64da2074abdafe230834f3185027201565246416"


def test_a_log_in_is_signed_as_openssl_signs_it_and_leaves_every_optional_field_out() -> None:
    # printf '%s' 'keyturnZu8-qWe4-rTy5d2a8c41e7b09f361800000000' | openssl dgst -sha256 -hmac 'Lq7vB2nX9cK4mJ1h'
    # SHA2-256(stdin)= c1c3beea3664a2bebc2d040a6a6558a9da4bd7cfc509b1315c2233bb9d48465f
    assert login_body(ADMIN, NOW + 0.9) == {
        "username": "keyturn",
        "password": "Zu8-qWe4-rTy",
        "integrationKey": "5d2a8c41e7b09f36",
        "unixTimestamp": "1800000000",
        "hmac": "c1c3beea3664a2bebc2d040a6a6558a9da4bd7cfc509b1315c2233bb9d48465f",
    }


@pytest.mark.parametrize("code", ["0", 0, 0.0])
def test_a_session_is_json_inside_json_and_its_token_stays_as_it_came(code: Any) -> None:
    told = json.dumps({"authToken": " Zm9v+YmFy/A== ", "secretCode": "s", "authMethods": ""})
    keys = read_session(answer(told, code=code), NOW)
    assert (keys.auth, keys.secret_code, keys.usable_until) == (" Zm9v+YmFy/A== ", "s", NOW + ASSUMED_LIFE)


def test_an_empty_secret_code_names_the_second_factors() -> None:
    told = json.dumps({"authToken": "a", "secretCode": "", "authMethods": "OTP,SMS<b>\n"})
    with pytest.raises(OurFault, match="second factor is still wanted, one of OTP,SMSb: let this administrator"):
        read_session(answer(told), NOW)
    with pytest.raises(OurFault, match="second factor is still wanted: let this administrator"):
        read_session(answer({"secretCode": ""}), NOW)


@pytest.mark.parametrize(
    "told", [None, "", "not json", [], {}, {"authToken": "a"}, {"secretCode": "s"}, {"authToken": 1}]
)
def test_an_answer_without_a_session_is_passing_trouble(told: Any) -> None:
    with pytest.raises(TryAgain, match="without authToken and secretCode"):
        read_session(answer(told), NOW)


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (23001, OurFault, "the log-in was refused: 23001, invalid credentials"),
        (23018, OurFault, "the log-in was refused: 23018"),
        (22002, OurFault, "the log-in was refused: 22002, user not found"),
        ("23023", OurFault, "check the clock of this machine"),
        (23020.0, OurFault, "IP address"),
        (99999, OurFault, "the log-in was refused: 99999, said"),
        (10004, TryAgain, "/auth/authBasic answered 10004, database error"),
        (None, TryAgain, "without a return code"),
    ],
)
def test_a_refused_log_in_says_why(code: Any, kind: type[UpstreamError], words: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        read_session(answer("", code=code), NOW)
    assert type(caught.value) is kind
    assert words in str(caught.value)


def test_an_error_status_with_a_code_says_more_than_the_status() -> None:
    with pytest.raises(OurFault, match="23001"):
        read_session(answer("", code=23001, status=401), NOW)
    with pytest.raises(OurFault, match=r"answered 404: said .*check the address and the prefixes"):
        read_session(answer("", code=None, status=404), NOW)
    with pytest.raises(OurFault, match="answered 403"):
        read_session(answer("", code=0, status=403), NOW)


def test_a_sealed_session_opens_under_its_own_name_and_secret_only() -> None:
    def seal(secret: str, name: str, purpose: str = "p") -> Seal[Keys]:
        return Seal(SecretStr(secret), name=name, purpose=purpose, kind=Keys)

    sealed = seal("one", "a").close(KEYS)
    assert seal("one", "a").open(sealed) == KEYS
    assert [seal(*other).open(sealed) for other in (("two", "a"), ("one", "b"), ("one", "a", "q"))] == [None] * 3
    assert b"Zm9v" not in sealed


def test_nothing_of_an_administrator_or_a_session_shows() -> None:
    text = repr(ADMIN) + repr(KEYS)
    assert not [secret for secret in ("Zu8", "5d2a", "Lq7v", "Zm9v", "s3cret") if secret in text]
