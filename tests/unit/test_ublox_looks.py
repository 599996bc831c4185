from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.ublox import (
    CertificateLook,
    CrlLook,
    DeviceLook,
    RotationPolicy,
    RotationType,
    WebhookLook,
    as_pushed,
    read_activity,
    read_authorities,
    read_authority,
    read_device_info,
    read_keys,
    read_look,
    read_profile,
    read_properties,
    read_provisioning,
    read_revoked,
    read_serial,
    read_suspect,
    read_suspects,
    read_tag,
    read_text,
    read_total,
    read_uids,
    read_usage,
    read_webhooks,
    read_whitelisted,
)
from services.operations.renewal_lead import renewal_due_at

UID = "0002000089282245"
ITEM = {
    "ROTPublicUID": UID,
    "CORE": {
        "SerialNumber": "235435",
        "IMEI": "356726108512030",
        "IsBlacklisted": False,
        "DeviceProfileUID": "QHlN732VgUWCdfNeXHkQR1",
        "LastSeen": "2020-04-20T19:00:36Z",
    },
    "PROVISIONING": {
        "DesiredProperties": {
            "Authorizations": [{"Name": "ZTPV1", "State": "ENABLED", "ModifiedDate": "2020-04-25T06:22:12+00:00"}],
            "NetworkParameters": [{"Name": "SecurityHeartbeatInSec", "Value": 3600}],
            "E2EKeyRotation": {"Type": "AUTOMATIC", "Days": 3},
            "Zerotouch": {"Action": "RENEW"},
        },
        "CurrentProperties": {
            "Authorizations": [{"Name": "LocalDPR", "State": "ENABLED"}, {"Name": "LocalC2C", "State": "DISABLED"}],
            "NetworkParameters": {"SecurityHeartbeatInSec": "86400"},
            "E2EKeyRotation": {"Type": "CONTINUOUS"},
            "Zerotouch": {},
        },
    },
    "ZTP": {
        "CertificateAuthorityName": "eaxample.com",
        "CertificateSerialNumber": "73068c914de40ccaee84e03a66b4858",
        "CertificateValidity": 1825,
        "ExpirationDate": "2020-05-10T19:39Z",
        "Certificate": "-----BEGIN CERTIFICATE-----\\nMIIB",
    },
}

KEYS = [
    *(
        "CurrentProperties",
        "Authorizations",
        "Name",
        "State",
        "SecurityHeartbeatInSec",
        "Value",
        "LastSeen",
        "CAs",
        "CAName",
    ),
    *(
        "CRLs",
        "SerialNumbers",
        "SerialNumber",
        "CRL",
        "Certificate",
        "Key",
        "DeviceProfileUID",
        "TagNames",
        "IMEI",
        "Id",
        "Command",
        "CACertificateValidity",
    ),
    *("DeviceInfo", "ROTPublicUID", "RotPublicUID", "IsBlacklisted", "CertificateSerialNumber", "ExpirationDate"),
    *("DesiredProperties", "Zerotouch", "Action", "E2EKeyRotation", "Type", "Days"),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(
            st.text() | st.sampled_from(KEYS),
            inner | st.sampled_from([UID, 2000089282245, 10**15, "AUTOMATIC", "RENEW", "ENABLED", "2020-05-10T19:39Z"]),
        )
    ),
)


def test_a_device_is_read_in_full() -> None:
    look = read_device_info({"DeviceInfo": [ITEM]})[UID]
    assert look == DeviceLook(
        uid=UID,
        imei="356726108512030",
        blacklisted=False,
        certificate=CertificateLook(
            serial=0x073068C914DE40CCAEE84E03A66B4858,
            ca_name="eaxample.com",
            expires_at=datetime(2020, 5, 10, 19, 39, tzinfo=UTC),
            validity_days=1825,
        ),
        renewal_pending=True,
        desired_action="RENEW",
        rotation=RotationPolicy(type=RotationType.AUTOMATIC, days=3),
        heartbeat=timedelta(days=1),
        desired_heartbeat=timedelta(hours=1),
        last_seen=datetime(2020, 4, 20, 19, 0, 36, tzinfo=UTC),
        authorizations={"LocalDPR": True, "LocalC2C": False},
        desired_authorizations={"ZTPV1": True},
        profile_uid="QHlN732VgUWCdfNeXHkQR1",
    )
    assert look.certificate is not None
    assert look.certificate.pem == "-----BEGIN CERTIFICATE-----\nMIIB"
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
    for read in (
        *(read_authorities, read_authority, read_revoked, read_keys, read_activity, read_profile, read_tag, read_usage),
        *(read_whitelisted, read_provisioning, read_properties, read_suspect, as_pushed),
    ):
        read(document)


