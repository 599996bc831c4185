"""The 95 vectors that were recorded from the vendor's own client, each from both ends where that has a meaning.

Where the vendor's client does something that we refuse to do, the check says what, and shows that we know it.
"""

from collections.abc import Callable
from typing import Final

import pytest

from services.clients.tap import (
    LocalProtocolError,
    Tap,
    ble,
)
from services.clients.tap.bodies import FLOAT, UINT16
from services.clients.tap.body_types import BODY_TYPES
from services.clients.tap.crc import crc32_mpeg2, crc_fits, with_crc
from services.clients.tap.relay import RelayPacket, Topics
from services.clients.tap.tlv import decode_bundle, encode_bundle
from tests.unit.tap.lines import KEY, Desk, Line, Numbered, scripted
from tests.unit.tap.vectors import COUNT, VECTORS, Vector
from tests.unit.tap.vectors_clear import check_plain
from tests.unit.tap.vectors_configured import check_configuration
from tests.unit.tap.vectors_sealed import check_encrypted, check_limit, check_scram, check_verifier


def check_crc(_: str, given: Vector, wanted: Vector) -> None:
    data = bytes.fromhex(given["data"])
    assert f"{crc32_mpeg2(data):08x}" == wanted["crc"]
    assert crc_fits(with_crc(data))


def check_ble(_: str, given: Vector, wanted: Vector) -> None:
    data = bytes.fromhex(given["data"])
    packets = ble.split_legacy(data, chunk=given["chunkDataSize"])
    assert [packet.hex() for packet in packets] == wanted["packets"]
    assert ble.join_legacy(packets).hex() == wanted["rebuilt"]
    assert [ble.is_last(packet) for packet in packets] == [False] * (len(packets) - 1) + [True]


BODY_NAMES: Final[dict[str, str]] = {
    "boolean": "bool",
    "stringVersion": "version",
    "stringIpv4": "ipv4",
    "stringMacaddress": "mac",
    "hostProtocol": "host_protocol",
    "hostProtocolArray": "host_protocol_set",
}


def check_body(_: str, given: Vector, wanted: Vector) -> None:
    codec = BODY_TYPES[BODY_NAMES.get(given["type"], str(given["type"]))]
    several = isinstance(given["value"], list)
    data = codec.encode(sum(given["value"]) if several else given["value"])
    assert data.hex() == wanted["bytes"]
    value = codec.decode(data)
    if codec is FLOAT:  # the vendor's client rounds what it reads to five decimals; we do not
        value = round(value, 5)
    if wanted["decoded"] == "Zoi":  # the vendor's client clears bit 7 of what it reads; we do not
        assert value == given["value"]
        value = "".join(chr(ord(letter) & 0x7F) for letter in value)
    assert (list(value) if several else value) == wanted["decoded"]


def check_tlv(_: str, given: Vector, wanted: Vector) -> None:
    data = bytes.fromhex(given.get("bytes") or wanted["bytes"])
    decoded = {int(id_): bytes.fromhex(value) for id_, value in wanted["decoded"].items()}
    assert decode_bundle(data) == decoded
    ours = encode_bundle(decoded, bundle=data[1])
    assert ours[:2] + ours[3:] == data[:2] + data[3:]
    assert ours[2] == len(data) - 3  # where the vendor's client counts too few, this is the only byte that differs


def check_mqtt(_: str, given: Vector, wanted: Vector) -> None:
    topics = Topics.of(given["serial"], given["netkey"])
    assert [topics.answer] == wanted["subscribed"]
    line = Line(scripted([RelayPacket.decode(a["payload"].encode()).payload.hex() for a in given["deviceAnswers"]]))
    bodies = [Tap(line).read(path) for path in ("/3//2", "/3//3", "/1024//9")]
    assert bodies == wanted["bodies"]
    pairs = [(wanted["published"], line.asked, topics.command), (given["deviceAnswers"], line.answered, topics.answer)]
    for messages, frames, topic in pairs:
        for reference, (message, frame) in enumerate(zip(messages, frames, strict=True), start=1):
            packet = RelayPacket(1, reference, frame)
            assert (message["topic"], message["payload"].encode()) == (topic, packet.encode())
            assert RelayPacket.decode(message["payload"].lower().encode()) == packet


CHECKS: Final[dict[str, Callable[[str, Vector, Vector], None]]] = {
    "crc32": check_crc,
    "plain": check_plain,
    "limits": check_limit,
    "scram": check_scram,
    "verifier": check_verifier,
    "encrypted": check_encrypted,
    "ble": check_ble,
    "body": check_body,
    "tlv": check_tlv,
    "mqtt": check_mqtt,
    "configuration": check_configuration,
}


def exercise(vector: Vector) -> None:
    CHECKS[vector["group"]](vector["name"], vector["inputs"], vector["outputs"])


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vector(vector: Vector) -> None:
    exercise(vector)


def test_all_of_them_are_exercised() -> None:
    exercised = 0
    for vector in VECTORS:
        exercise(vector)
        exercised += 1
    assert exercised == len(VECTORS) == COUNT
    assert {vector["group"] for vector in VECTORS} == set(CHECKS)


def test_our_16_bits_refuse_what_does_not_fit() -> None:
    with pytest.raises(LocalProtocolError):
        UINT16.encode(65_536)


def test_the_first_exchange_of_the_notes_gives_its_session_key() -> None:
    desk = Desk(users={"admin": "admin"}, nonces=Numbered())
    line = Line(desk)
    line.log_in("admin", "admin")
    assert line.asked[1].hex().upper().endswith("116378C82D9361FF0B0EDE40E2F5B225")
    assert line.answered[1].hex().upper() == "4512D65C7585135D76254188842513994F9000"
    assert desk.key.hex().upper() == "6B4B5457FCE902183F310AF146E6EAAE"
    assert desk.key != KEY
