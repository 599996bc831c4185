"""One end of a line to a Tap: bytes in, events out, no socket, no clock, no randomness of its own.

The caller's part is a dozen lines. As the client::

    line = Connection(Role.CLIENT, nonces=nonces)
    socket.sendall(line.send(request))
    while (event := line.next_event()) is Signal.NEED_DATA:
        socket.settimeout(QUIET if line.looks_complete else PATIENCE)
        try:
            line.receive_data(socket.recv(4096))
        except TimeoutError:
            line.end_of_message()

A response in clear has no length (Tap protocol notes §5.1), so somebody who has a clock must say where it ends: a
transport of messages after each message, a stream when it ends in ``90 00`` and has been quiet for a while. A sealed
response shows its own end and needs no such word. The device's side is the same object in the other role; on a stream
it finds the end of a request by itself, on a transport of messages it too is told.
"""

from typing import Final

from services.clients.tap.channel import BLOCK, KEY_SIZE, Channel
from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.events import Event, Method, Nonces, Paired, Pairing, Refusal, Request, Response, Role, Signal
from services.clients.tap.frames import (
    MAX_RESPONSE,
    MIN_RESPONSE,
    PAIRED,
    PAIRING,
    STATUS_WORD,
    decode_request,
    refusal,
    request_length,
)
from services.clients.tap.sealing import (
    MAX_BODIES,
    Letter,
    answer_ends,
    open_answer,
    open_request,
    seal_answer,
    seal_request,
)
from services.clients.tap.state import (
    EFFECTS,
    LISTENS,
    LOGINS,
    SECURITY_PATH,
    SET_IV_PATH,
    SPEAKERS,
    TURNS,
    Effect,
    Form,
    Kind,
    Login,
    Turn,
    form_of,
    kind_of,
)

MAX_BUFFER: Final = MAX_RESPONSE
"""More bytes than this without a frame in them are not a Tap (§3.5)."""

_NO_LETTER = Letter(Request(Method.GET, SECURITY_PATH), Form.CLEAR)


