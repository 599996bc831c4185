"""Whatever is said survives the line, and whatever comes off a line is an event, a signal or a protocol error."""

from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.clients.tap import (
    Connection,
    LocalProtocolError,
    Method,
    Pairing,
    Path,
    ProtocolError,
    Refusal,
    RemoteProtocolError,
    Request,
    Response,
    Role,
    Signal,
    calls_at,
)
from services.clients.tap.ble import join_legacy, split_legacy
from services.clients.tap.body_types import BODY_TYPES
from services.clients.tap.channel import pack_inner, unpack_inner
from services.clients.tap.multi import Part, decode_answers, decode_parts, encode_answers, encode_parts
from services.clients.tap.relay import RelayPacket
from services.clients.tap.scram import Challenge, LoginParams, Verifier
from services.clients.tap.state import KINDS, WRAPPERS
from services.clients.tap.tlv import Record, TlvKind, decode_bundle, decode_records, encode_bundle, encode_record
from tests.unit.tap.lines import Line, Numbered, session_line

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine is no fault
U16 = st.integers(0, 0xFFFF)
PATHS = st.builds(Path, U16, st.none() | U16, U16)
SPECIAL = {path for _, path in KINDS} | set(WRAPPERS)
ORDINARY = PATHS.filter(lambda path: path not in SPECIAL)


def requests(size: int) -> st.SearchStrategy[Request]:
    return st.builds(Request, st.sampled_from(Method), ORDINARY, st.binary(max_size=size))


RESPONSES = st.builds(Response, st.integers(0, 255), st.binary(max_size=240))


@PATIENT
@given(requests(248), RESPONSES)
def test_any_request_and_response_survive_in_clear(request: Request, response: Response) -> None:
    line = Line(lambda _: response)
    assert line.exchange(request) == response


@PATIENT
@given(st.lists(st.tuples(requests(209), RESPONSES), max_size=6), st.integers(0, 4))
def test_any_requests_and_responses_survive_the_channel(pairs: list[tuple[Request, Response]], period: int) -> None:
    line = session_line(period=period)
    desk = line.desk
    for request, response in pairs:
        line.desk = answering(request, response, desk)
        assert line.exchange(request) == response


def answering(asked: Request, response: Response, desk: Callable[[Request], Response]) -> Callable[[Request], Response]:
    return lambda request: response if request == asked else desk(request)


def devices() -> list[Connection]:
    fresh = Connection(Role.DEVICE, nonces=Numbered())
    in_session = session_line().device
    return [fresh, in_session]


def clients() -> list[Connection]:
    idle = Connection(Role.CLIENT, nonces=Numbered())
    pairing = Connection(Role.CLIENT, nonces=Numbered())
    pairing.send(Pairing())
    asking = Connection(Role.CLIENT, nonces=Numbered())
    sealed, with_iv = session_line().client, session_line(period=1).client
    for client in (asking, sealed, with_iv):
        client.send(Request(Method.GET, Path(3, None, 2)))
    return [idle, pairing, asking, sealed, with_iv]


SEND_HEAD = bytes.fromhex("010400ffff0030")
NOISE = st.lists(
    st.binary(max_size=300)
    | st.binary(max_size=40).map(lambda data: data + b"\x90\x00")
    | st.binary(max_size=40).map(lambda data: b"\xa2\xca\x00\x00" + bytes([len(data)]) + data)
    | st.binary(max_size=48).map(lambda data: b"\xa2\xca\x00\x00" + bytes([len(data) + 7]) + SEND_HEAD + data),
    max_size=4,
)


@PATIENT
@given(NOISE, st.booleans())
def test_any_bytes_at_all_give_an_event_or_a_protocol_error(noise: list[bytes], told: bool) -> None:  # noqa: FBT001
    for end in [*devices(), *clients()]:
        for data in noise:
            listen(end, data, told=told)


@PATIENT
@given(st.binary(max_size=60), st.integers(0, 3), st.integers(0, 1))
def test_any_payload_that_is_sealed_rightly_gives_an_event_or_a_protocol_error(
    payload: bytes, frame_id: int, period: int
) -> None:
    """The other end knows the key, and means no good."""
    line = session_line(period=period)
    iv = bytes(16)
    body = iv * period + line.client._channel.seal(payload, frame_id=frame_id, iv=iv)  # noqa: SLF001 - as it would
    line.client.send(Request(Method.GET, Path(3, None, 2)))
    listen(line.client, b"\x45" + body + b"\x90\x00", told=True)
    head = bytes.fromhex("010400ffff002c") if period else SEND_HEAD
    listen(line.device, b"\xa2\xca\x00\x00" + bytes([7 + len(body)]) + head + body, told=False)


