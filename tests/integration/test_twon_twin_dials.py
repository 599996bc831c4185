"""The dials of the 2N twin make devices slow, broken, absent and forgetful, and its counts tell what happened."""

import concurrent.futures
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.sandbox.twon.device import Model
from services.sandbox.twon.factory import first_keys
from tests.support.twon import PASSWORD, USER, TwonPark, twon_park

CONFIG, INFO = "/api/mobilekey/config", "/api/system/info"
NEW = first_keys(3, 1)[0]
BODY = {"keys": [{"key": NEW.private}]}


@pytest.fixture(scope="module")
def only_park() -> Iterator[TwonPark]:
    with twon_park(2, location="lyon") as park:
        yield park


@pytest.fixture
def park(only_park: TwonPark) -> TwonPark:
    only_park.reset()
    return only_park


@pytest.fixture
def serial(park: TwonPark) -> str:
    return park.serials[0]


def a_client(park: TwonPark, *, timeout: float = 10) -> httpx.Client:
    auth = httpx.DigestAuth(USER, PASSWORD)
    return httpx.Client(base_url=park.addresses[0], auth=auth, trust_env=False, timeout=timeout)


@pytest.fixture
def client(park: TwonPark) -> Iterator[httpx.Client]:
    """A client that has been let in."""
    with a_client(park) as client:
        client.get(INFO)
        yield client


@pytest.fixture
def hasty(park: TwonPark) -> Iterator[httpx.Client]:
    """One with little patience."""
    with a_client(park, timeout=0.3) as client:
        client.get(INFO)
        yield client


def strike(park: TwonPark, do: str, **more: Any) -> None:
    park.turn(strikes=[{"do": do, **more}])


def holds_new(park: TwonPark, serial: str) -> bool:
    return NEW.public in park.keys(serial)


def test_a_wrong_dial_is_refused_with_every_fault_and_turns_nothing(park: TwonPark, serial: str) -> None:
    wishes = {"latency_ms": 1, "colour": "red", "strikes": [{"do": "dance"}, {"do": "html", "on": "GET x"}]}
    answer = park.http.patch("/_twin/dials", json=wishes)
    assert answer.status_code == 400
    assert {fault.partition(":")[0] for fault in answer.json()["faults"]} == {"colour", "strikes.0.do", "strikes.1.on"}
    assert park.http.get("/_twin/dials", params={"serial": serial}).json()["latency_ms"] == 0
    assert park.http.patch("/_twin/dials", content=b"{").status_code == 400


def test_calls_about_one_device_name_it(park: TwonPark) -> None:
    assert "name one of the 2 devices" in park.http.get("/_twin/state").json()["faults"][0]
    assert park.http.get("/_twin/state", params={"serial": "54-0000-0000"}).status_code == 400
    assert len(park.http.get("/_twin/devices", params={"location": "lyon"}).json()["devices"]) == 2


def test_a_dial_of_one_device_leaves_the_others_alone(park: TwonPark, serial: str) -> None:
    park.turn(serial, latency_ms=5)
    shown = [park.http.get("/_twin/dials", params={"serial": name}).json()["latency_ms"] for name in park.serials]
    assert shown == [5, 0]


def test_latency_holds_answers_back_and_is_counted(park: TwonPark, client: httpx.Client) -> None:
    park.turn(latency_ms=60)
    begun = time.monotonic()
    client.get(INFO)
    assert time.monotonic() - begun >= 0.055  # an event loop may wake a millisecond early
    assert park.stats()["waited_seconds"] >= 0.055


def test_requests_at_once_are_counted_for_each_device(park: TwonPark, serial: str) -> None:
    park.turn(latency_ms=150)
    with a_client(park) as client, concurrent.futures.ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: client.get(INFO), range(3)))
    assert park.stats(serial)["most_concurrent"] == 3
    assert park.stats(park.serials[1])["most_concurrent"] == 0


def test_counts_by_function_and_outcome(park: TwonPark, serial: str, client: httpx.Client) -> None:
    client.put(CONFIG, json=BODY)
    client.put(CONFIG, json={"keys": 1})
    stats = park.stats(serial)
    assert stats["requests"] == {f"GET {INFO}": 2, f"PUT {CONFIG}": 2}
    assert stats["outcomes"] == {"9": 1, "ok": 2, "12": 1}
    assert (stats["puts"], stats["writes"]) == (2, 1)
    park.http.post("/_twin/stats/reset")
    assert park.stats()["requests"] == {}


