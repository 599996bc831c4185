"""The u-blox twin renews real certificates with the guards of the document."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from tests.fixtures.ublox import CA, Caller, calling
from tests.support.patience import eventually

SLOW = 3600


@pytest.fixture(scope="module")
def server() -> Iterator[Caller]:
    with calling() as caller:
        yield caller


@pytest.fixture
def twin(server: Caller) -> Caller:
    server.reset()
    return server


def certificate_of(ztp: Any) -> x509.Certificate:
    return x509.load_pem_x509_certificate(ztp["Certificate"].encode())


def root_of(twin: Caller, name: str = CA) -> x509.Certificate:
    """The sample prints line ends as backslash and n."""
    (item,) = twin.ask("/ztp/rootca/get", CAName=name)["CAs"]
    assert "\\n" in item["Certificate"]
    return x509.load_pem_x509_certificate(item["Certificate"].replace("\\n", "\n").encode())


def test_a_device_certificate_is_signed_by_its_root(twin: Caller) -> None:
    (uid,) = twin.devices(1)
    ztp, root = twin.info(uid)["ZTP"], root_of(twin)
    leaf = certificate_of(ztp)
    leaf.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)
    assert leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == uid
    assert leaf.serial_number == int(ztp["CertificateSerialNumber"], 16)
    assert f"{leaf.not_valid_after_utc:%Y-%m-%dT%H:%MZ}" == ztp["ExpirationDate"]
    assert root.not_valid_before_utc < leaf.not_valid_before_utc


def test_a_renewal_waits_for_the_heartbeat_and_keeps_the_key(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=SLOW, certificate_days_left=5)
    before = twin.info(uid)
    assert twin.renew(uid).status_code == 200
    pending = twin.info(uid)
    assert pending["ZTP"] == before["ZTP"]
    waiting = pending["PROVISIONING"]["DesiredProperties"]["Zerotouch"]
    assert (waiting["Action"], waiting["CAName"]) == ("RENEW", CA)
    twin.beat(uid)
    after = twin.info(uid)
    assert after["PROVISIONING"]["DesiredProperties"]["Zerotouch"] == {}
    old, new = certificate_of(before["ZTP"]), certificate_of(after["ZTP"])
    assert new.serial_number != old.serial_number
    assert new.public_key() == old.public_key()
    assert new.not_valid_after_utc - old.not_valid_after_utc >= timedelta(days=359)


def test_heartbeats_come_by_themselves(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=0.05)
    before = twin.info(uid)["ZTP"]["CertificateSerialNumber"]
    twin.renew(uid)
    eventually(lambda: twin.info(uid)["ZTP"]["CertificateSerialNumber"] != before)


def test_a_renewed_certificate_never_outlives_its_root(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=SLOW, ca_name="short.example", ca_days_left=40, certificate_days_left=9)
    assert twin.renew(uid, CAName="short.example", DeviceCertificateValidity=3650).status_code == 200
    twin.beat(uid)
    ztp = twin.info(uid)["ZTP"]
    assert ztp["CertificateValidity"] in {39, 40}
    assert certificate_of(ztp).not_valid_after_utc == root_of(twin, "short.example").not_valid_after_utc


def test_certificates_can_be_named_by_serial_number(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=SLOW)
    serial = twin.info(uid)["ZTP"]["CertificateSerialNumber"]
    body = {"CAName": CA, "DeviceCertificateValidity": 30}
    path = "/ztp/devicecertificate/renew"
    assert twin.call(path, SerialNumbers=[f"00{serial.upper()}"], **body).status_code == 200
    assert twin.call(path, SerialNumbers=["abc"], **body).status_code == 400
    assert twin.call(path, SerialNumbers=["no hex"], **body).status_code == 400
    assert twin.call(path, SerialNumbers=[serial], ROTPublicUIDs=[uid], **body).status_code == 400
    assert twin.stats()["per_device"]["renewals"] == {uid: 1}


@pytest.mark.parametrize(
    "change",
    [
        {"CAName": "unknown.example"},
        {"CAName": "x" * 46},
        {"CAName": "not/allowed"},
        {"DeviceCertificateValidity": 29},
        {"DeviceCertificateValidity": 3651},
        {"DeviceCertificateValidity": "365"},
    ],
)
def test_a_wrong_renewal_is_refused(twin: Caller, change: dict[str, Any]) -> None:
    answer = twin.renew(*twin.devices(1), **change)
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Bad Request")


def test_a_device_under_another_root_refuses_the_batch(twin: Caller) -> None:
    mine, other = twin.devices(1), twin.devices(1, ca_name="other.example")
    assert twin.renew(*mine, *other).status_code == 400
    assert twin.stats()["per_device"]["renewals"] == {}


def test_one_unknown_device_renews_nobody(twin: Caller) -> None:
    answer = twin.renew(*twin.devices(1), "ffffffffffffffff")
    assert answer.json() == {"message": "Bad Request. Invalid ROTPublicUIDs"}
    assert twin.stats()["max_renewals_per_device"] == 0


def test_without_a_subscription_nothing_is_renewed(twin: Caller) -> None:
    uids = twin.devices(1)
    twin.turn(subscription_active=False)
    assert twin.renew(*uids).status_code == 400
    twin.turn(subscription_active=True)
    assert twin.renew(*uids).status_code == 200


def test_the_quota_of_a_device_ends(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=SLOW)
    twin.turn(certificate_quota=1)
    assert twin.renew(uid).status_code == 200
    twin.beat(uid)
    assert twin.renew(uid).status_code == 400
    assert twin.stats()["max_renewals_per_device"] == 1


def test_an_update_takes_two_heartbeats_and_bars_renewals_meanwhile(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=SLOW)
    before = certificate_of(twin.info(uid)["ZTP"])
    twin.ask("/ztp/devicecertificate/update", CAName=CA, ROTPublicUIDs=[uid])
    assert twin.renew(uid).status_code == 400
    twin.beat(uid)
    assert twin.info(uid)["ZTP"] == {}
    assert twin.renew(uid).status_code == 400
    twin.beat(uid)
    after = certificate_of(twin.info(uid)["ZTP"])
    assert after.public_key() != before.public_key()
    assert twin.renew(uid).status_code == 200


def test_a_repeat_while_a_renewal_waits_has_one_effect_and_is_seen(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=SLOW)
    twin.renew(uid, uid)
    twin.renew(uid)
    twin.beat(uid)
    twin.beat(uid)
    counts = twin.stats()["per_device"]
    assert (counts["renewals"], counts["renewal_requests"], counts["renewals_done"]) == ({uid: 1}, {uid: 2}, {uid: 1})


def test_roots_are_listed_in_pages_and_an_unknown_one_is_refused(twin: Caller) -> None:
    twin.devices(1, ca_name="second.example")
    page = twin.ask("/ztp/rootca/get", PageNumber=1)
    assert [item["CAName"] for item in page["CAs"]] == [CA, "second.example"]
    assert (page["PageNumber"], page["PageSize"], page["TotalRecords"]) == (1, 100, 2)
    assert twin.call("/ztp/rootca/get", CAName="third.example").status_code == 400
