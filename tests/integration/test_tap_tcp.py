"""The TCP transport against a real socket: pieces of any size, silence, drops, damage, late answers."""

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from pydantic import SecretStr

from schemas.errors import TryAgain
from services.clients.tap import Method, Path, Request
from services.clients.tap.client import TapClient
from services.clients.tap.tcp import TcpAddress, TcpWire
from services.clients.tap.terms import Terms
from services.clients.tap.wire import Bounds, WireLost
from tests.integration.tap_device import SERIAL, SERIAL_PATH, Deliver, TapState, TcpDevice, at_once, in_pieces

ADMIN = SecretStr("admin")
READ_SERIAL = Request(Method.GET, SERIAL_PATH)
BOUNDS = Bounds(connect=2, answer=1.5, quiet=0.06, doubt=0.2)


@contextmanager
def served(deliver: Deliver = at_once) -> Iterator[TcpDevice]:
    device = TcpDevice(TapState(), deliver)
    try:
        yield device
    finally:
        device.close()


def client_of(device: TcpDevice, bounds: Bounds = BOUNDS) -> TapClient:
    return TapClient(TcpAddress("127.0.0.1", device.port), terms=Terms(serial=SERIAL, bounds=bounds))


def after(count: int, act: Callable[[socket.socket, bytes], None]) -> Deliver:
    """Deliver so many answers as they are, and let `act` have the next ones."""

    def deliver(connection: socket.socket, answer: bytes, number: int) -> None:
        if number < count:
            connection.sendall(answer)
        else:
            act(connection, answer)

    return deliver


LOGGED_IN = 5
"""Answers of connect and login: serial, lock bits, challenge, proof, serial inside the channel."""


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 40])
def test_answers_in_pieces_of_any_size(size: int) -> None:
    with served(in_pieces(size)) as device, client_of(device) as client:
        client.login("admin", ADMIN)
        for _ in range(3):
            assert client.exchange(READ_SERIAL).body == SERIAL.encode()


def test_pieces_with_pauses_between_them_are_joined() -> None:
    with served(in_pieces(12, pause=0.04)) as device, client_of(device) as client:
        client.login("admin", ADMIN)
        assert client.read("/3//2") == SERIAL


def test_a_text_in_clear_that_holds_the_end_mark_is_read_whole() -> None:
    """90 00 inside an answer of open length is not its end while the line is not quiet."""
    with served(in_pieces(4, pause=0.02)) as device, client_of(device) as client:
        device.tap.values[Path.parse("/1024//36")] = b"\x90\x00" * 9
        assert client.exchange(Request(Method.GET, Path.parse("/1024//36"))).body == b"\x90\x00" * 9


def test_an_answer_of_known_length_needs_no_quiet() -> None:
    patient = Bounds(connect=2, answer=5, quiet=3, doubt=3)
    with served() as device:
        start = time.monotonic()
        with client_of(device, patient) as client:
            client.login("admin", ADMIN)
        assert time.monotonic() - start < 2.5


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TryAgain, match=r"no connection to tcp://127\.0\.0\.1") as caught:
        TapClient(TcpAddress("127.0.0.1", port)).connect()
    assert not caught.value.sent


def test_silence_at_connect_means_unreachable() -> None:
    with served(after(0, lambda *_: None)) as device, pytest.raises(TryAgain, match="no answer within") as caught:
        client_of(device, Bounds(answer=0.2)).connect()
    assert not caught.value.sent


def test_a_timeout_ends_the_session() -> None:
    with served(after(LOGGED_IN, lambda *_: None)) as device, client_of(device, Bounds(answer=0.3)) as client:
        client.login("admin", ADMIN)
        with pytest.raises(TryAgain, match=r"PUT /1024//9: no answer within 0\.3 s") as caught:
            client.write("/1024//9", "gate-3")
        assert caught.value.sent
        assert not client.in_session
        with pytest.raises(TryAgain, match="session with the Tap is over") as again:
            client.write("/1024//9", "gate-3")
        assert not again.value.sent
        assert len(device.tap.forms(Path.parse("/1024//9"))) == 1


def test_after_a_timeout_the_frames_of_a_new_session_count_from_zero_under_a_new_key() -> None:
    frames: list[bytes] = []

    def mute(_: socket.socket, answer: bytes) -> None:
        frames.append(answer)

    with served(after(LOGGED_IN, mute)) as device:
        client = client_of(device, Bounds(answer=0.3))
        for _ in range(2):
            client.connect()
            client.login("admin", ADMIN)
            with pytest.raises(TryAgain):
                client.exchange(READ_SERIAL)
        client.close()
        assert device.connections == 2
        assert device.tap.logins == 2
    assert frames[0] != frames[1]


