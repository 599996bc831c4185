"""Two ways to lay out several values in one body: whole bytes by ``struct``, and bits from the top.

A record is a frozen dataclass whose fields stand in the order of the wire; one class variable says how they are laid
out.
"""

import struct
from collections.abc import Iterator
from dataclasses import astuple, fields
from typing import Any, ClassVar, Self

from services.clients.tap.bodies import Codec, head
from services.clients.tap.errors import LocalProtocolError

OCTET = 8


class ByteRecord:
    """A record of whole bytes, big-endian. Where a field more is declared than ``LAYOUT`` has, it takes the rest."""

    LAYOUT: ClassVar[struct.Struct]

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a record; without a field for the rest, more bytes are ignored.

        Raises:
            RemoteProtocolError: there are too few bytes.
        """
        values: list[Any] = list(cls.LAYOUT.unpack(head(body, cls.LAYOUT.size, cls.__name__)))
        names = fields(cls)  # type: ignore[arg-type]
        rest = [body[cls.LAYOUT.size :]] if len(names) > len(values) else []
        return cls(*values, *rest)

    def encode(self) -> bytes:
        """Give the bytes of a record.

        Raises:
            LocalProtocolError: a value does not fit its field.
        """
        values = astuple(self)  # type: ignore[call-overload]
        count = len(self.LAYOUT.unpack(bytes(self.LAYOUT.size)))
        try:
            return self.LAYOUT.pack(*values[:count]) + b"".join(values[count:])
        except (struct.error, TypeError):
            raise LocalProtocolError(f"a value does not fit {self!r}") from None


class BitRecord:
    """A record of bits, from the most significant down. A negative width is that many bits of zero."""

    BITS: ClassVar[tuple[int, ...]]
    REVERSED: ClassVar[bool] = False
    """Whether the bytes travel in reverse order."""

    @classmethod
    def size(cls) -> int:
        """Give the size of a record in bytes."""
        return sum(map(abs, cls.BITS)) // OCTET

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a record; more bytes are ignored, and so is what stands where zeros should.

        Raises:
            RemoteProtocolError: there are too few bytes.
        """
        data = head(body, cls.size(), cls.__name__)
        number = int.from_bytes(data, "little" if cls.REVERSED else "big")
        places = [(number >> shift & (1 << width) - 1, width) for width, shift in cls._places()]
        return cls(*(bool(value) if width == 1 else value for value, width in places))

    def encode(self) -> bytes:
        """Give the bytes of a record.

        Raises:
            LocalProtocolError: a value does not fit its bits.
        """
        number = 0
        for value, (width, shift) in zip(astuple(self), self._places(), strict=True):  # type: ignore[call-overload]
            if not 0 <= value < 1 << width:
                raise LocalProtocolError(f"{value} does not fit {width} bits of {self!r}")
            number |= value << shift
        return number.to_bytes(self.size(), "little" if self.REVERSED else "big")

    @classmethod
    def _places(cls) -> Iterator[tuple[int, int]]:
        """Give width and shift of each field."""
        shift = sum(map(abs, cls.BITS))
        for width in cls.BITS:
            shift -= abs(width)
            if width > 0:
                yield width, shift


def record(name: str, layout: Any) -> Codec[Any]:
    """Make a codec of a class that has ``encode`` and ``decode``."""
    return Codec(name, layout, layout.encode, layout.decode)
