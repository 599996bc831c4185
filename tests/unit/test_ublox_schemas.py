import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from schemas.events import EventType
from schemas.ublox import (
    Authenticate,
    CertificateLook,
    CertificateRenew,
    Detail,
    DeviceInfoGet,
    DeviceListGet,
    DeviceLook,
    KeyRotate,
    RotationPolicy,
    RotationType,
    UbloxRequest,
    WebhookCreate,
    WebhookLook,
    read_device_info,
    read_look,
    read_serial,
    read_text,
    read_total,
    read_uids,
    read_webhooks,
)

UID = "0002000089282245"
ITEM = {
    "ROTPublicUID": UID,
    "CORE": {"SerialNumber": "235435", "IsBlacklisted": False},
    "PROVISIONING": {
        "DesiredProperties": {"E2EKeyRotation": {"Type": "AUTOMATIC", "Days": 3}, "Zerotouch": {"Action": "RENEW"}},
        "CurrentProperties": {"E2EKeyRotation": {"Type": "CONTINUOUS"}, "Zerotouch": {}},
    },
    "ZTP": {
        "CertificateAuthorityName": "eaxample.com",
        "CertificateSerialNumber": "73068c914de40ccaee84e03a66b4858",
        "CertificateValidity": 1825,
        "ExpirationDate": "2020-05-10T19:39Z",
        "Certificate": "-----BEGIN CERTIFICATE-----",
    },
}

KEYS = [
    *("DeviceInfo", "ROTPublicUID", "RotPublicUID", "IsBlacklisted", "CertificateSerialNumber", "ExpirationDate"),
    *("DesiredProperties", "Zerotouch", "Action", "E2EKeyRotation", "Type", "Days"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text() | st.sampled_from(KEYS),
            inner | st.sampled_from([UID, 2000089282245, "AUTOMATIC", "RENEW", "2020-05-10T19:39Z"]),
        )
    ),
)


def test_a_request_goes_out_under_the_documented_names() -> None:
    request = KeyRotate(rot_public_uids=(UID.upper(),), type=RotationType.AUTOMATIC, days=1)
    assert json.loads(json.dumps(request.body())) == {"ROTPublicUIDs": [UID], "Type": "AUTOMATIC", "Days": 1}
    info = DeviceInfoGet(rot_public_uids=(UID,), options=(Detail.ZTP,))
    assert json.loads(json.dumps(info.body())) == {"ROTPublicUIDs": [UID], "Options": ["ZTP"]}
    assert DeviceListGet().body() == {"PageNumber": 1}


def test_a_request_is_read_back_from_its_own_body() -> None:
    request = CertificateRenew(ca_name="example.com", validity_days=365, rot_public_uids=(UID,))
    assert CertificateRenew.model_validate(request.body()) == request


