"""The u-blox twin makes real root CAs, lists and proofs, and deletes no root that is in use."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.sandbox.ublox.clock import VirtualClock
from services.sandbox.ublox.twin import Twin
from tests.fixtures.ublox import CA, Caller, calling

START = datetime(2026, 1, 1, tzinfo=UTC)
NEW = {"CAName": "new-ca", "CACertificateValidity": 1825, "DeviceCertificateValidity": 365}
DAY = 86_400


@pytest.fixture
def twin() -> Iterator[Caller]:
    with calling(Twin(clock=VirtualClock(START))) as caller:
        yield caller


def loaded(pem: str) -> x509.Certificate:
    assert "\\n" in pem, "the samples print line ends as backslash and n"
    return x509.load_pem_x509_certificate(pem.replace("\\n", "\n").encode())


def root_of(twin: Caller, name: str) -> x509.Certificate:
    (item,) = twin.ask("/ztp/rootca/get", CAName=name)["CAs"]
    return loaded(item["Certificate"])


def crl_of(twin: Caller, name: str = CA) -> tuple[x509.CertificateRevocationList, list[str]]:
    (item,) = twin.ask("/ztp/rootca/crl/get", CANames=[name])["CRLs"]
    return x509.load_pem_x509_crl(item["CRL"].replace("\\n", "\n").encode()), item["SerialNumbers"]


def serial_of(twin: Caller, uid: str) -> str:
    serial: str = twin.info(uid)["ZTP"]["CertificateSerialNumber"]
    return serial


def names_of(twin: Caller) -> list[str]:
    return [item["CAName"] for item in twin.ask("/ztp/rootca/get")["CAs"]]


def holders_of(twin: Caller, name: str) -> list[str]:
    return [item["ROTPublicUID"] for item in twin.ask("/ztp/rootca/device/get", CAName=name)["Devices"]]


def transferred(twin: Caller, *uids: str, target: str = "new-ca") -> None:
    twin.ask("/ztp/devicecertificate/rootca/transfer", ROTPublicUIDs=uids, FromCA=CA, ToCA=target)


def test_a_new_root_is_valid_for_as_long_as_was_asked(twin: Caller) -> None:
    answer = twin.ask("/ztp/rootca/create", **NEW, RenewBeforeExpiration=180)
    assert set(answer) == {
        "CAName",
        "CACertificateValidity",
        "DeviceCertificateValidity",
        "Certificate",
        "CreatedDate",
    }
    root = loaded(answer["Certificate"])
    root.verify_directly_issued_by(root)
    assert root.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "new-ca"
    assert root.not_valid_before_utc == START
    assert root.not_valid_after_utc - root.not_valid_before_utc == timedelta(days=1825)
    (item,) = twin.ask("/ztp/rootca/get", CAName="new-ca")["CAs"]
    assert (item["RenewBeforeExpiration"], item["DeviceCertificateValidity"]) == (180, 365)


def test_a_lead_that_nobody_has_set_is_not_shown(twin: Caller) -> None:
    twin.ask("/ztp/rootca/create", **NEW)
    (item,) = twin.ask("/ztp/rootca/get", CAName="new-ca")["CAs"]
    assert "RenewBeforeExpiration" not in item
    twin.ask("/ztp/rootca/update", CAName="new-ca", RenewBeforeExpiration=20)
    assert twin.ask("/ztp/rootca/get", CAName="new-ca")["CAs"][0]["RenewBeforeExpiration"] == 20


@pytest.mark.parametrize(
    "change",
    [
        {"CAName": "x" * 46},
        {"CAName": ""},
        {"CAName": "a b"},
        {"CAName": CA},
        {"CACertificateValidity": 1824},
        {"CACertificateValidity": 3651},
        {"DeviceCertificateValidity": 29},
        {"DeviceCertificateValidity": 1826},
        {"RenewBeforeExpiration": 0},
        {"RenewBeforeExpiration": 366},
    ],
)
def test_a_wrong_root_is_not_made(twin: Caller, change: dict[str, Any]) -> None:
    assert twin.call("/ztp/rootca/create", **{**NEW, **change}).status_code == 400
    assert names_of(twin) == [CA]


def test_there_are_fifteen_roots_at_most(twin: Caller) -> None:
    for number in range(14):
        twin.ask("/ztp/rootca/create", **{**NEW, "CAName": f"ca-{number}"})
    assert twin.call("/ztp/rootca/create", **NEW).status_code == 400


def test_a_lead_and_the_lists_need_a_subscription(twin: Caller) -> None:
    twin.turn(subscription_active=False)
    assert twin.call("/ztp/rootca/create", **NEW, RenewBeforeExpiration=10).status_code == 400
    assert twin.call("/ztp/rootca/update", CAName=CA, RenewBeforeExpiration=10).status_code == 400
    assert twin.call("/ztp/rootca/crl/get", CANames=[CA]).status_code == 400
    twin.ask("/ztp/rootca/create", **NEW)


def test_a_root_may_have_been_there_for_long_and_end_soon(twin: Caller) -> None:
    twin.control("/authorities", name="old-ca", expires_at="2026-03-01T00:00:00Z", age_days=1800)
    root = root_of(twin, "old-ca")
    assert root.not_valid_after_utc == datetime(2026, 3, 1, tzinfo=UTC)
    (uid,) = twin.devices(1, ca_name="old-ca", certificate_days=365)
    assert twin.info(uid)["ZTP"]["ExpirationDate"] == "2026-03-01T00:00Z"
    again = {"name": "old-ca", "expires_at": "2026-03-01T00:00:00Z"}
    assert twin.http.post("/_twin/authorities", json=again).json() == {"faults": ["name: old-ca is taken"]}


def test_the_list_is_signed_by_the_root_and_empty_at_first(twin: Caller) -> None:
    crl, serials = crl_of(twin)
    key = root_of(twin, CA).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert crl.is_signature_valid(key)
    assert crl.issuer == root_of(twin, CA).subject
    assert (list(crl), serials) == ([], [])
    assert crl.last_update_utc == START


def test_a_revocation_counts_at_once_and_leaves_the_device_alone(twin: Caller) -> None:
    uid, other = twin.devices(2, heartbeat_seconds=DAY)
    before = twin.info(uid)
    twin.ask("/ztp/devicecertificate/revoke", CAName=CA, ROTPublicUID=uid)
    crl, serials = crl_of(twin)
    assert serials == [serial_of(twin, uid)]
    assert [entry.serial_number for entry in crl] == [int(serials[0], 16)]
    assert crl.get_revoked_certificate_by_serial_number(int(serial_of(twin, other), 16)) is None
    assert twin.info(uid) == before


def test_a_second_revocation_changes_nothing(twin: Caller) -> None:
    (uid,) = twin.devices(1)
    for _ in range(2):
        twin.ask("/ztp/devicecertificate/revoke", CAName=CA, ROTPublicUID=uid)
    assert len(crl_of(twin)[1]) == 1
    assert twin.stats()["actions"]["revocations"]["total"] == 1


def test_a_replaced_certificate_can_be_revoked_by_its_serial_number_alone(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    old = serial_of(twin, uid)
    twin.renew(uid)
    twin.beat(uid)
    twin.ask("/ztp/devicecertificate/revoke", CAName=CA, SerialNumber=f"0{old.upper()}")
    assert crl_of(twin)[1] == [old]
    assert serial_of(twin, uid) != old


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"SerialNumber": "abc"},
        {"SerialNumber": "no hex"},
        {"ROTPublicUID": "ffffffffffffffff"},
        {"CAName": "nobody"},
    ],
)
def test_a_wrong_revocation_is_refused(twin: Caller, change: dict[str, Any]) -> None:
    (uid,) = twin.devices(1)
    named = {"ROTPublicUID": uid} if "CAName" in change else {}
    assert twin.call("/ztp/devicecertificate/revoke", **{"CAName": CA, **named, **change}).status_code == 400
    both = {"ROTPublicUID": uid, "SerialNumber": serial_of(twin, uid)}
    assert twin.call("/ztp/devicecertificate/revoke", CAName=CA, **both).status_code == 400


def test_a_revoked_certificate_may_still_be_updated(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    old = serial_of(twin, uid)
    twin.ask("/ztp/devicecertificate/revoke", CAName=CA, ROTPublicUID=uid)
    twin.ask("/ztp/devicecertificate/update", CAName=CA, ROTPublicUIDs=[uid])
    twin.forward(days=2)
    assert serial_of(twin, uid) != old
    assert crl_of(twin)[1] == [old]


def test_lists_of_all_roots_come_when_none_is_named(twin: Caller) -> None:
    twin.ask("/ztp/rootca/create", **NEW)
    assert [item["CAName"] for item in twin.ask("/ztp/rootca/crl/get")["CRLs"]] == [CA, "new-ca"]
    assert twin.call("/ztp/rootca/crl/get", CANames=["nobody"]).status_code == 400


def test_a_proof_of_possession_carries_the_code_and_is_signed_by_the_root(twin: Caller) -> None:
    code = "930783746273459058465786283467236543874968549"
    answer = twin.ask("/ztp/rootca/popcertificate/generate", CAName=CA, RegistrationCode=code)
    assert answer["CAName"] == CA
    proof = loaded(answer["PoPCertificate"])
    assert proof.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == code
    proof.verify_directly_issued_by(root_of(twin, CA))
    for wrong in ("", "x" * 65, "ä"):
        wish = {"CAName": CA, "RegistrationCode": wrong}
        assert twin.call("/ztp/rootca/popcertificate/generate", **wish).status_code == 400


def test_the_holders_of_a_root_come_in_pages(twin: Caller) -> None:
    uids = twin.devices(130)
    pages = [twin.ask("/ztp/rootca/device/get", CAName=CA, PageNumber=number) for number in (1, 2)]
    assert [item["ROTPublicUID"] for page in pages for item in page["Devices"]] == uids
    assert pages[1]["TotalRecords"] == 130


def test_a_transfer_brings_a_certificate_of_the_other_root(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    twin.ask("/ztp/rootca/create", **NEW)
    old = serial_of(twin, uid)
    transferred(twin, uid)
    waiting = twin.info(uid)["PROVISIONING"]["DesiredProperties"]["Zerotouch"]
    assert (waiting["Action"], waiting["CAName"]) == ("TRANSFER", "new-ca")
    twin.forward(days=1)
    assert serial_of(twin, uid) != old
    leaf = x509.load_pem_x509_certificate(twin.info(uid)["ZTP"]["Certificate"].encode())
    leaf.verify_directly_issued_by(root_of(twin, "new-ca"))
    assert (holders_of(twin, CA), holders_of(twin, "new-ca")) == ([], [uid])
    assert twin.stats()["actions"]["billed"]["total"] == 0


def test_a_transfer_needs_two_roots_and_a_certificate_of_the_first(twin: Caller) -> None:
    mine, other = twin.devices(1), twin.devices(1, ca_name="other-ca")
    wish = {"ROTPublicUIDs": mine, "FromCA": CA, "ToCA": "other-ca"}
    for change in ({"ToCA": CA}, {"ToCA": "nobody"}, {"FromCA": "nobody"}, {"ROTPublicUIDs": [*mine, *other]}):
        assert twin.call("/ztp/devicecertificate/rootca/transfer", **{**wish, **change}).status_code == 400
    assert twin.stats()["actions"]["transfers"]["total"] == 0


def test_a_root_in_use_is_not_deleted(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    twin.ask("/ztp/rootca/create", **NEW)
    assert twin.call("/ztp/rootca/delete", CAName=CA).status_code == 400  # current
    transferred(twin, uid)
    assert twin.call("/ztp/rootca/delete", CAName="new-ca").status_code == 400  # desired
    twin.forward(days=1)
    twin.ask("/ztp/rootca/delete", CAName=CA)
    assert names_of(twin) == ["new-ca"]
    assert twin.call("/ztp/rootca/delete", CAName=CA).status_code == 400


def test_a_root_is_in_use_while_an_update_has_left_the_device_without_a_certificate(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    twin.ask("/ztp/devicecertificate/update", CAName=CA, ROTPublicUIDs=[uid])
    twin.beat(uid)
    assert (twin.info(uid)["ZTP"], holders_of(twin, CA)) == ({}, [])
    assert twin.call("/ztp/rootca/delete", CAName=CA).status_code == 400


def test_a_root_that_a_profile_is_linked_to_is_not_deleted(twin: Caller) -> None:
    twin.ask("/ztp/rootca/create", **NEW)
    twin.control("/profiles", uid="AyvylmHVdUiHQzUaCjOmCA", name="meters", ca_name="new-ca")
    assert twin.call("/ztp/rootca/delete", CAName="new-ca").status_code == 400
    twin.control("/profiles", uid="AyvylmHVdUiHQzUaCjOmCA", name="meters")
    twin.ask("/ztp/rootca/delete", CAName="new-ca")


def test_a_deleted_certificate_goes_with_its_key_at_the_next_heartbeat(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    key = x509.load_pem_x509_certificate(twin.info(uid)["ZTP"]["Certificate"].encode()).public_key()
    twin.ask("/ztp/devicecertificate/delete", ROTPublicUIDs=[uid])
    assert twin.info(uid)["ZTP"] != {}
    twin.forward(days=1)
    assert twin.info(uid)["ZTP"] == {}
    assert crl_of(twin)[1] == []
    assert twin.call("/ztp/devicecertificate/update", CAName=CA, ROTPublicUIDs=[uid]).status_code == 400
    assert key is not None


def test_an_update_under_way_refuses_renew_delete_revoke_and_transfer(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=DAY)
    serial = serial_of(twin, uid)
    twin.ask("/ztp/rootca/create", **NEW)
    twin.ask("/ztp/devicecertificate/update", CAName=CA, ROTPublicUIDs=[uid])
    refused: dict[str, dict[str, Any]] = {
        "renew": {"CAName": CA, "DeviceCertificateValidity": 365, "ROTPublicUIDs": [uid]},
        "delete": {"ROTPublicUIDs": [uid]},
        "revoke": {"CAName": CA, "SerialNumber": serial},
        "rootca/transfer": {"FromCA": CA, "ToCA": "new-ca", "ROTPublicUIDs": [uid]},
    }
    for _ in range(2):  # before the first heartbeat, and between the two
        for path, body in refused.items():
            answer = twin.call(f"/ztp/devicecertificate/{path}", **body)
            assert (answer.status_code, "progress" in answer.json()["message"]) == (400, True), path
        twin.beat(uid)
    twin.ask("/ztp/devicecertificate/revoke", CAName=CA, SerialNumber=serial)
    assert crl_of(twin)[1] == [serial]


@pytest.mark.parametrize("path", ["renew", "update", "delete", "revoke", "rootca/transfer"])
def test_every_certificate_call_needs_the_subscription_and_quota(twin: Caller, path: str) -> None:
    uids = twin.devices(1, heartbeat_seconds=DAY)
    twin.ask("/ztp/rootca/create", **NEW)
    bodies: dict[str, dict[str, Any]] = {
        "delete": {"ROTPublicUIDs": uids},
        "revoke": {"CAName": CA, "ROTPublicUID": uids[0]},
        "rootca/transfer": {"FromCA": CA, "ToCA": "new-ca", "ROTPublicUIDs": uids},
    }
    usual = {"CAName": CA, "DeviceCertificateValidity": 365, "ROTPublicUIDs": uids}
    for dials in ({"subscription_active": False}, {"subscription_active": True, "certificate_quota": 0}):
        twin.turn(**dials)
        assert twin.call(f"/ztp/devicecertificate/{path}", **bodies.get(path, usual)).status_code == 400
    twin.turn(certificate_quota=1)
    twin.ask(f"/ztp/devicecertificate/{path}", **bodies.get(path, usual))
