"""Single packets: signed pieces of work that a Tap stores and carries out (Tap protocol notes §12).

Their layouts were read in the vendor's package and have not been seen on a wire. The inside of a payload is left as it
is: encrypted, it is a matter between whoever made it and the Tap.
"""

import struct
from dataclasses import dataclass
from typing import ClassVar, Final

from services.clients.tap.bodies import head
from services.clients.tap.crc import CRC_SIZE, crc32_mpeg2
from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.records import BitRecord

UNIT: Final = 16
"""Lengths and offsets of chunks count blocks of 16 bytes."""

MAX_CHUNK: Final = 192
"""Data of one chunk in bytes, as the vendor's client cuts it."""

LONG_FORMAT: Final = 8
"""The format whose offsets have 32 bits instead of 16."""

_TIME_SIZE: Final = 4
_LENGTH_BITS: Final = 12


@dataclass(frozen=True, slots=True)
class PacketHeader(BitRecord):
    """The 12 bytes that open a packet; see ``PacketType``."""

    BITS: ClassVar = (16, 16, 32, 4, -1, 1, 1, 1, 8, 16)

    length: int
    packet_id: int
    configuration_version: int
    type: int
    extended: bool
    encrypted: bool
    acknowledge: bool
    sender: int
    salt: int


@dataclass(frozen=True, slots=True)
class SinglePacket:
    """A whole packet: send time in seconds, unsigned 32 bits; header; payload as it is, with its padding."""

    send_time: int
    header: PacketHeader
    payload: bytes

    @classmethod
    def decode(cls, body: bytes) -> "SinglePacket":
        """Read a packet.

        Raises:
            RemoteProtocolError: it is cut short, or its checksum is wrong.
        """
        data = head(body, max(len(body), _TIME_SIZE + PacketHeader.size() + CRC_SIZE), "single packet")
        covered, crc = data[_TIME_SIZE:-CRC_SIZE], data[-CRC_SIZE:]
        if crc32_mpeg2(covered) != int.from_bytes(crc, "big"):
            raise RemoteProtocolError("the checksum of a single packet is wrong")
        time = int.from_bytes(data[:_TIME_SIZE], "big")
        return cls(time, PacketHeader.decode(covered), covered[PacketHeader.size() :])

    def encode(self) -> bytes:
        """Give the bytes; the checksum covers all but the send time.

        Raises:
            LocalProtocolError: a number does not fit.
        """
        covered = self.header.encode() + self.payload
        try:
            return struct.pack(">I", self.send_time) + covered + struct.pack(">I", crc32_mpeg2(covered))
        except struct.error:
            raise LocalProtocolError(f"the send time {self.send_time} does not fit 32 bits") from None


@dataclass(frozen=True, slots=True)
class PacketChunk:
    """A piece of a packet on its way into the store; offset in bytes, a multiple of 16, as is the size of the data."""

    offset: int
    data: bytes
    long: bool = False

    @classmethod
    def decode(cls, body: bytes) -> "PacketChunk":
        """Read a chunk.

        Raises:
            RemoteProtocolError: it is cut short.
        """
        first = int.from_bytes(head(body, 2, "packet chunk"), "big")
        long = first >> _LENGTH_BITS == LONG_FORMAT
        start = 6 if long else 4
        end = start + (first & 0xFFF) * UNIT
        data = head(body, end, "packet chunk")
        return cls(int.from_bytes(data[2:start], "big") * UNIT, data[start:], long)

    def encode(self) -> bytes:
        """Give the bytes.

        Raises:
            LocalProtocolError: offset or size are not multiples of 16, or too large.
        """
        if self.offset % UNIT or len(self.data) % UNIT or len(self.data) > MAX_CHUNK:
            raise LocalProtocolError(f"no chunk of {len(self.data)} bytes at {self.offset}")
        first = (LONG_FORMAT << _LENGTH_BITS if self.long else 0) | len(self.data) // UNIT
        try:
            return struct.pack(">HI" if self.long else ">HH", first, self.offset // UNIT) + self.data
        except struct.error:
            raise LocalProtocolError(f"the offset {self.offset} is too large") from None
