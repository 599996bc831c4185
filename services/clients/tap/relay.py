"""Packets and topics of the MQTT relay (Tap protocol notes §5.2).

The relay adds no security beyond a topic that is hard to guess: use the encrypted channel inside it.
"""

import hashlib
import re
import struct
from dataclasses import dataclass, field
from typing import Final

from services.clients.tap.crc import CRC_SIZE, crc_fits, with_crc
from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.frames import MAX_RESPONSE

DEFAULT_NET_KEY: Final = "testnetkey"
"""The net key of a Tap that nobody has configured, ``/1024//55``."""

REFERENCE_SPAN: Final = 1 << 16
"""Reference numbers count modulo 65536."""

_TOPIC_SALT: Final = b"MQTTsubtopic"
_TOPIC_ROUNDS: Final = 5000
_TOPIC_BYTES: Final = 16
_HEAD: Final = struct.Struct(">IIH")
_LENGTH_SIZE: Final = 4
_UNIT: Final = 4
_MAX_U32: Final = 0xFFFF_FFFF
_HEX: Final = re.compile(rb"(?:[0-9A-Fa-f]{2})*")
_MAX_TEXT: Final = 2 * (_HEAD.size + MAX_RESPONSE + _UNIT + CRC_SIZE)
_SERIAL: Final = re.compile(r"[^/+#\x00]+")


@dataclass(frozen=True, slots=True)
class Topics:
    """The two topics of a Tap: the host publishes commands and subscribes to answers, the Tap the other way round."""

    command: str
    answer: str

    @classmethod
    def of(cls, serial: str, net_key: str) -> "Topics":
        """Derive them from the serial number of the Tap and the net key of the relay.

        Raises:
            LocalProtocolError: the serial number is empty or would change the shape of a topic.
        """
        if not _SERIAL.fullmatch(serial):
            raise LocalProtocolError(f"{serial!r} is not the serial number of a Tap")
        secret = (net_key + serial).encode()
        hidden = hashlib.pbkdf2_hmac("sha256", secret, _TOPIC_SALT, _TOPIC_ROUNDS, _TOPIC_BYTES).hex().upper()
        stem = f"IOTIZE_DEV/{serial}_DEV/{hidden}"
        return cls(f"{stem}/COMMAND", f"{stem}/ANSWER")


@dataclass(frozen=True, slots=True)
class RelayPacket:
    """One frame on the relay, in either direction; one MQTT message holds exactly one.

    Attributes:
        sender: who sends, unsigned 32 bits; the vendor's client always says 1.
        reference: counts requests, unsigned 16 bits. A device need not echo it, so prefer an answer that matches and
            do not insist.
        payload: an APDU or a response.
    """

    sender: int
    reference: int
    payload: bytes = field(repr=False)

    @classmethod
    def decode(cls, text: bytes) -> "RelayPacket":
        """Read the payload of an MQTT message: hexadecimal text in either case.

        Raises:
            RemoteProtocolError: it is not such text, or length or checksum are wrong.
        """
        if len(text) > _MAX_TEXT or not _HEX.fullmatch(text):
            raise RemoteProtocolError("a relay message is hexadecimal text")
        data = bytes.fromhex(text.decode("ascii"))
        if len(data) < _HEAD.size + CRC_SIZE or not crc_fits(data):
            raise RemoteProtocolError("a relay packet is cut short, or its checksum is wrong")
        length, sender, reference = _HEAD.unpack_from(data)
        if length < _HEAD.size - _LENGTH_SIZE or _padded(_LENGTH_SIZE + length) != len(data) - CRC_SIZE:
            raise RemoteProtocolError(f"a relay packet of {len(data)} bytes cannot have the length {length}")
        return cls(sender, reference, data[_HEAD.size : _LENGTH_SIZE + length])

    def encode(self) -> bytes:
        """Give the payload of an MQTT message: length, ids, payload, zeros, checksum, as upper-case hexadecimal text.

        Raises:
            LocalProtocolError: an id does not fit its field, or the payload is larger than any frame.
        """
        if not (0 <= self.sender <= _MAX_U32 and 0 <= self.reference < REFERENCE_SPAN):
            raise LocalProtocolError("an id of a relay packet does not fit its field")
        if len(self.payload) > MAX_RESPONSE:
            raise LocalProtocolError(f"a frame has at most {MAX_RESPONSE} bytes, not {len(self.payload)}")
        length = _HEAD.size - _LENGTH_SIZE + len(self.payload)
        data = _HEAD.pack(length, self.sender, self.reference) + self.payload
        return with_crc(data.ljust(_padded(len(data)), b"\x00")).hex().upper().encode("ascii")


def _padded(size: int) -> int:
    return -(-size // _UNIT) * _UNIT