@pytest.mark.parametrize(
    ("told", "read"),
    [
        (
            "-----BEGIN X509 CRL-----\\nMII=\\n-----END X509 CRL-----",
            b"-----BEGIN X509 CRL-----\nMII=\n-----END X509 CRL-----",
        ),
        ("MIIB\nAgM=", b"0\x82\x01\x02\x03"),
        ("no base64 at all!", b"no base64 at all!"),
        ("\u00fc", "\u00fc".encode()),
    ],
)
def test_a_revocation_list_is_pem_or_der(told: str, read: bytes) -> None:
    looks = read_revoked({"CRLs": [{"CAName": "ca", "CRL": told}, {"CAName": "another"}, {"CRL": told}]})
    assert looks == {"ca": CrlLook(ca_name="ca", crl=read), "another": CrlLook(ca_name="another")}


@pytest.mark.parametrize("told", [["0a", "B0", "?"], [{"SerialNumber": "a"}, {"certificateserialnumber": "b0"}, 0.5]])
def test_revoked_serials_are_read_beside_a_list_or_without_one(told: list[object]) -> None:
    item = {"CAName": "ca", "CertificateSerialNumber": "c0", "SerialNumbers": told}
    (look,) = read_revoked({"CRLs": [item]}).values()
    assert (look, look.raw) == (CrlLook(ca_name="ca", serials=frozenset({0x0A, 0xB0})), item)


def test_what_was_sent_of_cas_and_suspects_is_kept() -> None:
    ca, suspect = {"CAName": "ca", "Status": "ACTIVE"}, {"ROTPublicUID": UID, "Seen": ["here", "there"]}
    (authority,), (doubt,) = read_authorities([ca]), read_suspects([suspect], "ClonedEvents")
    assert (authority.raw, doubt.raw) == (ca, suspect)


@pytest.mark.parametrize(
    ("group", "states"),
    [
        ({"Authorizations": [{"Name": "ZTPV1", "State": "enabled"}]}, {"ZTPV1": True}),
        ({"Authorizations": {"ZTPV1": "DISABLED", "LocalDPR": True}}, {"ZTPV1": False, "LocalDPR": True}),
        ({"Authorizations": [{"Name": "ZTPV1"}, {"Name": 7, "State": "ENABLED"}, "?"]}, {}),
        (
            {"Authorizations": [{"Name": "ZTPV1", "State": "ENABLED"}, {"Name": "ZTPV1", "State": "DISABLED"}]},
            {"ZTPV1": True},
        ),
        ({"Authorizations": None}, {}),
        (None, {}),
    ],
)
def test_authorizations_are_read_as_items_or_as_members(group: object, states: dict[str, bool]) -> None:
    assert read_properties(group).authorizations == states


@pytest.mark.parametrize("told", [{"Value": 0}, {"Value": -1}, {"Value": "soon"}, {"Value": 10**30}, {}])
def test_a_heartbeat_that_is_none_is_not_told(told: dict[str, object]) -> None:
    assert read_properties({"NetworkParameters": [{"Name": "SecurityHeartbeatInSec", **told}]}).heartbeat is None


@pytest.mark.parametrize("life", [0, -1, 3_000_000, 10**12, "10000000000", True])
@pytest.mark.parametrize("heartbeat", [10**12, 10**15, "1" * 50, -5])
@pytest.mark.parametrize("ends", ["0001-01-01T00:00:00", "2026-12-01T00:00:00Z"])
def test_lives_and_times_that_cannot_be_are_not_told(life: object, heartbeat: object, ends: str) -> None:
    """Every reckoning with them would fail, and with it the work on all devices of an answer."""
    certificate = {"CertificateSerialNumber": "ab", "CertificateValidity": life, "ExpirationDate": ends}
    current = {"SecurityHeartbeatInSec": heartbeat}
    look = read_look({"ROTPublicUID": UID, "ZTP": certificate, "CurrentProperties": current, "LastSeen": ends})
    assert look is not None
    assert look.certificate is not None
    assert (look.certificate.validity_days, look.heartbeat) == (None, None)
    assert renewal_due_at(look, datetime(2026, 5, 10, tzinfo=UTC)) in {None, datetime(2026, 11, 1, tzinfo=UTC)}


def test_a_life_may_be_written_as_text() -> None:
    look = read_look({"ROTPublicUID": UID, "CertificateSerialNumber": "ab", "CertificateValidity": "365"})
    assert look is not None
    assert look.certificate is not None
    assert look.certificate.validity_days == 365
