"""One line to a Tap: frames in, frames out, with whatever the dials do to them. No I/O and no waiting."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.errors import LocalProtocolError, RemoteProtocolError
from services.clients.tap.events import Method, Paired, Pairing, Refusal, Request, Response, Role
from services.clients.tap.protocol import Connection
from services.clients.tap.registry import calls_at
from services.clients.tap.state import LOGIN_PATH, SEND_PATH, SEND_WITH_IV_PATH, Form, Turn
from services.clients.tap.status import Status
from services.sandbox.tap.deeds_of_interface import Errand
from services.sandbox.tap.device import Device

_CHANNEL_PATHS = {Form.SEALED: SEND_PATH, Form.SEALED_WITH_IV: SEND_WITH_IV_PATH}


class Dropped(Exception):
    """A dial breaks the line instead of an answer."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes back, and how.

    Attributes:
        data: one whole response, to be written at once (notes §5.1).
        wait: seconds to hold it back.
        gap: seconds between its two halves, None for one piece.
        muted: it never goes out.
        spoiled: the packet around it, where there is one, gets a wrong checksum.
        errand: what is to be done once it is out.
    """

    data: bytes = field(repr=False)
    wait: float = 0
    gap: float | None = None
    muted: bool = False
    spoiled: bool = False
    errand: Errand | None = None


class Line:
    """A host at one end, a device at the other; a session belongs to its line."""

    def __init__(self, device: Device, host: HostProtocol) -> None:
        self.device = device
        self.visitor = device.welcome(host)
        self.connection = Connection(Role.DEVICE, nonces=device.nonces)

    def hear(self, data: bytes, *, message: bool = False) -> Iterator[Reply]:
        """Take bytes off the line and give what is to be sent back.

        Args:
            data: as much as has come.
            message: whether the transport says that these bytes are one whole frame.

        Raises:
            RemoteProtocolError: nobody can tell any more where a frame begins.
            PowerCut: the device restarts instead of answering.
            Dropped: a dial breaks the line instead of an answer.
        """
        if self.device.overstayed(self.visitor):
            self.visitor.leave()
            self.connection.end_session()
        self.connection.receive_data(data)
        if message:
            self.connection.end_of_message()
        while (reply := self._next()) is not None:
            yield reply

    def _next(self) -> Reply | None:
        try:
            event = self.connection.next_event()
        except RemoteProtocolError as error:
            if self.connection.turn is not Turn.UNREADABLE:
                raise
            return Reply(self.connection.send(Refusal(error.answer)))
        match event:
            case Request():
                return self._reply(event)
            case Pairing():
                return Reply(self.connection.send(Paired()))
            case _:
                return None

    def _reply(self, request: Request) -> Reply:
        dials, strikes = self.device.dials, self.device.strikes
        dropped = strikes(dials.drop_rate)
        if dropped and not dials.drops_after_acting:
            raise Dropped
        data = self._answer(request)
        errand, self.device.errand = self.device.errand, None
        if dropped:
            raise Dropped
        spoiled = strikes(dials.wrong_crc_rate)
        sealed = self.connection.form is not Form.CLEAR
        return Reply(
            _spoilt(data) if spoiled and sealed else data,
            wait=dials.delay_ms / 1000,
            gap=dials.split_gap_ms / 1000 if strikes(dials.split_rate) else None,
            muted=strikes(dials.mute_rate),
            spoiled=spoiled and not sealed,
            errand=errand,
        )

    def _answer(self, request: Request) -> bytes:
        form = self.connection.form
        self.visitor.sealed = form is not Form.CLEAR
        if self._is_newcomer(request):
            self.connection.end_session()
        if not self._has(form):
            return self.connection.send(Refusal(Status.NOT_IMPLEMENTED))
        response = self.device.answer(self.visitor, request)
        try:
            data = self.connection.send(response)
        except LocalProtocolError:
            data = self.connection.send(Response(Status.INTERNAL_SERVER_ERROR))
        if self.visitor.key is not None:
            self.connection.start_session(self.visitor.key)
            self.visitor.key = None
        return data

    def _is_newcomer(self, request: Request) -> bool:
        """Say whether a host on the relay begins anew: it logs in in clear, so it holds no key, and zero IVs.

        The vendor's client gives every host the same sender id, and the relay knows no connections. Where a host logs
        in once more within its session the request is sealed, and the IVs must stay (notes §8.3).
        """
        begins = request.path == LOGIN_PATH and not self.visitor.sealed
        return begins and self.visitor.host is HostProtocol.MQTT and self.connection.in_session

    def _has(self, form: Form) -> bool:
        """Say whether this firmware knows the way in which a request came (notes §13)."""
        path = _CHANNEL_PATHS.get(form)
        return path is None or all(call.is_in(self.device.factory.firmware) for call in calls_at(Method.GET, path))


def _spoilt(data: bytes) -> bytes:
    """Change the last bit before the status word: the checksum stands in the last block of the ciphertext."""
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
