"""CRC-32/MPEG-2, the checksum of inner frames and relay packets (Tap protocol notes §9.1).

Polynomial 04C11DB7, start FFFFFFFF, most significant bit first, no reflection, no final XOR. It is the mirror image of
the CRC-32 of zlib, so zlib computes it: bits of every byte mirrored on the way in, bits of the result on the way out.
The four bytes of a result are mirrored in the other byte order, so one table of bytes does for both.
"""

import zlib
from typing import Final

CRC_SIZE: Final = 4
"""Bytes of the checksum on the wire, big-endian."""

_MASK: Final = 0xFFFF_FFFF


_MIRRORED: Final = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def crc_of(data: bytes) -> bytes:
    """Compute the checksum of any bytes, four bytes, big-endian."""
    mirrored = zlib.crc32(data.translate(_MIRRORED)) ^ _MASK
    return mirrored.to_bytes(CRC_SIZE, "little").translate(_MIRRORED)


def crc32_mpeg2(data: bytes) -> int:
    """Compute the checksum of any bytes as an unsigned 32-bit number."""
    return int.from_bytes(crc_of(data), "big")


def with_crc(data: bytes) -> bytes:
    """Append the checksum, four bytes, big-endian."""
    return data + crc_of(data)


def crc_fits(data: bytes) -> bool:
    """Say whether the last four bytes are the checksum of those before them."""
    return len(data) >= CRC_SIZE and crc_of(data[:-CRC_SIZE]) == data[-CRC_SIZE:]
