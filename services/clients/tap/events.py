"""What two ends of the Tap protocol say to each other, and what a connection says when it has nothing to give.

``Request`` goes from client to device, ``Response`` and ``Refusal`` come back; one request is outstanding at a time
(Tap protocol notes §1). Bodies are raw bytes here; their meaning is the matter of ``bodies`` and ``layouts``.
"""

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Protocol

from services.clients.tap.paths import Path
from services.clients.tap.status import Status, is_success


class Role(Enum):
    """Which end of the line a connection plays."""

    CLIENT = "client"
    DEVICE = "device"


class Method(IntEnum):
    """The first byte of a request frame (§3.1). PUT stores, POST executes or writes without storing (§3.4)."""

    GET = 1
    POST = 2
    PUT = 3


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Every method may carry a body, GET too (§3.4). The body never shows in a log: it may be a secret."""

    method: Method
    path: Path
    body: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        return f"{self.method.name} {self.path}"


@dataclass(frozen=True, slots=True)
class Response:
    """What the device answers to a request: a result code (§4), one byte, and a body, empty after most writes."""

    status: int
    body: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Whether the result code is a success."""
        return is_success(self.status)

    @property
    def done(self) -> bool:
        """Whether it has been carried out: BUSY has the code of a success, and nothing has happened (§4)."""
        return self.ok and self.status != Status.BUSY


@dataclass(frozen=True, slots=True)
class Refusal:
    """The device refuses a frame as such, without having read a request in it; the code is a failure (§9.2).

    A client meets it where it sent a sealed request and the outer status is a failure: the session is then of no use.
    """

    status: int


@dataclass(frozen=True, slots=True)
class Pairing:
    """The NFC pairing command (§5.6)."""


@dataclass(frozen=True, slots=True)
class Paired:
    """The only answer to the NFC pairing command (§5.6)."""


Event = Request | Response | Refusal | Pairing | Paired


class Signal(Enum):
    """What a connection gives instead of an event."""

    NEED_DATA = "give me more bytes, or say that the message ends here"
    PAUSED = "it is your turn to send"


class Nonces(Protocol):
    """Where fresh numbers come from. The core has no randomness of its own; production passes a secure generator."""

    def nonce(self) -> int:
        """Give an unsigned 32-bit number for a login (§7.3)."""

    def salt(self) -> bytes:
        """Give four bytes for a verifier, of which the first is not zero (§10.2)."""

    def iv(self) -> bytes:
        """Give sixteen bytes for an initialization vector (§9.3)."""


class Exchanger(Protocol):
    """Whatever carries one request to a device and brings its response: a client over a transport, a test double."""

    def exchange(self, request: Request) -> Response:
        """Send the request, wait, give the response, whatever its status."""
