"""What the receiver makes of every kind of body: each is answered, and each that is authentic is kept as it came."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.support.site import UID, Receiver, new_database, notification, serving

DOCUMENTED = {
    "DEVICE_BOOTSTRAP_EVENT": """{ "ROTPublicUID": "135700008928c093", "Timestamp": "2020-05-07T11:23:32", "EventType": "DEVICE_BOOTSTRAP_EVENT", "Payload": { "RotVersion": "1", "SerialNumber": "235435", "Version": "12", "DeviceSerialNumber": "123234354", "IMEI": "862618583984360", "DeviceProfileUID": "QHlN732VgUWCdfNeXHkQR1", "TypeNumber": "SARA-R410M-03B-00", "IsBlacklisted": false } }""",  # noqa: E501 - as it is printed
    "DEVICE_PROPERTIES_CHANGE_EVENT": """{ "ROTPublicUID": "135700008928b093", "Timestamp": "2020-05-09T00:10:15", "EventType": "DEVICE_PROPERTIES_CHANGE_EVENT", "Payload": { "DesiredProperties": { "Authorizations": [ {"Name": "LocalDPR", "State": "ENABLED","ModifiedDate": "2020-04-25T06:22:12+00:00" } ] },"CurrentProperties": { "Authorizations": [{"Name": "LocalDPR", "State": "ENABLED", "SyncDate": "2020-02-12T06:22:14+00:00" } ] }}}""",  # noqa: E501 - as it is printed
    "DEVICE_ERRORS_EVENT": """{"ROTPublicUID": "135700008928c093", "EventType": "DEVICE_ERRORS_EVENT", "Timestamp": "2020-05-10T19:39Z","Payload":{"Error": "Invalid KeySetId for device" }}""",  # noqa: E501 - as it is printed
    "DEVICE_CERTIFICATE_RENEWAL_EVENT": """{"ROTPublicUID": "135700008928c093", "EventType": "DEVICE_CERTIFICATE_RENEWAL_EVENT", "Timestamp": "2020-05-10T19:39Z","Payload":{"CertificateAuthorityName": "eaxample.com","CertificateSerialNumber":"73068c914de40ccaee84e03a66b4858","CertificateValidity":1825,"ExpirationDate":"2020-05-10T19:39Z" }}""",  # noqa: E501 - as it is printed
    "DEVICE_CERTIFICATE_EXPIRATION_EVENT": """{"ROTPublicUID": "135700008928c093", "EventType": "DEVICE_CERTIFICATE_EXPIRATION_EVENT", "Timestamp": "2020-05-10T19:39Z","Payload":{"CertificateAuthorityName": "eaxample.com","CertificateSerialNumber":"73068c914de40ccaee84e03a66b4858","DaysToExpiration":60,"ExpirationDate":"2020-05-10T19:39Z" }}""",  # noqa: E501 - as it is printed
    "ROOTCA_EXPIRATION_EVENT": """{"EventType": "ROOTCA_EXPIRATION_EVENT", "Timestamp": "2020-05-10T19:39Z","Payload":{"CertificateAuthorityName": "test-ca",
    "DaysToExpiration": 60, "ExpirationDate": "2020-09-20T09:52:58", "ProvisionedDevicesCount": 6 }}""",  # noqa: E501 - as it is printed
}
"""Security Services REST APIs 1.1.29, /notification/webhook/create: the six examples, letter by letter."""


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def receiver(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with serving(new_database(request, tmp_path_factory)) as receiver:
        yield receiver


def encoded(**changes: Any) -> bytes:
    return json.dumps(notification(**changes)).encode()


def unknown(payload: str, *, name: str = "SOMETHING_NEW") -> bytes:
    return f'{{"EventType": "{name}", "Payload": {payload}}}'.encode()


@pytest.mark.parametrize("event_type", DOCUMENTED)
def test_every_documented_example_is_understood(receiver: Receiver, event_type: str) -> None:
    body = DOCUMENTED[event_type].encode()
    answer = receiver.post(body)
    assert answer.status == 202
    row = receiver.row(body)
    moment, device = json.loads(body)["Timestamp"], json.loads(body).get("ROTPublicUID")
    assert (row.receipt, row.event_type, row.device, row.state) == (answer.receipt, event_type, device, "new")
    assert row.occurred_at is not None
    assert row.occurred_at.isoformat().startswith(moment.removesuffix("Z"))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (encoded()[:-1], "not JSON"),
        (encoded()[:20], "not JSON"),
        (encoded() + b"{}", "not JSON"),
        (b"\xef\xbb\xbf" + encoded(), "not JSON"),
        (encoded().decode().encode("utf-16"), "not JSON"),
        (encoded(Error="caf\xe9").replace(b"\\u00e9", b"\xe9"), "not JSON"),
        (encoded(Error="\x00").replace(b"\\u0000", b"\x00"), "not JSON"),
        (encoded(Error="\ud800"), "not JSON"),
        (encoded(Error=float("nan")), "not JSON"),
        (encoded(Error="@").replace(b'"@"', b"1e999"), "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "not JSON"),
        (b"EventType=DEVICE_BOOTSTRAP_EVENT", "not JSON"),
        (b"\x1f\x8b\x08\x00packed", "not JSON"),
        (b"[]", "must be a JSON object, not a list"),
        (b"[" + encoded() + b"]", "must be a JSON object, not a list"),
        (b"null", "must be a JSON object, not nothing"),
        (b"true", "must be a JSON object, not True"),
        (b"42", "must be a JSON object, not 42"),
        (b'"text"', "must be a JSON object, not 'text'"),
        (b"{}", "EventType"),
        (encoded(EventType=None), "EventType must be 1 to 128 printable characters, not nothing"),
        (encoded(EventType=""), "EventType"),
        (encoded(EventType=7), "EventType"),
        (encoded(EventType=["DEVICE_BOOTSTRAP_EVENT"]), "EventType"),
        (encoded(EventType="X\x00Y"), "EventType"),
        (encoded(EventType="X\nY"), "EventType"),
        (encoded(EventType="X" * 129), "EventType"),
        (encoded(ROTPublicUID=None), "16 hexadecimal digits, not nothing"),
        (encoded(ROTPublicUID=UID[1:]), "16 hexadecimal digits, not '35700008928c093'"),
        (encoded(ROTPublicUID=UID + "0"), "16 hexadecimal digits"),
        (encoded(ROTPublicUID=UID[:-1] + "g"), "16 hexadecimal digits"),
        (encoded(ROTPublicUID=UID[:-1] + "\x00"), "16 hexadecimal digits"),
        (encoded(ROTPublicUID=" " + UID[1:]), "16 hexadecimal digits"),
        (encoded(ROTPublicUID="0x" + UID[2:]), "16 hexadecimal digits"),
        (encoded(ROTPublicUID="１" * 16), "16 hexadecimal digits"),  # noqa: RUF001 - digits, but not ours
        (encoded(ROTPublicUID=10**16), "16 hexadecimal digits"),
        (encoded(ROTPublicUID=-1), "16 hexadecimal digits"),
        (encoded(ROTPublicUID=True), "16 hexadecimal digits"),
        (encoded(ROTPublicUID=2000089282245.0), "16 hexadecimal digits"),
        (encoded(ROTPublicUID=[UID]), "16 hexadecimal digits, not a list"),
        (encoded(Payload=[]), "Payload must be a JSON object, not a list"),
        (encoded(Payload="IMEI"), "Payload must be a JSON object"),
        (encoded(Timestamp=None), "ISO 8601 text, not nothing"),
        (encoded(Timestamp=1589139540), "ISO 8601 text, not 1589139540"),
        (encoded(Timestamp=""), "ISO 8601"),
        (encoded(Timestamp="yesterday"), "ISO 8601, such as 2020-05-10T19:39Z, not 'yesterday'"),
        (encoded(Timestamp="2020-13-01T00:00:00"), "ISO 8601"),
        (encoded(Timestamp="2020-02-30"), "ISO 8601"),
        (encoded(Timestamp="2020-05-10T24:00Z"), "ISO 8601"),
        (encoded(Timestamp="2020-05-10T19:39Z\x00"), "ISO 8601"),
        (encoded(Timestamp="0001-01-01T00:00:00+23:59"), "ISO 8601"),
        (encoded(Timestamp="9999-12-31T23:59:59-23:59"), "ISO 8601"),
        (encoded(Timestamp="2020-05-10T19:39Z" + " " * 5000), "ISO 8601"),
    ],
)
def test_what_cannot_be_understood_is_told_and_kept(receiver: Receiver, body: bytes, fault: str) -> None:
    answer = receiver.post(body)
    assert answer.status == 400
    assert fault in answer.document["detail"]
    row = receiver.row(body)
    assert (row.receipt, row.state, row.verdict) == (answer.receipt, "malformed", answer.document["detail"])
    assert (row.event_type, row.device, row.occurred_at) == (None, None, None)
    assert len(answer.document["detail"]) < 200


def test_a_repeat_of_what_was_not_understood_is_kept_once(receiver: Receiver) -> None:
    body = b'{"EventType": "BROKEN'
    first, again = receiver.post(body), receiver.post(body)
    assert (first.status, again.status, again.receipt) == (400, 400, first.receipt)
    assert receiver.row(body).state == "malformed"


@pytest.mark.parametrize(
    ("sent", "device"),
    [
        ("135700008928C0FF", "135700008928c0ff"),
        ("0000000000000000", "0000000000000000"),
        (2000089282245, "0002000089282245"),
        (7, "0000000000000007"),
        (9999999999999999, "9999999999999999"),
    ],
)
def test_an_identifier_is_stored_in_its_one_form(receiver: Receiver, sent: object, device: str) -> None:
    body = encoded(ROTPublicUID=sent)
    assert receiver.post(body).status == 202
    assert receiver.row(body).device == device


def test_a_number_and_its_text_name_the_same_device(receiver: Receiver) -> None:
    as_number, as_text = encoded(ROTPublicUID=2000089282299), encoded(ROTPublicUID="0002000089282299")
    assert receiver.post(as_number).receipt == receiver.post(as_text).receipt
    assert receiver.rows(as_text) == []


@pytest.mark.parametrize(
    ("sent", "moment"),
    [
        ("2021-05-07T11:23:32", datetime(2021, 5, 7, 11, 23, 32, tzinfo=UTC)),
        ("2021-05-10T19:39Z", datetime(2021, 5, 10, 19, 39, tzinfo=UTC)),
        ("2021-04-25T06:22:12+00:00", datetime(2021, 4, 25, 6, 22, 12, tzinfo=UTC)),
        ("2021-04-20T19:00:36Z", datetime(2021, 4, 20, 19, 0, 36, tzinfo=UTC)),
        ("2021-02-01", datetime(2021, 2, 1, tzinfo=UTC)),
        ("2021-04-20T21:00:36.123456+02:00", datetime(2021, 4, 20, 19, 0, 36, 123456, tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_every_form_of_a_time_is_read_as_utc(receiver: Receiver, sent: str, moment: datetime) -> None:
    body = encoded(Timestamp=sent)
    assert receiver.post(body).status == 202
    assert receiver.row(body).occurred_at == moment


@pytest.mark.parametrize(
    "body",
    [
        unknown('{"new": [1, 2, {"deep": null}]}'),
        unknown("{}", name="DEVICE_BOOTSTRAP_EVENT_V2"),
        unknown("{}", name="X" * 128),
        unknown("{}", name="événement 事件"),
        unknown("{}", name="' OR 1=1; --"),
        b'{"EventType": "NO_PAYLOAD"}',
        b'{"EventType": "NULLS", "ROTPublicUID": null, "Timestamp": null}',
        unknown('{"text": "a\\u0000b", "pair": "\\ud83d\\ude00"}'),
        unknown('{"huge": 123456789012345678901234567890, "small": 1e-400, "minus": -0.0}'),
        unknown('{"twice": 1, "twice": 2}'),
        unknown('{"' + "k" * 20_000 + '": ""}'),
        unknown('{"a":' * 120 + "1" + "}" * 120),
        b' \r\n\t{"EventType" : "SPACES"}\n',
    ],
)
def test_what_is_new_to_us_is_kept_byte_for_byte(receiver: Receiver, body: bytes) -> None:
    answer = receiver.post(body)
    assert answer.status == 202
    row = receiver.row(body)
    assert (row.receipt, row.state) == (answer.receipt, "new")
    assert row.event_type == json.loads(body)["EventType"]
    assert (row.device, row.occurred_at) == (None, None)


def test_fields_that_we_do_not_know_are_kept(receiver: Receiver) -> None:
    body = encoded(Region="eu-1", Payload={"IMEI": "1", "IsBlacklisted": False, "Later": {"more": [None]}})
    assert receiver.post(body).status == 202
    assert receiver.row(body).device == UID


def test_of_a_key_that_stands_twice_the_last_counts(receiver: Receiver) -> None:
    body = encoded(Timestamp="2022-01-01")[:-1] + b', "ROTPublicUID": "00000000000000ab"}'
    assert receiver.post(body).status == 202
    assert receiver.row(body).device == "00000000000000ab"


def test_a_body_nested_deeper_than_the_receipt_can_be_made_is_told(receiver: Receiver) -> None:
    body = unknown('{"a":' * 300 + "1" + "}" * 300)
    answer = receiver.post(body)
    assert answer.status == 400
    assert answer.document["detail"] == "the body is nested too deep"
    assert receiver.row(body).state == "malformed"
