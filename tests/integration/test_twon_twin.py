"""The twin of 2N devices does over real HTTP what the manual says, for an ordinary client."""

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.sandbox.twon.factory import first_keys
from tests.support.twon import PASSWORD, USER, TwonPark, twon_park

CONFIG = "/api/mobilekey/config"
NEW, OTHER = first_keys(3, 2)
OLD_DEVICE, NEW_DEVICE = 0, 1

Json = dict[str, Any]


def a_client(url: str, **more: Any) -> httpx.Client:
    more.setdefault("auth", httpx.DigestAuth(USER, PASSWORD))
    return httpx.Client(base_url=url, trust_env=False, timeout=10, **more)


@pytest.fixture(scope="module")
def only_park() -> Iterator[TwonPark]:
    with twon_park(2, location="lyon", firmware="mixed") as park:
        yield park


@pytest.fixture
def park(only_park: TwonPark) -> TwonPark:
    """Two devices as at the very beginning, of 2.49 and of 2.50."""
    only_park.reset()
    return only_park


@pytest.fixture
def clients(park: TwonPark) -> Iterator[list[httpx.Client]]:
    first, second = (a_client(url) for url in park.addresses)
    with first, second:
        yield [first, second]


@pytest.fixture
def client(clients: list[httpx.Client]) -> httpx.Client:
    """A client of the device of 2.50."""
    return clients[NEW_DEVICE]


def result(answer: httpx.Response) -> Any:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    document = answer.json()
    assert document["success"] is True, document
    return document.get("result")


def error(answer: httpx.Response, status: int = 200) -> tuple[int, str | None]:
    assert answer.status_code == status
    document = answer.json()
    assert document["success"] is False
    assert document["error"]["description"]
    return document["error"]["code"], document["error"].get("param")


def put(client: httpx.Client, *keys: str, **more: object) -> None:
    body = {"keys": [{"type": "rsa", "key": key, "ctime": 1_700_000_000} for key in keys], **more}
    assert client.put(CONFIG, json=body).json() == {"success": True}


def test_who_it_is(clients: list[httpx.Client], park: TwonPark) -> None:
    old, new = (result(client.get("/api/system/info")) for client in clients)
    assert [old["serialNumber"], new["serialNumber"]] == park.serials == ["54-1046-0745", "54-1046-0746"]
    assert old["swVersion"].startswith("2.49")
    assert new["swVersion"] == "2.50.0.76.2"
    assert "bootUuid" not in old
    assert len(new["bootUuid"]) == 36


def test_status_and_caps(client: httpx.Client) -> None:
    assert result(client.get("/api/system/status")).keys() == {"systemTime", "upTime"}
    assert result(client.get("/api/system/caps"))["options"]["mobileKey"] == "active,licensed"
    assert error(client.post("/api/system/caps", json={})) == (3, None)


def test_the_old_firmware_shows_private_keys_and_the_new_one_public_halves(clients: list[httpx.Client]) -> None:
    old, new = (result(client.get(CONFIG)) for client in clients)
    assert old["location"] == new["location"] == "lyon"
    (old_key, *old_rest), (new_key, *new_rest) = old["keys"], new["keys"]
    assert old_rest == new_rest == [{}, {}, {}]
    assert old_key.keys() == {"type", "key", "ctime"}
    assert new_key.keys() == {"type", "publicKey", "ctime"}
    assert old_key["key"].startswith("MIIC")
    assert new_key["publicKey"].startswith("MIGfMA0G")


def test_a_write_is_answered_without_details_and_read_back(client: httpx.Client) -> None:
    put(client, NEW.private, OTHER.private, location="plant 7")
    assert result(client.get(CONFIG)) == {
        "location": "plant 7",
        "keys": [
            {"type": "rsa", "publicKey": NEW.public, "ctime": 1_700_000_000},
            {"type": "rsa", "publicKey": OTHER.public, "ctime": 1_700_000_000},
            {},
            {},
        ],
    }


