"""What u-blox answers is read in any shape, keys are secrets, and pages come to an end."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from schemas.errors import OurFault
from schemas.ublox import (
    ActivityLook,
    AuthorityLook,
    ProfileLook,
    Suspect,
    WhitelistLook,
)
from services.clients.ublox import Ublox
from tests.conftest import Clock
from tests.integration.ublox_account import UID, Account, Service, ublox_account
from tests.integration.ublox_verbs import CA, CODE, CREATED, KEY, KEY_ID, OTHER, PROFILE, proof
from tests.integration.upstreams import Call, Reply, Upstream


@pytest.fixture
def account(clock: Clock) -> Iterator[Account]:
    with ublox_account(clock) as made:
        yield made


@pytest.fixture
def service(account: Account) -> Service:
    return account.service


@pytest.fixture
def upstream(account: Account) -> Upstream:
    return account.upstream


@pytest.fixture
def client(account: Account) -> Ublox:
    return account.client()


def test_keys_are_secrets_and_nothing_shows_them(service: Service, client: Ublox) -> None:
    service.reply = Reply(
        body={
            "MACLength": 128,
            "KeyLength": 128,
            "CipherSuite": "AES_128_CS1_HMAC_SHA256",
            "AuthenticationKey": KEY,
            "AuthKeyLength": 128,
            "EncryptionKey": KEY,
            "KIV": "EQEBAIkoIrZnYX4vnjgCCC==",
            "AESIV": "KgXYZgAAiSgisgADBBBBBB",
            "ROTPublicUID": 2000089282245,
        }
    )
    keys = client.e2e.downlink_protection(UID)
    assert keys.uid == UID
    assert keys.encryption_key is not None
    assert keys.encryption_key.get_secret_value() == KEY
    assert (keys.key, keys.key_bits, keys.mac_bits, keys.aes_iv) == (None, 128, 128, "KgXYZgAAiSgisgADBBBBBB==")
    assert KEY not in repr(keys) + str(keys)
    with pytest.raises(TypeError):
        json.dumps(keys.encryption_key)


def test_a_refusal_that_repeats_a_key_identity_does_not_show_it(service: Service, client: Ublox) -> None:
    service.reply = Reply(status=400, body={"message": f"Bad Request. Invalid KeyID {KEY_ID}"})
    with pytest.raises(Exception, match="Invalid KeyID •••"):
        client.e2e.symmetric_key(KEY_ID)


@pytest.mark.parametrize("cut", [0, 40, 300])
def test_a_proof_that_is_cut_off_is_no_proof(service: Service, client: Ublox, cut: int) -> None:
    service.reply = Reply(body={"CAName": CA, "PoPCertificate": proof(CODE)[:cut]})
    with pytest.raises(OurFault, match="PoPCertificate is no whole certificate in PEM"):
        client.authorities.proof_of_possession(CA, CODE)


def test_a_proof_has_real_line_ends(service: Service, client: Ublox) -> None:
    made = proof(CODE)
    service.reply = Reply(body={"CAName": CA, "PoPCertificate": made.replace("\n", "\\n")})
    assert client.authorities.proof_of_possession(CA, CODE) == made


def test_a_new_authority_is_as_it_is_told_to_be(service: Service, client: Ublox) -> None:
    """The document's sample answers with half of the days that were asked for."""
    sample = {**CREATED, "CACertificateValidity": 1825, "CreatedDate": "2026-04-20T19:00:36Z", "Certificate": "-\\n-"}
    service.reply = Reply(body=sample)
    look = client.authorities.create(CA, 3650, 365)
    assert (look.ca_validity_days, look.device_validity_days, look.pem) == (1825, 365, "-\n-")
    assert look.promised_until == datetime(2026, 4, 20, 19, 0, 36, tzinfo=UTC) + timedelta(days=1825)


@pytest.mark.parametrize(
    "told", [[], [{"CAName": CA}], [{"CAName": "other.example", "DeviceCertificateValidity": 365}]]
)
def test_no_lead_is_set_where_nobody_knows_how_long_certificates_live(
    service: Service, client: Ublox, upstream: Upstream, told: list[dict[str, Any]]
) -> None:
    service.reply = Reply(body={"CAs": told})
    with pytest.raises(OurFault, match="u-blox does not tell how long device certificates"):
        client.authorities.set_renewal_lead(CA, 30)
    assert {call.path for call in upstream.calls} <= {"/authenticate", "/ztp/rootca/get"}


def test_a_write_that_is_answered_with_nothing_is_done(service: Service, client: Ublox) -> None:
    service.reply = Reply(body=b"")
    assert client.authorities.create(CA, 3650, 365) == AuthorityLook(name=CA, pem=None, promised_until=None)
    assert client.certificates.delete([UID]) == ""


