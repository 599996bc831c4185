"""The client and the twin were written apart, each from the document; every group of calls meets the other side."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from schemas.errors import Busy, OurFault, Refused
from schemas.ublox import (
    EVERY,
    Authorization,
    CertificateLook,
    DeviceFilter,
    Provisioning,
    Selector,
    WhitelistAction,
    WhitelistRow,
)
from services.clients.transport import Transport
from services.clients.ublox import Ublox
from services.sandbox.server import running
from services.sandbox.ublox.app import build
from services.sandbox.ublox.recruits import DEFAULT_CA, DEFAULT_PROFILE, Recruits
from services.sandbox.ublox.twin import API_KEY, API_SECRET, Twin, VirtualClock

HOUR = 3600.0
CODE = "930783746273459058465786283467236543874968549"
OTHER_CA = "other-ca.example"

Forward = Callable[[float], None]


@pytest.fixture
def twin() -> Twin:
    return Twin(clock=VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.fixture
def address(twin: Twin) -> Iterator[str]:
    with running(build(twin)) as served:
        yield served.url


@pytest.fixture
def client(twin: Twin, address: str) -> Iterator[Ublox]:
    key, secret = SecretStr(API_KEY), SecretStr(API_SECRET)
    with closing(Transport(f"{address}/v1")) as transport:
        yield Ublox(address, api_key=key, api_secret=secret, transport=transport, clock=twin.clock)


@pytest.fixture
def forward(address: str) -> Iterator[Forward]:
    """Let time pass at u-blox."""
    with closing(Transport(address)) as transport:
        yield lambda seconds: _passed(transport, seconds)


def _passed(transport: Transport, seconds: float) -> None:
    assert transport.request("POST", "/_twin/clock", body={"forward_seconds": seconds}).ok


def recruited(twin: Twin, count: int) -> list[str]:
    return [device.uid for device in twin.recruit(Recruits(count=count, heartbeat_seconds=HOUR))]


def certificate(client: Ublox, uid: str) -> CertificateLook:
    look = client.information.look([uid])[uid]
    assert look.certificate is not None
    return look.certificate


def test_provisioning_is_wished_and_applied_at_the_next_heartbeat(client: Ublox, twin: Twin, forward: Forward) -> None:
    uids = recruited(twin, 2)
    wish = Provisioning(
        authorizations={Authorization.DATA_PROTECTION: True, Authorization.ZERO_TOUCH: False}, heartbeat_seconds=7200
    )
    client.provisioning.set(uids, wish)
    wished = client.provisioning.get(uids)
    assert wished.keys() == set(uids)
    assert wished[uids[0]].heartbeat == timedelta(hours=2)
    before = client.information.look(uids)[uids[0]]
    assert before.desired_authorizations["LocalDPR"] is True
    assert before.heartbeat == timedelta(hours=1)
    forward(HOUR + 60)
    after = client.information.look(uids)[uids[0]]
    assert (after.authorizations["LocalDPR"], after.authorizations["ZTPV1"]) == (True, False)
    assert after.heartbeat == timedelta(hours=2)
    assert after.last_seen is not None
    assert twin.clock() - after.last_seen < timedelta(hours=1)
    client.provisioning.delete(uids)


def test_a_profile_says_what_new_devices_get(client: Ublox) -> None:
    (profile,) = (look for look in client.profiles.walk() if look.uid == DEFAULT_PROFILE)
    assert [look.uid for look in client.profiles.walk(name=profile.name)] == [DEFAULT_PROFILE]
    client.profiles.set_bootstrap_provisioning(DEFAULT_PROFILE, Provisioning(heartbeat_seconds=60))
    assert client.profiles.bootstrap_provisioning(DEFAULT_PROFILE).heartbeat == timedelta(minutes=1)
    client.profiles.delete_bootstrap_provisioning(DEFAULT_PROFILE)
    assert client.profiles.bootstrap_provisioning(DEFAULT_PROFILE).heartbeat is None


def test_the_whitelist_is_changed_by_call_and_by_file(client: Ublox) -> None:
    uids = [f"{number:016x}" for number in range(0xA00, 0xA00 + 250)]
    before = {look.uid for look in client.devices.whitelist()}
    client.devices.upload_whitelist([WhitelistRow(uid=uid) for uid in uids])
    client.devices.change_whitelist(uids[:1], WhitelistAction.DELETE)
    client.devices.change_whitelist([], WhitelistAction.ADD, imeis=["862618583984360"])
    listed = list(client.devices.whitelist())
    assert {look.uid for look in listed if look.uid} - before == set(uids[1:])
    assert "862618583984360" in {look.imei for look in listed}
    assert list(client.devices.walk(DeviceFilter.BLACKLISTED)) == []


def test_tags_gather_devices_and_are_kept_while_they_are_borne(client: Ublox, twin: Twin) -> None:
    uids = recruited(twin, 3)
    client.tags.create("Roof")
    client.tags.assign(["roof"], uids=uids[:2])
    assert [tag.lower() for tag in client.tags.walk()] == ["roof"]
    assert set(client.information.uids_of(tags=["ROOF"])) == set(uids[:2])
    assert client.information.look(Selector(tags=("roof",))).keys() == set(uids[:2])
    with pytest.raises(Refused, match="remove it from them first"):
        client.tags.delete("roof")
    client.tags.remove(["roof"], uids=[EVERY])
    client.tags.delete("roof")
    assert list(client.tags.walk()) == []
    assert set(client.information.uids_of(DEFAULT_PROFILE)) >= set(uids)


def test_a_root_ca_is_created_proven_left_and_deleted(client: Ublox, twin: Twin, forward: Forward) -> None:
    (uid,) = recruited(twin, 1)
    made = client.authorities.create(OTHER_CA, 3650, 365, 90)
    assert (made.name, made.ca_validity_days, made.device_validity_days) == (OTHER_CA, 3650, 365)
    (seen,) = client.authorities.walk(OTHER_CA)
    assert seen.renew_before_days == 90
    with pytest.raises(Refused):
        client.authorities.create(OTHER_CA, 3650, 365)
    with pytest.raises(OurFault, match="a device certificate lives for 365") as caught:
        client.authorities.set_renewal_lead(OTHER_CA, 365)
    assert caught.value.sent is False
    client.authorities.set_renewal_lead(OTHER_CA, 30)
    assert [look.renew_before_days for look in client.authorities.walk(OTHER_CA)] == [30]
    root = x509.load_pem_x509_certificate((made.pem or "").encode())
    proof = x509.load_pem_x509_certificate(client.authorities.proof_of_possession(OTHER_CA, CODE).encode())
    proof.verify_directly_issued_by(root)
    assert [name.value for name in proof.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == [CODE]
    client.certificates.transfer([uid], DEFAULT_CA, OTHER_CA)
    assert client.information.look([uid])[uid].desired_action is not None
    forward(HOUR + 60)
    assert certificate(client, uid).ca_name == OTHER_CA
    assert list(client.authorities.devices(OTHER_CA)) == [uid]
    with pytest.raises(Refused, match="transfer them first"):
        client.authorities.delete(OTHER_CA)
    client.certificates.delete([uid])
    forward(HOUR + 60)
    assert client.information.look([uid])[uid].certificate is None
    client.authorities.delete(OTHER_CA)
    assert OTHER_CA not in {look.name for look in client.authorities.walk()}


def test_a_certificate_is_revoked_by_serial_or_device_and_the_list_says_so(client: Ublox, twin: Twin) -> None:
    first, second = recruited(twin, 2)
    serials = [certificate(client, uid).serial for uid in (first, second)]
    client.certificates.revoke(DEFAULT_CA, serial=f"{serials[0]:x}")
    client.certificates.revoke(DEFAULT_CA, uid=second)
    crl = client.authorities.crls([DEFAULT_CA])[DEFAULT_CA]
    read = x509.load_pem_x509_crl(crl)
    assert {entry.serial_number for entry in read} >= set(serials)
    assert client.authorities.revoked([DEFAULT_CA])[DEFAULT_CA].serials == {entry.serial_number for entry in read}
    (authority,) = client.authorities.walk(DEFAULT_CA)
    key = x509.load_pem_x509_certificate((authority.pem or "").encode()).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert read.is_signature_valid(key)
    assert DEFAULT_CA in client.authorities.crls()


def test_an_update_takes_two_heartbeats_and_all_else_waits_for_it(client: Ublox, twin: Twin, forward: Forward) -> None:
    (uid,) = recruited(twin, 1)
    client.authorities.create(OTHER_CA, 3650, 365)
    before = certificate(client, uid)
    client.certificates.update([uid], DEFAULT_CA)
    calls: list[Callable[[], object]] = [
        lambda: client.certificates.renew([uid], DEFAULT_CA, 365),
        lambda: client.certificates.delete([uid]),
        lambda: client.certificates.revoke(DEFAULT_CA, uid=uid),
        lambda: client.certificates.transfer([uid], DEFAULT_CA, OTHER_CA),
    ]
    for call in calls:
        with pytest.raises(Busy):
            call()
    forward(HOUR + 60)
    between = client.information.look([uid])[uid]
    assert (between.certificate, between.renewal_pending) == (None, True)
    forward(HOUR + 60)
    after = certificate(client, uid)
    assert after.serial != before.serial
    keys = [x509.load_pem_x509_certificate((each.pem or "").encode()).public_key() for each in (before, after)]
    assert keys[0] != keys[1]


def test_what_was_billed_and_done_is_told(client: Ublox, twin: Twin, forward: Forward) -> None:
    (uid,) = recruited(twin, 1)
    begins = twin.clock()
    client.certificates.renew([uid], DEFAULT_CA, 365)
    forward(2 * HOUR)
    usage = client.information.usage(begins, Selector(uids=(uid,)))
    assert usage.keys() == {uid}
    assert sum(usage[uid].values()) == 1
    activities = list(client.information.activity(uid, begins))
    assert activities
    assert all(one.command and one.at and one.at >= begins for one in activities)


def test_keys_come_for_a_device_and_for_its_data(client: Ublox, twin: Twin) -> None:
    (uid,) = recruited(twin, 1)
    downlink = client.e2e.downlink_protection(uid)
    assert downlink.uid == uid
    assert downlink.encryption_key is not None
    assert client.e2e.downlink_integrity(uid).authentication_key is not None


def test_a_service_without_the_subscription_says_so_in_words(client: Ublox, twin: Twin) -> None:
    (uid,) = recruited(twin, 1)
    twin.turn({"subscription_active": False})
    with pytest.raises(Refused, match="an active Device Certificate Management subscription is needed"):
        client.certificates.update([uid], DEFAULT_CA)


def test_the_version_is_told(client: Ublox) -> None:
    assert client.version()
