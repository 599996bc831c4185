"""The dials of the u-blox twin make it slow, broken and forgetful, and what it counts can be trusted."""

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from schemas.events import EventType
from tests.fixtures.ublox import Caller, Mailbox, calling, receiving
from tests.support.patience import eventually


@pytest.fixture(scope="module")
def server() -> Iterator[Caller]:
    with calling() as caller:
        yield caller


@pytest.fixture
def twin(server: Caller) -> Caller:
    server.reset()
    return server


@pytest.fixture(scope="module")
def receiver() -> Iterator[Mailbox]:
    with receiving() as mailbox:
        yield mailbox


@pytest.fixture
def mailbox(receiver: Mailbox, twin: Caller) -> Mailbox:
    assert twin.stats()["deliveries"]["waiting"] == 0
    receiver.clear()
    return receiver


def statuses(twin: Caller, count: int) -> list[int]:
    return [twin.call("/apiversion").status_code for _ in range(count)]


def deliveries(twin: Caller) -> Any:
    return twin.stats()["deliveries"]


def test_a_wrong_dial_is_refused_with_every_fault_and_turns_nothing(twin: Caller) -> None:
    answer = twin.http.patch("/_twin/dials", json={"latency_ms": -1, "colour": "red", "error_rate": 0.5})
    assert answer.status_code == 400
    assert {fault.partition(":")[0] for fault in answer.json()["faults"]} == {"latency_ms", "colour"}
    assert twin.http.get("/_twin/dials").json()["error_rate"] == 0
    assert twin.http.patch("/_twin/dials", content=b"{").status_code == 400


def test_latency_delays_every_answer(twin: Caller) -> None:
    twin.turn(latency_ms=80)
    started = time.monotonic()
    twin.ask("/apiversion")
    assert time.monotonic() - started >= 0.07  # an event loop may wake a millisecond early


def test_a_share_of_errors_is_repeated_by_the_same_seed(twin: Caller) -> None:
    twin.turn(error_rate=0.5, seed=7)
    first = statuses(twin, 20)
    twin.turn(seed=7)
    assert statuses(twin, 20) == first
    assert set(first) == {200, 503}


@pytest.mark.parametrize("after", [False, True])
def test_an_error_may_come_before_or_after_the_effect(twin: Caller, after: bool) -> None:  # noqa: FBT001 - a parameter
    (uid,) = twin.devices(1, heartbeat_seconds=3600)
    twin.turn(error_rate=1, errors_after_acting=after)
    assert twin.renew(uid).status_code == 503
    assert twin.stats()["max_renewals_per_device"] == after


def test_a_storm_of_401_spares_the_login(twin: Caller) -> None:
    twin.turn(unauthorized_rate=1)
    twin.log_in()
    assert statuses(twin, 3) == [401] * 3


def test_too_many_calls_are_told_when_to_come_back(twin: Caller) -> None:
    twin.turn(rate_limit=0, retry_after_seconds=3)
    answer = twin.call("/apiversion")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")
    twin.turn(rate_limit=5)
    assert {200, 429} == set(statuses(twin, 20))


def test_a_call_that_hangs_took_effect_and_was_counted(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=3600)
    twin.turn(hang_seconds=0.5)
    with pytest.raises(httpx.ReadTimeout):
        twin.http.post(
            "/v1/e2e/key/rotate",
            json={"ROTPublicUIDs": [uid], "Type": "CONTINUOUS"},
            headers=twin.header,
            timeout=0.1,
        )
    assert twin.stats()["per_device"]["rotations"] == {uid: 1}


def test_a_refused_device_refuses_every_batch_that_names_it(twin: Caller) -> None:
    good, bad = twin.devices(2)
    twin.turn(refused_devices=[bad])
    assert [twin.renew(*uids).status_code for uids in ((good, bad), (bad,), (good,))] == [400, 400, 200]
    assert twin.stats()["per_device"]["renewals"] == {good: 1}


def test_a_silent_device_renews_nothing(twin: Caller) -> None:
    (uid,) = twin.devices(1, heartbeat_seconds=0.02)
    twin.turn(silent_devices=[uid])
    before = twin.info(uid)
    twin.renew(uid)
    twin.beat(uid)
    assert twin.info(uid)["ZTP"] == before["ZTP"]
    twin.turn(silent_devices=[])
    eventually(lambda: twin.info(uid)["ZTP"] != before["ZTP"])


def test_a_new_default_heartbeat_counts_at_once(twin: Caller) -> None:
    twin.turn(heartbeat_seconds=86_400)
    (uid,) = twin.devices(1)
    twin.renew(uid)
    before = twin.info(uid)["ZTP"]
    assert twin.http.get(f"/_twin/devices/{uid}").json()["HeartbeatSeconds"] == 86_400
    twin.turn(heartbeat_seconds=0.05)
    eventually(lambda: twin.info(uid)["ZTP"] != before)


