"""How single values stand in a body: numbers, text, addresses, enumerations, sets (Tap protocol notes §12).

A reader takes the bytes that it needs and ignores more, as the vendor's client does; fewer are an error. Values that an
enumeration does not know are read as plain numbers, for newer firmware may have them, and are never written.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from ipaddress import AddressValueError, IPv4Address
from typing import Any, Final, Generic, TypeVar

from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError

T = TypeVar("T")
E = TypeVar("E", bound=IntEnum)
F = TypeVar("F", bound=IntFlag)

FALSE: Final = b"\xfe"
"""How false is written; a reader looks at bit 0 only (§12)."""

TRUE: Final = b"\x01"
"""How true is written (§12)."""

MAC_SIZE: Final = 6
IPV4_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class Codec(Generic[T]):
    """One type of body.

    Attributes:
        name: as the registry calls it.
        takes: what Python type it writes; it reads the same.
        write: gives the bytes of a value of that type.
        read: gives the value of bytes.
    """

    name: str
    takes: type[Any]
    write: Callable[[T], bytes]
    read: Callable[[bytes], T]

    def encode(self, value: T) -> bytes:
        """Give the bytes of a value.

        Raises:
            LocalProtocolError: it is of another type, or it does not fit.
        """
        stray_bool = isinstance(value, bool) and self.takes is not bool
        if stray_bool or not isinstance(value, self.takes):
            raise LocalProtocolError(f"{self.name} takes {self.takes.__name__}, not {type(value).__name__}")
        return self.write(value)

    def decode(self, body: bytes) -> T:
        """Give the value of a body.

        Raises:
            RemoteProtocolError: it is too short, or it means nothing.
        """
        return self.read(body)


def head(body: bytes, size: int, what: str) -> bytes:
    """Give the first bytes of a body.

    Raises:
        RemoteProtocolError: there are fewer.
    """
    if len(body) < size:
        raise RemoteProtocolError(f"{what} has {size} bytes, not {len(body)}")
    return body[:size]


def exactly(body: bytes, size: int, what: str) -> bytes:
    """Give a body that must have one size.

    Raises:
        RemoteProtocolError: it has another.
    """
    if len(body) != size:
        raise RemoteProtocolError(f"{what} has {size} bytes, not {len(body)}")
    return body


def number(name: str, layout: str) -> Codec[Any]:
    """Make the codec of a number out of its ``struct`` letter; big-endian."""
    packing = struct.Struct(f">{layout}")
    takes = float if layout == "f" else int

    def write(value: float) -> bytes:
        try:
            return packing.pack(value)
        except (struct.error, OverflowError):
            raise LocalProtocolError(f"{value} does not fit {name}") from None

    def read(body: bytes) -> Any:
        return packing.unpack(head(body, packing.size, name))[0]

    return Codec(name, takes, write, read)


def choice(name: str, members: type[E], *, size: int = 1) -> Codec[Any]:
    """Make the codec of one value of an enumeration; unknown values are read as numbers."""
    known = {int(member): member for member in members}

    def write(value: int) -> bytes:
        if value not in known:
            raise LocalProtocolError(f"{value} is no {name}")
        return int(value).to_bytes(size, "big")

    def read(body: bytes) -> int:
        value = int.from_bytes(head(body, size, name), "big")
        return known.get(value, value)

    return Codec(name, int, write, read)


def flags(name: str, members: type[F], *, size: int = 1) -> Codec[Any]:
    """Make the codec of a set of values, which are ORed together; unknown bits are read and kept."""
    known = sum(int(member) for member in members)

    def write(value: int) -> bytes:
        if value & ~known or value < 0:
            raise LocalProtocolError(f"{int(value):#x} has bits that no {name} has")
        return int(value).to_bytes(size, "big")

    def read(body: bytes) -> F:
        return members(int.from_bytes(head(body, size, name), "big"))

    return Codec(name, int, write, read)


def _write_bool(value: bool) -> bytes:  # noqa: FBT001 - the value itself is what is written
    return TRUE if value else FALSE


def _read_bool(body: bytes) -> bool:
    return bool(head(body, 1, "bool")[0] & 1)


def _write_text(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError("text for a Tap keeps to Latin-1") from None


def _read_text(body: bytes) -> str:
    """Cut at the first zero. The vendor's client also clears bit 7 of each byte; we keep what was written (§12)."""
    return body.split(b"\x00", 1)[0].decode("latin-1")


def _read_utf8(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise RemoteProtocolError("the text is not UTF-8") from None


def _write_version(value: str) -> bytes:
    try:
        major, minor, patch = (int(part) for part in value.split("."))
        return struct.pack(">BBH", major, minor, patch)
    except (ValueError, struct.error):
        raise LocalProtocolError(f"a version has the form 255.255.65535, not {value!r}") from None


def _read_version(body: bytes) -> str:
    major, minor, patch = struct.unpack(">BBH", head(body, 4, "version"))
    return f"{major}.{minor}.{patch}"


def _write_ipv4(value: str) -> bytes:
    try:
        return IPv4Address(value).packed
    except AddressValueError:
        raise LocalProtocolError(f"{value!r} is no IPv4 address") from None


def _read_ipv4(body: bytes) -> str:
    return str(IPv4Address(exactly(body, IPV4_SIZE, "ipv4")))


def _write_mac(value: str) -> bytes:
    parts = value.split(":")
    try:
        if [len(part) for part in parts] == [2] * MAC_SIZE:
            return bytes.fromhex("".join(parts))
    except ValueError:
        pass
    raise LocalProtocolError(f"{value!r} is no MAC address")


def _read_mac(body: bytes) -> str:
    return exactly(body, MAC_SIZE, "mac").hex(":").upper()


UINT8: Final = number("uint8", "B")
UINT16: Final = number("uint16", "H")
UINT32: Final = number("uint32", "I")
INT8: Final = number("int8", "b")
INT16: Final = number("int16", "h")
INT32: Final = number("int32", "i")
FLOAT: Final = number("float", "f")
BOOL: Final[Codec[bool]] = Codec("bool", bool, _write_bool, _read_bool)
BYTES: Final[Codec[bytes]] = Codec("bytes", bytes, bytes, bytes)
ASCII: Final[Codec[str]] = Codec("ascii", str, _write_text, _read_text)
UTF8: Final[Codec[str]] = Codec("utf8", str, str.encode, _read_utf8)
VERSION: Final[Codec[str]] = Codec("version", str, _write_version, _read_version)
IPV4: Final[Codec[str]] = Codec("ipv4", str, _write_ipv4, _read_ipv4)
MAC: Final[Codec[str]] = Codec("mac", str, _write_mac, _read_mac)