def test_items_are_read_in_any_shape(service: Service, client: Ublox, account: Account) -> None:
    now = account.service.clock()
    whole = {
        "DeviceProfiles": [PROFILE, {"DeviceProfileUID": "x", "ProfileName": "Doors", "TagNames": ["a"], "CAName": CA}],
        "DeviceWhitelist": [
            UID,
            {"IMEI": "862618583984360"},
            {"IMEI": 12618583984360},
            {"Id": OTHER, "Type": "ROTPublicUID"},
            {},
        ],
        "Tags": ["roof", {"TagName": "cellar"}, 7],
        "Devices": [UID, {"RotPublicUID": OTHER}],
        "ROTPublicUIDs": [UID, OTHER, UID],
        "Activities": ["REBOOT", {"Command": "SEAL", "Result": "SUCCESS", "Timestamp": "2026-10-31T00:00Z"}],
        "ClonedEvents": [{"ROTPublicUID": 2000089282245, "Reason": "twice"}, {"Reason": "nobody"}],
        "TotalRecords": 1,
    }
    service.reply = Reply(body=whole)
    doors = ProfileLook(uid="x", name="Doors", tags=("a",), ca_name=CA)
    assert list(client.profiles.walk()) == [ProfileLook(uid=PROFILE), doors]
    imeis = [WhitelistLook(imei="862618583984360"), WhitelistLook(imei="012618583984360")]
    assert list(client.devices.whitelist()) == [WhitelistLook(uid=UID), *imeis, WhitelistLook(uid=OTHER)]
    assert list(client.tags.walk()) == ["roof", "cellar"]
    assert list(client.authorities.devices(CA)) == [UID, OTHER]
    assert list(client.information.uids_of(PROFILE)) == [UID, OTHER]
    at = datetime(2026, 10, 31, tzinfo=UTC)
    done = [ActivityLook(command="REBOOT"), ActivityLook(at=at, command="SEAL", result="SUCCESS")]
    assert list(client.information.activity(UID, now)) == done
    assert client.information.clones([UID], now) == [Suspect(uid=UID, reason="twice")]


def test_usage_is_read_by_device_although_its_key_has_lost_its_zeros(service: Service, client: Ublox) -> None:
    service.reply = Reply(body={"2000089282245": {"ZTPV1": 1}, OTHER: {}, "no device": {}, "1": 7})
    assert client.information.usage(date(2026, 5, 1)) == {UID: {"ZTPV1": 1}, OTHER: {}}


def test_the_version_is_told(service: Service, client: Ublox) -> None:
    service.reply = Reply(body={"Version": "1.1.1"})
    assert client.version() == "1.1.1"


def test_provisioning_is_read_by_device(service: Service, client: Ublox) -> None:
    desired = {"Authorizations": [{"Name": "LocalDPR", "State": "DISABLED"}], "SecurityHeartbeatInSec": "3600"}
    service.reply = Reply(body=[{"ROTPublicUID": UID, "DesiredProperties": desired}, {"DesiredProperties": desired}])
    looks = client.provisioning.get([UID])
    assert looks.keys() == {UID}
    assert (looks[UID].authorizations, looks[UID].heartbeat) == ({"LocalDPR": False}, timedelta(hours=1))


def test_a_service_that_answers_another_page_is_not_believed(
    upstream: Upstream, service: Service, client: Ublox
) -> None:
    service.reply = Reply(body={"ClonedEvents": [{"ROTPublicUID": UID}], "PageNumber": 1, "TotalRecords": 300})
    with pytest.raises(OurFault, match="with page 1 instead of 2"):
        client.information.clones([UID], service.clock())
    assert upstream.count("/device/clone/get") == 2


def test_a_service_that_knows_no_pages_is_not_asked_for_ever(
    upstream: Upstream, service: Service, client: Ublox
) -> None:
    service.reply = Reply(body={"ClonedEvents": [{"ROTPublicUID": UID}]})
    assert [clone.uid for clone in client.information.clones([UID], service.clock())] == [UID]
    assert upstream.count("/device/clone/get") == 2


def test_a_page_of_what_cannot_be_read_does_not_end_a_walk(upstream: Upstream, service: Service, client: Ublox) -> None:
    def script(call: Call) -> Reply:
        if call.path != "/ztp/rootca/device/get":
            return service(call)
        page = [["?"] * 100, [UID]][call.body["PageNumber"] - 1]
        return Reply(body={"Devices": page, "TotalRecords": 101, "PageNumber": call.body["PageNumber"]})

    upstream.script = script
    assert list(client.authorities.devices(CA)) == [UID]