def listen(end: Connection, data: bytes, *, told: bool) -> None:
    try:
        end.receive_data(data)
        if told:
            end.end_of_message()
        for _ in range(len(data) + 2):
            event = end.next_event()
            if isinstance(event, Signal):
                return
            if isinstance(event, Request):
                end.send(Response(0x45))
    except RemoteProtocolError as error:
        refuse_if_owed(end, error)


def refuse_if_owed(end: Connection, error: RemoteProtocolError) -> None:
    try:
        end.send(Refusal(error.answer))
    except LocalProtocolError:
        assert end.role is Role.CLIENT or end.turn.name == "BROKEN"


@PATIENT
@given(st.sampled_from(sorted(BODY_TYPES)), st.binary(max_size=80))
def test_any_body_is_read_or_refused_and_what_is_read_can_be_written(name: str, body: bytes) -> None:
    codec = BODY_TYPES[name]
    try:
        value = codec.decode(body)
    except RemoteProtocolError:
        return
    try:
        again = codec.encode(value)
    except LocalProtocolError:
        return  # an unknown value of an enumeration is read and never written
    assert repr(codec.decode(again)) == repr(value)


READERS: list[Callable[[bytes], object]] = [
    decode_parts,
    decode_answers,
    decode_records,
    decode_bundle,
    unpack_inner,
    RelayPacket.decode,
    Verifier.decode,
    Challenge.decode,
    LoginParams.decode,
    lambda body: join_legacy([body[start : start + 5] for start in range(0, len(body), 5)]),
]


@PATIENT
@given(st.sampled_from(READERS), st.binary(max_size=120))
def test_any_bytes_are_read_or_refused(read: Callable[[bytes], object], body: bytes) -> None:
    try:
        read(body)
    except ProtocolError as error:
        assert isinstance(error, RemoteProtocolError)  # noqa: PT017 - the other half is that nothing else is raised


@PATIENT
@given(U16, st.binary(max_size=500))
def test_inner_frames_survive(frame_id: int, payload: bytes) -> None:
    frame = pack_inner(frame_id, payload)
    assert len(frame) % 16 == 0
    assert unpack_inner(frame) == (frame_id, payload)


@PATIENT
@given(st.integers(0, 0xFFFF_FFFF), U16, st.binary(max_size=300))
def test_relay_packets_survive(sender: int, reference: int, payload: bytes) -> None:
    packet = RelayPacket(sender, reference, payload)
    text = packet.encode()
    assert len(text) % 8 == 0
    assert RelayPacket.decode(text) == RelayPacket.decode(text.lower()) == packet


@PATIENT
@given(st.binary(max_size=254), st.integers(1, 60), st.randoms(use_true_random=False))
def test_legacy_packets_survive_in_any_order(frame: bytes, chunk: int, random: object) -> None:
    packets = list(split_legacy(frame, chunk=chunk))
    assert all(len(packet) <= chunk + 1 for packet in packets)
    random.shuffle(packets)  # type: ignore[attr-defined]
    assert join_legacy(packets) == frame


@PATIENT
@given(st.builds(Record, st.sampled_from(TlvKind), U16, st.binary(max_size=300)))
def test_tlv_records_survive(record: Record) -> None:
    assert decode_records(encode_record(record) * 2) == (record, record)


@PATIENT
@given(st.dictionaries(U16, st.binary(max_size=40), max_size=6), U16)
def test_bundles_survive(values: dict[int, bytes], bundle: int) -> None:
    assert decode_bundle(encode_bundle(values, bundle=bundle)) == values


@PATIENT
@given(st.lists(st.builds(Part, requests(60), st.integers(0, 255)), max_size=4), st.lists(RESPONSES, max_size=4))
def test_multi_requests_survive(parts: list[Part], answers: list[Response]) -> None:
    parts = [part for part in parts if part.request.path != Path(1024, None, 89)]
    assert decode_parts(encode_parts(parts)) == tuple(parts)
    assert decode_answers(encode_answers(answers)) == tuple(answers)


@PATIENT
@given(PATHS)
def test_paths_survive_as_text_and_as_bytes(path: Path) -> None:
    assert Path.parse(str(path)) == Path.decode(path.encode()) == path


@PATIENT
@given(st.sampled_from(Method), PATHS)
def test_any_path_is_looked_up_without_harm(method: Method, path: Path) -> None:
    assert all(call.matches(path) for call in calls_at(method, path))