def test_the_old_firmware_takes_back_what_it_showed(clients: list[httpx.Client]) -> None:
    client = clients[OLD_DEVICE]
    shown = [key["key"] for key in result(client.get(CONFIG))["keys"] if key]
    put(client, NEW.private, *shown)
    assert [key["key"] for key in result(client.get(CONFIG))["keys"] if key] == [NEW.private, *shown]


def test_an_invalid_key_is_reported_as_success_and_not_written(client: httpx.Client, park: TwonPark) -> None:
    put(client, "MIICXAIBAAKB", NEW.private)
    assert park.keys(park.serials[NEW_DEVICE]) == [NEW.public, None, None, None]


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        ({"location": "x" * 128}, (12, "location")),
        ({"keys": [{}] * 5}, (12, "keys")),
        ({"keys": "none"}, (12, "keys")),
        ({"key": [], "location": "new"}, (12, "key")),
        ([], (12, None)),
    ],
)
def test_a_wrong_write_is_refused_and_changes_nothing(client: httpx.Client, body: object, refusal: object) -> None:
    before = result(client.get(CONFIG))
    assert error(client.put(CONFIG, json=body)) == refusal
    assert result(client.get(CONFIG)) == before


def test_a_write_wants_json_of_a_reasonable_size(client: httpx.Client) -> None:
    assert error(client.put(CONFIG, content=b"{}")) == (14, None)
    assert client.put(CONFIG, content=b"{}").json()["error"]["description"] == "Unsupported Content-Type"
    assert error(client.put(CONFIG, content=b"{", headers={"Content-Type": "application/json"})) == (14, None)
    assert error(client.put(CONFIG, json={"location": "x" * 70_000})) == (13, None)


def test_the_new_firmware_refuses_a_post_without_a_body(clients: list[httpx.Client]) -> None:
    old, new = (client.post("/api/system/info") for client in clients)
    assert result(old)["serialNumber"]
    assert error(new) == (14, None)
    assert new.json()["error"]["description"] == "Unsupported Content-Type"
    assert result(clients[NEW_DEVICE].post("/api/system/info", data={"a": "b"}))["serialNumber"]


def test_unknown_paths_and_methods(client: httpx.Client) -> None:
    assert error(client.get("/api/mobilekey/other")) == (2, None)
    assert error(client.delete(CONFIG)) == (3, None)
    assert error(client.put("/api/system/info", json={})) == (3, None)
    assert error(client.get("/api/audio/test")) == (1, None)
    assert error(client.get("/api/dir/template")) == (4, None)


def test_services_and_privileges_that_are_off(client: httpx.Client, park: TwonPark) -> None:
    park.turn(privileges=["system"], refused={"/api/log/caps": 4})
    assert error(client.get(CONFIG)) == (10, None)
    assert error(client.get("/api/log/caps")) == (4, None)
    assert result(client.get("/api/system/info"))


def test_https_required(client: httpx.Client, park: TwonPark) -> None:
    park.turn(https_required=True)
    assert error(client.get("/api/system/info")) == (7, None)


def test_a_visit_is_an_event(client: httpx.Client, park: TwonPark) -> None:
    channel = result(client.get("/api/log/subscribe", params={"filter": "MobKeyEntered", "duration": 60}))["id"]
    (phone,) = park.pair("lyon")
    put(client, NEW.private)
    assert park.tour() == {"entered": 1, "locked_out": 1}
    (event,) = result(client.get("/api/log/pull", params={"id": channel}))["events"]
    assert event["event"] == "MobKeyEntered"
    assert (event["params"]["authid"], event["params"]["valid"]) == (phone, False)
    (lockout,) = park.lockouts()
    assert (lockout["phone"], lockout["serial"]) == (phone, park.serials[NEW_DEVICE])
    assert result(client.get("/api/log/unsubscribe", params={"id": channel})) is None
    assert error(client.get("/api/log/pull", params={"id": channel})) == (12, "id")


