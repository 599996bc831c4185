"""The u-blox twin gives out end-to-end keys in the form of the samples, bills them, and knows every call."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from services.sandbox.ublox.calls.table import ENDPOINTS
from services.sandbox.ublox.clock import VirtualClock
from services.sandbox.ublox.twin import Twin
from tests.fixtures.ublox import Caller, calling

UID = "0002000089282257"
KEY_ID = "1101000089282257443F8C16C7EC"
HEADER = "1101000089282257621f7593c47f0000"
DAY = 86_400


@pytest.fixture
def twin() -> Iterator[Caller]:
    with calling(Twin(clock=VirtualClock(datetime(2026, 1, 1, tzinfo=UTC)))) as caller:
        caller.devices(1, first=UID, heartbeat_seconds=DAY)
        yield caller


def size(text: str) -> int:
    return len(base64.b64decode(text + "=" * (-len(text) % 4)))


def test_there_are_47_calls_each_once() -> None:
    assert len({endpoint.path for endpoint in ENDPOINTS}) == len(ENDPOINTS) == 47


def test_every_call_but_the_login_wants_a_token(twin: Caller) -> None:
    for endpoint in ENDPOINTS:
        answer = twin.http.post(f"/v1{endpoint.path}", json={})
        assert answer.status_code == (401 if endpoint.authorised else 400), endpoint.path


def test_no_call_breaks_on_a_body_that_has_nothing_or_nonsense(twin: Caller) -> None:
    nonsense = {"ROTPublicUIDs": "x", "TagNames": 1, "CAName": [], "FromDate": {}, "PageNumber": "one", "TagName": 0}
    for endpoint in ENDPOINTS:
        for body in ({}, nonsense):
            answer = twin.call(endpoint.path, **body)
            assert answer.status_code in {200, 400}, endpoint.path
            if answer.status_code == 400:
                assert set(answer.json()) == {endpoint.text_key}, endpoint.path


@pytest.mark.parametrize(("length", "size_wanted"), [({}, 32), ({"KeyLength": 128}, 16), ({"KeyLength": 256}, 32)])
def test_a_symmetric_key_is_as_long_as_asked_and_billed(twin: Caller, length: Any, size_wanted: int) -> None:
    answer = twin.ask("/e2e/uplink/symmetrickey/get", KeyID=KEY_ID, **length)
    assert answer["ROTPublicUID"] == 2000089282257  # a number without its zeros, as in the sample
    assert size(answer["Key"]) == size_wanted
    assert twin.ask("/e2e/uplink/symmetrickey/get", KeyID=KEY_ID, **length) == answer
    assert twin.stats()["billed"] == {"E2ESymmetricKey": 2}


def test_uplink_parameters_have_the_lengths_of_the_samples(twin: Caller) -> None:
    protection = twin.ask("/e2e/uplink/protectionparameters/get", EncryptedHeader=HEADER)
    assert list(protection) == ["Nonce", "MACLength", "CipherSuite", "Key", "KIV", "ROTPublicUID"]
    assert [size(protection[name]) for name in ("Nonce", "Key", "KIV")] == [12, 16, 16]
    integrity = twin.ask("/e2e/uplink/integrityparameters/get", EncryptedHeader=HEADER[:22])
    names = ["MACLength", "CipherSuite", "AuthenticationKey", "AuthKeyLength", "KIV", "ROTPublicUID"]
    assert list(integrity) == names
    assert twin.stats()["billed"] == {"E2EUplinkProtection": 1}


@pytest.mark.parametrize("uid", [UID, 2000089282257])
def test_downlink_parameters_have_the_members_of_the_samples(twin: Caller, uid: str | int) -> None:
    protection = twin.ask("/e2e/downlink/protectionparameters/get", ROTPublicUID=uid)
    assert protection["CipherSuite"] == "AES_128_CS1_HMAC_SHA256"
    assert len(protection["AESIV"]) == 22
    assert [size(protection[name]) for name in ("AuthenticationKey", "EncryptionKey", "KIV", "AESIV")] == [16] * 4
    integrity = twin.ask("/e2e/downlink/integrityparameters/get", ROTPublicUID=uid)
    assert integrity["AuthenticationKey"] == protection["AuthenticationKey"]
    assert twin.stats()["billed"] == {}


def test_a_uid_with_letters_stays_a_text(twin: Caller) -> None:
    (uid,) = twin.devices(1, first="000200008928c093")
    assert twin.ask("/e2e/downlink/integrityparameters/get", ROTPublicUID=uid)["ROTPublicUID"] == uid


def test_the_policy_decides_how_long_a_key_stays(twin: Caller) -> None:
    def key() -> Any:
        return twin.ask("/e2e/downlink/integrityparameters/get", ROTPublicUID=UID)["AuthenticationKey"]

    assert key() == key()
    twin.ask("/e2e/key/rotate", ROTPublicUIDs=[UID], Type="CONTINUOUS")
    twin.forward(days=1)
    assert key() != key()
    twin.ask("/e2e/key/rotate", ROTPublicUIDs=[UID], Type="AUTOMATIC", Days=7)
    twin.forward(days=1)
    before = key()
    assert key() == before
    twin.forward(days=8)
    assert key() != before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/e2e/uplink/symmetrickey/get", {"KeyID": KEY_ID[:-2]}),
        ("/e2e/uplink/symmetrickey/get", {"KeyID": f"0x{KEY_ID[2:]}"}),
        ("/e2e/uplink/symmetrickey/get", {"KeyID": KEY_ID, "KeyLength": 192}),
        ("/e2e/uplink/symmetrickey/get", {"KeyID": KEY_ID.replace("2257", "9999")}),
        ("/e2e/uplink/protectionparameters/get", {"EncryptedHeader": HEADER[:20]}),
        ("/e2e/uplink/protectionparameters/get", {"EncryptedHeader": HEADER.replace("11", "1 ", 1)}),
        ("/e2e/uplink/integrityparameters/get", {"EncryptedHeader": ""}),
        ("/e2e/downlink/protectionparameters/get", {"ROTPublicUID": "x"}),
        ("/e2e/downlink/integrityparameters/get", {}),
    ],
)
def test_what_names_no_key_is_refused_and_not_billed(twin: Caller, path: str, body: Any) -> None:
    assert twin.call(path, **body).status_code == 400
    assert twin.stats()["billed"] == {}