def test_webhooks_may_come_twice(twin: Caller, mailbox: Mailbox) -> None:
    twin.turn(doubled_webhooks=1)
    twin.register(mailbox.url, EventType.ERRORS)
    twin.control("/fire", type=EventType.ERRORS, devices=twin.devices(1))
    eventually(lambda: deliveries(twin)["sent"] == 2)
    assert mailbox.bodies[0] == mailbox.bodies[1]
    assert deliveries(twin)["doubled"] == 1


def test_a_failed_webhook_is_not_tried_again_unless_the_dial_says_so(twin: Caller, mailbox: Mailbox) -> None:
    (uid,) = twin.devices(1)
    twin.register(mailbox.url, EventType.ERRORS)
    mailbox.statuses[:] = [500]
    twin.control("/fire", type=EventType.ERRORS, devices=[uid])
    eventually(lambda: deliveries(twin)["failed"] == 1)
    twin.turn(webhook_retries=1)
    mailbox.statuses[:] = [503]
    twin.control("/fire", type=EventType.ERRORS, devices=[uid])
    eventually(lambda: deliveries(twin)["sent"] == 1)
    assert (len(mailbox.bodies), deliveries(twin)["retried"]) == (3, 1)


def test_a_receiver_that_is_not_there_does_not_hold_up_the_api(twin: Caller) -> None:
    uids = twin.devices(50)
    twin.register("http://127.0.0.1:9/hook", EventType.ERRORS)
    twin.control("/fire", type=EventType.ERRORS, devices=uids)
    assert statuses(twin, 3) == [200] * 3
    eventually(lambda: deliveries(twin)["failed"] == 50)


def test_events_can_be_spread_over_time(twin: Caller, mailbox: Mailbox) -> None:
    twin.register(mailbox.url, EventType.ERRORS)
    started = time.monotonic()
    answer = twin.control("/fire", type=EventType.ERRORS, devices=twin.devices(10), rate=50)
    assert answer == {"fired": 10}
    eventually(lambda: len(mailbox.bodies) == 10)
    assert time.monotonic() - started >= 0.17


def test_a_burst_of_a_thousand_arrives_whole(twin: Caller, mailbox: Mailbox) -> None:
    uids = twin.devices(1000)
    twin.register(mailbox.url, EventType.ERRORS)
    twin.control("/fire", type=EventType.ERRORS, devices=uids)
    eventually(lambda: deliveries(twin)["sent"] == 1000)
    assert {body["ROTPublicUID"] for body in mailbox.bodies} == set(uids)


def test_calls_are_counted_by_path_status_and_devices_named(twin: Caller) -> None:
    uids = twin.devices(3)
    twin.control("/stats/reset")
    twin.ask("/device/info/get", ROTPublicUIDs=uids)
    twin.call("/device/info/get", ROTPublicUIDs=["no uid"])
    stats = twin.stats()
    assert stats["calls"] == {"/device/info/get": 2}
    assert stats["statuses"] == {"200": 1, "400": 1}
    assert stats["answers"] == {"/device/info/get": {"200": 1, "400": 1}}
    assert stats["devices_named"] == {"/device/info/get": 4}
    assert stats["devices"] == 3


@pytest.mark.parametrize(
    ("path", "body", "fault"),
    [
        ("/devices", {"count": 0}, "count"),
        ("/devices", {"count": 1, "colour": "red"}, "colour"),
        ("/devices", {"count": 2, "first": "ffffffffffffffff"}, "first"),
        ("/fire", {"type": "DEVICE_LOST_EVENT"}, "type"),
        ("/fire", {"type": "DEVICE_ERRORS_EVENT", "devices": ["135700008928c093"]}, "devices"),
        ("/heartbeat", {"devices": ["135700008928c093"]}, "devices"),
    ],
)
def test_the_twins_own_face_names_what_is_wrong(twin: Caller, path: str, body: Any, fault: str) -> None:
    answer = twin.http.post(f"/_twin{path}", json=body)
    assert answer.status_code == 400
    assert answer.json()["faults"][0].startswith(fault)


def test_a_uid_is_given_once(twin: Caller) -> None:
    (uid,) = twin.devices(1, first="0002000089280087")
    answer = twin.http.post("/_twin/devices", json={"count": 1, "first": uid})
    assert answer.json() == {"faults": [f"first: {uid} is taken"]}
    assert twin.http.get("/_twin/devices/ffffffffffffffff").status_code == 400
