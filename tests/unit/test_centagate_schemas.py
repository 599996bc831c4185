"""CENTAGATE's words: two numberings that cannot be mixed up, codes in every spelling, answers of any shape."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from schemas.centagate import (
    CODES,
    Match,
    Reaction,
    StatusType,
    TokenLook,
    TokenStatus,
    TokenType,
    compare,
    read_code,
    read_object,
    read_status,
    read_tokens,
)

PHONE = "+999555010123"

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["code", "object", "type"]), inner),
)


def look(kind: StatusType | None = None, number: str | None = None, status: int | None = None) -> TokenLook:
    return TokenLook(
        type=kind,
        number=None if number is None else SecretStr(number),
        status=None if status is None else TokenStatus(status),
    )


def test_registering_and_asking_count_the_kinds_differently() -> None:
    assert (TokenType.SMS.fields(), TokenType.OTP.fields()) == ({"tokenType": "1"}, {"tokenType": "2"})
    assert [kind.fields()["type"] for kind in StatusType] == ["1", "2", "3", "4"]
    assert (TokenType.SMS.status_type.fields(), TokenType.OTP.status_type.fields()) == ({"type": "2"}, {"type": "1"})


def test_the_two_numberings_cannot_stand_for_each_other() -> None:
    assert not set[object](TokenType) & set[object](StatusType)
    assert not set(TokenType.SMS.fields()) & set(StatusType.SMS.fields())


def test_every_code_of_the_seed_and_of_the_reference_is_known() -> None:
    seed = {0, 10002, 10003, 10004, 22002, 29001, 29002, 29004, 29008, 29011, 29017, 6002, 6007}
    more = {10001, 10011, 22004, 22027, 23001, 23007, 23018, 23020, 23021, 23022, 23023, 23024, 23025, 29013, 54002}
    assert set(CODES) == seed | more
    assert all(number == code.number and code.meaning for number, code in CODES.items())


@pytest.mark.parametrize(
    ("reaction", "numbers"),
    [
        (Reaction.DONE, {0}),
        (Reaction.RETRY, {10003, 10004, 23007, 23025}),
        (Reaction.RELOGIN, {10001, 23018, 23022}),
        (Reaction.CLOCK, {23023}),
        (Reaction.CONFIGURATION, {23001, 23020, 23021, 23024}),
        (Reaction.ASK, {6002, 22027, 29004, 29008}),
    ],
)
def test_a_code_says_what_to_do_next(reaction: Reaction, numbers: set[int]) -> None:
    assert {number for number, code in CODES.items() if code.reaction is reaction} == numbers


def test_an_expired_request_sends_a_person_to_the_clock() -> None:
    assert CODES[23023].text == "23023, the request has expired (check the clock of this machine)"


@pytest.mark.parametrize("written", ["0", 0, 0.0, "0.0", " 0 ", -0.0])
def test_success_has_many_spellings(written: object) -> None:
    assert read_code({"code": written}) == 0


@pytest.mark.parametrize("written", ["29004", 29004, 29004.0, "29004.0"])
def test_so_has_a_refusal(written: object) -> None:
    assert read_code({"Code": written}) == 29004


@pytest.mark.parametrize("document", [None, [], "0", {}])
def test_an_answer_without_a_code_has_none(document: object) -> None:
    assert read_code(document) is None


@pytest.mark.parametrize(
    "code",
    [None, True, False, "", "x", 0.5, "1e400", "\u0660", [], float("nan"), float("inf"), 10**400, 1e300],
)
def test_what_can_be_no_code_is_none(code: object) -> None:
    assert read_code({"code": code}) is None


def test_an_object_may_be_json_inside_json() -> None:
    told = {"authToken": "a+b/c=", "secretCode": "x"}
    assert read_object({"object": told}) == told
    assert read_object({"object": json.dumps(told)}) == told
    assert read_object({"object": json.dumps(json.dumps(told))}) == told
    assert read_object({"object": "SMS,OTP"}) == "SMS,OTP"
    assert read_object({"code": 0}) is None


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ([], ()),
        ({"tokens": []}, ()),
        ([{"tokenSn": PHONE, "tokenType": 1, "status": 2}], (look(StatusType.SMS, PHONE, 2),)),
        ([{"type": "2", "status": "2"}], (look(StatusType.SMS, None, 2),)),
        ([{"type": 1.0, "serialNo": 4711}], (look(StatusType.MOBILE_OTP, "4711"),)),
        ([{"method": "SMS OTP", "phoneNumber": "*****0123"}], (look(StatusType.SMS, "*****0123"),)),
        (
            [{"tokenType": "HARDWARE OTP", "tokenStatus": "Temporarily Deactivated"}],
            (look(StatusType.MOBILE_OTP, None, 3),),
        ),
        ([{"type": 3, "status": 2}, {"type": 4}], (look(StatusType.CHALLENGE_RESPONSE, None, 2), look(StatusType.PKI))),
        ({"user": {"email": "a@b", "mobileNo": PHONE}, "tokens": [{"tokenSn": "GX-1"}]}, (look(None, "GX-1"),)),
        ("SMS,QNA", (look(StatusType.SMS),)),
        (["CROTP", "OTP"], (look(StatusType.CHALLENGE_RESPONSE), look(StatusType.MOBILE_OTP))),
        (["QNA"], ()),
        ([{"something": "else"}], None),
        ({"user": {"email": "a@b", "mobileNo": PHONE}}, None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_a_list_of_tokens_is_read_in_any_shape(told: Any, expected: tuple[TokenLook, ...] | None) -> None:
    assert read_tokens(told) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (2, look(status=2)),
        ("3", look(status=3)),
        ("valid", look(status=2)),
        ({"status": 4.0}, look(status=4)),
        ({"token": {"status": "1", "tokenSn": PHONE}}, look(number=PHONE, status=1)),
        ({"status": 9}, look()),
        (None, look()),
        ("", look()),
    ],
)
def test_a_status_is_read_in_any_shape(told: Any, expected: TokenLook) -> None:
    assert read_status(told) == expected


@given(ANYTHING)
def test_no_answer_breaks_the_readers(document: Any) -> None:
    read_code(document)
    read_tokens(read_object(document))
    read_tokens(document)
    read_status(document)


@given(
    st.integers(0, 99_999),
    st.sampled_from([str, int, float, lambda number: f"{number}.0", lambda number: f" {number}"]),
)
def test_every_code_is_read_in_every_spelling(number: int, written: Any) -> None:
    assert read_code(json.loads(json.dumps({"code": written(number)}))) == number


@given(st.text(alphabet="*0123456789", max_size=30))
def test_no_shown_number_breaks_the_comparison(shown: str) -> None:
    assert compare(SecretStr(shown), SecretStr(PHONE)) in Match


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (PHONE, Match.SAME),
        ("999555010123", Match.SAME),
        ("00999 555-010.123", Match.SAME),
        ("0555010123", Match.FITS),
        ("+9995*****123", Match.FITS),
        ("********0123", Match.FITS),
        ("********0124", Match.OTHER),
        ("+999555010124", Match.OTHER),
        ("010124", Match.OTHER),
        ("010123", Match.HIDDEN),
        ("0123", Match.HIDDEN),
        ("*********123", Match.HIDDEN),
        ("*********124", Match.OTHER),
        ("************", Match.HIDDEN),
        ("", Match.HIDDEN),
        (None, Match.HIDDEN),
    ],
)
def test_numbers_are_compared_as_far_as_they_are_shown(shown: str | None, expected: Match) -> None:
    assert compare(None if shown is None else SecretStr(shown), SecretStr(PHONE)) is expected


def test_serial_numbers_differ_in_case_and_hyphens_only() -> None:
    assert compare(SecretStr("gx-0042 17"), SecretStr("GX004217")) is Match.SAME
    assert compare(SecretStr("GX004218"), SecretStr("GX004217")) is Match.OTHER


def test_a_number_is_not_shown() -> None:
    assert PHONE not in repr(look(StatusType.SMS, PHONE, 2))
