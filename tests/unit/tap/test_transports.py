"""What stands around a frame: relay packets, Bluetooth packets, TLV, multi requests, inner frames."""

import pytest

from services.clients.tap import LocalProtocolError, Method, Path, RemoteProtocolError, Request, Response, Status, ble
from services.clients.tap.channel import Channel, pack_inner, unpack_inner
from services.clients.tap.crc import crc_fits, with_crc
from services.clients.tap.multi import ANY_SUCCESS, ANYTHING, Part, decode_answers, decode_parts, meets, multi_request
from services.clients.tap.relay import RelayPacket, Topics
from services.clients.tap.tlv import MAX_LENGTH, Record, TlvKind, decode_bundle, encode_record
from tests.unit.tap.lines import KEY, SERIAL

PACKET = b"00000012000000010001A2CA000007010003FFFF00020000B8DF37D3"


def test_topics_of_the_notes() -> None:
    topics = Topics.of("IOTZ00000000000042", "testnetkey")
    assert topics.command == "IOTIZE_DEV/IOTZ00000000000042_DEV/FC16CAF7C1D63109610140EBAD51E430/COMMAND"
    assert topics.answer.endswith("/ANSWER")


@pytest.mark.parametrize("serial", ["", "a/b", "a+", "#", "a\x00"])
def test_a_serial_number_does_not_change_the_shape_of_a_topic(serial: str) -> None:
    with pytest.raises(LocalProtocolError):
        Topics.of(serial, "testnetkey")


def test_a_relay_packet_of_the_notes() -> None:
    packet = RelayPacket.decode(PACKET)
    assert (packet.sender, packet.reference) == (1, 1)
    assert packet.encode() == PACKET
    assert RelayPacket.decode(PACKET.lower()) == packet


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"A",
        b"not hexadecimal",
        PACKET[:-2],
        PACKET[:-1] + b"4",
        b"00" * 200_000,
        with_crc(bytes.fromhex("00000003000000010001" + "0000")).hex().encode(),
        with_crc(bytes.fromhex("00000020000000010001" + "0000")).hex().encode(),
    ],
    ids=["empty", "half a byte", "text", "cut", "checksum", "huge", "length too small", "length too large"],
)
def test_a_relay_message_that_cannot_be_read(text: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        RelayPacket.decode(text)


@pytest.mark.parametrize(
    "packet", [RelayPacket(-1, 0, b""), RelayPacket(1, 65_536, b""), RelayPacket(1, 1, bytes(70_000))]
)
def test_a_relay_packet_that_does_not_fit(packet: RelayPacket) -> None:
    with pytest.raises(LocalProtocolError):
        packet.encode()


def test_large_frames_travel_as_they_are() -> None:
    assert ble.large_frame(bytes(255)) == bytes(255)
    with pytest.raises(LocalProtocolError):
        ble.large_frame(bytes(256))


@pytest.mark.parametrize(("size", "chunk"), [(255, 19), (10, 0)])
def test_what_cannot_be_cut_into_legacy_packets(size: int, chunk: int) -> None:
    with pytest.raises(LocalProtocolError):
        ble.split_legacy(bytes(size), chunk=chunk)


@pytest.mark.parametrize(
    "packets",
    [[], [b""], [b"\x00"], [b"\x00a", b"\x02b"], [b"\x00aa", b"\x01b"], [b"\x00a\x00"], [b"\x00" + bytes(256)]],
    ids=["none", "empty", "offset only", "gap", "overlap", "sum", "too long"],
)
def test_legacy_packets_that_do_not_make_a_frame(packets: list[bytes]) -> None:
    with pytest.raises(RemoteProtocolError):
        ble.join_legacy(packets)


@pytest.mark.parametrize("data", ["", "88", "88050c", "c40101020304", "88050ac40101020304", "880506c401010203"])
def test_what_is_no_bundle(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_bundle(bytes.fromhex(data))


@pytest.mark.parametrize(
    "record", [Record(TlvKind.VALUE, 65_536, b""), Record(TlvKind.VALUE, 1, bytes(MAX_LENGTH + 1))]
)
def test_a_tlv_record_that_does_not_fit(record: Record) -> None:
    with pytest.raises(LocalProtocolError):
        encode_record(record)


def test_expected_statuses() -> None:
    assert meets(Response(Status.CHANGED), ANY_SUCCESS)
    assert not meets(Response(Status.NOT_FOUND), ANY_SUCCESS)
    assert meets(Response(Status.NOT_FOUND), ANYTHING)
    assert meets(Response(Status.CHANGED), Status.CHANGED)
    assert not meets(Response(Status.CONTENT), Status.CHANGED)


@pytest.mark.parametrize(
    ("method", "path"),
    [(Method.GET, "/1024//40"), (Method.POST, "/1024//1"), (Method.GET, "/1024//48"), (Method.GET, "/1024//89")],
)
def test_what_changes_the_session_is_no_part_of_several(method: Method, path: str) -> None:
    request = Request(method, Path.parse(path))
    with pytest.raises(LocalProtocolError):
        multi_request([Part(SERIAL), Part(request)])
    frame = bytes([method]) + request.path.encode()
    with pytest.raises(RemoteProtocolError):
        decode_parts(b"\x00\x07" + frame + b"\x7f")


def test_several_requests_in_one() -> None:
    request = multi_request([Part(SERIAL, ANYTHING)])
    assert (request.method, str(request.path)) == (Method.GET, "/1024//89")
    assert decode_parts(request.body) == (Part(SERIAL, ANYTHING),)


@pytest.mark.parametrize("body", ["00", "0001", "000245", "0000"])
def test_answers_to_several_that_are_cut_short(body: str) -> None:
    with pytest.raises(RemoteProtocolError):
        decode_answers(bytes.fromhex(body))


def test_inner_frames_of_the_notes() -> None:
    frame = bytes.fromhex("00000007010003ffff000200b6b5eb18")
    assert pack_inner(0, frame[4:11]) == frame
    assert unpack_inner(frame) == (0, frame[4:11])
    with pytest.raises(LocalProtocolError):
        pack_inner(0, bytes(65_536))


@pytest.mark.parametrize(
    "frame",
    [b"", bytes(15), bytes(16), with_crc(bytes.fromhex("0000" + "ffff" + "00" * 8)), with_crc(bytes(4) + b"\x01" * 8)],
    ids=["empty", "no multiple of 16", "checksum", "length", "padding"],
)
def test_inner_frames_that_cannot_be_read(frame: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        unpack_inner(frame)


def test_a_channel_needs_a_key_and_whole_ivs() -> None:
    channel = Channel()
    with pytest.raises(LocalProtocolError, match="no session"):
        channel.seal(b"", frame_id=0, iv=bytes(16))
    channel.take_key(KEY)
    with pytest.raises(LocalProtocolError, match="IV"):
        channel.seal(b"", frame_id=0, iv=bytes(8))


def test_a_checksum_of_too_few_bytes_does_not_fit() -> None:
    assert not crc_fits(b"\x00\x00\x00")
