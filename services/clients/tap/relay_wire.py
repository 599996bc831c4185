"""The connection to a broker behind which a Tap listens: requests out, answers in (Tap protocol notes §5.2).

Late answers. The vendor's client takes the first message after its request for the answer. Here each connection has a
sender id of its own and numbers its requests from a random start, so that an answer whose ids match is surely the one.
A Tap need not echo ids, though. So the first answer without them is held back for a moment in case one with them
follows; whichever came decides what this connection expects from then on. The ids of our last few requests are never
taken.
"""

import secrets
import ssl
import time
from queue import Empty, SimpleQueue
from typing import Any, ClassVar, Final

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from schemas.errors import OurFault, TryAgain, UpstreamError
from services.clients.tap.errors import RemoteProtocolError
from services.clients.tap.relay import REFERENCE_SPAN, RelayPacket, Topics
from services.clients.tap.tcp import reason
from services.clients.tap.wire import Bounds, WireLost

KEEPALIVE: Final = 30
"""Seconds between two signs of life to the broker."""

CALL: Final = "connect"

REMEMBERED: Final = 8
"""Earlier requests of a connection whose answers are known as late ones. Few, for a Tap that numbers its answers itself
may come upon such a number."""

_OUR_CREDENTIALS: Final = frozenset(
    {"Bad user name or password", "Not authorized", "Banned", "Bad authentication method"}
)
_OUR_SETTINGS: Final = frozenset({"Unsupported protocol version", "Client identifier not valid"})