def cut(connection: socket.socket, answer: bytes) -> None:
    """Send half of an answer and hang up."""
    connection.sendall(answer[: len(answer) // 2])
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("count", range(1, 7))
def test_a_drop_in_the_middle_of_any_answer(count: int) -> None:
    with served(after(count, cut)) as device:
        client = client_of(device)
        with pytest.raises(TryAgain, match="the Tap closed the connection before an answer came"):
            _whole_visit(client)
        assert not client.in_session
        client.close()


def _whole_visit(client: TapClient) -> None:
    client.connect()
    client.login("admin", ADMIN)
    client.exchange(READ_SERIAL)
    client.exchange(READ_SERIAL)


def damaged(connection: socket.socket, answer: bytes) -> None:
    """Change one bit of what is sealed."""
    connection.sendall(answer[:20] + bytes([answer[20] ^ 1]) + answer[21:])


def test_a_wrong_checksum_ends_the_session() -> None:
    with served(after(LOGGED_IN, damaged)) as device, client_of(device) as client:
        client.login("admin", ADMIN)
        with pytest.raises(TryAgain, match="cannot be trusted: the checksum") as caught:
            client.exchange(READ_SERIAL)
        assert caught.value.sent
        assert not client.in_session


def test_an_answer_with_another_status_word_is_told() -> None:
    with (
        served(after(LOGGED_IN, lambda line, _: line.sendall(bytes.fromhex("911e")))) as device,
        client_of(device, Bounds(answer=0.3)) as client,
    ):
        client.login("admin", ADMIN)
        with pytest.raises(TryAgain, match="911e"):
            client.exchange(READ_SERIAL)


def test_a_replayed_answer_is_not_taken() -> None:
    kept: list[bytes] = []

    def replay(connection: socket.socket, answer: bytes) -> None:
        kept.append(answer)
        connection.sendall(kept[0])

    with served(after(LOGGED_IN, replay)) as device:
        client = TapClient(TcpAddress("127.0.0.1", device.port), terms=Terms(period=0, bounds=BOUNDS))
        client.connect()
        client.login("admin", ADMIN)
        client.exchange(READ_SERIAL)
        with pytest.raises(TryAgain, match="the answer has the number"):
            client.exchange(READ_SERIAL)
        client.close()


def test_bytes_that_came_unasked_are_dropped() -> None:
    def chatty(connection: socket.socket, answer: bytes, number: int) -> None:
        connection.sendall(answer)
        if number >= LOGGED_IN - 1:
            time.sleep(0.02)
            connection.sendall(bytes.fromhex("45deadbeef9000"))

    with served(chatty) as device, client_of(device) as client:
        client.login("admin", ADMIN)
        for _ in range(3):
            time.sleep(0.06)
            assert client.read("/3//2") == SERIAL


def test_a_hangup_before_the_request_leaves_is_known_not_to_have_been_sent() -> None:
    with served() as device, client_of(device) as client:
        client.login("admin", ADMIN)
        device.close()
        with pytest.raises(TryAgain, match="closed the connection") as caught:
            client.exchange(READ_SERIAL)
        assert not caught.value.sent


def test_a_flood_is_no_tap() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        wire = TcpWire(ours, patience=1)
        theirs.sendall(b"x" * 1000)
        wire.send(b"ask")
        assert theirs.recv(10) == b"ask"
        theirs.close()
        with pytest.raises(WireLost):
            wire.receive(1)
        with pytest.raises(WireLost):
            wire.send(b"ask")
        wire.close()
        wire.close()


def test_a_request_leaves_whole_though_the_network_takes_it_in_parts() -> None:
    ours, theirs = socket.socketpair()
    request = bytes(range(256)) * 4096
    wire = TcpWire(ours, patience=5)
    with theirs, closing(wire):
        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(theirs.recv, len(request), socket.MSG_WAITALL)
            wire.send(request)
            assert reader.result(5) == request
        theirs.sendall(b"answer")
        assert wire.receive(5) == b"answer"


def test_a_network_that_takes_nothing_loses_the_wire() -> None:
    ours, theirs = socket.socketpair()
    wire = TcpWire(ours, patience=0.02)
    with theirs, closing(wire):
        for request in (b"x" * (1 << 20), b"y"):  # the first fills the buffers, the second finds them full
            with pytest.raises(WireLost, match="timed out"):
                wire.send(request)


def test_addresses_name_their_place() -> None:
    assert str(TcpAddress("tap.example")) == "tcp://tap.example:2000"
    assert str(TcpAddress("2001:db8::1", 7)) == "tcp://[2001:db8::1]:7"
