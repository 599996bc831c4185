"""What a connection allows, and how it takes what it cannot read."""

import pytest

from services.clients.tap import (
    Connection,
    Form,
    LocalProtocolError,
    Method,
    Paired,
    Pairing,
    Path,
    Refusal,
    RemoteProtocolError,
    Request,
    Response,
    Role,
    Signal,
    Status,
    Turn,
)
from services.clients.tap.frames import PAIRING
from services.clients.tap.protocol import MAX_BUFFER
from services.clients.tap.state import LISTENS, SPEAKERS, TURNS
from tests.unit.tap.lines import SERIAL, Desk, Line, Numbered, hear_bytewise, refuse, scripted, session_line

SERIAL_FRAME = bytes.fromhex("a2ca000007010003ffff0002")
EVENTS = [SERIAL, Response(Status.CONTENT), Refusal(Status.BAD_REQUEST), Pairing(), Paired()]


def client() -> Connection:
    return Connection(Role.CLIENT, nonces=Numbered())


def device() -> Connection:
    return Connection(Role.DEVICE, nonces=Numbered())


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("event", EVENTS, ids=[type(event).__name__ for event in EVENTS])
def test_at_the_start_only_the_client_may_speak_and_only_to_ask(role: Role, event: Request) -> None:
    end = Connection(role, nonces=Numbered())
    if role is Role.CLIENT and isinstance(event, Request | Pairing):
        assert end.send(event)
    else:
        with pytest.raises(LocalProtocolError):
            end.send(event)
        assert end.turn is Turn.IDLE


def test_the_tables_know_every_turn_and_every_event() -> None:
    assert {type(event) for event in EVENTS} == set(SPEAKERS) == {event for _, event in TURNS}
    assert {turn for turn, _ in TURNS} | {Turn.BROKEN} == set(Turn)
    assert {turn for _, turn in LISTENS} == {Turn.IDLE, Turn.ASKED, Turn.PAIRING}


def test_one_request_is_outstanding_at_a_time() -> None:
    end = client()
    end.send(SERIAL)
    with pytest.raises(LocalProtocolError):
        end.send(SERIAL)


def test_the_first_exchange_of_the_notes() -> None:
    line = Line(Desk(nonces=Numbered()))
    assert line.exchange(SERIAL) == Response(Status.CONTENT, b"IOTZ00000000000042")
    assert line.asked == [SERIAL_FRAME]
    assert line.answered == [b"\x45IOTZ00000000000042\x90\x00"]


def test_a_device_takes_the_next_request_only_after_its_answer() -> None:
    end = device()
    end.receive_data(SERIAL_FRAME * 2)
    assert end.next_event() == SERIAL
    assert end.next_event() is Signal.PAUSED
    end.send(Response(Status.CONTENT))
    assert end.next_event() == SERIAL


def test_a_client_drops_what_was_left_of_earlier_answers() -> None:
    end = client()
    end.receive_data(bytes.fromhex("45ff9000"))
    assert end.next_event() is Signal.PAUSED
    end.send(SERIAL)
    end.receive_data(bytes.fromhex("45419000"))
    end.end_of_message()
    assert end.next_event() == Response(Status.CONTENT, b"A")


def test_9000_inside_an_answer_in_clear_does_not_end_it() -> None:
    end = client()
    end.send(SERIAL)
    end.receive_data(bytes.fromhex("459000"))
    assert end.looks_complete
    assert end.next_event() is Signal.NEED_DATA
    end.receive_data(bytes.fromhex("9000"))
    end.end_of_message()
    assert end.next_event() == Response(Status.CONTENT, b"\x90\x00")


def test_9000_inside_a_sealed_answer_does_not_end_it() -> None:
    """Under this key, this body has 9000 in its ciphertext where a shorter answer would end."""
    line = session_line()
    line.device.receive_data(line.client.send(SERIAL))
    line.device.next_event()
    response = Response(Status.CONTENT, (64_627).to_bytes(20, "big"))
    data = line.device.send(response)
    assert data[17:19] == b"\x90\x00"
    line.client.receive_data(data[:19])
    assert line.client.looks_complete
    assert hear_bytewise(line.client, data[19:]) == response


def test_an_empty_answer_breaks_the_line() -> None:
    end = client()
    end.send(SERIAL)
    end.end_of_message()
    with pytest.raises(RemoteProtocolError):
        end.next_event()
    assert end.turn is Turn.BROKEN
    with pytest.raises(RemoteProtocolError, match="open a new one"):
        end.next_event()
    with pytest.raises(LocalProtocolError):
        end.send(SERIAL)


UNREADABLE = {
    "instruction against method": "a2da000007010003ffff0002",
    "no such method": "a2ca000007040003ffff0002",
    "parameters": "a2ca010007010003ffff0002",
    "Lc 0, as the vendor's client wraps it": "a2ca000000",
    "frame shorter than its head": "a2ca000006010003ffff00",
}


@pytest.mark.parametrize("frame", UNREADABLE.values(), ids=UNREADABLE)
def test_a_device_refuses_what_it_cannot_read_and_goes_on(frame: str) -> None:
    end = device()
    assert refuse(end, bytes.fromhex(frame)) == bytes.fromhex("809000")
    assert hear_bytewise(end, SERIAL_FRAME) == SERIAL