class RelayWire:
    """One connection to a broker, listening to one Tap. The network runs in a thread of its own.

    Args:
        client: of paho, not connected yet, ours from now on.
        topics: of the Tap.
        bounds: how long to wait.
    """

    whole: ClassVar[bool] = True

    def __init__(self, client: Client, topics: Topics, bounds: Bounds) -> None:
        self._client = client
        self._topics = topics
        self._bounds = bounds
        self._inbox: SimpleQueue[bytes | Exception | None] = SimpleQueue()
        self._lost: Exception | None = None
        self._ids = Ids()
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect

    def open(self, host: str, port: int) -> None:
        """Connect, log in at the broker, subscribe.

        Raises:
            TryAgain: the broker does not answer, or not now.
            OurFault: its certificate is not trusted, or it does not let us in or listen.
        """
        try:
            self._client.connect(host, port, keepalive=KEEPALIVE)
        except ssl.SSLCertVerificationError as error:
            text = f"the broker's certificate is not trusted ({error.verify_message})"
            raise OurFault(text, call=CALL, sent=False) from None
        except (OSError, UnicodeError) as error:
            raise TryAgain(f"no connection to the broker: {reason(error)}", call=CALL, sent=False) from None
        self._client.loop_start()
        self._await_readiness()

    def send(self, data: bytes) -> None:
        """Drop what came unasked, and publish one request.

        Raises:
            WireLost: the broker is gone; nothing was sent.
        """
        while not self._inbox.empty():
            self._note(self._inbox.get())
        if self._lost is not None:
            raise WireLost(str(self._lost))
        packet = RelayPacket(self._ids.sender, self._ids.next(), data)
        sent = self._client.publish(self._topics.command, packet.encode(), qos=0)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:  # while the connection breaks, paho may say so of what has left
            self._lost = WireLost(f"the broker is gone ({sent.rc.name})")

    def receive(self, patience: float) -> bytes:
        """Give the payload of the next answer that may be ours.

        Raises:
            TimeoutError: none came.
            WireLost: the broker is gone.
        """
        deadline = time.monotonic() + patience
        held: bytes | None = None
        while True:
            try:
                packet = self._next_packet(deadline)
            except TimeoutError:
                if held is None:
                    raise
                return held
            if self._ids.match(packet):
                return packet.payload
            if self._ids.may_be_ours(packet):
                if self._ids.echoed is False:
                    return packet.payload
                held = packet.payload
                deadline = min(deadline, time.monotonic() + self._bounds.echo)

    def close(self) -> None:
        """Leave the broker and end the network's thread."""
        self._client.on_disconnect = None
        self._client.disconnect()
        self._client.loop_stop()

    def _await_readiness(self) -> None:
        deadline = time.monotonic() + self._bounds.connect
        while True:
            try:
                news = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                text = f"the broker did not answer within {self._bounds.connect:g} s"
                raise TryAgain(text, call=CALL, sent=False) from None
            if news is None:
                return
            if isinstance(news, UpstreamError):
                raise news
            if isinstance(news, Exception):
                raise TryAgain(str(news), call=CALL, sent=False)

    def _next_packet(self, deadline: float) -> RelayPacket:
        """Give the next message that is a packet; anybody may publish other things there, and they are passed over."""
        while self._lost is None:
            try:
                news = self._inbox.get(timeout=max(0.0, deadline - time.monotonic()))
            except Empty:
                raise TimeoutError from None
            if not isinstance(news, bytes):
                self._note(news)
                continue
            try:
                return RelayPacket.decode(news)
            except RemoteProtocolError:
                continue
        raise WireLost(str(self._lost))

    def _note(self, news: bytes | Exception | None) -> None:
        if isinstance(news, Exception):
            self._lost = news

    # What follows runs in the network's thread and only fills the inbox.

    def _on_connect(
        self, client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        if code.is_failure:
            self._inbox.put(_refused(str(code)))
        else:
            client.subscribe(self._topics.answer, qos=0)

    def _on_subscribe(
        self, _client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _properties: Properties | None
    ) -> None:
        failed = next((str(code) for code in codes if code.is_failure), None)
        text = f"the broker does not let us listen to the Tap's answers ({failed})"
        self._inbox.put(None if failed is None else OurFault(text, call=CALL, sent=False))

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        if not message.retain:  # what a broker has kept was said to somebody else
            self._inbox.put(bytes(message.payload))

    def _on_disconnect(
        self, _client: Client, _data: Any, _flags: DisconnectFlags, code: ReasonCode, _properties: Properties | None
    ) -> None:
        self._inbox.put(WireLost(f"the broker closed the connection ({code})"))


class Ids:
    """The ids of our requests on one connection, and what the Tap makes of them.

    Attributes:
        sender: ours, on every request.
        echoed: whether the Tap repeats our ids; None while that is not known.
    """

    def __init__(self) -> None:
        self.sender = secrets.randbelow(0xFFFF_FFFE) + 2  # 1 is what the vendor's client says
        self.echoed: bool | None = None
        self._start = secrets.randbelow(REFERENCE_SPAN)
        self._asked = 0

    @property
    def reference(self) -> int:
        """The number of the request under way, unsigned 16 bits."""
        return (self._start + self._asked) % REFERENCE_SPAN

    def next(self) -> int:
        """Number the next request; if the last answer came without our ids, the Tap does not repeat them."""
        if self._asked and self.echoed is None:
            self.echoed = False
        self._asked += 1
        return self.reference

    def match(self, packet: RelayPacket) -> bool:
        """Say whether an answer carries the ids of the request under way; then the Tap repeats them."""
        found = (packet.sender, packet.reference) == (self.sender, self.reference)
        self.echoed = found or self.echoed
        return found

    def may_be_ours(self, packet: RelayPacket) -> bool:
        """Say whether an answer without these ids may be taken: not from a Tap that repeats them, nor a late one."""
        behind = (self.reference - packet.reference) % REFERENCE_SPAN
        late = packet.sender == self.sender and 0 < behind <= REMEMBERED
        return not self.echoed and not late


def _refused(why: str) -> UpstreamError:
    text = f"the broker does not let us in: {why}"
    if why in _OUR_CREDENTIALS:
        return OurFault(f"{text} (check user and password of the broker)", call=CALL, sent=False)
    if why in _OUR_SETTINGS:
        return OurFault(f"{text} (choose another version of MQTT)", call=CALL, sent=False)
    return TryAgain(text, call=CALL, sent=False)