def test_a_pull_waits_for_an_event_and_not_longer(client: httpx.Client, park: TwonPark) -> None:
    channel = result(client.get("/api/log/subscribe"))["id"]
    assert result(client.get("/api/log/pull", params={"id": channel, "timeout": 1})) == {"events": []}
    park.pair("lyon", 1)
    park.walk(200)
    events = result(client.get("/api/log/pull", params={"id": channel, "timeout": 10}))["events"]
    assert {event["event"] for event in events} == {"MobKeyEntered"}
    park.walk(0)


def test_log_parameters(client: httpx.Client) -> None:
    assert "MobKeyEntered" in result(client.get("/api/log/caps"))["events"]
    assert error(client.get("/api/log/pull")) == (11, "id")
    assert error(client.get("/api/log/pull", params={"id": "x"})) == (12, "id")
    channel = result(client.get("/api/log/subscribe", params={"include": "all"}))["id"]
    assert error(client.get("/api/log/pull", params={"id": channel, "timeout": -1})) == (12, "timeout")
    assert result(client.get(f"/api/log/pull?id=1&id={channel}"))["events"][0]["event"] == "DeviceState"


def test_a_restart_forgets_events_and_keeps_keys(client: httpx.Client, park: TwonPark) -> None:
    put(client, NEW.private, location="kept")
    boot = result(client.get("/api/system/info"))["bootUuid"]
    channel = result(client.get("/api/log/subscribe"))["id"]
    park.reboot(park.serials[NEW_DEVICE])
    assert error(client.get("/api/log/pull", params={"id": channel})) == (12, "id")
    assert result(client.get("/api/system/info"))["bootUuid"] != boot
    assert result(client.get(CONFIG))["location"] == "kept"
    assert [event["id"] for event in park.state(park.serials[NEW_DEVICE])["events"]] == [1]


def test_a_restart_by_the_api_is_answered_first(client: httpx.Client, park: TwonPark) -> None:
    assert result(client.get("/api/system/restart")) is None
    assert park.stats(park.serials[NEW_DEVICE])["reboots"] == 1


def test_switches_and_ports(client: httpx.Client) -> None:
    assert result(client.get("/api/switch/ctrl", params={"switch": 1, "action": "on"})) is None
    assert result(client.get("/api/switch/status"))["switches"][0]["active"] is True
    assert error(client.get("/api/switch/ctrl", params={"switch": 9, "action": "on"})) == (12, "switch")
    assert error(client.get("/api/switch/ctrl", params={"switch": 1})) == (11, "action")
    assert result(client.get("/api/io/ctrl", params={"port": "relay1", "action": "on"})) is None
    states = {port["port"]: port["state"] for port in result(client.get("/api/io/status"))["ports"]}
    assert states == {"relay1": 1, "input1": 0}
    assert error(client.get("/api/io/ctrl", params={"port": "input1", "action": "on"})) == (12, "port")
    assert error(client.get("/api/io/ctrl", params={"port": "relay1", "action": "up"})) == (12, "action")


def test_bytes_that_are_no_http_are_hung_up_on(park: TwonPark) -> None:
    for request in (b"HELLO\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: some\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", park.park.stations[0].port), timeout=10) as line:
            line.sendall(request)
            assert line.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")
            assert line.recv(1000) == b""


@pytest.mark.parametrize("algorithm", ["md5", "sha-256"])
def test_https_with_a_certificate_of_its_own(algorithm: str) -> None:
    with twon_park(2, https=True, algorithm=algorithm) as park:
        assert len(set(park.fingerprints)) == 2
        trusted = ssl.create_default_context(cadata=park.certificates)
        with a_client(park.addresses[1], verify=trusted) as client:
            assert result(client.get("/api/system/info"))["serialNumber"] == "54-1046-0746"
            park.turn(https_required=True)
            put(client, NEW.private)
            assert result(client.get(CONFIG))["location"] == "54-1046-0746"
        with a_client(park.addresses[0]) as stranger, pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
            stranger.get("/api/system/info")
        der = ssl.PEM_cert_to_DER_cert(park.state(park.serials[0])["certificate"])
        assert len(der) > 200