def test_a_device_owes_a_refusal_before_it_listens_again() -> None:
    end = device()
    end.receive_data(bytes.fromhex(UNREADABLE["no such method"]))
    with pytest.raises(RemoteProtocolError):
        end.next_event()
    assert end.next_event() is Signal.PAUSED
    with pytest.raises(LocalProtocolError):
        end.send(Response(Status.CONTENT))
    with pytest.raises(LocalProtocolError):
        end.send(Refusal(Status.CONTENT))
    end.send(Refusal(Status.BAD_REQUEST))
    assert end.next_event() is Signal.NEED_DATA


def test_a_stream_that_opens_no_request_breaks_the_line() -> None:
    end = device()
    end.receive_data(b"GET / HTTP/1.1\r\n")
    with pytest.raises(RemoteProtocolError):
        end.next_event()
    assert end.turn is Turn.BROKEN


def test_a_message_that_opens_no_request_can_be_refused() -> None:
    end = device()
    end.end_of_message()
    assert end.next_event() is Signal.NEED_DATA
    end.receive_data(SERIAL_FRAME[:8])
    end.end_of_message()
    with pytest.raises(RemoteProtocolError):
        end.next_event()
    assert end.send(Refusal(Status.BAD_REQUEST)) == bytes.fromhex("809000")


def test_too_many_bytes_without_a_frame_break_the_line() -> None:
    end = client()
    end.send(SERIAL)
    end.receive_data(bytes(MAX_BUFFER))
    with pytest.raises(RemoteProtocolError):
        end.receive_data(b"\x00")
    assert end.turn is Turn.BROKEN


def test_the_pairing_command_goes_over_byte_by_byte() -> None:
    host, tap = client(), device()
    assert hear_bytewise(tap, host.send(Pairing())) == Pairing()
    assert hear_bytewise(host, tap.send(Paired())) == Paired()
    assert hear_bytewise(tap, host.send(SERIAL)) == SERIAL


def test_another_answer_to_the_pairing_command_breaks_the_line() -> None:
    host = client()
    host.send(Pairing())
    host.receive_data(bytes.fromhex("6a82"))
    with pytest.raises(RemoteProtocolError):
        host.next_event()


def test_a_command_that_only_begins_like_pairing_breaks_the_line() -> None:
    tap = device()
    tap.receive_data(PAIRING[:-1] + b"\x01")
    with pytest.raises(RemoteProtocolError):
        tap.next_event()


def test_a_sealed_frame_without_a_session_is_refused_as_such() -> None:
    line = session_line()
    asked = line.client.send(SERIAL)
    refusal = refuse(device(), asked)
    assert refusal == bytes.fromhex("859000")
    assert hear_bytewise(line.client, refusal) == Refusal(Status.METHOD_NOT_ALLOWED)


def test_a_device_may_refuse_a_sealed_request_that_it_has_read() -> None:
    line = session_line()
    line.device.receive_data(line.client.send(SERIAL))
    line.device.next_event()
    assert hear_bytewise(line.client, line.device.send(Refusal(Status.SERVICE_UNAVAILABLE))) == Refusal(0xA3)


def test_a_response_larger_than_any_tap_can_announce_is_not_sent() -> None:
    end = device()
    end.receive_data(SERIAL_FRAME)
    end.next_event()
    for response in (Response(Status.CONTENT, bytes(MAX_BUFFER)), Response(256)):
        with pytest.raises(LocalProtocolError):
            end.send(response)
    assert end.send(Response(Status.CONTENT, b"A")) == bytes.fromhex("45419000")


def test_a_sealed_channel_is_not_put_into_itself() -> None:
    line = session_line()
    for path in ("/1024//48", "/1024//44"):
        with pytest.raises(LocalProtocolError):
            line.client.send(Request(Method.GET, Path.parse(path), bytes(16)))


def test_a_paused_client_speaks_in_clear_and_keeps_its_session() -> None:
    line = session_line()
    line.exchange(SERIAL)
    line.client.pause()
    line.exchange(SERIAL)
    line.client.resume()
    line.exchange(SERIAL)
    assert [frame[10:12].hex() for frame in line.asked] == ["0030", "0002", "0030"]
    assert line.device.form is Form.SEALED


def test_a_raw_call_of_the_channel_is_carried_as_it_is_where_no_session_seals_it() -> None:
    line = session_line()
    sealed = line.client.send(SERIAL)
    raw = client()
    assert raw.send(Request(Method.GET, Path.parse("/1024//48"), sealed[12:])) == sealed
    line.device.receive_data(sealed)
    assert line.device.next_event() == SERIAL
    answer = line.device.send(Response(Status.CONTENT))
    raw.receive_data(answer)
    raw.end_of_message()
    assert raw.next_event() == Response(Status.CONTENT, answer[1:-2])


def test_an_answer_in_clear_that_is_no_initialization_starts_nothing() -> None:
    line = Line(scripted(["45001122339000"]))
    line.initialize()
    assert not line.client.in_session
    assert not line.device.in_session
