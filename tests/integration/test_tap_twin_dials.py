"""The dials of the Tap's twin make it slow, broken, absent and forgetful, and restarts do what the notes say."""

import time
from collections.abc import Iterator

import pytest

from services.clients.tap import LoginRefused, Method, Path, RemoteProtocolError, Request, Response
from services.clients.tap.multi import Part, multi_request
from tests.fixtures.tap_host import Host, Stand, standing

SSID = Path.parse("/1024//25")


@pytest.fixture(scope="module")
def only_stand() -> Iterator[Stand]:
    with standing() as stand:
        yield stand


@pytest.fixture
def stand(only_stand: Stand) -> Stand:
    """A twin as at the very beginning."""
    only_stand.http.post("/_twin/reset").raise_for_status()
    return only_stand


@pytest.fixture
def host(stand: Stand) -> Iterator[Host]:
    with stand.host() as host:
        yield host


@pytest.fixture
def admin(host: Host) -> Host:
    return host.log_in("admin")


def ask(host: Host, request: Request) -> None:
    """Send a request without waiting."""
    host.socket.sendall(host.line.send(request))


def put(path: str, body: bytes) -> Request:
    return Request(Method.PUT, Path.parse(path), body)


def name_of(stand: Stand) -> str:
    return str(stand.state()["settings"]["/1024//9"])


def test_a_wrong_dial_is_refused_with_every_fault_and_turns_nothing(stand: Stand) -> None:
    wishes = {"delay_ms": 1, "colour": "red", "drop_rate": 2, "refused": {"GET 9": 1}}
    answer = stand.http.patch("/_twin/dials", json=wishes)
    assert answer.status_code == 400
    assert {fault.partition(":")[0] for fault in answer.json()["faults"]} == {
        "colour",
        "drop_rate",
        "refused.GET 9.[key]",
    }
    assert stand.http.get("/_twin/dials").json()["delay_ms"] == 0
    assert stand.http.patch("/_twin/dials", content=b"{").status_code == 400
    assert stand.http.patch("/_twin/dials", json=[]).status_code == 400


def test_delay(stand: Stand, host: Host) -> None:
    stand.turn(delay_ms=80)
    started = time.monotonic()
    host.get("/3//2")
    assert time.monotonic() - started >= 0.07  # an event loop may wake a millisecond early


def test_split_answer_comes_in_two_segments(stand: Stand, host: Host) -> None:
    stand.turn(split_rate=1, split_gap_ms=60)
    ask(host, Request(Method.GET, Path.parse("/3//2")))
    first, second = host.heard(), host.heard()
    assert (first + second).startswith(b"EIOTZ")
    assert len(second) >= len(first) > 1


@pytest.mark.parametrize("after", [True, False])
def test_dropped_line(stand: Stand, admin: Host, after: bool) -> None:  # noqa: FBT001 - a parameter
    stand.turn(drop_rate=1, drops_after_acting=after)
    ask(admin, put("/1024//9", b"dropped"))
    assert admin.heard() == b""
    assert (name_of(stand) == "dropped") is after


def test_mute_tap_takes_the_request_and_keeps_the_line(stand: Stand, admin: Host) -> None:
    stand.turn(mute_rate=1)
    ask(admin, put("/1024//9", b"muted"))
    admin.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        admin.socket.recv(1)
    assert name_of(stand) == "muted"


def test_wrong_checksum_of_a_sealed_answer(stand: Stand, admin: Host) -> None:
    stand.turn(wrong_crc_rate=1)
    with pytest.raises(RemoteProtocolError, match="checksum"):
        admin.get("/3//2")


def test_busy_tap_carries_nothing_out(stand: Stand, admin: Host) -> None:
    stand.turn(busy_rate=1)
    assert admin.put("/1024//9", b"busy") == 0x46
    assert name_of(stand) != "busy"
    assert stand.stats()["writes"][-1]["took_effect"] is False


def test_refused_paths_of_any_method_or_of_one(stand: Stand, admin: Host) -> None:
    stand.turn(refused={"/1024//25": 0xA4, "PUT /1024//9": 0xA7})
    assert admin.get("/1024//25") == Response(0xA4)
    assert admin.put("/1024//9", b"full") == 0xA7
    assert admin.get("/1024//9").status == 0x45


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_restart_in_the_middle_of_the_nth_write(stand: Stand, admin: Host, number: int, before: bool) -> None:  # noqa: FBT001 - a parameter
    admin.put("/1024//9", b"0")
    stand.turn(reboot_at_write=number, reboot_before_write=before)
    for write in range(1, number):
        assert admin.put("/1024//9", b"%d" % write) == 0x44
    ask(admin, put("/1024//9", b"%d" % number))
    assert admin.heard() == b""
    assert name_of(stand) == str(number - before)
    last = stand.stats()["writes"][-1]
    assert (last["number"], last["status"], last["took_effect"]) == (number + 1, None, not before)
    assert stand.stats()["restarts"] == 1
    stand.reboot()  # answers when the Tap is back
    with stand.host() as again:
        assert again.log_in("admin").put("/1024//9", b"spent") == 0x44


