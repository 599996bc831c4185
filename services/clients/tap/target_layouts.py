"""Bodies about the target behind a Tap: its memory, its Modbus, its serial line (Tap protocol notes §12)."""

import struct
from dataclasses import dataclass
from typing import ClassVar

from services.clients.tap.records import BitRecord, ByteRecord


@dataclass(frozen=True, slots=True)
class ModbusAddress(ByteRecord):
    """Where a variable stands on Modbus, 4 bytes."""

    LAYOUT: ClassVar = struct.Struct(">BBH")

    function: int
    slave: int
    address: int


@dataclass(frozen=True, slots=True)
class MemoryInfo(ByteRecord):
    """A piece of the target's memory; format 0 one bit, 1 eight, 2 sixteen, 3 thirty-two bits."""

    LAYOUT: ClassVar = struct.Struct(">IIB")

    address: int
    length: int
    format: int


@dataclass(frozen=True, slots=True)
class MemoryWrite(ByteRecord):
    """A piece of the target's memory and what to write there."""

    LAYOUT: ClassVar = struct.Struct(">IIB")

    address: int
    length: int
    format: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ModbusOptions(ByteRecord):
    """Registers of a slave; object type 0 default, 1 coil, 2 discrete input, 3 holding, 4 input."""

    LAYOUT: ClassVar = struct.Struct(">BBHIB")

    object_type: int
    slave: int
    address: int
    length: int
    format: int


@dataclass(frozen=True, slots=True)
class ModbusWrite(ByteRecord):
    """Registers of a slave and what to write there."""

    LAYOUT: ClassVar = struct.Struct(">BBHIB")

    object_type: int
    slave: int
    address: int
    length: int
    format: int
    data: bytes


@dataclass(frozen=True, slots=True)
class SerialModbus(BitRecord):
    """The line to the target, 8 bytes in reverse order; baud rate in bits per second, see ``SerialPort`` and others."""

    BITS: ClassVar = (8, -3, 1, 20, -4, 4, 2, 4, 2, 4, 4, 8)
    REVERSED: ClassVar = True

    slave: int = 0
    first_register_offset: bool = False
    baud_rate: int = 9600
    port: int = 0
    stop_bits: int = 0
    parity: int = 0
    data_bits: int = 1
    delimiter: int = 0
    flow_control: int = 0
    timeout: int = 0


@dataclass(frozen=True, slots=True)
class TapnpassLine(BitRecord):
    """The line of a Tap'n'Pass, the same 8 bytes with two more flags."""

    BITS: ClassVar = (8, -3, 1, 20, 1, -1, 1, -1, 4, 2, 4, 2, 4, 4, 8)
    REVERSED: ClassVar = True

    slave: int = 0
    first_register_offset: bool = False
    baud_rate: int = 9600
    identification: bool = False
    led_status: bool = False
    port: int = 0
    stop_bits: int = 0
    parity: int = 0
    data_bits: int = 1
    delimiter: int = 0
    flow_control: int = 0
    timeout: int = 0


@dataclass(frozen=True, slots=True)
class UsbAlias(ByteRecord):
    """A USB device that a Tap'n'Pass takes for another, 5 bytes."""

    LAYOUT: ClassVar = struct.Struct(">HHB")

    product: int
    vendor: int
    equivalent: int


@dataclass(frozen=True, slots=True)
class TapnpassConfig:
    """A line and any number of USB aliases; only the line is in reverse order."""

    line: TapnpassLine
    aliases: tuple[UsbAlias, ...] = ()

    @classmethod
    def decode(cls, body: bytes) -> "TapnpassConfig":
        """Read the line and the whole aliases behind it."""
        rest, step = body[TapnpassLine.size() :], UsbAlias.LAYOUT.size
        starts = range(0, len(rest) - step + 1, step)
        return cls(TapnpassLine.decode(body), tuple(UsbAlias.decode(rest[start:]) for start in starts))

    def encode(self) -> bytes:
        """Give 8 bytes and 5 more for each alias."""
        return self.line.encode() + b"".join(alias.encode() for alias in self.aliases)


@dataclass(frozen=True, slots=True)
class S3pConfig(ByteRecord):
    """S3P: delay, and mode 0 emulation or 1 indexed."""

    LAYOUT: ClassVar = struct.Struct(">BB")

    delay: int
    mode: int


@dataclass(frozen=True, slots=True)
class TargetStatistics(ByteRecord):
    """How often the target did not answer, and did."""

    LAYOUT: ClassVar = struct.Struct(">II")

    failures: int
    successes: int


@dataclass(frozen=True, slots=True)
class AdapterControl(ByteRecord):
    """A command to a Tap'n'Pass adapter or its result, and a parameter."""

    LAYOUT: ClassVar = struct.Struct(">HH")

    command: int
    parameter: int
