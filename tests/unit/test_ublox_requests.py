"""What the document forbids, and what makes no sense, is said by the models before any call."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.ublox import (
    EVERY,
    UNATTRIBUTED,
    ActivityGet,
    Authorization,
    CertificateRenew,
    CertificateRevoke,
    CertificateUpdate,
    CloneGet,
    CrlGet,
    DeviceInfoGet,
    NotificationGet,
    ProfileGet,
    Provisioning,
    RootCaCreate,
    RootCaTransfer,
    RootCaUpdate,
    Selector,
    SymmetricKeyGet,
    TagAssign,
    TagCreate,
    TagRemove,
    UbloxRequest,
    UidsGet,
    UplinkIntegrityGet,
    UplinkProtectionGet,
    UsageGet,
    WhitelistAction,
    WhitelistAdd,
    WhitelistRow,
    WhitelistUpload,
)

UID = "0002000089282245"


CA = {"ca_name": "example.com"}
LIVES = {"ca_validity_days": 1825, "device_validity_days": 365}
DATES = {"from_date": "2020-02-01T00:00:00+00:00"}


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        (RootCaCreate, {**LIVES, "ca_name": "a" * 46}, "at most 45"),
        (RootCaCreate, {**LIVES, "ca_name": "with blank"}, "pattern"),
        (RootCaCreate, {**LIVES, "ca_name": ""}, "at least 1"),
        (RootCaCreate, {**CA, "ca_validity_days": 1824, "device_validity_days": 365}, "1825"),
        (RootCaCreate, {**CA, "ca_validity_days": 3651, "device_validity_days": 365}, "3650"),
        (RootCaCreate, {**CA, "ca_validity_days": 1825, "device_validity_days": 29}, "30"),
        (RootCaCreate, {**CA, "ca_validity_days": 3650, "device_validity_days": 3651}, "3650"),
        (
            RootCaCreate,
            {**CA, "ca_validity_days": 1825, "device_validity_days": 1826},
            "no certificate outlives its CA",
        ),
        (RootCaCreate, {**CA, "ca_validity_days": 1825, "device_validity_days": 90, "renew_before_days": 90}, "lives"),
        (RootCaCreate, {**CA, "ca_validity_days": 1825, "device_validity_days": 30, "renew_before_days": 365}, "lives"),
        (RootCaUpdate, {**CA, "renew_before_days": 0}, "1"),
        (RootCaUpdate, {**CA, "renew_before_days": 366}, "365"),
        (RootCaTransfer, {"from_ca": "a", "to_ca": "a", "rot_public_uids": [UID]}, "the same"),
        (RootCaTransfer, {"from_ca": "a", "to_ca": "b" * 46, "rot_public_uids": [UID]}, "at most 45"),
        (CertificateRenew, {**CA, "validity_days": 29, "rot_public_uids": [UID]}, "30"),
        (CertificateRenew, {**CA, "validity_days": 3651, "rot_public_uids": [UID]}, "3650"),
        (CertificateUpdate, {**CA}, "exactly one of rot_public_uids, serial_numbers"),
        (CertificateUpdate, {**CA, "rot_public_uids": [UID], "serial_numbers": ["a0"]}, "exactly one of"),
        (CertificateRevoke, {**CA}, "exactly one of rot_public_uid, serial_number"),
        (CertificateRevoke, {**CA, "rot_public_uid": UID, "serial_number": "a0"}, "exactly one of"),
        (CertificateRevoke, {**CA, "serial_number": "xyz"}, "hexadecimal"),
        (CertificateRevoke, {**CA, "serial_number": "0000"}, "not zero"),
        (CertificateRevoke, {**CA, "serial_number": "a" * 41}, "1 to 40"),
        (CertificateRevoke, {**CA, "serial_number": 12}, "text"),
        (CrlGet, {"ca_names": []}, "at least 1"),
        (NotificationGet, DATES, "exactly one of rot_public_uids, tag_names"),
        (NotificationGet, {**DATES, "rot_public_uids": [UID], "tag_names": ["a"]}, "exactly one of"),
        (NotificationGet, {**DATES, "to_date": "2020-01-31", "rot_public_uids": [UID]}, "before"),
        (NotificationGet, {"from_date": "yesterday", "rot_public_uids": [UID]}, "ISO 8601"),
        (NotificationGet, {**DATES, "rot_public_uids": [UID], "type": "DEVICE_BOOTSTRAP_EVENT"}, "DEVICE_STATE_CHANGE"),
        (CloneGet, {**DATES, "rot_public_uids": [UID], "device_profile_uid": "p"}, "exactly one of"),
        (ActivityGet, {**DATES, "rot_public_uid": "00020001003ffff"}, "16 hexadecimal digits"),
        (UsageGet, {"from_date": "2020-02-01", "rot_public_uids": [UID], "tag_names": ["a"]}, "at most one of"),
        (UsageGet, {"from_date": "2020-02-01T00:00Z"}, "pattern"),
        (UsageGet, {"from_date": "2020-02-31"}, "ISO 8601"),
        (UidsGet, {}, "exactly one of device_profile_uid, tag_names"),
        (ProfileGet, {"tag_names": ["a"], "profile_name": "b"}, "at most one of"),
        (DeviceInfoGet, {}, "exactly one of"),
        (SymmetricKeyGet, {"key_id": "11"}, "14 octets"),
        (SymmetricKeyGet, {"key_id": "1" * 28, "key_length": 192}, "128 or 256"),
        (UplinkProtectionGet, {"encrypted_header": "1" * 31}, "11 to 16 octets"),
        (UplinkProtectionGet, {"encrypted_header": "0x" + "1" * 30}, "11 to 16 octets"),
        (UplinkIntegrityGet, {"encrypted_header": ""}, "octets"),
        (TagCreate, {"tag_name": "a" * 256}, "at most 255"),
        *((TagCreate, {"tag_name": f"a{sign}b"}, "a tag has none of") for sign in '^`~<>"{}|,\\'),
        (TagCreate, {"tag_name": "*"}, "stands for every tag"),
        (TagAssign, {"tag_names": [EVERY], "rot_public_uids": [UID]}, "a tag has none of"),
        (TagAssign, {"tag_names": ["a"]}, "exactly one of rot_public_uids, device_profile_uids"),
        (TagRemove, {"tag_names": ["*"], "rot_public_uids": ["*"]}, "both sides"),
        (TagRemove, {"tag_names": ["{*}"], "rot_public_uids": ["*"]}, "both sides"),
        (TagRemove, {"tag_names": ["*"], "device_profile_uids": ["{*}"]}, "both sides"),
        (TagRemove, {"tag_names": ["*", "a"], "rot_public_uids": [UID]}, "goes alone"),
        (TagRemove, {"tag_names": ["a"], "rot_public_uids": [UID, "{*}"]}, "goes alone"),
        (TagRemove, {"tag_names": ["a"], "rot_public_uids": []}, "at least 1"),
        (TagRemove, {"tag_names": ["a"], "rot_public_uids": [UID], "device_profile_uids": ["p"]}, "exactly one of"),
        (WhitelistAdd, {"rot_public_uids": []}, "at least one of rot_public_uids, imeis"),
        (WhitelistAdd, {"rot_public_uids": [], "imeis": ["12345"]}, "pattern"),
        (WhitelistAdd, {"imeis": ["862618583984360"]}, "required"),
        (WhitelistUpload, {"rows": []}, "at least 1"),
        (WhitelistUpload, {"rows": [{"uid": UID}, {"uid": UID.upper(), "action": "DELETE"}]}, "added and deleted"),
    ],
)
def test_what_makes_no_sense_is_said_before_any_call(
    kind: type[UbloxRequest], fields: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(fields)
    assert told in str(caught.value)


def test_a_wildcard_on_one_side_is_written_as_the_document_has_it() -> None:
    assert TagRemove(tag_names=("*",), rot_public_uids=(UID.upper(),)).body() == {
        "TagNames": (EVERY,),
        "ROTPublicUIDs": (UID,),
    }
    assert TagRemove(tag_names=("roof",), rot_public_uids=("*",)).body()["ROTPublicUIDs"] == (EVERY,)
    assert TagRemove(tag_names=("roof",), device_profile_uids=("*",)).body()["DeviceProfileUIDs"] == (EVERY,)


@given(st.integers(min_value=1, max_value=2**160 - 1))
def test_a_serial_goes_out_as_ublox_writes_it_whatever_its_length(serial: int) -> None:
    for text in (f"{serial:x}", f"{serial:040X}", f"00{serial:x}"):
        sent = CertificateRevoke(ca_name="ca", serial_number=text).body()["SerialNumber"]
        assert sent == f"{serial:x}"


def test_the_whitelist_file_has_a_header_and_full_ids() -> None:
    rows = (WhitelistRow(uid=UID.upper()), WhitelistRow(uid="135700008928c093", action=WhitelistAction.DELETE))
    assert WhitelistUpload(rows=rows).written().decode().splitlines() == [
        "Id,Type,Action",
        f"{UID},ROTPublicUID,ADD",
        "135700008928c093,ROTPublicUID,DELETE",
    ]


def test_devices_without_a_profile_have_one_by_name() -> None:
    assert UidsGet(device_profile_uid=UNATTRIBUTED).body()["DeviceProfileUID"] == "UNATTRIBUTED DEVICE PROFILE"


def test_provisioning_is_written_as_the_webhook_shows_it() -> None:
    wish = Provisioning(
        authorizations={Authorization.DATA_PROTECTION: True, Authorization.KEY_PAIRING: False}, heartbeat_seconds=3600
    )
    assert wish.written() == {
        "Authorizations": [
            {"Name": "LocalDPR", "State": "ENABLED"},
            {"Name": "LocalC2CKeyPairing", "State": "DISABLED"},
        ],
        "NetworkParameters": [{"Name": "SecurityHeartbeatInSec", "Value": 3600}],
    }


@pytest.mark.parametrize(
    "fields", [{}, {"authorizations": {"Evaluation": True}}, {"heartbeat_seconds": 0}, {"heartbeat": 60}]
)
def test_a_provisioning_of_nothing_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Provisioning.model_validate(fields)


@pytest.mark.parametrize("fields", [{}, {"uids": [UID], "tags": ["a"]}, {"uids": []}, {"tags": ["a|b"]}])
def test_a_selector_is_exactly_one(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Selector.model_validate(fields)
