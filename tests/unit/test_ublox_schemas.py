import json

import pytest
from pydantic import SecretStr, ValidationError

from schemas.events import EventType
from schemas.ublox import (
    Authenticate,
    CertificateRenew,
    Detail,
    DeviceInfoGet,
    DeviceListGet,
    KeyRotate,
    RotationType,
    UbloxRequest,
    WebhookCreate,
)

UID = "0002000089282245"


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
