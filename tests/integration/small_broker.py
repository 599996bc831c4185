"""As much of an MQTT broker as a relay needs, in both versions of the protocol, with TLS and refusals.

The genuine brokers of the tests are amqtt, which knows 3.1.1 only, and Mosquitto where it is installed.
"""

import contextlib
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from typing import Final

MQTT_5: Final = 5


@dataclass
class _Guest:
    line: socket.socket
    version: int = 4
    topics: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def say(self, kind: int, body: bytes) -> None:
        """Send one packet."""
        with self.lock, contextlib.suppress(OSError):
            self.line.sendall(bytes([kind]) + _varint(len(body)) + body)


class SmallBroker:
    """Serves on a free port until it is closed; QoS 0 only."""

    def __init__(
        self, *, tls: ssl.SSLContext | None = None, connack: int = 0, suback: int = 0, deaf: bool = False
    ) -> None:
        self._tls, self._connack, self._suback, self._deaf = tls, connack, suback, deaf
        self.client_ids: list[str] = []
        self.logins: list[bytes] = []
        self._guests: list[_Guest] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Hang up on everybody and wait for the threads."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(5)

    def hang_up(self) -> None:
        """Hang up on everybody."""
        for guest in self._guests:
            with contextlib.suppress(OSError):
                guest.line.shutdown(socket.SHUT_RDWR)

    def publish(self, topic: str, payload: bytes, *, retained: bool = False) -> None:
        """Hand a message to all who listen."""
        for guest in self._guests:
            if topic in guest.topics:
                properties = b"\x00" if guest.version == MQTT_5 else b""
                guest.say(0x31 if retained else 0x30, _text(topic) + properties + payload)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(line,), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _serve(self, line: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            guest = _Guest(line if self._tls is None else self._tls.wrap_socket(line, server_side=True))
            self._guests.append(guest)
            acts = {1: self._connect, 3: self._forward, 8: self._subscribe}
            with guest.line:
                while True:
                    kind, body = _packet(guest.line)
                    if act := acts.get(kind >> 4):
                        act(guest, body)

    def _connect(self, guest: _Guest, body: bytes) -> None:
        guest.version = body[6]
        rest = body[10:]
        if guest.version == MQTT_5:
            rest = rest[1 + rest[0] :]
        size = struct.unpack(">H", rest[:2])[0]
        self.client_ids.append(rest[2 : 2 + size].decode())
        self.logins.append(rest[2 + size :])
        if not self._deaf:
            guest.say(0x20, bytes([0, self._connack]) + (b"\x00" if guest.version == MQTT_5 else b""))

    def _subscribe(self, guest: _Guest, body: bytes) -> None:
        number, rest, properties = body[:2], body[2:], b""
        if guest.version == MQTT_5:
            rest, properties = rest[1 + rest[0] :], b"\x00"
        size = struct.unpack(">H", rest[:2])[0]
        if not self._suback:
            guest.topics.add(rest[2 : 2 + size].decode())
        guest.say(0x90, number + properties + bytes([self._suback]))

    def _forward(self, guest: _Guest, body: bytes) -> None:
        size = struct.unpack(">H", body[:2])[0]
        topic, payload = body[2 : 2 + size].decode(), body[2 + size :]
        self.publish(topic, payload[1 + payload[0] :] if guest.version == MQTT_5 else payload)


def _packet(line: socket.socket) -> tuple[int, bytes]:
    kind, size, shift = _exactly(line, 1)[0], 0, 0
    while True:
        byte = _exactly(line, 1)[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return kind, _exactly(line, size)


def _exactly(line: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = line.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _varint(number: int) -> bytes:
    data = bytearray()
    while True:
        number, byte = number >> 7, number & 0x7F
        data.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(data)


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()