def test_a_device_that_is_silent_takes_connections_and_says_nothing(park: TwonPark, serial: str) -> None:
    park.turn(serial, offline="silent")
    with a_client(park, timeout=0.2) as client, pytest.raises(httpx.ReadTimeout):
        client.get(INFO)
    park.turn(serial, offline="no")
    stats = park.stats(serial)
    assert stats["offline_connections"] == 1
    assert stats["waited_seconds"] >= 0.15
    with a_client(park) as client:
        assert client.get(INFO).json()["success"]


def test_a_silent_device_does_not_shake_hands() -> None:
    with twon_park(https=True) as park:
        park.turn(offline="silent")
        with a_client(park, timeout=0.2) as client, pytest.raises(httpx.ConnectTimeout):
            client.get(INFO)


def test_a_device_that_refuses_connections(park: TwonPark, serial: str, client: httpx.Client) -> None:
    park.turn(serial, offline="refused")
    with pytest.raises(httpx.ConnectError):
        client.get(INFO)
    park.turn(serial, offline="no")
    assert client.get(INFO).json()["success"]


def test_phones_go_on_while_the_network_is_off(park: TwonPark) -> None:
    park.pair("lyon", 3)
    park.turn(offline="silent")
    assert park.step(20) == {"entered": 20}


@pytest.mark.parametrize("code", [1, 10, 14, 99])
def test_the_next_requests_are_refused(park: TwonPark, serial: str, client: httpx.Client, code: int) -> None:
    strike(park, "refuse", code=code, times=2, on="PUT")
    assert [client.put(CONFIG, json=BODY).json()["error"]["code"] for _ in range(2)] == [code, code]
    assert not holds_new(park, serial)
    assert client.put(CONFIG, json=BODY).json() == {"success": True}
    assert holds_new(park, serial)


def test_a_share_of_the_requests_is_refused(park: TwonPark, client: httpx.Client) -> None:
    strike(park, "refuse", times=None, share=0.5)
    answers = [client.get(INFO).json()["success"] for _ in range(40)]
    assert 0 < answers.count(False) < 40


def test_a_web_page_instead_of_an_answer(park: TwonPark, serial: str, client: httpx.Client) -> None:
    strike(park, "html")
    answer = client.put(CONFIG, json=BODY)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html")
    assert not holds_new(park, serial)


def test_an_answer_of_the_wrong_type(park: TwonPark, serial: str, client: httpx.Client) -> None:
    strike(park, "text")
    assert client.put(CONFIG, json=BODY).headers["content-type"] == "text/plain"
    assert holds_new(park, serial)


def test_a_write_that_is_forgotten(park: TwonPark, serial: str, client: httpx.Client) -> None:
    strike(park, "forget")
    assert client.get(CONFIG).json()["result"]["location"] == "lyon"
    assert client.put(CONFIG, json=BODY).json() == {"success": True}
    assert not holds_new(park, serial)


@pytest.mark.parametrize(("do", "written"), [("cut", False), ("cut_after", True)])
def test_a_connection_that_ends_instead_of_an_answer(
    park: TwonPark,
    serial: str,
    client: httpx.Client,
    do: str,
    written: bool,  # noqa: FBT001 - a parameter
) -> None:
    strike(park, do)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        client.put(CONFIG, json=BODY)
    assert holds_new(park, serial) is written


@pytest.mark.parametrize(("do", "written"), [("mute", False), ("mute_after", True)])
def test_a_request_that_is_never_answered(
    park: TwonPark,
    serial: str,
    hasty: httpx.Client,
    do: str,
    written: bool,  # noqa: FBT001 - a parameter
) -> None:
    strike(park, do)
    with pytest.raises(httpx.ReadTimeout):
        hasty.put(CONFIG, json=BODY)
    assert holds_new(park, serial) is written
    assert hasty.get(INFO).json()["success"]
    assert park.stats(serial)["waited_seconds"] >= 0.25


@pytest.mark.parametrize(("do", "written"), [("reboot", False), ("reboot_after", True)])
def test_a_restart_instead_of_an_answer(
    park: TwonPark,
    serial: str,
    client: httpx.Client,
    do: str,
    written: bool,  # noqa: FBT001 - a parameter
) -> None:
    park.turn(reboot_seconds=0.2)
    park.pair("lyon")
    strike(park, do)
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        client.put(CONFIG, json=BODY)
    with pytest.raises(httpx.ConnectError):
        client.get(INFO)
    assert park.tour() == {"no_answer": 1, "entered": 1}
    park.reboot(serial)
    assert client.get(INFO).json()["success"]
    assert holds_new(park, serial) is written


