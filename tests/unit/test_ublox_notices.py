"""What is polled, in every shape that the document leaves open."""

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import EventType, read_notification, receipt_of
from schemas.ublox import AS_PUSHED, read_authorities, read_notices, read_suspects
from schemas.ublox.notices import as_pushed

UID = "0002000089282245"
ITEM = {
    "ROTPublicUID": UID,
    "NotificationType": "DEVICE_ERROR",
    "Timestamp": "2020-05-10T19:39Z",
    "Payload": {"Error": "x"},
}
PUSHED = {
    "ROTPublicUID": UID,
    "EventType": "DEVICE_ERRORS_EVENT",
    "Timestamp": "2020-05-10T19:39Z",
    "Payload": {"Error": "x"},
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def receipt(document: Mapping[str, object]) -> str:
    return receipt_of(document, read_notification(document))


def test_a_polled_notice_is_written_as_it_would_have_been_pushed() -> None:
    assert as_pushed(ITEM) == PUSHED
    assert receipt(as_pushed(ITEM) or {}) == receipt(PUSHED)


@pytest.mark.parametrize(
    "item",
    [
        ITEM | {"ROTPublicUID": 2000089282245},  # some endpoints send the identifier as a number
        ITEM | {"NotificationUID": "7", "Read": False},  # what stands beside the envelope is not part of it
        {"ROTPublicUID": UID, "NotificationType": "DEVICE_ERROR", "Timestamp": "2020-05-10T19:39Z", "Error": "x"},
        {"EventType": "DEVICE_ERRORS_EVENT"} | {key: value for key, value in ITEM.items() if key != "NotificationType"},
    ],
)
def test_other_shapes_of_the_same_have_the_same_receipt(item: dict[str, object]) -> None:
    assert receipt(as_pushed(item) or {}) == receipt(PUSHED)


def test_a_type_that_is_never_pushed_keeps_its_name() -> None:
    pushed = as_pushed(ITEM | {"NotificationType": "DEVICE_STATE_CHANGE"})
    assert pushed is not None
    assert pushed["EventType"] == "DEVICE_STATE_CHANGE"
    assert set(AS_PUSHED.values()) == {EventType.BOOTSTRAP, EventType.PROPERTIES_CHANGE, EventType.ERRORS}


def test_what_makes_no_sense_is_none_and_sinks_no_other() -> None:
    assert read_notices({"Notifications": [ITEM, 7, {}, {"NotificationType": 3}, ITEM]}) == [
        PUSHED,
        None,
        None,
        None,
        PUSHED,
    ]
    assert read_notices({}) == []


@given(JSON)
def test_no_answer_breaks_the_reading(document: object) -> None:
    for read in (read_notices, read_authorities):
        assert isinstance(read(document), list)
    assert isinstance(read_suspects(document, "ClonedEvents"), list)


def test_a_root_ca_is_read_with_real_line_ends() -> None:
    item = {"CAName": "a", "CACertificateValidity": 10, "Certificate": "x\\ny", "CreatedDate": "2020-04-20T19:00:36Z"}
    (look,) = read_authorities({"CAs": [item, {"CACertificateValidity": 3}]})
    assert (look.name, look.pem) == ("a", "x\ny")
    assert look.promised_until == datetime(2020, 4, 30, 19, 0, 36, tzinfo=UTC)
    (bare,) = read_authorities([{"CAName": "b"}])
    assert (bare.pem, bare.promised_until) == (None, None)
