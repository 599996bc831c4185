"""LwM2M TLV, in which a Tap gives the values of a bundle or a profile (Tap protocol notes §12.1).

A record is ``type | id (1 or 2 bytes) | length (0 … 3 bytes) | value``. The type byte holds, from the top: the kind
(2 bits), whether the id has 16 bits (1), the bytes of the length field (2), the length itself where there is no field
for it (3). A bundle is one record of kind 2 whose value is a row of records of kind 3.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError

MAX_ID: Final = 0xFFFF
MAX_SHORT_ID: Final = 0xFF
MAX_INLINE: Final = 7
"""A longer value has a length field."""

MAX_LENGTH: Final = 0xFF_FFFF
"""The length field has at most three bytes."""


class TlvKind(IntEnum):
    """What a record is."""

    OBJECT_INSTANCE = 0
    RESOURCE_INSTANCE = 1
    MULTIPLE_RESOURCE = 2
    VALUE = 3


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its kind, its id, 0 … 65535, and its value, bytes."""

    kind: TlvKind
    id: int
    value: bytes


def encode_record(record: Record) -> bytes:
    """Give the bytes of one record.

    Raises:
        LocalProtocolError: id or value do not fit.
    """
    size = len(record.value)
    if not 0 <= record.id <= MAX_ID or size > MAX_LENGTH:
        raise LocalProtocolError(f"no TLV record of id {record.id} and {size} bytes")
    id_size = 1 if record.id <= MAX_SHORT_ID else 2
    length_size = 0 if size <= MAX_INLINE else (size.bit_length() + 7) // 8
    first = record.kind << 6 | (id_size - 1) << 5 | length_size << 3 | (0 if length_size else size)
    length = size.to_bytes(length_size, "big") if length_size else b""
    return bytes([first]) + record.id.to_bytes(id_size, "big") + length + record.value


def decode_records(data: bytes) -> tuple[Record, ...]:
    """Read a row of records.

    Raises:
        RemoteProtocolError: the row is cut short.
    """
    records = []
    while data:
        kind, id_, start, size = _header(data)
        if start + size > len(data):
            raise RemoteProtocolError(f"a TLV record of {start + size} bytes is cut short at {len(data)}")
        records.append(Record(kind, id_, data[start : start + size]))
        data = data[start + size :]
    return tuple(records)


def encode_bundle(values: Mapping[int, bytes], *, bundle: int = 0) -> bytes:
    """Give the bytes of a bundle: the values of its variables by their ids.

    Raises:
        LocalProtocolError: an id or a value does not fit.
    """
    children = b"".join(encode_record(Record(TlvKind.VALUE, id_, value)) for id_, value in values.items())
    return encode_record(Record(TlvKind.MULTIPLE_RESOURCE, bundle, children))


def decode_bundle(data: bytes) -> dict[int, bytes]:
    """Read the values of a bundle by the ids of its variables.

    The vendor's client writes an outer length that counts two header bytes for each child, which is short for children
    with a 16-bit id or a length field. Both the right length and that one are taken.

    Raises:
        RemoteProtocolError: it is no bundle, or it is cut short.
    """
    if not data:
        raise RemoteProtocolError("an empty body is no bundle")
    kind, _, start, size = _header(data)
    children = decode_records(data[start:])
    row = len(data) - start
    counted = sum(len(child.value) + 2 for child in children)
    if kind is not TlvKind.MULTIPLE_RESOURCE or size not in {row, counted}:
        raise RemoteProtocolError(f"a {kind.name} of {size} bytes before {row} bytes of values is no bundle")
    return {child.id: child.value for child in children}


def _header(data: bytes) -> tuple[TlvKind, int, int, int]:
    """Give kind, id, size of the header and size of the value of the first record."""
    first = data[0]
    id_end = 2 + (first >> 5 & 1)
    start = id_end + (first >> 3 & 3)
    if len(data) < start:
        raise RemoteProtocolError("a TLV record is cut short in its header")
    size = int.from_bytes(data[id_end:start], "big") if start > id_end else first & MAX_INLINE
    return TlvKind(first >> 6), int.from_bytes(data[1:id_end], "big"), start, size
