"""Bodies of several values (Tap protocol notes §12)."""

import struct
from dataclasses import dataclass, field
from typing import ClassVar, Final

from services.clients.tap.bodies import exactly, head
from services.clients.tap.enumerations import DataType, Domain
from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.records import BitRecord, ByteRecord
from services.clients.tap.scram import KEY_SIZE, NAME_SIZE, decode_name, encode_name

MAX_SMALL_GROUP: Final = 0xFF
"""A group up to here takes one byte in an access list (§12)."""

MAX_U16: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class LoginCredential:
    """A login in clear text, 32 bytes: user name and password, each 16 (§7.7)."""

    user: str
    password: str = field(repr=False)

    @classmethod
    def decode(cls, body: bytes) -> "LoginCredential":
        """Read the 32 bytes."""
        data = exactly(body, 2 * NAME_SIZE, "login credential")
        return cls(decode_name(data[:NAME_SIZE]), decode_name(data[NAME_SIZE:]))

    def encode(self) -> bytes:
        """Give the 32 bytes."""
        return encode_name(self.user) + encode_name(self.password)


@dataclass(frozen=True, slots=True)
class LoginCredentialHashed:
    """A login by hash, 32 bytes: user name and hashed password, each 16 (§7.7)."""

    user: str
    key: bytes = field(repr=False)

    @classmethod
    def decode(cls, body: bytes) -> "LoginCredentialHashed":
        """Read the 32 bytes."""
        data = exactly(body, NAME_SIZE + KEY_SIZE, "login credential")
        return cls(decode_name(data[:NAME_SIZE]), data[NAME_SIZE:])

    def encode(self) -> bytes:
        """Give the 32 bytes."""
        if len(self.key) != KEY_SIZE:
            raise LocalProtocolError(f"a hashed password has {KEY_SIZE} bytes, not {len(self.key)}")
        return encode_name(self.user) + self.key


@dataclass(frozen=True, slots=True)
class SecurityOptions(BitRecord):
    """The lock bits, 2 bytes (§11.2)."""

    BITS: ClassVar = (-11, 1, 1, 1, 1, 1)

    scram_activated: bool = False
    hash_password: bool = False
    disable_hardware_factory_reset: bool = False
    disable_login_with_uid: bool = False
    disable_resource_factory_reset: bool = False


@dataclass(frozen=True, slots=True)
class FrameSizes(ByteRecord):
    """The largest request and response of the transport in use, in bytes."""

    LAYOUT: ClassVar = struct.Struct(">HH")

    request: int
    response: int


@dataclass(frozen=True, slots=True)
class LocalTime(ByteRecord):
    """The clock, fields as in C's ``struct tm``; where month and year begin to count is not known (§12)."""

    LAYOUT: ClassVar = struct.Struct(">9I")

    seconds: int
    minutes: int
    hours: int
    day_of_month: int
    month: int
    year: int
    day_of_week: int
    day_of_year: int
    daylight_saving: int


@dataclass(frozen=True, slots=True)
class BundleAcl:
    """What a group may do with a bundle, 3 or 4 bytes (§12)."""

    group: int
    read: bool = False
    write: bool = False

    @classmethod
    def decode(cls, body: bytes) -> "BundleAcl":
        """Read it in the forms ``41 group8 flags``, ``61 group16 flags`` and ``61 group8 flags``.

        The last is a fault of the vendor's client, which writes only the low byte of a large group; the high byte is
        lost, so such a group is read as its low byte.
        """
        data = head(body, 3, "access list")
        if data[0] not in {0x41, 0x61}:
            raise RemoteProtocolError(f"{data[0]:02X} does not open an access list")
        end = 3 if data[0] == 0x61 and len(body) > 3 else 2  # noqa: PLR2004 - offsets of the two forms
        flags = body[end]
        return cls(int.from_bytes(body[1:end], "big"), bool(flags & 1), bool(flags & 2))

    def encode(self) -> bytes:
        """Give 3 bytes for a group up to 255, else 4."""
        if not 0 <= self.group <= MAX_U16:
            raise LocalProtocolError(f"{self.group} is no group")
        flags = bytes([self.read | self.write << 1])
        if self.group <= MAX_SMALL_GROUP:
            return bytes([0x41, self.group]) + flags
        return b"\x61" + self.group.to_bytes(2, "big") + flags


@dataclass(frozen=True, slots=True)
class DataLogOptions(BitRecord):
    """Options of the data log, 2 bytes."""

    BITS: ClassVar = (-6, 1, 1, -5, 1, 1, 1)

    security: bool = False
    qos: bool = False
    log_on_change: bool = False
    rolling: bool = False
    autorun: bool = False


@dataclass(frozen=True, slots=True)
class LoraConfig(BitRecord):
    """Options of LoRa, 1 byte, from the top bit down."""

    BITS: ClassVar = (1, 1, 1, 1, 1, -3)

    class_a: bool = False
    class_b: bool = False
    class_c: bool = False
    data_logging: bool = False
    single_packet: bool = False


@dataclass(frozen=True, slots=True)
class VariableType(BitRecord):
    """Where a variable lives and what it holds, 1 byte; see ``Domain`` and ``DataType``."""

    BITS: ClassVar = (2, 6)

    domain: int = Domain.TARGET
    data: int = DataType.BOOL


@dataclass(frozen=True, slots=True)
class CrcCheck(ByteRecord):
    """A piece of firmware and the checksum that it should have."""

    LAYOUT: ClassVar = struct.Struct(">III")

    address: int
    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class PacketStore(ByteRecord):
    """What is in the store of single packets, see ``StoreState``; the three bytes before it mean nothing to us."""

    LAYOUT: ClassVar = struct.Struct(">3xB")

    state: int


@dataclass(frozen=True, slots=True)
class NameUnit:
    """Name and unit of a variable, as UTF-8 text ``name:unit``."""

    name: str
    unit: str

    @classmethod
    def decode(cls, body: bytes) -> "NameUnit":
        """Read the text; without a colon it is all name."""
        try:
            name, _, unit = body.decode().partition(":")
        except UnicodeDecodeError:
            raise RemoteProtocolError("the name of a variable is not UTF-8") from None
        return cls(name, unit)

    def encode(self) -> bytes:
        """Give the text."""
        if ":" in self.name:
            raise LocalProtocolError("the name of a variable has no colon")
        return f"{self.name}:{self.unit}".encode()
