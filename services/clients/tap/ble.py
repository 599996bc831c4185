"""Frames over Bluetooth low energy, as pure functions, no radio (Tap protocol notes §5.4).

*Large frame*: one write is one APDU, one notification is one response. *Legacy*: a byte that sums up the frame is
appended, the whole is cut into pieces, each behind the byte of its offset, and sent from the highest offset down; the
piece at offset 0 is the last and ends the frame. The piece that may be short is the one at offset 0.
"""

from collections.abc import Sequence
from typing import Final

from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError

LEGACY_SERVICE: Final = "6c7b16c2-2a5b-8c9f-cf42-d31425470e7b"
LEGACY_CHARACTERISTIC: Final = "cc5c5491-b3be-9287-cb42-f7a6a29a50d5"
LARGE_FRAME_SERVICE: Final = "7c7b16c2-2a5b-8c9f-cf42-d31425470e7b"
LARGE_FRAME_CHARACTERISTIC: Final = "dc5c5491-b3be-9287-cb42-f7a6a29a50d5"
FIRMWARE_UPGRADE_SERVICE: Final = "9e5d1e47-5c13-43a0-8635-82ad38a1386f"
FIRMWARE_UPGRADE_CHARACTERISTIC: Final = "347f7608-2e2d-47eb-913b-75d4edc4de3b"

MAX_FRAME: Final = 255
"""The largest frame of the large-frame service; of the legacy service with its sum (§3.5)."""

CHUNK: Final = 19
"""Bytes of a legacy piece: an MTU of 20 less the offset (§5.4)."""

MIN_PACKET: Final = 2
"""A legacy packet has its offset and at least one byte."""


def checksum(data: bytes) -> int:
    """Sum up all bytes modulo 256 (§5.4)."""
    return sum(data) % 256


def split_legacy(frame: bytes, *, chunk: int = CHUNK) -> tuple[bytes, ...]:
    """Cut a frame into the packets of the legacy service, in the order of sending.

    Raises:
        LocalProtocolError: with its sum the frame has over 255 bytes, or a chunk has none.
    """
    if chunk < 1 or len(frame) >= MAX_FRAME:
        raise LocalProtocolError(f"no legacy packets of {chunk} bytes for a frame of {len(frame)}")
    data = frame + bytes([checksum(frame)])
    first = len(data) % chunk or chunk
    offsets = [0, *range(first, len(data), chunk)]
    ends = [*offsets[1:], len(data)]
    packets = [bytes([start]) + data[start:end] for start, end in zip(offsets, ends, strict=True)]
    return tuple(reversed(packets))


def is_last(packet: bytes) -> bool:
    """Say whether a legacy packet ends its frame: its offset is 0."""
    return packet[:1] == b"\x00"


def join_legacy(packets: Sequence[bytes]) -> bytes:
    """Put the packets of one legacy frame together, in whatever order they came.

    Raises:
        RemoteProtocolError: a packet is empty, they leave gaps or overlap, are too long, or the sum is wrong.
    """
    data = b""
    for packet in sorted(packets, key=lambda packet: packet[:1]):
        if len(packet) < MIN_PACKET or packet[0] != len(data):
            raise RemoteProtocolError("the packets of a legacy frame do not fit together")
        data += packet[1:]
    if not data or len(data) > MAX_FRAME:
        raise RemoteProtocolError(f"a legacy frame has 1 … {MAX_FRAME} bytes, not {len(data)}")
    if checksum(data[:-1]) != data[-1]:
        raise RemoteProtocolError("the sum of a legacy frame is wrong")
    return data[:-1]


def large_frame(frame: bytes) -> bytes:
    """Give the one packet of a frame on the large-frame service, which is the frame itself.

    Raises:
        LocalProtocolError: it has over 255 bytes.
    """
    if len(frame) > MAX_FRAME:
        raise LocalProtocolError(f"a large frame has at most {MAX_FRAME} bytes, not {len(frame)}")
    return frame
