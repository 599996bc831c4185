"""The client of a 2N device against a real server: verbs, logins, bad answers."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.errors import OurFault, TryAgain, UpstreamError
from schemas.secret import Secret
from schemas.twon import MobileKey, MobileKeyConfig
from services.clients.transport import Bounds
from services.clients.twon import SubscriptionEnded, TwonAddress, TwonClient, keys
from tests.integration.twon_stand_in import PASSWORD, USER, Call, Device, Reply, device, failure, success

SAMPLE = json.loads((Path(__file__).resolve().parents[1] / "fixtures" / "twon-mobilekey-config.json").read_text())
INFO = {"serialNumber": "54-1046-0745", "swVersion": "2.40.1"}
KEY = keys.generate().dated(1_608_047_606)
OTHER = keys.generate().dated(None)


def house(call: Call) -> Reply:
    """A device that answers every verb."""
    answers: dict[str, Reply] = {
        "/api/system/info": success(INFO),
        "/api/system/status": success({"systemTime": 1608047754, "upTime": 5}),
        "/api/mobilekey/config": success() if call.method == "PUT" else Reply(body=SAMPLE),
        "/api/log/subscribe": success({"id": 1234}),
        "/api/log/pull": success({"events": [{"id": 1, "utcTime": 5, "event": "MobKeyEntered", "params": {"ap": 1}}]}),
        "/api/log/unsubscribe": success(),
    }
    return answers.get(call.path, failure(2))


@contextmanager
def talking(at: Device, *, bounds: Bounds | None = None, **login: Any) -> Iterator[TwonClient]:
    how: dict[str, Any] = {"user": USER, "password": SecretStr(PASSWORD), "in_clear": True, **login}
    with TwonClient(TwonAddress(url=at.url, **how), bounds or Bounds(connect=5, read=5, pool=5, whole=5)) as client:
        yield client


@pytest.fixture
def at() -> Iterator[Device]:
    with device(house) as made:
        yield made


@pytest.fixture
def client(at: Device) -> Iterator[TwonClient]:
    with talking(at) as made:
        yield made


def test_a_device_tells_what_it_is(client: TwonClient) -> None:
    assert client.system_info().version == (2, 40, 1)
    assert client.system_status().up_time == 5


def test_the_manuals_sample_configuration_is_read(client: TwonClient) -> None:
    config = client.mobilekey_config()
    assert config == MobileKeyConfig.read(SAMPLE["result"])
    assert all(keys.is_published(keys.public_half(key)) for key in config.keys)


def test_keys_and_location_are_put_as_the_manual_has_them(at: Device, client: TwonClient) -> None:
    client.put_mobilekey_config("house é", [KEY, OTHER])
    call = at.calls[-1]
    assert (call.method, call.path, call.headers["Content-Type"]) == (
        "PUT",
        "/api/mobilekey/config",
        "application/json",
    )
    assert KEY.key is not None
    assert OTHER.key is not None
    assert call.body == {
        "location": "house é",
        "keys": [
            {"type": "rsa", "key": KEY.key.get_secret_value(), "ctime": 1_608_047_606},
            {"type": "rsa", "key": OTHER.key.get_secret_value()},
        ],
    }


def test_what_is_not_given_is_not_put(at: Device, client: TwonClient) -> None:
    client.put_mobilekey_config("house")
    assert at.calls[-1].body == {"location": "house"}
    client.put_mobilekey_config(keys=[KEY])
    assert set(at.calls[-1].body) == {"keys"}


@pytest.mark.parametrize(
    ("location", "wanted", "said"),
    [
        (None, None, "expected a location, keys or both"),
        ("x" * 128, None, "expected 1 to 127 printable characters, not 128"),
        ("", None, "not 0"),
        ("a\nb", None, "printable"),
        ("\ud800", None, "printable"),
        (None, [], "expected 1 to 4, not 0"),
        (None, [KEY] * 5, "expected 1 to 4, not 5"),
        (None, [KEY, KEY], "key 2: is there twice"),
        (None, [KEY, MobileKey(public_key="x")], "key 2: expected its private half"),
        (None, [MobileKey(key=Secret("not Base64"))], "key 1: mobile key: expected standard Base64"),
        (None, list(MobileKeyConfig.read(SAMPLE["result"]).keys), "key 3: is a sample key of the manual"),
    ],
)
def test_what_a_device_would_drop_or_must_not_get_is_not_sent(
    at: Device, client: TwonClient, location: str | None, wanted: list[MobileKey] | None, said: str
) -> None:
    with pytest.raises(OurFault, match=said) as caught:
        client.put_mobilekey_config(location, wanted)
    assert caught.value.sent is False
    assert at.calls == []


def test_a_location_of_127_characters_is_sent(at: Device, client: TwonClient) -> None:
    client.put_mobilekey_config("é" * 127)
    assert at.calls[-1].body == {"location": "é" * 127}


def test_the_log_is_followed(at: Device, client: TwonClient) -> None:
    number = client.log_subscribe(["MobKeyEntered", "PairingStateChanged"], include="-3600", duration=600)
    wanted = {"include": ["-3600"], "filter": ["MobKeyEntered,PairingStateChanged"], "duration": ["600"]}
    assert at.calls[-1].query == wanted
    (event,) = client.log_pull(number, timeout=1)
    assert (event.event, event.params) == ("MobKeyEntered", {"ap": 1})
    assert at.calls[-1].query == {"id": ["1234"], "timeout": ["1"]}
    client.log_unsubscribe(number)
    assert {call.method for call in at.calls} == {"GET"}


def test_a_subscription_that_ended_says_so(at: Device, client: TwonClient) -> None:
    at.script = lambda _: failure(12, "invalid parameter value", param="id")
    with pytest.raises(SubscriptionEnded, match="subscribe again"):
        client.log_pull(1)
    with pytest.raises(OurFault, match="0 to 30 s, not 31"):
        client.log_pull(1, timeout=31)
    with pytest.raises(OurFault, match="1 to 3600 s, not 3601"):
        client.log_subscribe(duration=3601)


@pytest.mark.parametrize("algorithm", [None, "MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
@pytest.mark.parametrize("qop", ["auth", "auth,auth-int", None])
def test_every_form_of_digest_lets_us_in_and_is_reused(algorithm: str | None, qop: str | None) -> None:
    with device(house, algorithm=algorithm, qop=qop) as at, talking(at) as client:
        client.system_info()
        client.log_subscribe()
        client.put_mobilekey_config("house")
        assert len(at.calls) == 4, "one round trip for the challenge, then none"
        assert at.connections == 1


@pytest.mark.parametrize("tell_stale", [True, False])
def test_a_nonce_that_ran_out_is_answered_anew(at: Device, client: TwonClient, tell_stale: bool) -> None:  # noqa: FBT001 - pytest's way
    at.tell_stale = tell_stale
    for _ in range(3):
        client.system_info()
        at.forget_nonce()
    assert client.system_info().version
    assert len(at.calls) == 8


def test_a_nonce_that_never_lasts_is_passing_trouble(at: Device, client: TwonClient) -> None:
    at.nonce_lasts = 0
    with pytest.raises(TryAgain, match="nonce ran out again"):
        client.system_info()
    assert len(at.calls) == 3


def test_a_wrong_password_is_told_after_two_refusals_and_not_shown(at: Device) -> None:
    with talking(at, password=SecretStr("wr0ng-secret")) as client, pytest.raises(OurFault, match="error 9") as caught:
        client.system_info()
    assert "check user and password" in str(caught.value)
    assert "wr0ng" not in str(caught.value)
    assert len(at.calls) == 3
    with talking(at) as again:
        assert again.system_info().version


def test_a_login_that_is_refused_for_lack_of_privileges_says_which(at: Device, client: TwonClient) -> None:
    at.script = lambda _: failure(10, status=401)
    with pytest.raises(OurFault, match="grant the API account"):
        client.mobilekey_config()


@pytest.mark.parametrize(("asked", "told"), [("digest", "none"), ("digest", "basic"), ("basic", "digest")])
def test_another_way_to_log_in_than_the_device_asks_for_is_named(asked: str, told: str) -> None:
    with device(house, auth=asked) as at, talking(at, auth=told) as client:
        with pytest.raises(OurFault, match=f"the device asks for {asked}, its address says {told}"):
            client.system_info()
        assert not any("Basic" in call.authorization for call in at.calls) or told == "basic"


def test_a_digest_that_cannot_be_answered_is_named() -> None:
    with device(house, algorithm="SHA-1") as at, talking(at) as client, pytest.raises(OurFault, match="SHA-256"):
        client.system_info()


@pytest.mark.parametrize("auth", ["basic", "none"])
def test_a_device_without_digest_is_let_in_at_once(auth: str) -> None:
    with device(house, auth=auth) as at, talking(at, auth=auth) as client:
        client.system_info()
        assert len(at.calls) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (failure(14, "session not found"), TryAgain, "error 14, processing error: session not found"),
        (failure(4), UpstreamError, "licence"),
        (failure(99), UpstreamError, "error 99"),
        (Reply(body=b"<html>", content_type="text/html"), OurFault, "not the 2N API"),
        (Reply(body=b'{"success": true, "resu'), TryAgain, "not in JSON"),
        (Reply(body=b"", status=302, headers=(("Location", "https://elsewhere/"),)), OurFault, "not the 2N API"),
        (Reply(body=b"", status=503), TryAgain, "answered 503"),
        (Reply(body=b" " * (2 * 1024 * 1024)), OurFault, "more than"),
        (success({"location": 5}), OurFault, "what the manual does not know"),
        (success("text"), OurFault, "what the manual does not know"),
    ],
)
def test_a_bad_answer_becomes_an_error_that_says_what_it_was(
    at: Device, reply: Reply, kind: type[UpstreamError], said: str
) -> None:
    at.script = lambda _: reply
    with talking(at, bounds=Bounds(answer_bytes=1024 * 1024)) as client, pytest.raises(kind, match=said):
        client.mobilekey_config()


@pytest.mark.parametrize("result", [{}, {"id": "1"}, {"events": {}}, {"events": [1]}])
def test_a_log_that_is_none_is_our_fault(at: Device, client: TwonClient, result: object) -> None:
    at.script = lambda _: success(result)
    with pytest.raises(OurFault, match="what the manual does not know"):
        client.log_pull(1)
    with pytest.raises(OurFault, match="what the manual does not know"):
        client.log_subscribe()


def test_a_key_that_the_device_repeats_stays_out_of_the_error(at: Device, client: TwonClient) -> None:
    at.script = lambda call: failure(12, f"not good: {call.body['keys'][0]['key'][:100]}")
    with pytest.raises(OurFault, match="not good") as caught:
        client.put_mobilekey_config(keys=[KEY])
    assert KEY.key is not None
    assert KEY.key.get_secret_value()[:20] not in str(caught.value)
    assert caught.value.__context__ is None


def test_one_request_at_a_time_reaches_a_device() -> None:
    busy, most = 0, 0
    lock = threading.Lock()

    def slow(call: Call) -> Reply:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.02)
        with lock:
            busy -= 1
        return house(call)

    with device(slow, auth="none") as at:

        def ask() -> None:
            with talking(at, auth="none") as client:
                client.system_info()

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (most, len(at.calls)) == (1, 6)


def test_who_waits_too_long_for_the_device_is_told_to_try_again() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hold(call: Call) -> Reply:
        asked.set()
        go_on.wait(60)
        return house(call)

    with device(hold, auth="none") as at, talking(at, auth="none") as first:
        thread = threading.Thread(target=first.system_info)
        thread.start()
        asked.wait(60)
        with talking(at, auth="none", bounds=Bounds(pool=0.02)) as second, pytest.raises(TryAgain) as caught:
            second.system_info()
        go_on.set()
        thread.join()
        assert caught.value.sent is False
        assert "still under way" in str(caught.value)
        with talking(at, auth="none") as third:
            assert third.system_info().version
