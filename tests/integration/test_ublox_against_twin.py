"""The client and the twin were written apart, each from the document; here they meet."""

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import get_args

import pytest
from cryptography import x509
from pydantic import SecretStr

from infra.settings.model import GetEndpoint
from schemas.errors import OurFault, Refused, TryAgain
from schemas.events import EventType
from schemas.ublox import Detail, DeviceLook, RotationPolicy, RotationType, Suspect, WebhookLook
from services.clients.transport import Transport
from services.clients.ublox import Dialect, Ublox
from services.sandbox.server import running
from services.sandbox.ublox import notices
from services.sandbox.ublox.app import build
from services.sandbox.ublox.fleet import DEFAULT_CA, Recruits
from services.sandbox.ublox.twin import API_KEY, API_SECRET, Twin, utc_now


@pytest.fixture
def twin() -> Twin:
    return Twin()


@contextmanager
def a_client(twin: Twin, by_get: Collection[str] = ()) -> Iterator[Ublox]:
    key, secret, dialect = SecretStr(API_KEY), SecretStr(API_SECRET), Dialect(by_get=by_get)
    with running(build(twin)) as address, closing(Transport(f"{address.url}/v1")) as transport:
        yield Ublox(address.url, api_key=key, api_secret=secret, transport=transport, dialect=dialect)


@pytest.fixture
def client(twin: Twin) -> Iterator[Ublox]:
    with a_client(twin) as made:
        yield made


def recruited(twin: Twin, count: int, *, heartbeat: float) -> list[str]:
    return [device.uid for device in twin.recruit(Recruits(count=count, heartbeat_seconds=heartbeat))]