def test_restart_in_the_middle_of_a_multi_request_keeps_the_parts_before(stand: Stand, admin: Host) -> None:
    stand.turn(reboot_at_write=2, reboot_before_write=True)
    ask(admin, multi_request([Part(put("/1024//9", b"first")), Part(put("/1024//25", b"second"))]))
    assert admin.heard() == b""
    assert (name_of(stand), stand.state()["settings"]["/1024//25"]) == ("first", "keyturn-plant")


def test_logins_are_no_writes(stand: Stand, host: Host) -> None:
    stand.turn(reboot_at_write=1)
    host.log_in("admin")
    assert host.post("/1024//1") == 0x44
    assert stand.stats()["write_count"] == 0


def test_unreachable_for_a_while_with_its_memory_intact(stand: Stand, admin: Host) -> None:
    admin.put("/1024//9", b"kept")
    stand.turn(unreachable_seconds=600)
    assert admin.heard() == b""
    assert not stand.reachable()
    stand.turn(unreachable_seconds=0)
    while stand.http.get("/_twin/taps").json()["taps"][0]["away"]:
        pass
    assert stand.reachable()
    assert name_of(stand) == "kept"
    assert stand.stats()["restarts"] == 0


def test_lock_out_after_some_failures_in_a_row(stand: Stand, host: Host) -> None:
    stand.turn(lockout_after=2, lockout_seconds=600)
    codes = []
    for password in ("wrong", "wrong", "admin"):
        with pytest.raises(LoginRefused) as refused:
            host.log_in("admin", password)
        codes.append(refused.value.status)
    assert codes == [0x81, 0x81, 0xA3]
    host.log_in("tech")
    assert stand.stats()["logins"] == {"refused": 2, "locked out": 1, "admitted": 1}


def test_locked_out_altogether(stand: Stand, host: Host) -> None:
    stand.turn(locked_out=True)
    with pytest.raises(LoginRefused) as refused:
        host.log_in("tech")
    assert refused.value.status == 0xA3


def test_key_in_clear_over_nfc_only(stand: Stand, host: Host) -> None:
    stand.turn(initialize_nfc_only=True)
    assert host.get("/1024//47") == Response(0x87)


def test_restart_by_a_host_answers_first_and_ends_every_line(stand: Stand, admin: Host) -> None:
    port = stand.port
    with stand.host() as other:
        other.get("/3//2")
        assert admin.post("/3//4") == 0x44
        assert (admin.heard(), other.heard()) == (b"", b"")
    stand.reboot()
    assert stand.port == port
    with stand.host() as again:
        assert again.get("/1024//7") == Response(0x45, b"\x00\x00")


def test_what_is_posted_lasts_until_the_restart_and_what_is_put_stays(stand: Stand, admin: Host) -> None:
    admin.put("/1024//101", b"\x00\x05")
    assert admin.post("/1024//101", b"\x00\x09") == 0x44
    assert admin.get("/1024//101").body == b"\x00\x09"
    assert stand.state()["until_restart"] == {"/1024//101": 9}
    stand.reboot()
    with stand.host() as again:
        assert again.get("/1024//101").body == b"\x00\x05"


def test_disallowed_way_closes_at_the_restart_only(stand: Stand, admin: Host) -> None:
    assert admin.put("/1024//17", b"\x00\x01") == 0x44
    assert admin.get("/1024//17").body == b"\x00\x01"
    assert stand.reachable()
    stand.reboot()
    assert not stand.reachable()


def test_a_network_that_does_not_exist_is_joined_at_the_restart(stand: Stand, admin: Host) -> None:
    stand.turn(networks=["keyturn-plant"])
    admin.put("/1024//25", b"elsewhere")
    assert stand.reachable()
    stand.reboot()
    assert not stand.reachable()
    stand.turn(networks=["elsewhere"])
    stand.reboot()
    assert stand.reachable()


def test_silent_host_is_hung_up_on(admin: Host) -> None:
    admin.put("/1024//34", b"\x01")
    admin.get("/3//2")
    assert admin.heard() == b""


def test_factory_reset_opens_the_tap_and_keeps_the_line(stand: Stand, admin: Host) -> None:
    admin.put("/1024//25", b"elsewhere")
    assert admin.post("/3//5") == 0x44
    assert admin.get("/1024//10").body == bytes(4)
    state = stand.state()
    assert (state["configured"], set(state["groups"])) == (False, {"0", "65534", "65535"})
    with stand.host() as stranger:
        assert stranger.put("/1024//10", b"\xff" * 4) == 0x44
        assert stranger.put("/1024//9", b"mine") == 0x44
        assert stranger.put("/1024//10", b"\x02\x00\x00\x01") == 0x44
        assert stranger.put("/1024//9", b"late") == 0x81


def test_counts_are_forgotten_on_demand(stand: Stand, host: Host) -> None:
    host.get("/3//2")
    assert stand.stats()["requests"] == {"GET /3//2": 1}
    stand.http.post("/_twin/stats/reset").raise_for_status()
    assert stand.stats()["requests"] == {}
