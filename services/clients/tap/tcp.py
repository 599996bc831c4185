"""A Tap over plain TCP (Tap protocol notes §5.1): no greeting, no TLS, requests self-delimiting, answers not.

The vendor's adapters take one received segment for one answer; this one hands on whatever comes, and the conversation
finds the end, so split and joined segments do no harm.
"""

import contextlib
import select
import socket
from dataclasses import dataclass
from typing import ClassVar, Final

from schemas.errors import TryAgain
from services.clients.tap.wire import Bounds, WireLost

DEFAULT_PORT: Final = 2000
"""Of the vendor's examples and relay (§5.1)."""

PIECE: Final = 4096
"""Bytes of one read; a frame is at most some hundred."""

MAX_STALE: Final = 1 << 20
"""Bytes that may lie there unasked before we call the other end no Tap."""

_SHORTEST: Final = 0.001


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Host name or IP address, and port."""

    host: str
    port: int = DEFAULT_PORT

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp://{host}:{self.port}"

    def dial(self, bounds: Bounds) -> "TcpWire":
        """Open a connection.

        Raises:
            TryAgain: nobody answers there.
        """
        try:
            connection = socket.create_connection((self.host, self.port), timeout=bounds.connect)
        except (OSError, UnicodeError) as error:
            raise TryAgain(f"no connection to {self}: {reason(error)}", call="connect", sent=False) from None
        return TcpWire(connection, patience=bounds.answer)


class TcpWire:
    """One TCP connection to a Tap.

    The socket never blocks and a poll does the waiting: a socket with a timeout would ask the system twice as often.

    Args:
        connection: a connected stream socket, ours from now on.
        patience: seconds until a request must have been taken by the network.
    """

    whole: ClassVar[bool] = False

    def __init__(self, connection: socket.socket, *, patience: float) -> None:
        self._socket = connection
        self._patience = patience
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        connection.setblocking(False)
        with contextlib.suppress(OSError):  # a socket pair has no such option
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        """Drop what came unasked, and send one request in one piece.

        Raises:
            WireLost: it is certain that the request has not left whole.
        """
        try:
            self._drop_stale()
            self._send_whole(data)
        except OSError as error:
            raise WireLost(f"the connection broke: {reason(error)}") from None

    def receive(self, patience: float) -> bytes:
        """Give the next piece that arrives within so many seconds.

        Raises:
            TimeoutError: nothing came.
            WireLost: nothing will come any more.
        """
        if not self._readable(max(patience, _SHORTEST)):
            raise TimeoutError
        try:
            return self._piece()
        except OSError as error:
            raise WireLost(f"the connection broke: {reason(error)}") from None

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _readable(self, patience: float) -> bool:
        return bool(self._poll.poll(patience * 1000))

    def _piece(self) -> bytes:
        piece = self._socket.recv(PIECE)
        if not piece:
            raise WireLost("the Tap closed the connection")
        return piece

    def _drop_stale(self) -> None:
        """Empty the socket's buffer, so that a late answer is not taken for the next one (§3.6)."""
        dropped = 0
        while self._readable(0):
            dropped += len(self._piece())
            if dropped > MAX_STALE:
                raise WireLost("the other end talks without being asked")

    def _send_whole(self, data: bytes) -> None:
        """Send a request; only where the socket cannot take it at once is there something to wait for."""
        try:
            sent = self._socket.send(data)
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._socket.settimeout(self._patience)
            try:
                self._socket.sendall(data[sent:])
            finally:
                self._socket.setblocking(False)


def reason(error: Exception) -> str:
    """Say what went wrong without the address, which the caller names."""
    if isinstance(error, TimeoutError):
        return "timed out"
    return (getattr(error, "strerror", None) or type(error).__name__).lower()