def look_until(client: Ublox, uid: str, wanted: Callable[[DeviceLook], bool]) -> DeviceLook:
    deadline = time.monotonic() + 60
    while not wanted(look := client.information.look([uid])[uid]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return look


def test_what_has_no_body_is_answered_by_get_as_well(twin: Twin, client: Ublox) -> None:
    with a_client(twin, by_get=get_args(GetEndpoint)) as getting:
        assert getting.version() == client.version() == "1.1.1"
        assert getting.webhooks.walk() == client.webhooks.walk() == []


def test_devices_are_listed_and_looked_at(client: Ublox, twin: Twin) -> None:
    uids = recruited(twin, 150, heartbeat=3600)
    assert sorted(client.devices.walk()) == sorted(uids)
    looks = client.information.look(uids[:100])
    assert set(looks) == set(uids[:100])
    look = looks[uids[0]]
    assert look.certificate is not None
    assert look.certificate.expires_at is not None
    assert (look.certificate.ca_name, look.blacklisted, look.renewal_pending) == (DEFAULT_CA, False, False)
    core = client.information.look(uids[:1], [Detail.CORE])[uids[0]]
    imei = twin.fleet.devices[uids[0]].imei
    assert core == DeviceLook(
        uid=uids[0], imei=imei, blacklisted=False, last_seen=core.last_seen, profile_uid=core.profile_uid
    )
    assert core.last_seen is not None


def test_a_renewal_is_pending_until_the_device_acts(client: Ublox, twin: Twin) -> None:
    slow, quick = recruited(twin, 1, heartbeat=3600)[0], recruited(twin, 1, heartbeat=0.05)[0]
    before = client.information.look([slow, quick])
    client.certificates.renew([slow, quick], DEFAULT_CA, 365)
    assert client.information.look([slow])[slow].renewal_pending is True
    after = look_until(client, quick, lambda look: look.renewal_pending is False)
    old, new = before[quick].certificate, after.certificate
    assert old is not None
    assert new is not None
    assert old.serial != new.serial


def test_a_rotation_policy_is_read_back(client: Ublox, twin: Twin) -> None:
    (uid,) = recruited(twin, 1, heartbeat=3600)
    for policy in (
        RotationPolicy(type=RotationType.AUTOMATIC, days=1),
        RotationPolicy(type=RotationType.CONTINUOUS),
    ):
        assert "rotation has been set" in client.e2e.rotate([uid], policy)
        assert client.information.look([uid])[uid].rotation == policy


def test_webhooks_are_registered_and_listed(client: Ublox) -> None:
    url = "https://keyturn.example/webhooks/ublox"
    client.webhooks.create(url, token=SecretStr("Bearer x"), event_type=EventType.CERTIFICATE_RENEWAL)
    assert client.webhooks.walk() == [WebhookLook(url=url, type=EventType.CERTIFICATE_RENEWAL)]
    client.webhooks.change_token(url, token=SecretStr("Bearer y"))
    client.webhooks.delete(url)
    assert client.webhooks.walk() == []


def test_its_faults_are_told_apart(client: Ublox, twin: Twin) -> None:
    uids = recruited(twin, 2, heartbeat=3600)
    for dials, kind in (
        ({"refused_devices": uids[:1]}, Refused),
        ({"refused_devices": [], "subscription_active": False}, Refused),
        ({"subscription_active": True, "error_rate": 1}, TryAgain),
        ({"error_rate": 0, "unauthorized_rate": 1}, OurFault),
    ):
        twin.turn(dials)
        with pytest.raises(kind):
            client.certificates.renew(uids, DEFAULT_CA, 365)
    twin.turn({"unauthorized_rate": 0})
    client.certificates.renew(uids, DEFAULT_CA, 365)


def test_tokens_that_are_over_on_arrival_end_in_our_fault(client: Ublox, twin: Twin) -> None:
    twin.turn({"token_life_seconds": 0})
    with pytest.raises(OurFault):
        client.information.look(recruited(twin, 1, heartbeat=3600))


def test_a_session_of_a_second_goes_on_and_on(client: Ublox, twin: Twin) -> None:
    (uid,) = recruited(twin, 1, heartbeat=3600)
    twin.turn({"token_life_seconds": 1})
    ends = time.monotonic() + 2.5
    while time.monotonic() < ends:
        assert uid in client.information.look([uid])


def test_notices_come_in_pages_as_the_webhook_would_have_sent_them(client: Ublox, twin: Twin) -> None:
    (uid,) = recruited(twin, 1, heartbeat=3600)
    told = [notices.error(twin.fleet.devices[uid], utc_now(), f"fault {number}") for number in range(150)]
    for document in told:
        twin.announce(document)
    hour = timedelta(hours=1)
    pages = list(client.information.notices([uid], utc_now() - hour, utc_now() + hour))
    assert [len(page) for page in pages] == [100, 50]
    assert [document for page in pages for document in page] == told
    assert list(client.information.notices([uid], utc_now() - 2 * hour, utc_now() - hour)) == [[]]


def test_root_cas_are_listed_with_a_certificate_that_can_be_read(client: Ublox, twin: Twin) -> None:
    twin.fleet.authority("second-ca", days_left=100)
    looks = {look.name: look for look in client.authorities.walk()}
    assert set(looks) == {DEFAULT_CA, "second-ca"}
    look = looks["second-ca"]
    ends = x509.load_pem_x509_certificate((look.pem or "").encode()).not_valid_after_utc
    assert look.promised_until is not None
    assert abs(ends - look.promised_until) < timedelta(days=1)


def test_cloned_and_suspicious_devices_are_told(client: Ublox, twin: Twin) -> None:
    uids = recruited(twin, 3, heartbeat=3600)
    twin.turn({"cloned_devices": uids[:1], "suspicious_devices": uids[1:]})
    assert [one.uid for one in client.information.clones(uids, utc_now() - timedelta(days=1))] == uids[:1]
    assert client.information.suspects(uids) == [
        Suspect(uid=uid, reason="DUPLICATED_DEV_SERIAL_NUM_SEALING") for uid in uids[1:]
    ]
    with pytest.raises(OurFault, match="at most 100 devices"):
        client.information.suspects([f"{number:016x}" for number in range(101)])


def test_a_notice_is_polled_although_its_webhook_was_lost(client: Ublox, twin: Twin) -> None:
    (uid,) = recruited(twin, 1, heartbeat=3600)
    twin.hooks.register(EventType.BOOTSTRAP, "http://127.0.0.1:9/hook", "Bearer token")
    twin.turn({"lost_webhooks": 1})
    twin.announce(notices.bootstrap(twin.fleet.devices[uid], utc_now()))
    ((document,),) = client.information.notices(
        [uid], utc_now() - timedelta(minutes=1), utc_now() + timedelta(minutes=1)
    )
    assert document is not None
    assert (document["ROTPublicUID"], document["EventType"]) == (uid, EventType.BOOTSTRAP)
    assert twin.tally.deliveries.shown()["lost"] == 1
