"""CRC-32/MPEG-2, the checksum of inner frames and relay packets (Tap protocol notes §9.1).

Polynomial 04C11DB7, start FFFFFFFF, most significant bit first, no reflection, no final XOR. It is the mirror image of
the CRC-32 of zlib, so zlib computes it: bits of every byte mirrored on the way in, bits of the result on the way out.
"""

import zlib
from typing import Final

CRC_SIZE: Final = 4
"""Bytes of the checksum on the wire, big-endian."""

_MASK: Final = 0xFFFF_FFFF


def _mirror(value: int, bits: int) -> int:
    return int(f"{value:0{bits}b}"[::-1], 2)


_MIRRORED: Final = bytes(_mirror(byte, 8) for byte in range(256))


def crc32_mpeg2(data: bytes) -> int:
    """Compute the checksum of any bytes as an unsigned 32-bit number."""
    return _mirror(zlib.crc32(data.translate(_MIRRORED)) ^ _MASK, 32)


def with_crc(data: bytes) -> bytes:
    """Append the checksum, four bytes, big-endian."""
    return data + crc32_mpeg2(data).to_bytes(CRC_SIZE, "big")


def crc_fits(data: bytes) -> bool:
    """Say whether the last four bytes are the checksum of those before them."""
    return len(data) >= CRC_SIZE and with_crc(data[:-CRC_SIZE]) == data
