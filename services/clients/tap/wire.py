"""What carries bytes to one Tap and back: the port behind which TCP and the MQTT relay stand.

Whoever implements it opens sockets; this file does not.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol


@dataclass(frozen=True, kw_only=True, slots=True)
class Bounds:
    """How long we are willing to wait, in seconds. The vendor's own figures stand in Tap protocol notes §3.6.

    Attributes:
        connect: until the connection stands, for TLS and the broker's word each the same again.
        answer: for one whole answer, however steadily it drips.
        quiet: after an answer in clear that may be whole and whose length nobody knows (§5.1).
        doubt: after a sealed answer that ends like one and does not fit its checksum.
        echo: on the relay, for an answer whose ids match, once one whose ids do not has come (§5.2).
    """

    connect: float = 10.0
    answer: float = 10.0
    quiet: float = 0.06
    doubt: float = 1.0
    echo: float = 0.3


class WireLost(Exception):
    """The connection does not stand any more; the text says why, for a person."""


class Wire(Protocol):
    """An open connection to one Tap. One thread at a time.

    Attributes:
        whole: whether each piece that ``receive`` gives is a whole answer.
    """

    whole: ClassVar[bool]

    def send(self, data: bytes) -> None:
        """Drop what came unasked, and send one request in one piece.

        Raises:
            WireLost: it is certain that the request has not left whole.
        """

    def receive(self, patience: float) -> bytes:
        """Give the next piece that arrives within so many seconds.

        Raises:
            TimeoutError: nothing came.
            WireLost: nothing will come any more.
        """

    def close(self) -> None:
        """Close it; closing twice does no harm."""


class Address(Protocol):
    """Where a Tap is reached. Its text names the place and holds no secret."""

    def dial(self, bounds: Bounds) -> Wire:
        """Open a connection.

        Raises:
            TryAgain: there is nobody, or not now.
            OurFault: the certificate is not trusted, or our credentials are refused.
        """
