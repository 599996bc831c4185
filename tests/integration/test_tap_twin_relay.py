"""The Tap's twin on the MQTT relay, over a real broker."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Queue
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from services.clients.tap import (
    Connection,
    Method,
    Path,
    Refusal,
    RemoteProtocolError,
    Request,
    Response,
    Role,
    login,
    run,
)
from services.clients.tap.relay import RelayPacket, Topics
from tests.fixtures.tap_host import PATIENCE, QUICK, SERIAL, Fresh, Stand, standing

READ_SERIAL = b"00000012000000010001A2CA000007010003FFFF00020000B8DF37D3"
"""The example of the notes, §5.2."""


class RelayHost:
    """A host on the relay: one sender id, one session."""

    def __init__(self, client: Client, heard: "Queue[bytes]", topics: Topics, sender: int) -> None:
        self.client, self.heard, self.topics, self.sender = client, heard, topics, sender
        self.line = Connection(Role.CLIENT, nonces=Fresh())
        self.reference = 0

    def publish(self, text: bytes) -> None:
        """Publish a command."""
        self.client.publish(self.topics.command, text, qos=0)

    def answer(self) -> RelayPacket:
        """Wait for the next answer."""
        return RelayPacket.decode(self.heard.get(timeout=PATIENCE))

    def exchange(self, request: Request) -> Response:
        """Carry one request."""
        self.reference += 1
        self.publish(RelayPacket(self.sender, self.reference, self.line.send(request)).encode())
        packet = self.answer()
        assert (packet.sender, packet.reference) == (self.sender, self.reference)
        self.line.receive_data(packet.payload)
        self.line.end_of_message()
        event = self.line.next_event()
        assert isinstance(event, Response | Refusal)
        return event if isinstance(event, Response) else Response(event.status)

    def log_in(self, user: str) -> None:
        """Log in by SCRAM."""
        self.line.start_session(run(login(user, user, nonce=Fresh().nonce()), self.exchange))

    def get(self, path: str) -> Response:
        """Read."""
        return self.exchange(Request(Method.GET, Path.parse(path)))

    def put(self, path: str, body: bytes) -> int:
        """Store."""
        return self.exchange(Request(Method.PUT, Path.parse(path), body)).status


@contextmanager
def relay_host(stand: Stand, *, sender: int = 1, net_key: str = "testnetkey") -> Iterator[RelayHost]:
    assert stand.fleet.broker is not None
    topics, heard, ready = Topics.of(SERIAL, net_key), Queue[bytes](), Queue[bool]()

    def subscribe(client: Client, *_: Any) -> None:
        client.subscribe(topics.answer)

    client = Client(CallbackAPIVersion.VERSION2, f"host-{sender}-{time.monotonic_ns()}")
    client.on_connect = subscribe
    client.on_subscribe = lambda *_: ready.put(True)
    client.on_message = lambda _client, _data, message: heard.put(bytes(message.payload))
    client.connect(*stand.fleet.broker)
    client.loop_start()
    try:
        ready.get(timeout=PATIENCE)
        yield RelayHost(client, heard, topics, sender)
    finally:
        client.disconnect()
        client.loop_stop()


def relay_of(stand: Stand) -> Any:
    return stand.http.get("/_twin/taps").json()["taps"][0]["relay"]


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def on_relay(stand: Stand) -> None:
    eventually(lambda: (relay_of(stand) or {}).get("connected"))


@pytest.fixture(scope="module")
def only_stand() -> Iterator[Stand]:
    with standing(QUICK, broker_port=0) as stand:
        yield stand


@pytest.fixture
def stand(only_stand: Stand) -> Stand:
    """A twin as at the very beginning, on its relay."""
    only_stand.http.post("/_twin/reset").raise_for_status()
    on_relay(only_stand)
    return only_stand


@pytest.fixture
def host(stand: Stand) -> Iterator[RelayHost]:
    with relay_host(stand) as host:
        yield host


def test_the_example_of_the_notes(host: RelayHost) -> None:
    host.publish(READ_SERIAL)
    answer = host.answer()
    assert (answer.sender, answer.reference) == (1, 1)
    assert answer.payload == b"\x45" + SERIAL.encode() + b"\x90\x00"


def test_lower_case_is_taken(host: RelayHost) -> None:
    host.publish(READ_SERIAL.lower())
    assert host.answer().payload.startswith(b"\x45IOTZ")


def test_session_and_way_of_arrival(host: RelayHost) -> None:
    host.log_in("admin")
    assert host.get("/1024//7").body == b"\xff\xff"
    assert host.get("/1024//3").body == b"\x02\x00"


def test_hosts_are_told_apart_by_their_sender_ids(stand: Stand, host: RelayHost) -> None:
    host.log_in("admin")
    with relay_host(stand, sender=2) as other:
        assert other.get("/1024//7").body == b"\x00\x00"
    host.heard.get(timeout=PATIENCE)  # every host hears every answer
    assert host.get("/1024//7").body == b"\xff\xff"


def test_new_host_with_an_old_sender_id_begins_with_zero_vectors(stand: Stand, host: RelayHost) -> None:
    host.log_in("admin")
    host.exchange(host.line.refresh_request())
    assert host.get("/3//2").body == SERIAL.encode()
    with relay_host(stand) as newcomer:
        newcomer.log_in("tech")
        assert newcomer.get("/1024//7").body == b"\x00\x01"


def test_what_is_no_packet_is_not_answered(stand: Stand, host: RelayHost) -> None:
    for text in (b"hello", READ_SERIAL[:-1] + b"4", b""):
        host.publish(text)
    host.publish(READ_SERIAL)
    assert host.answer().payload.startswith(b"\x45")
    assert host.heard.empty()
    assert stand.stats()["lines"]["unreadable relay messages"] == 3


def test_frame_that_cannot_be_read_is_refused(host: RelayHost) -> None:
    host.publish(RelayPacket(1, 7, bytes.fromhex("A2CA0000FF01")).encode())
    assert host.answer() == RelayPacket(1, 7, b"\x80\x90\x00")


def test_wrong_checksum_and_reference_of_its_own(stand: Stand, host: RelayHost) -> None:
    stand.turn(wrong_crc_rate=1)
    host.publish(READ_SERIAL)
    spoilt = host.heard.get(timeout=PATIENCE)
    with pytest.raises(RemoteProtocolError, match="checksum"):
        RelayPacket.decode(spoilt)
    stand.turn(wrong_crc_rate=0, relay_echoes=False)
    for _ in range(2):
        host.publish(READ_SERIAL)
    assert {(answer := host.answer()).reference for _ in range(2)} == {1, 2}
    assert answer.payload.startswith(b"\x45IOTZ")


def test_restart_forgets_the_session_and_comes_back_to_the_broker(stand: Stand, host: RelayHost) -> None:
    host.log_in("admin")
    stand.reboot()
    on_relay(stand)
    assert host.get("/3//2") == Response(0x85)


def test_restart_in_the_middle_of_a_write(stand: Stand, host: RelayHost) -> None:
    host.log_in("admin")
    stand.turn(reboot_at_write=1)
    request = Request(Method.PUT, Path.parse("/1024//9"), b"cut")
    host.publish(RelayPacket(1, 9, host.line.send(request)).encode())
    eventually(lambda: stand.stats()["restarts"])
    on_relay(stand)
    assert host.heard.empty()
    assert stand.state()["settings"]["/1024//9"] == "cut"


def test_new_net_key_acts_after_a_reload(stand: Stand, host: RelayHost) -> None:
    host.log_in("admin")
    assert host.put("/1024//55", b"other") == 0x44
    assert host.get("/1024//55").body == b"other"
    assert host.exchange(Request(Method.POST, Path.parse("/1024//10"))).status == 0x44
    eventually(lambda: relay_of(stand)["command_topic"] == Topics.of(SERIAL, "other").command)
    on_relay(stand)
    with relay_host(stand, net_key="other") as moved:
        assert moved.get("/3//2").body == SERIAL.encode()


def test_broker_that_does_not_answer_is_tried_again_and_again(stand: Stand, host: RelayHost) -> None:
    host.log_in("admin")
    assert host.put("/1024//51", b"1") == 0x44
    stand.reboot()
    relay = relay_of(stand)
    assert (relay["broker"].endswith(":1"), relay["connected"]) == (True, False)
    with stand.host() as way_back:
        way_back.log_in("admin")
        assert stand.fleet.broker is not None
        way_back.put("/1024//51", str(stand.fleet.broker[1]).encode())
        assert way_back.post("/1024//10") == 0x44
        on_relay(stand)
        assert way_back.get("/1024//51").status == 0x45  # a reload keeps the lines that may stay


def test_no_relay_without_a_broker_or_where_mqtt_is_not_allowed(stand: Stand) -> None:
    for path, body in (("/1024//17", b"\x00\x20"), ("/1024//50", b"")):
        with stand.host() as host:
            host.log_in("admin").put(path, body)
        stand.reboot()
        assert relay_of(stand) is None
        stand.http.post("/_twin/reset").raise_for_status()
