"""The wire to a device: an HTTP/1.1 connection of the standard library, kept within bounds.

Measured for a small answer over loopback, in CPU time: 0.6 ms with httpx, 0.3 ms with httpcore, 0.15 ms so. A rotation
over a thousand devices is seven thousand exchanges in threads that share one core.
"""

import http.client
import socket
import ssl
import time
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult

from services.clients.wire import Bounds, Broken, Message, Received

_LONGEST_REST: Final = 5.0
"""Seconds after which a connection that nobody used is not used again: the server may be about to close it."""


class _Clear(http.client.HTTPConnection):
    auto_open = 0  # a connection is opened here, or not at all


class _Secure(_Clear):
    default_port = http.client.HTTPS_PORT


class Line:
    """A connection that opens itself when it is needed, for one thread; another one may hang up.

    No redirect is followed, no proxy used, no cookie kept.

    Args:
        base: host and port.
        context: decides whom to trust; it makes the difference between https and http.
    """

    def __init__(self, base: SplitResult, context: ssl.SSLContext | None) -> None:
        self._sent = False
        self._kind = _Clear if context is None else _Secure
        self._host = base.hostname or ""
        self._port = base.port or self._kind.default_port
        self._context = context
        self._connection: http.client.HTTPConnection | None = None
        self._socket: socket.socket | None = None
        self._rests_since = 0.0

    def exchange(self, message: Message, bounds: Bounds, patience: float) -> Received:
        """Send a request and read its answer.

        Raises:
            Broken: no whole answer came.
        """
        self._sent = False
        try:
            connection = self._ask(message, bounds)
            return self._hear(connection, bounds.answer_bytes + 1, bounds.read + patience)
        except (OSError, http.client.HTTPException, ValueError) as error:
            broken = _broken(error, sent=self._sent)
            self.close()
        except BaseException:
            self.close()
            raise
        raise broken  # outside the except block: nothing of the standard library stays attached

    def _ask(self, message: Message, bounds: Bounds) -> http.client.HTTPConnection:
        line, connection = self._standing() or self._opened(bounds.connect)
        line.settimeout(bounds.write)
        self._sent = True
        connection.request(message.method, message.target, body=message.body, headers=dict(message.headers))
        return connection

    def _hear(self, connection: http.client.HTTPConnection, most: int, seconds: float) -> Received:
        connection.sock.settimeout(seconds)
        response = connection.getresponse()
        content = response.read(most)
        if len(content) < most and response.length:
            raise http.client.IncompleteRead(b"", response.length)
        if response.will_close or not response.isclosed():
            self.close()
        self._rests_since = time.monotonic()
        return Received(
            status=response.status,
            content=content,
            content_type=response.headers.get("Content-Type", ""),
            challenges=tuple(response.headers.get_all("WWW-Authenticate", ())),
            retry_after=response.headers.get("Retry-After"),
            date=response.headers.get("Date"),
        )

    def hang_up(self) -> None:
        """Let whoever reads or writes see the end; the connection's own thread closes it."""
        line = self._socket
        if line is not None:
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)  # of TLS too, without its farewell

    def close(self) -> None:
        """Forget the connection, and what may be left of a request; the next one opens another."""
        line, connection = self._socket, self._connection
        self._socket = self._connection = None
        if connection is not None:
            connection.close()
        if line is not None:
            line.close()

    def _standing(self) -> tuple[socket.socket, http.client.HTTPConnection] | None:
        """Give the connection if there is one that can be used again."""
        line, connection = self._socket, self._connection
        if line is None or connection is None:
            return None
        if time.monotonic() - self._rests_since < _LONGEST_REST and _is_quiet(line):
            return line, connection
        self.close()
        return None

    def _opened(self, seconds: float) -> tuple[socket.socket, http.client.HTTPConnection]:
        self._socket = line = socket.create_connection((self._host, self._port), timeout=seconds)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context is not None:
            self._socket = line = self._context.wrap_socket(line, server_hostname=self._host)
        self._connection = connection = self._kind(self._host, self._port)
        connection.sock = line
        return line, connection


def _is_quiet(line: socket.socket) -> bool:
    """Whether the other end has neither hung up nor said what nobody asked for."""
    line.settimeout(0)
    try:
        socket.socket.recv(line, 1, socket.MSG_PEEK)  # what lies below TLS, too
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _broken(error: Exception, *, sent: bool) -> Broken:
    kind = type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        return Broken(kind, untrusted=error.verify_message)
    if isinstance(error, http.client.InvalidURL) or (isinstance(error, ValueError) and not isinstance(error, OSError)):
        return Broken(kind, unsendable=True)  # what the request holds; the connection took nothing of it
    return Broken(kind, sent=sent)
