"""A small Tap for tests: the device's end of the protocol core behind a real socket, with dials for faults."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from services.clients.tap import (
    Connection,
    DeviceLogin,
    Form,
    LoginParams,
    Method,
    Path,
    Refusal,
    RemoteProtocolError,
    Request,
    Response,
    Role,
    Signal,
    Status,
    Turn,
    Verifier,
)
from services.clients.tap.layouts import LoginCredential
from services.clients.tap.nonces import SecureNonces
from services.clients.tap.state import (
    ITERATION_PATH,
    LOGIN_PATH,
    LOGOUT_PATH,
    PROOF_PATH,
    SECURITY_PATH,
    SET_IV_PATH,
)

SERIAL = "IOTZ00000000000042"
SERIAL_PATH = Path.parse("/3//2")
SCRAM = b"\x00\x18"


@dataclass
class TapState:
    """What one simulated Tap knows, over all its connections."""

    serial: str = SERIAL
    users: dict[str, str] = field(default_factory=lambda: {"admin": "admin"})
    iterations: int = 10
    lock_bits: bytes = SCRAM
    ivs: bool = True
    tries: int = 5
    failures: int = 0
    logins: int = 0
    values: dict[Path, bytes] = field(default_factory=dict)
    asked: list[tuple[Form, Request]] = field(default_factory=list)
    verifiers: dict[str, Verifier] = field(default_factory=dict)
    answers: dict[Path, Response] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for user, password in self.users.items():
            salt = SecureNonces().salt()
            self.verifiers[user] = Verifier.make(password, salt=salt, iterations=self.iterations)
        self.values[SERIAL_PATH] = self.serial.encode()
        self.values[SECURITY_PATH] = self.lock_bits
        self.values[ITERATION_PATH] = self.iterations.to_bytes(4, "big")

    def forms(self, path: Path) -> list[Form]:
        """How requests for a path have travelled."""
        return [form for form, request in self.asked if request.path == path]


class Desk:
    """Answers the requests of one connection."""

    def __init__(self, tap: TapState) -> None:
        self.tap = tap
        self.login = DeviceLogin()
        self.nonces = SecureNonces()
        self.key: bytes | None = None

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        if request.path in self.tap.answers:
            return self.tap.answers[request.path]
        special: dict[tuple[Method, Path], Callable[[bytes], Response]] = {
            (Method.GET, LOGIN_PATH): self._challenge,
            (Method.GET, PROOF_PATH): self._admit,
            (Method.GET, SET_IV_PATH): self._ivs,
            (Method.POST, LOGOUT_PATH): lambda _: Response(Status.CHANGED),
            (Method.POST, Path.parse("/1024//0")): self._plain,
        }
        if act := special.get((request.method, request.path)):
            return act(request.body)
        if request.method is not Method.GET:
            self.tap.values[request.path] = request.body
            return Response(Status.CHANGED)
        body = self.tap.values.get(request.path)
        return Response(Status.NOT_FOUND) if body is None else Response(Status.CONTENT, body)

    def _challenge(self, body: bytes) -> Response:
        if self.tap.failures >= self.tap.tries:
            return Response(Status.SERVICE_UNAVAILABLE)
        params = LoginParams.decode(body)
        verifier = self.tap.verifiers.get(params.user, Verifier(bytes(16), bytes(16), b"made"))
        nonce = self.nonces.nonce()
        challenge = self.login.challenge(params, verifier, iterations=self.tap.iterations, nonce=nonce)
        return Response(Status.CONTENT, challenge.encode())

    def _admit(self, proof: bytes) -> Response:
        admission = self.login.admit(proof)
        if admission is None:
            self.tap.failures += 1
            return Response(Status.UNAUTHORIZED)
        self.tap.failures, self.key = 0, admission.key
        self.tap.logins += 1
        return Response(Status.CONTENT, admission.proof)

    def _plain(self, body: bytes) -> Response:
        credential = LoginCredential.decode(body)
        good = self.tap.users.get(credential.user) == credential.password
        return Response(Status.CHANGED if good else Status.NOT_ACCEPTABLE)

    def _ivs(self, _: bytes) -> Response:
        return Response(Status.CONTENT, self.nonces.iv()) if self.tap.ivs else Response(Status.NOT_IMPLEMENTED)


class Device:
    """One end of one connection: bytes of requests in, bytes of answers out."""

    def __init__(self, tap: TapState) -> None:
        self.tap = tap
        self.desk = Desk(tap)
        self.line = Connection(Role.DEVICE, nonces=self.desk.nonces)

    def take(self, data: bytes) -> Iterator[bytes]:
        """Take bytes, give the answer to each whole request among them."""
        self.line.receive_data(data)
        while True:
            try:
                event = self.line.next_event()
            except RemoteProtocolError as error:
                if self.line.turn is not Turn.UNREADABLE:
                    raise
                yield self.line.send(Refusal(error.answer))
                continue
            if isinstance(event, Signal):
                return
            assert isinstance(event, Request)
            yield self._answer(event)

    def _answer(self, request: Request) -> bytes:
        form = self.line.form
        if form is Form.SEALED_WITH_IV and not self.tap.ivs:
            return self.line.send(Refusal(Status.NOT_IMPLEMENTED))
        self.tap.asked.append((form, request))
        answer = self.line.send(self.desk(request))
        if self.desk.key is not None:
            self.line.start_session(self.desk.key)
            self.desk.key = None
        return answer


Deliver = Callable[[socket.socket, bytes, int], None]
"""Hands an answer to a socket; the number counts the answers of its connection, from 0."""


def at_once(connection: socket.socket, answer: bytes, _: int) -> None:
    connection.sendall(answer)


def in_pieces(size: int, *, pause: float = 0.0) -> Deliver:
    """Deliver so many bytes at a time."""

    def deliver(connection: socket.socket, answer: bytes, _: int) -> None:
        for start in range(0, len(answer), size):
            connection.sendall(answer[start : start + size])
            time.sleep(pause)

    return deliver


class TcpDevice:
    """Serves a Tap on a free port until it is closed."""

    def __init__(self, tap: TapState, deliver: Deliver = at_once) -> None:
        self.tap = tap
        self.deliver = deliver
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._start(self._accept)

    def close(self) -> None:
        """Close everything and wait for the threads."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, run: Callable[[], None]) -> None:
        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                self._open.append(connection)
                self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        device, count = Device(self.tap), 0
        with connection, contextlib.suppress(OSError, RemoteProtocolError):
            while data := connection.recv(4096):
                for answer in device.take(data):
                    self.deliver(connection, answer, count)
                    count += 1
