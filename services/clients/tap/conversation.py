"""One connection's worth of exchanges: joins the protocol core with a wire and a clock.

A conversation ends at the first thing that goes wrong with it, and says so ever after: the number of the frame has
moved on, so nothing may be sent again on this line (Tap protocol notes §14.2). What follows is a new connection, with a
new key and numbers that start afresh.
"""

import time
from typing import Final

from schemas.errors import TryAgain
from services.clients.tap.endings import is_whole
from services.clients.tap.errors import DeviceRefusal, RemoteProtocolError
from services.clients.tap.events import Event, Refusal, Request, Response, Signal
from services.clients.tap.flows import refresh, run
from services.clients.tap.protocol import Connection
from services.clients.tap.state import Form, Turn
from services.clients.tap.status import Status, describe
from services.clients.tap.wire import Bounds, Wire, WireLost

CLOSED: Final = "it was closed"

NO_IVS: Final = frozenset({Status.NOT_IMPLEMENTED, Status.NOT_FOUND})
"""What firmware without IVs answers where they are asked for (§13)."""


class Conversation:
    """Exchanges over one wire, one at a time and in one thread.

    Args:
        wire: an open connection, closed with the conversation.
        line: the client's end of the protocol.
        bounds: how long to wait.
    """

    def __init__(self, wire: Wire, line: Connection, bounds: Bounds) -> None:
        self.line = line
        self._wire = wire
        self._bounds = bounds
        self._ended = ""

    @property
    def stands(self) -> bool:
        """Whether another request may be sent."""
        return not self._ended and self.line.turn is Turn.IDLE

    def carry(self, request: Request, *, sizes: frozenset[int] | None = None) -> Response | Refusal:
        """Send one request and give what the Tap says to it, whatever its status.

        Args:
            request: to be sent in the form that the line is in.
            sizes: of a good reply's body in bytes, where the caller knows more than the registry.

        Raises:
            LocalProtocolError: it cannot be sent like this; nothing has changed then.
            TryAgain: no answer, a broken connection, or an answer that cannot be trusted. The conversation is over.
        """
        if self._ended:
            text = f"{request}: the session with the Tap is over ({self._ended}); connect and log in again"
            raise TryAgain(text, call=str(request), sent=False)
        sealed = self.line.form is not Form.CLEAR
        data = self.line.send(request)
        try:
            self._wire.send(data)
        except WireLost as lost:
            raise self._over(request, str(lost), sent=False) from None
        except BaseException:
            self.end("a request was interrupted")
            raise
        return self._answer_to(request, sealed=sealed, sizes=sizes)

    def ask(self, request: Request) -> Response:
        """Send one request, with the change of IVs before it where one is due, and give the response.

        Raises:
            LocalProtocolError: it cannot be sent like this; nothing has changed then.
            TryAgain: as with ``carry``, or the Tap knows nothing of the session. The conversation is over.
        """
        if self.line.refresh_due and self.stands:
            self.change_ivs()
        event = self.carry(request)
        if isinstance(event, Refusal):
            raise self._over(request, f"the Tap refused the sealed frame: {describe(event.status)}")
        return event

    def change_ivs(self) -> None:
        """Change both IVs by an exchange of its own; firmware that cannot is asked no more (§9.4, §13).

        Raises:
            TryAgain: as with ``ask``.
        """
        try:
            run(refresh(self.line.refresh_request()), self._inside)
        except DeviceRefusal as error:
            if error.status not in NO_IVS:
                raise TryAgain(str(error), call=error.call, status=error.status) from None
            self.line.refresh_period = 0
        except RemoteProtocolError:  # before 1.83 the path gave random numbers, too few for an IV
            self.line.refresh_period = 0

    def settle_ivs(self, probe: Request) -> Response:
        """After a login, find out whether this firmware has IVs and whether the session works; answer the probe.

        Args:
            probe: a harmless read, for it may go out twice.

        Raises:
            TryAgain: as with ``ask``.
        """
        if self.line.refresh_period > 1:
            self.change_ivs()
        event = self.carry(probe)
        if isinstance(event, Response):
            return event
        if self.line.refresh_period == 1 and event.status in NO_IVS:
            self.line.refresh_period = 0
            return self.ask(probe)
        raise self._over(probe, f"the Tap refused the sealed frame: {describe(event.status)}")

    def end(self, why: str = CLOSED) -> None:
        """Close the wire and send nothing any more; the first reason stays."""
        self._ended = self._ended or why
        self.line.end_session()
        self._wire.close()

    def _inside(self, request: Request) -> Response:
        event = self.carry(request)
        return event if isinstance(event, Response) else Response(event.status)

    def _answer_to(self, request: Request, *, sealed: bool, sizes: frozenset[int] | None) -> Response | Refusal:
        try:
            event = self._hear(request, sealed=sealed, sizes=sizes)
        except TimeoutError:
            raise self._over(request, f"no answer within {self._bounds.answer:g} s") from None
        except WireLost as lost:
            raise self._over(request, f"{lost} before an answer came") from None
        except RemoteProtocolError as error:
            raise self._over(request, f"an answer that cannot be trusted: {error}") from None
        except BaseException:
            self.end("a request was interrupted")
            raise
        if isinstance(event, Response | Refusal):
            return event
        raise self._over(request, f"an answer to something else: {type(event).__name__}")

    def _hear(self, request: Request, *, sealed: bool, sizes: frozenset[int] | None) -> Event | Signal:
        deadline = time.monotonic() + self._bounds.answer
        heard = bytearray()
        while (event := self.line.next_event()) is Signal.NEED_DATA:
            try:
                piece = self._wire.receive(self._patience(deadline, sealed=sealed))
            except TimeoutError:
                if not heard:
                    raise
                self.line.end_of_message()  # quiet after what may be an answer, or no more time: judge what has come
                continue
            heard += piece
            self.line.receive_data(piece)
            if self._wire.whole or (not sealed and is_whole(request, heard, sizes=sizes)):
                self.line.end_of_message()
        return event

    def _patience(self, deadline: float, *, sealed: bool) -> float:
        rest = deadline - time.monotonic()
        if not self.line.looks_complete:
            return rest
        return min(rest, self._bounds.doubt if sealed else self._bounds.quiet)

    def _over(self, request: Request, why: str, *, sent: bool = True) -> TryAgain:
        self.end(f"after {request}: {why}")
        return TryAgain(f"{request}: {why}", call=str(request), sent=sent)
