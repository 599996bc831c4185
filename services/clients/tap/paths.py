"""LwM2M paths: ``/1024//41`` is object 1024, no instance, resource 41 (Tap protocol notes §0 and §3.1)."""

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError

NO_INSTANCE: Final = 0xFFFF
"""What the wire carries where a path has no instance (§3.1)."""

CREATE: Final = 0xFFFF
"""Posting to this resource of an instance creates the instance (§6.1)."""

GROUP_OBJECT: Final = 1025
"""The object of users; its instance 65535 is the administrator (§10.1)."""

PATH_SIZE: Final = 6
"""Object, instance and resource, each unsigned 16 bits, big-endian (§3.1)."""

_LAYOUT: Final = struct.Struct(">HHH")
_PARTS: Final = 3
_U16_DIGITS: Final = 5


@dataclass(frozen=True, slots=True, order=True)
class Path:
    """Where a resource stands. ``instance`` is None where the path has none.

    Instance 65535 and no instance are the same two bytes on the wire, so they are made equal here: in the object of
    groups it is the administrator, 65535, everywhere else it is None.

    Raises:
        LocalProtocolError: a number does not fit 16 bits.
    """

    object: int
    instance: int | None
    resource: int

    def __post_init__(self) -> None:
        if self.instance in (None, NO_INSTANCE):
            object.__setattr__(self, "instance", NO_INSTANCE if self.object == GROUP_OBJECT else None)
        for number in (self.object, self.instance or 0, self.resource):
            if not 0 <= number <= NO_INSTANCE:
                raise LocalProtocolError(f"{number} in a path does not fit 16 bits")

    @classmethod
    def parse(cls, text: str) -> "Path":
        """Read ``/1024//41`` or ``/1025/1/0``.

        A fourth element (resource instance) is refused: the wire has no field for it, and the vendor's client drops it
        without a word (§3.1).

        Raises:
            LocalProtocolError: it is not such a path.
        """
        slash, *parts = text.split("/")
        if slash or len(parts) != _PARTS:
            raise LocalProtocolError(f"a path has the form /object/instance/resource, not {text!r}")
        numbers = [_number(part, text) if part else None for part in parts]
        if numbers[0] is None or numbers[2] is None:
            raise LocalProtocolError(f"only the instance of a path may be left out, not so in {text!r}")
        return cls(numbers[0], numbers[1], numbers[2])

    @classmethod
    def decode(cls, data: bytes) -> "Path":
        """Read the six bytes of a request frame.

        Raises:
            RemoteProtocolError: there are not exactly six.
        """
        if len(data) != PATH_SIZE:
            raise RemoteProtocolError(f"a path has {PATH_SIZE} bytes, not {len(data)}")
        return _decoded(data)

    def encode(self) -> bytes:
        """Give the six bytes of a request frame."""
        return _LAYOUT.pack(self.object, NO_INSTANCE if self.instance is None else self.instance, self.resource)

    def __str__(self) -> str:
        instance = "" if self.instance is None else self.instance
        return f"/{self.object}/{instance}/{self.resource}"


@lru_cache(maxsize=1024)
def _decoded(data: bytes) -> Path:
    return Path(*_LAYOUT.unpack(data))


def _number(part: str, text: str) -> int:
    if not (part.isascii() and part.isdigit() and len(part) <= _U16_DIGITS):
        raise LocalProtocolError(f"{part!r} in the path {text!r} is not a number of 16 bits")
    return int(part)