@pytest.mark.parametrize(
    ("request_type", "fields"),
    [
        (KeyRotate, {"type": "AUTOMATIC"}),
        (KeyRotate, {"type": "AUTOMATIC", "rot_public_uids": [UID], "tag_names": ["roof"]}),
        (KeyRotate, {"type": "AUTOMATIC", "rot_public_uids": []}),
        (KeyRotate, {"type": "AUTOMATIC", "rot_public_uids": ["00020001003ffff"]}),
        (KeyRotate, {"type": "AUTOMATIC", "rot_public_uids": [UID], "days": 0}),
        (KeyRotate, {"type": "AUTOMATIC", "rot_public_uids": [UID], "days": 31}),
        (KeyRotate, {"type": "CONTINUOUS", "rot_public_uids": [UID], "days": 7}),
        (KeyRotate, {"type": "NOW", "rot_public_uids": [UID]}),
        (DeviceInfoGet, {"rot_public_uids": [UID], "device_serial_numbers": ["1"]}),
        (DeviceInfoGet, {"rot_public_uids": [UID], "options": ["ALL"]}),
        (DeviceListGet, {"page_number": 0}),
        (CertificateRenew, {"ca_name": "a" * 46, "validity_days": 30, "rot_public_uids": [UID]}),
        (CertificateRenew, {"ca_name": "a b", "validity_days": 30, "rot_public_uids": [UID]}),
        (CertificateRenew, {"ca_name": "a\n", "validity_days": 30, "rot_public_uids": [UID]}),
        (CertificateRenew, {"ca_name": "a", "validity_days": 29, "rot_public_uids": [UID]}),
        (CertificateRenew, {"ca_name": "a", "validity_days": 3651, "rot_public_uids": [UID]}),
        (CertificateRenew, {"ca_name": "a", "validity_days": 30}),
        (CertificateRenew, {"ca_name": "a", "validity_days": 30, "rot_public_uids": [UID], "serial_numbers": ["1"]}),
        (WebhookCreate, {"url": "http://example.com", "token": "t", "type": "DEVICE_BOOTSTRAP_EVENT"}),
        (WebhookCreate, {"url": "https://example.com", "token": "", "type": "DEVICE_BOOTSTRAP_EVENT"}),
        (WebhookCreate, {"url": "https://example.com", "token": "t", "type": "OTHER"}),
        (DeviceListGet, {"PageSize": 100}),
    ],
)
def test_what_the_document_forbids_is_refused(request_type: type[UbloxRequest], fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        request_type.model_validate(fields)


def test_secrets_are_in_the_body_and_nowhere_else() -> None:
    request = Authenticate(api_key=SecretStr("the-key"), api_secret=SecretStr("the-secret"))
    assert request.body() == {"APIKey": "the-key", "APISecret": "the-secret"}
    assert set(request.concealed()) == {"the-key", "the-secret"}
    hook = WebhookCreate(url="https://x.example", token=SecretStr("Bearer x"), type=EventType.BOOTSTRAP)
    assert "the-" not in repr(request) + str(request) + request.model_dump_json()
    assert "Bearer" not in repr(hook)
    with pytest.raises(ValidationError) as caught:
        Authenticate.model_validate({"APIKey": "the-key", "APISecret": ["the-secret"]})
    assert "the-" not in str(caught.value)


def test_a_device_is_read_in_full() -> None:
    look = read_device_info({"DeviceInfo": [ITEM]})[UID]
    assert look == DeviceLook(
        uid=UID,
        blacklisted=False,
        certificate=CertificateLook(
            serial=0x073068C914DE40CCAEE84E03A66B4858,
            ca_name="eaxample.com",
            expires_at=datetime(2020, 5, 10, 19, 39, tzinfo=UTC),
            validity_days=1825,
        ),
        renewal_pending=True,
        rotation=RotationPolicy(type=RotationType.AUTOMATIC, days=3),
    )
    assert look.raw == ITEM
    assert "BEGIN" not in repr(look)


def test_a_device_is_read_whatever_the_shape_and_case() -> None:
    flat = {"rotpublicuid": 2000089282245, "isblacklisted": True, "CERTIFICATESERIALNUMBER": "0A", "CAName": "ca"}
    look = read_device_info({"deviceinfo": flat})[UID]
    assert look.blacklisted is True
    assert look.certificate == CertificateLook(serial=10, ca_name="ca", expires_at=None)
    assert read_device_info([UID, {"Device": {"RotPublicUID": "135700008928c093"}}, 7.5, {}]).keys() == {
        UID,
        "135700008928c093",
    }


@pytest.mark.parametrize(
    ("group", "pending"),
    [
        ({"Zerotouch": {"Action": "RENEW"}}, True),
        ({"zeroTouch": [{"action": "UPDATE"}]}, True),
        ({"Zerotouch": {}}, False),
        ({"Zerotouch": {"Action": ""}}, False),
        ({"Zerotouch": {"CAName": "ca"}}, None),
        ({"Zerotouch": None}, None),
        ({}, None),
    ],
)
def test_a_renewal_is_pending_while_the_desired_properties_hold_an_action(
    group: object, *, pending: bool | None
) -> None:
    item = {"ROTPublicUID": UID, "DesiredProperties": group, "CurrentProperties": {"Zerotouch": {"Action": "RENEW"}}}
    look = read_look(item)
    assert look is not None
    assert look.renewal_pending is pending


@pytest.mark.parametrize(
    ("policy", "read"),
    [
        ({"Type": "CONTINUOUS"}, RotationPolicy(type=RotationType.CONTINUOUS)),
        ({"Type": "CONTINUOUS", "Days": 7}, RotationPolicy(type=RotationType.CONTINUOUS)),
        ({"Type": "AUTOMATIC", "Days": 3}, RotationPolicy(type=RotationType.AUTOMATIC, days=3)),
        ({"Type": "AUTOMATIC"}, RotationPolicy(type=RotationType.AUTOMATIC, days=7)),
        ({"Type": "AUTOMATIC", "Days": True}, RotationPolicy(type=RotationType.AUTOMATIC, days=7)),
        ({"Type": "WEEKLY"}, None),
        ({}, None),
    ],
)
def test_a_rotation_policy_is_read_when_it_is_one(policy: object, read: RotationPolicy | None) -> None:
    look = read_look({"ROTPublicUID": UID, "CurrentProperties": {"E2EKeyRotation": policy}})
    assert look is not None
    assert look.rotation == read


@pytest.mark.parametrize(
    ("value", "serial"),
    [
        ("0a", 10),
        ("A", 10),
        ("00:0A", 10),
        (12, 0x12),
        *((wrong, None) for wrong in ("", "xyz", "a g a", "a" * 65, 1.5, True, -1, 10**64, None)),
    ],
)
def test_serials_are_numbers(value: object, serial: int | None) -> None:
    assert read_serial(value) == serial


def test_lists_are_read() -> None:
    page = {"ROTPublicUIDs": [UID, {"RotPublicUID": 135700008928}, "?"], "TotalRecords": 300}
    assert read_uids(page) == [UID, "0000135700008928"]
    assert read_total(page) == 300
    assert read_total({"TotalRecords": True}) is None
    hooks = [{"NotificationURL": "https://a.example", "EventType": "X", "AuthorizationToken": "t"}, {"URL": 1}]
    assert read_webhooks(hooks) == [WebhookLook(url="https://a.example", type="X")]
    assert read_text({"authtoken": "t"}, "AuthToken") == "t"


@given(JSON)
def test_no_answer_is_an_accident(document: object) -> None:
    for uid, look in read_device_info(document).items():
        assert uid == look.uid
        assert len(uid) == 16
    for look_or_none in (read_look(document), read_look({"ROTPublicUID": UID, "more": document})):
        assert look_or_none is None or isinstance(look_or_none, DeviceLook)
    read_uids(document)
    read_total(document)
    read_webhooks(document)