def test_writes_are_told_in_order(park: TwonPark) -> None:
    for name in reversed(park.serials):
        park.park.devices[name].configure(BODY)
    park.park.devices[park.serials[0]].configure({"location": "paris"})
    writes = park.writes()
    assert [write["serial"] for write in writes] == [park.serials[1], park.serials[0], park.serials[0]]
    assert {tuple(write["keys"]) for write in writes} == {(NEW.public,)}
    assert [write["location"] for write in writes] == ["lyon", "lyon", "paris"]


def test_devices_that_differ() -> None:
    models = [Model(serial="54-0000-0001", auth="basic"), Model(serial="54-0000-0002", auth="none", location="paris")]
    with twon_park(models) as park:
        statuses = [
            httpx.get(url + INFO, auth=auth, trust_env=False).status_code
            for url in park.addresses
            for auth in (None, (USER, PASSWORD))
        ]
    assert statuses == [401, 200, 200, 200]


def test_open_points_are_dials(park: TwonPark, client: httpx.Client) -> None:
    park.turn(invalid_key="hole", single_key="overwritten", fifth_key="cut_off", public_encoding="pkcs1")
    client.put(CONFIG, json={"keys": [{"key": "junk"}, *BODY["keys"] * 4]})
    first, second, *_ = client.get(CONFIG).json()["result"]["keys"]
    assert first == {}
    assert second["publicKey"].startswith("MIGJAo")


def test_a_reset_forgets_everything(park: TwonPark, serial: str, client: httpx.Client) -> None:
    client.put(CONFIG, json={"location": "elsewhere", **BODY})
    park.turn(latency_ms=5)
    park.pair("elsewhere")
    park.tour()
    park.reset()
    state = park.state(serial)
    assert state["location"] == "lyon"
    assert not holds_new(park, serial)
    assert park.http.get("/_twin/phones").json()["phones"] == 0
    assert park.stats()["puts"] == 0


def test_the_state_shows_no_private_half(park: TwonPark, serial: str) -> None:
    private = park.park.devices[serial].slots[0]
    assert private is not None
    assert private.private not in park.http.get("/_twin/state", params={"serial": serial}).text
    assert private.private not in repr(private)


def test_pairing_with_an_unknown_location(park: TwonPark) -> None:
    answer = park.http.post("/_twin/phones", json={"location": "paris"})
    assert (answer.status_code, answer.json()["faults"]) == (400, ["location: there is no device of location paris"])
    assert park.http.post("/_twin/phones/walk", json={"rate": -1}).status_code == 400


def test_a_restart_ends_requests_that_hang(park: TwonPark, serial: str) -> None:
    park.turn(latency_ms=600_000)
    with socket.create_connection(("127.0.0.1", park.park.stations[0].port), timeout=10) as line:
        line.sendall(b"GET /api/system/info HTTP/1.1\r\nHost: gate\r\n\r\n")
        while not park.stats()["concurrent"]:
            pass
        park.reboot(serial)
        assert line.recv(100) == b""
    assert park.stats()["concurrent"] == 0


def test_dials_that_are_turned_while_a_device_restarts_hold_afterwards(park: TwonPark, serial: str) -> None:
    park.turn(reboot_seconds=0.1)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        restarts = [pool.submit(park.reboot, serial) for _ in range(3)]
        pool.submit(park.turn, serial, offline="silent").result()
        for restart in restarts:
            restart.result()
    with a_client(park, timeout=0.2) as client, pytest.raises(httpx.ReadTimeout):
        client.get(INFO)


def test_three_hundred_devices_in_one_process() -> None:
    with twon_park(300, location="lyon", firmware="mixed", algorithm="mixed") as park:
        devices = park.http.get("/_twin/devices").json()["devices"]
        assert len({device["url"] for device in devices}) == 300
        assert devices[-1]["serial"] == "54-1046-1044"
        with httpx.Client(trust_env=False) as client:
            for device in devices[::50]:
                answer = client.get(device["url"] + INFO, auth=httpx.DigestAuth(USER, PASSWORD))
                assert answer.json()["result"]["serialNumber"] == device["serial"]
        park.pair("lyon", 10)
        assert park.step(500) == {"entered": 500}
