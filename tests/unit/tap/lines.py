"""Both ends of a line in one process: every frame goes over byte by byte, and both ends must agree on it."""

from collections.abc import Callable, Iterable, Iterator, Sequence

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
    Verifier,
    login,
    run,
)
from services.clients.tap.state import (
    INITIALIZE_PATH,
    LOGIN_PATH,
    LOGOUT_PATH,
    PROOF_PATH,
    SET_IV_PATH,
)

KEY = bytes.fromhex("00112233445566778899aabbccddeeff")
SERIAL = Request(Method.GET, Path.parse("/3//2"))


class Numbered:
    """Numbers that are told beforehand, then counted ones: what the core draws is known."""

    def __init__(self, *, ivs: Iterable[bytes] = (), salt: bytes = b"\x0a\x0b\x0c\x0d") -> None:
        self._ivs: Iterator[bytes] = iter([*ivs, *(bytes([count]) * 16 for count in range(1, 256))])
        self._salt = salt

    def nonce(self) -> int:
        """Give the client nonce of the notes."""
        return 0x01020304

    def salt(self) -> bytes:
        """Give the one salt."""
        return self._salt

    def iv(self) -> bytes:
        """Give the next IV."""
        return next(self._ivs)


class Desk:
    """The least that a device must answer: values by path, logins, session requests."""

    def __init__(self, *, users: dict[str, str] | None = None, iterations: int = 100, nonces: Numbered) -> None:
        self.values: dict[Path, bytes] = {SERIAL.path: b"IOTZ00000000000042"}
        self.nonces = nonces
        self.iterations = iterations
        self.verifiers = {
            user: Verifier.make(password, salt=nonces.salt(), iterations=iterations)
            for user, password in (users or {}).items()
        }
        self.logins = DeviceLogin()
        self.key = b""
        self.server_nonce = 0xA1B2C3D4

    def __call__(self, request: Request) -> Response:
        """Answer a request."""
        special: dict[Path, Callable[[bytes], Response]] = {
            LOGIN_PATH: self._challenge,
            PROOF_PATH: self._admit,
            SET_IV_PATH: lambda _: Response(Status.CONTENT, self.nonces.iv()),
            INITIALIZE_PATH: lambda _: Response(Status.CONTENT, KEY),
            LOGOUT_PATH: lambda _: Response(Status.CHANGED),
        }
        if request.path in special:
            return special[request.path](request.body)
        if request.method is Method.GET:
            return Response(Status.CONTENT, self.values.get(request.path, b""))
        self.values[request.path] = request.body
        return Response(Status.CHANGED)

    def _challenge(self, body: bytes) -> Response:
        params = LoginParams.decode(body)
        verifier = self.verifiers.get(params.user, Verifier(bytes(16), bytes(16), b"made"))
        challenge = self.logins.challenge(params, verifier, iterations=self.iterations, nonce=self.server_nonce)
        return Response(Status.CONTENT, challenge.encode())

    def _admit(self, proof: bytes) -> Response:
        admission = self.logins.admit(proof)
        if admission is None:
            return Response(Status.UNAUTHORIZED)
        self.key = admission.key
        return Response(Status.CONTENT, admission.proof)


class Line:
    """A client, a device and a desk behind it."""

    def __init__(
        self,
        desk: Callable[[Request], Response],
        *,
        period: int = 0,
        client_nonces: Numbered | None = None,
        device_nonces: Numbered | None = None,
    ) -> None:
        self.client = Connection(Role.CLIENT, nonces=client_nonces or Numbered(), refresh_period=period)
        self.device = Connection(Role.DEVICE, nonces=device_nonces or Numbered())
        self.desk = desk
        self.asked: list[bytes] = []
        self.answered: list[bytes] = []
        self.responses: list[Response] = []

    def exchange(self, request: Request) -> Response:
        """Carry one request over, with the exchange of IVs before it where one is due."""
        if self.client.refresh_due:
            self.exchange_without_refresh(self.client.refresh_request())
        return self.exchange_without_refresh(request)

    def log_in(self, user: str, password: str, *, nonce: int = 0x01020304) -> None:
        """Log in and start the session at both ends."""
        key = run(login(user, password, nonce=nonce), self.exchange)
        assert isinstance(self.desk, Desk)
        self.client.start_session(key)
        self.device.start_session(self.desk.key)

    def initialize(self) -> None:
        """Start a session without a login, in clear, as over NFC."""
        self.exchange(Request(Method.GET, INITIALIZE_PATH))

    def exchange_without_refresh(self, request: Request) -> Response:
        """Carry one request over; both ends must agree on it and on its answer."""
        sealed = self.client.form is not Form.CLEAR
        asked = self.client.send(request)
        self.asked.append(asked)
        assert hear_bytewise(self.device, asked) == request
        response = self.desk(request)
        answered = self.device.send(response)
        self.answered.append(answered)
        event = hear_bytewise(self.client, answered, told=not sealed)
        assert event == response
        assert self.client.next_event() is Signal.PAUSED
        self.responses.append(response)
        return response


def hear_bytewise(end: Connection, data: bytes, *, told: bool = False) -> object:
    """Feed a frame byte by byte: nothing may come before its last byte, or before the end has been told."""
    for start in range(len(data)):
        assert end.next_event() is Signal.NEED_DATA
        end.receive_data(data[start : start + 1])
    if told:
        assert end.next_event() is Signal.NEED_DATA
        assert end.looks_complete
        end.end_of_message()
    return end.next_event()


def scripted(replies: Sequence[str]) -> Callable[[Request], Response]:
    """Make a desk that gives these whole responses in clear, in hexadecimal, one after the other."""
    rest = iter(replies)

    def answer(_: Request) -> Response:
        data = bytes.fromhex(next(rest))
        return Response(data[0], data[1:-2])

    return answer


def session_line(
    desk: Callable[[Request], Response] | None = None,
    *,
    period: int = 0,
    client_ivs: Iterable[bytes] = (),
    device_ivs: Iterable[bytes] = (),
) -> Line:
    """Make a line in a session under ``KEY``, its frame number 0, both IVs zero."""
    device_nonces = Numbered(ivs=device_ivs)
    line = Line(
        Desk(nonces=device_nonces),
        period=period,
        client_nonces=Numbered(ivs=client_ivs),
        device_nonces=device_nonces,
    )
    line.initialize()
    line.desk = desk or line.desk
    for record in (line.asked, line.answered):
        record.clear()
    line.responses.clear()
    return line


def refuse(end: Connection, data: bytes) -> bytes:
    """Feed a device something that it cannot read but may refuse; give the refusal."""
    end.receive_data(data)
    try:
        end.next_event()
    except RemoteProtocolError as error:
        return end.send(Refusal(error.answer))
    raise AssertionError("the device could read it")
