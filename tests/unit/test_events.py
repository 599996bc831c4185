import random
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import (
    DEVICE_EVENTS,
    KNOWN_TYPES,
    TYPE_LIMIT,
    EventType,
    Notification,
    canonical_uid,
    parse_timestamp,
    read_notification,
    receipt_of,
    receipt_of_raw,
)

UID = "0002000089282245"
LETTERS = "135700008928c093"
CERTIFICATE = {
    "CertificateAuthorityName": "eaxample.com",
    "CertificateSerialNumber": "73068c914de40ccaee84e03a66b4858",
    "ExpirationDate": "2020-05-10T19:39Z",
}
PAYLOADS: dict[str, dict[str, Any]] = {
    EventType.BOOTSTRAP: {"RotVersion": "1", "IMEI": "356726107110110", "IsBlacklisted": False},
    EventType.PROPERTIES_CHANGE: {"DesiredProperties": {}, "CurrentProperties": {"Authorizations": []}},
    EventType.ERRORS: {"Error": "invalid KeySetId"},
    EventType.CERTIFICATE_RENEWAL: CERTIFICATE,
    EventType.CERTIFICATE_EXPIRATION: {**CERTIFICATE, "DaysToExpiration": 60},
    EventType.ROOTCA_EXPIRATION: {"CAName": "eaxample.com", "ProvisionedDevicesCount": 3},
}

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=6)
STAMPS = st.sampled_from(["2020-05-10T19:39Z", "2020-02-01", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59-14:00"])
BODIES = st.fixed_dictionaries(
    {},
    optional={
        "EventType": st.sampled_from(sorted(KNOWN_TYPES)) | JSON,
        "ROTPublicUID": st.sampled_from([UID, LETTERS, 2000089282245]) | JSON,
        "Timestamp": STAMPS | JSON,
        "Payload": st.dictionaries(st.text(), JSON) | JSON,
        "New": JSON,
    },
)


def body_of(kind: str, **changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {"EventType": kind, "Timestamp": "2020-05-10T19:39Z", "Payload": PAYLOADS.get(kind, {})}
    if kind in DEVICE_EVENTS:
        body["ROTPublicUID"] = UID
    return body | changes


def receipt(body: dict[str, Any]) -> str:
    return receipt_of(body, read_notification(body))


def reordered(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict):
        return {key: reordered(value[key], dice) for key in dice.sample(sorted(value), len(value))}
    return [reordered(item, dice) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("kind", list(EventType))
def test_each_of_the_six_types_is_understood(kind: EventType) -> None:
    notification = read_notification(body_of(kind))
    assert notification.event_type == kind
    assert notification.device == (None if kind is EventType.ROOTCA_EXPIRATION else UID)
    assert notification.occurred_at == datetime(2020, 5, 10, 19, 39, tzinfo=UTC)
    assert notification.payload == PAYLOADS[kind]


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("2020-05-07T11:23:32", datetime(2020, 5, 7, 11, 23, 32, tzinfo=UTC)),  # no zone: UTC
        ("2020-05-10T19:39Z", datetime(2020, 5, 10, 19, 39, tzinfo=UTC)),
        ("2020-04-25T06:22:12+00:00", datetime(2020, 4, 25, 6, 22, 12, tzinfo=UTC)),
        ("2020-04-20T19:00:36Z", datetime(2020, 4, 20, 19, 0, 36, tzinfo=UTC)),
        ("2020-02-01", datetime(2020, 2, 1, tzinfo=UTC)),
        ("2020-04-25T06:22:12+02:00", datetime(2020, 4, 25, 4, 22, 12, tzinfo=UTC)),
    ],
)
def test_every_form_of_a_timestamp_becomes_the_same_kind_of_time(sent: str, meant: datetime) -> None:
    assert parse_timestamp(sent) == meant
    assert parse_timestamp(sent).tzinfo is UTC


@pytest.mark.parametrize(
    "sent", [None, 0, 1589139540, True, "", "yesterday", "2020-13-01", [], "9999-12-31T23:59-14:00"]
)
def test_what_is_no_time_is_refused_in_words(sent: object) -> None:
    with pytest.raises(ValueError, match="a timestamp must be ISO 8601"):
        parse_timestamp(sent)


@pytest.mark.parametrize(
    ("sent", "canonical"),
    [
        (UID, UID),
        (LETTERS.upper(), LETTERS),
        (2000089282245, UID),  # hexadecimal text that was read as decimal: padded, never converted
        (0, "0" * 16),
        (9999999999999999, "9" * 16),
    ],
)
def test_an_identifier_has_one_form_however_it_was_sent(sent: object, canonical: str) -> None:
    assert canonical_uid(sent) == canonical


@pytest.mark.parametrize(
    "sent",
    [
        *(None, "", UID[1:], UID + "0", "000200008928224g", " 00020000892822", "0x02000089282245", "\uff10" * 16),
        *(True, False, -1, 10**16, 1.0, 2000089282245.0, [UID], {"ROTPublicUID": UID}, UID.encode()),
    ],
)
def test_what_is_no_identifier_is_refused_in_words(sent: object) -> None:
    with pytest.raises(ValueError, match="ROTPublicUID must be 16 hexadecimal digits"):
        canonical_uid(sent)


@given(st.integers(0, 10**16 - 1))
def test_a_number_is_restored_to_the_digits_that_it_was_read_from(number: int) -> None:
    assert int(canonical_uid(number)) == number
    assert canonical_uid(canonical_uid(number)) == canonical_uid(number)


def test_an_unknown_type_is_kept_with_every_field() -> None:
    notification = read_notification({"EventType": "DEVICE_TELEPORTED", "Payload": {"To": [1, None]}, "More": 1})
    assert notification == Notification(
        event_type="DEVICE_TELEPORTED", device=None, occurred_at=None, payload={"To": [1, None]}
    )


def test_an_unknown_type_that_names_a_device_and_a_time_has_both() -> None:
    notification = read_notification({"EventType": "X", "ROTPublicUID": 2000089282245, "Timestamp": "2020-02-01"})
    assert (notification.device, notification.occurred_at) == (UID, datetime(2020, 2, 1, tzinfo=UTC))


def test_unknown_fields_of_a_payload_are_kept() -> None:
    odd = {"Error": "x", "Severity": 5, "nested": {"a": [None]}}
    assert read_notification(body_of(EventType.ERRORS, Payload=odd)).payload == odd


def test_a_root_ca_may_name_a_device_all_the_same() -> None:
    assert read_notification(body_of(EventType.ROOTCA_EXPIRATION, ROTPublicUID=LETTERS)).device == LETTERS


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ([], "the body must be a JSON object, not a list"),
        ("text", "the body must be a JSON object, not 'text'"),
        (None, "the body must be a JSON object, not nothing"),
        ({}, "EventType must be 1 to 128 printable characters, not nothing"),
        (body_of(""), "EventType must be"),
        (body_of("X\0Y"), "EventType must be"),
        (body_of("X" * (TYPE_LIMIT + 1)), "EventType must be"),
        (body_of("X", EventType={"a": 1}), "EventType must be 1 to 128 printable characters, not an object"),
        (body_of("X", Payload=[]), "Payload must be a JSON object, not a list"),
        (body_of("X", Payload=None), "Payload must be a JSON object, not nothing"),
        (body_of(EventType.ERRORS, ROTPublicUID=None), "ROTPublicUID must be 16 hexadecimal digits, not nothing"),
        (body_of(EventType.ROOTCA_EXPIRATION, Timestamp=None), "a timestamp must be ISO 8601 text, not nothing"),
    ],
)
def test_what_cannot_be_accepted_says_what_was_expected(body: object, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_notification(body)


def test_the_longest_type_is_still_accepted() -> None:
    assert read_notification({"EventType": "X" * TYPE_LIMIT}).payload == {}


def test_a_complaint_stays_short_however_long_the_value() -> None:
    with pytest.raises(ValueError, match="ROTPublicUID") as caught:
        canonical_uid("f" * 10_000)
    assert len(str(caught.value)) < 120


@given(JSON | BODIES)
def test_any_json_value_is_understood_or_refused(value: object) -> None:
    try:
        notification = read_notification(value)
    except ValueError:
        return
    assert isinstance(notification, Notification)
    assert notification.device is None or canonical_uid(notification.device) == notification.device
    assert notification.occurred_at is None or notification.occurred_at.tzinfo is UTC


@settings(max_examples=30)
@given(st.dictionaries(st.text(), JSON), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_change_a_receipt(payload: dict[str, Any], dice: random.Random) -> None:
    body = body_of(EventType.BOOTSTRAP, Payload=payload, New=payload)
    assert receipt(reordered(body, dice)) == receipt(body)


@pytest.mark.parametrize("same", [LETTERS, LETTERS.upper(), LETTERS.replace("c", "C")])
def test_the_case_of_an_identifier_does_not_change_a_receipt(same: str) -> None:
    sent = body_of(EventType.ERRORS, ROTPublicUID=LETTERS)
    assert receipt({**sent, "ROTPublicUID": same}) == receipt(sent)


def test_an_identifier_as_a_number_does_not_change_a_receipt() -> None:
    sent = body_of(EventType.ERRORS)
    assert receipt({**sent, "ROTPublicUID": 2000089282245}) == receipt(sent)


@pytest.mark.parametrize(
    "change",
    [
        {"EventType": EventType.BOOTSTRAP},
        {"EventType": EventType.ERRORS.lower()},
        {"ROTPublicUID": LETTERS},
        {"Timestamp": "2020-05-10T19:40Z"},
        {"Timestamp": "2020-05-10T19:39:00Z"},  # the same moment, sent otherwise: another notification
        {"Payload": {}},
        {"Payload": {"Error": "invalid KeySetId", "Severity": None}},
        {"Payload": {"Error": "invalid keysetid"}},
        {"New": None},
    ],
)
def test_any_other_change_gives_another_receipt(change: dict[str, Any]) -> None:
    sent = body_of(EventType.ERRORS)
    assert receipt(sent | change) != receipt(sent)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), JSON), st.dictionaries(st.text(), JSON))
def test_two_payloads_share_a_receipt_only_when_they_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    alike = orjson.dumps(one, option=orjson.OPT_SORT_KEYS) == orjson.dumps(other, option=orjson.OPT_SORT_KEYS)
    sent = body_of(EventType.ERRORS)
    assert (receipt({**sent, "Payload": one}) == receipt({**sent, "Payload": other})) is alike


def test_a_receipt_fits_into_an_address_and_a_raw_body_never_shares_one_with_an_event() -> None:
    sent = body_of(EventType.ERRORS)
    names = [receipt(sent), receipt_of_raw(orjson.dumps(sent)), receipt_of_raw(b""), receipt_of_raw(b"\xff\0")]
    assert len(set(names)) == len(names)
    assert all(name.startswith("evt_") and name[4:].isalnum() and len(name) == 36 for name in names)