class Connection:
    """One end of one line, for as long as the line stands.

    A session belongs to its line: after a timeout or a broken line make a new object and log in again, for the number
    of the frame has moved on (§14.2).

    Attributes:
        role: which end this is.
        refresh_period: after how many sealed calls a client changes the IVs: 0 never, 1 within every call, N by an
            exchange of its own that falls due after N calls (§9.5). The device follows whatever comes.
        check_frame_ids: whether the number of a frame must be the one expected; a device takes any number ahead.
    """

    def __init__(self, role: Role, *, nonces: Nonces, refresh_period: int = 0, check_frame_ids: bool = True) -> None:
        self.role = role
        self.refresh_period = refresh_period
        self.check_frame_ids = check_frame_ids
        self._nonces = nonces
        self._channel = Channel()
        self._turn = Turn.IDLE
        self._login = Login.NONE
        self._letter = _NO_LETTER
        self._buffer = bytearray()
        self._ended = False
        self._paused = False
        self._calls_since_refresh = 0

    @property
    def turn(self) -> Turn:
        """Who is to speak."""
        return self._turn

    @property
    def in_session(self) -> bool:
        """Whether there is a session key."""
        return self._channel.key is not None

    @property
    def form(self) -> Form:
        """How the next request will travel; on the device's side, how the last one did."""
        if self.role is Role.DEVICE:
            return self._letter.form
        if self._paused or not self.in_session:
            return Form.CLEAR
        return Form.SEALED_WITH_IV if self.refresh_period == 1 else Form.SEALED

    @property
    def max_body(self) -> int:
        """The largest body in bytes that the next request may have (§3.5)."""
        return MAX_BODIES[self.form]

    @property
    def looks_complete(self) -> bool:
        """Whether the bytes so far end like a response; ``90 00`` may also stand inside one (§5.1)."""
        return len(self._buffer) >= MIN_RESPONSE and self._buffer.endswith(STATUS_WORD)

    @property
    def refresh_due(self) -> bool:
        """Whether ``refresh_request()`` must go before the next sealed call."""
        return 1 < self.refresh_period <= self._calls_since_refresh and self.form is Form.SEALED

    def refresh_request(self) -> Request:
        """Give the request that changes both IVs; it may be sent at any time (§9.4)."""
        return Request(Method.GET, SET_IV_PATH, self._nonces.iv())

    def send(self, event: Event) -> bytes:
        """Give the bytes of what we say, to be written at once and in one piece (§5.1).

        Raises:
            LocalProtocolError: it is not ours to say, not now, or not like this; nothing has changed then.
        """
        turn = TURNS.get((self._turn, type(event)))
        if turn is None or SPEAKERS[type(event)] is not self.role:
            raise LocalProtocolError(f"no {type(event).__name__} from the {self.role.value} now: {self._turn.value}")
        data = self._write(event)
        self._turn = turn
        return data

    def receive_data(self, data: bytes) -> None:
        """Take bytes off the line, in pieces of any size.

        Raises:
            RemoteProtocolError: there are more than any frame can have.
        """
        if len(self._buffer) + len(data) > MAX_BUFFER:
            self._turn = Turn.BROKEN
            self._buffer.clear()
            raise RemoteProtocolError(f"over {MAX_BUFFER} bytes and no end of a frame")
        self._buffer += data

    def end_of_message(self) -> None:
        """Take the transport's word that what has been received is whole; to a client it may say "and empty"."""
        self._ended = bool(self._buffer) or self.role is Role.CLIENT

    def next_event(self) -> Event | Signal:
        """Give what the other end has said, or a signal that there is nothing to give.

        Raises:
            RemoteProtocolError: it cannot be read. A device whose ``turn`` is then ``UNREADABLE`` may send a
                ``Refusal`` with the error's hint and go on; in any other case the line is broken.
        """
        if self._turn is Turn.BROKEN:
            raise RemoteProtocolError("the line is broken; open a new one")
        if (self.role, self._turn) not in LISTENS:
            return Signal.PAUSED
        if not self._buffer and not self._ended:
            return Signal.NEED_DATA
        fault = Turn.BROKEN
        try:
            unit = self._next_unit()
            if unit is None:
                return Signal.NEED_DATA
            fault = Turn.UNREADABLE if self.role is Role.DEVICE else Turn.BROKEN
            event = self._read(unit)
        except RemoteProtocolError:
            self._turn = fault
            raise
        self._turn = TURNS[self._turn, type(event)]
        return event

    def start_session(self, key: bytes) -> None:
        """Go on under the session key of a login, 16 bytes; the IVs stay (§8.3). Both ends do this after the answer.

        Raises:
            LocalProtocolError: no login has just come to its end.
        """
        if self._login is not Login.PROVEN or self._turn is not Turn.IDLE:
            raise LocalProtocolError(f"no session can start now: {self._login.value}, {self._turn.value}")
        self._channel.take_key(key)
        self._login = Login.NONE

    def end_session(self) -> None:
        """Forget the session at this end only: key gone, IVs zero (§8.3)."""
        self._channel.clear()
        self._login = Login.NONE
        self._calls_since_refresh = 0

    def pause(self) -> None:
        """As the client, send requests in clear and keep the session (§8.3)."""
        self._paused = True

    def resume(self) -> None:
        """As the client, seal requests again where there is a session."""
        self._paused = False

    def _write(self, event: Event) -> bytes:
        match event:
            case Request():
                return self._ask(event)
            case Response():
                return self._answer(event)
            case Refusal():
                return self._refuse(event)
            case Pairing():
                self._forget_input()
                return PAIRING
            case Paired():
                return PAIRED

    def _ask(self, request: Request) -> bytes:
        form = self.form
        if form is not Form.CLEAR and form_of(request) is not Form.CLEAR:
            raise LocalProtocolError(f"{request} inside the encrypted channel; pause it first")
        if self.refresh_due and kind_of(request) is not Kind.SET_IV:
            raise LocalProtocolError("the IVs have served their time; send refresh_request() first")
        self._letter, data = seal_request(self._channel, request, form, self._nonces)
        self._calls_since_refresh += form is not Form.CLEAR
        self._forget_input()
        return data

    def _answer(self, response: Response) -> bytes:
        data = seal_answer(self._channel, self._letter, response, self._nonces)
        self._settle(response)
        return data

    def _refuse(self, event: Refusal) -> bytes:
        data = refusal(event.status)
        if self._turn is Turn.ASKED:
            self._settle(event)
        return data

    def _forget_input(self) -> None:
        """Drop what is left of earlier answers, so that a late one is not taken for the next (§3.6)."""
        self._buffer.clear()
        self._ended = False

    def _next_unit(self) -> bytes | None:
        """Take the next whole frame out of the buffer, or None."""
        length = self._unit_length()
        if length is None or length > len(self._buffer):
            return None
        unit = bytes(self._buffer[:length])
        del self._buffer[:length]
        self._ended = False
        return unit

    def _unit_length(self) -> int | None:
        if self._ended:
            return len(self._buffer)
        if self.role is Role.DEVICE:
            return request_length(self._buffer)
        if self._turn is Turn.PAIRING:
            return len(PAIRED)
        return len(self._buffer) if answer_ends(self._channel, self._letter.form, self._buffer) else None

    def _read(self, unit: bytes) -> Event:
        if self.role is Role.DEVICE:
            return self._read_request(unit)
        if self._turn is Turn.PAIRING:
            if unit != PAIRED:
                raise RemoteProtocolError(f"the pairing command is answered {PAIRED.hex()}, not {unit.hex()}")
            return Paired()
        answer = open_answer(self._channel, self._letter, unit, check_ids=self.check_frame_ids)
        self._settle(answer)
        return answer

    def _read_request(self, unit: bytes) -> Request | Pairing:
        if unit == PAIRING:
            return Pairing()
        self._letter = open_request(self._channel, decode_request(unit), check_ids=self.check_frame_ids)
        return self._letter.request

    def _settle(self, answer: Response | Refusal) -> None:
        """Let a completed exchange act on login and session; both ends do this alike."""
        request = self._letter.request
        kind = kind_of(request)
        if kind is Kind.ORDINARY:
            return
        if isinstance(answer, Refusal) or not answer.ok:
            self._login = Login.NONE if kind in {Kind.LOGIN, Kind.PROOF} else self._login
            return
        self._login = LOGINS.get((self._login, kind), self._login)
        match EFFECTS.get(kind):
            case Effect.NEW_KEY if len(answer.body) == KEY_SIZE:
                self._channel.clear()
                self._channel.take_key(answer.body)
                self._calls_since_refresh = 0
            case Effect.NEW_IVS if len(request.body) == len(answer.body) == BLOCK:
                self._channel.take_ivs(request.body, answer.body)
                self._calls_since_refresh = 0
            case Effect.END:
                self.end_session()
