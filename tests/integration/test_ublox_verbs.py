"""Every verb of the client asks what the document says; bad input asks nothing."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final, cast

import pytest

from schemas.errors import OurFault
from schemas.ublox import (
    Selector,
    WhitelistAction,
    WhitelistRow,
    endpoints,
)
from services.clients.ublox import Ublox
from tests.conftest import Clock
from tests.integration.ublox_account import UID, Account, Service, ublox_account
from tests.integration.ublox_verbs import CA, CODE, KEY_ID, VERBS, Verb, proof
from tests.integration.upstreams import Reply, Upstream


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


def test_every_endpoint_but_the_two_of_the_session_has_a_verb() -> None:
    ours = {path for path, _, _ in VERBS} | {"/authenticate", "/refreshauthtoken"}
    assert ours == {endpoint.path for endpoint in endpoints()}


@pytest.mark.parametrize(("path", "verb", "body"), VERBS)
def test_a_verb_asks_what_the_document_says(
    upstream: Upstream, service: Service, account: Account, path: str, verb: Verb, body: dict[str, Any]
) -> None:
    service.reply = Reply(body={"Message": "done", "PoPCertificate": proof(CODE).replace("\n", "\\n")})
    verb(account.client(), account.service.clock())
    assert [(call.path, call.body) for call in upstream.calls[1:]] == [(path, body)]
    assert upstream.calls[-1].headers["Content-Type"] == "application/json"


BAD: Final[list[tuple[str, Verb]]] = [
    ("at most 45", lambda u, _: u.authorities.create("a" * 46, 3650, 365)),
    ("30", lambda u, _: u.certificates.renew([UID], CA, 29)),
    ("3650", lambda u, _: u.certificates.renew([UID], CA, 3651)),
    ("lives for 30", lambda u, _: u.authorities.create(CA, 3650, 30, 30)),
    ("lives for 30", lambda u, _: u.authorities.set_renewal_lead(CA, 60, device_validity_days=30)),
    ("equal to 365", lambda u, _: u.authorities.set_renewal_lead(CA, 366)),
    ("outlives", lambda u, _: u.authorities.create(CA, 1825, 1826)),
    ("exactly one", lambda u, _: u.certificates.update([UID], CA, serials=["a0"])),
    ("exactly one", lambda u, _: u.certificates.update([], CA)),
    ("exactly one", lambda u, _: u.certificates.revoke(CA)),
    ("exactly one", lambda u, _: u.certificates.revoke(CA, uid=UID, serial="a0")),
    ("hexadecimal", lambda u, _: u.certificates.revoke(CA, serial="no serial")),
    ("the same", lambda u, _: u.certificates.transfer([UID], CA, CA)),
    ("both sides", lambda u, _: u.tags.remove(["*"], uids=["*"])),
    ("exactly one", lambda u, _: u.tags.assign(["roof"])),
    ("at least 1", lambda u, _: u.provisioning.get([])),
    ("cannot be asked by device_serial_numbers", lambda u, _: u.provisioning.get(Selector(serials=("1",)))),
    ("cannot be asked by tag_names", lambda u, _: u.certificates.delete(cast("Any", Selector(tags=("roof",))))),
    ("at most 100 devices, not 101", lambda u, _: u.information.look([f"{n:016x}" for n in range(101)])),
    ("at most 100 devices, not 101", lambda u, _: u.tags.assign(["a"], uids=[f"{n:016x}" for n in range(101)])),
    ("at most 100 certificates, not 5000", lambda u, _: u.certificates.renew([], CA, 365, serials=_many(5000))),
    ("at most 100 certificates, not 101", lambda u, _: u.certificates.update([], CA, serials=_many(101))),
    ("at most 100 IMEIs", lambda u, _: u.devices.change_whitelist([], WhitelistAction.ADD, _many(101))),
    ("at most 100 DeviceSerialNumbers", lambda u, _: u.information.look(Selector(serials=tuple(_many(101))))),
    ("at most 100 device profiles", lambda u, _: u.tags.assign(["a"], profile_uids=_many(101))),
    ("at most 180 days", lambda u, now: u.information.notices([UID], now - timedelta(days=181), now)),
    ("at most 180 days", lambda u, now: u.information.notices([UID], now - timedelta(days=180, seconds=1), now)),
    ("at most 60 days", lambda u, now: u.information.usage(now - timedelta(days=61))),
    ("to_date is before", lambda u, now: u.information.notices([UID], now, now - timedelta(days=1))),
    ("at most one", lambda u, _: u.profiles.walk(["roof"], name="P")),
    ("exactly one", lambda u, _: u.information.uids_of()),
    ("14 octets", lambda u, _: u.e2e.symmetric_key(KEY_ID + "00")),
    ("128 or 256", lambda u, _: u.e2e.symmetric_key(KEY_ID, 512)),
    ("16 hexadecimal digits", lambda u, _: u.e2e.downlink_integrity("00020001003ffff")),
    ("added and deleted", lambda u, _: u.devices.upload_whitelist(_torn())),
]


def _many(count: int) -> list[str]:
    return [f"{1 + number:015}" for number in range(count)]


def _torn() -> list[WhitelistRow]:
    return [WhitelistRow(uid=UID), WhitelistRow(uid=UID, action=WhitelistAction.DELETE)]


@pytest.mark.parametrize(("told", "verb"), BAD)
def test_bad_input_is_told_before_any_call(
    upstream: Upstream, client: Ublox, account: Account, told: str, verb: Verb
) -> None:
    with pytest.raises(OurFault) as caught:
        verb(client, account.service.clock())
    assert told in str(caught.value)
    assert caught.value.sent is False
    assert upstream.calls == []


def test_what_lies_just_within_reach_may_be_asked_for(client: Ublox, account: Account) -> None:
    now = account.service.clock()
    assert list(client.information.notices([UID], now - timedelta(days=180), now)) == [[]]
    client.information.usage(now - timedelta(days=60, hours=now.hour))  # its day is asked for, and whole


def test_the_whitelist_is_uploaded_as_a_file(upstream: Upstream, client: Ublox) -> None:
    client.devices.upload_whitelist([WhitelistRow(uid=f"{number:016x}") for number in range(250)])
    call = upstream.calls[-1]
    assert (call.path, call.headers["Content-Type"]) == ("/device/whitelist/add", "application/octet-stream")
    assert call.content.decode().splitlines()[:2] == ["Id,Type,Action", "0000000000000000,ROTPublicUID,ADD"]
    assert len(call.content.splitlines()) == 251
