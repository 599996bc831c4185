"""One connection to an MQTT broker on the event loop of the twin, without a thread of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.reasoncodes import ReasonCode

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

KEEP_ALIVE: Final = 30
CONNECT_SECONDS: Final = 5.0
MOST_WAITING: Final = 256
"""Messages that wait to be handled; one more is thrown away."""

_MISC_SECONDS: Final = 1.0


class MqttLine:
    """A connection that has subscribed to one topic; it ends with the broker's or the reader's end."""

    def __init__(self, *, client_id: str, topic: str) -> None:
        self._topic = topic
        self._loop = asyncio.get_running_loop()
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue(MOST_WAITING)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            True,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
        )
        self._client.connect_timeout = CONNECT_SECONDS
        self._client.on_socket_open = self._watch
        self._client.on_socket_close = self._unwatch
        self._client.on_socket_register_write = self._watch_for_writing
        self._client.on_socket_unregister_write = self._unwatch_for_writing
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = lambda *_: self._settle(None)
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect

    async def messages(self) -> AsyncIterator[bytes]:
        """Give the messages on the topic as they come, until the connection is lost."""
        while (payload := await self._inbox.get()) is not None:
            yield payload

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 0, not retained (Tap protocol notes §5.2)."""
        self._client.publish(topic, payload, qos=0)

    async def connect(self, host: str, port: int, *, username: str = "", password: str = "") -> None:
        """Connect and subscribe.

        Raises:
            OSError: the broker cannot be reached, or it refuses.
        """
        if username:
            self._client.username_pw_set(username, password or None)
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.to_thread(self._client.connect, host, port, KEEP_ALIVE)
            await self._ready
        self._keep()

    def close(self) -> None:
        """Say goodbye and let the socket go."""
        self._ready.cancel()
        if self._timer is not None:
            self._timer.cancel()
        self._client.disconnect()

    def _keep(self) -> None:
        """Keep the connection alive for as long as it stands."""
        if self._client.loop_misc() is MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._timer = self._loop.call_later(_MISC_SECONDS, self._keep)

    def _watch(self, _client: Client, _data: Any, sock: "SocketLike") -> None:
        self._loop.call_soon_threadsafe(lambda: self._loop.add_reader(sock.fileno(), self._client.loop_read))

    def _unwatch(self, _client: Client, _data: Any, sock: "SocketLike") -> None:
        self._loop.remove_reader(sock.fileno())
        self._loop.remove_writer(sock.fileno())

    def _watch_for_writing(self, _client: Client, _data: Any, sock: "SocketLike") -> None:
        self._loop.call_soon_threadsafe(lambda: self._loop.add_writer(sock.fileno(), self._client.loop_write))

    def _unwatch_for_writing(self, _client: Client, _data: Any, sock: "SocketLike") -> None:
        self._loop.remove_writer(sock.fileno())

    def _on_connect(self, client: Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        if self._ready.cancelled():  # closed while the connection was being made
            client.disconnect()
        elif reason.is_failure:
            self._settle(ConnectionRefusedError(f"the broker refuses: {reason}"))
        else:
            client.subscribe(self._topic, qos=0)

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        with suppress(asyncio.QueueFull):
            self._inbox.put_nowait(bytes(message.payload))

    def _on_disconnect(self, *_: Any) -> None:
        self._settle(ConnectionResetError("the broker hung up"))
        if self._inbox.full():
            self._inbox.get_nowait()
        self._inbox.put_nowait(None)

    def _settle(self, fault: OSError | None) -> None:
        if self._ready.done():
            return
        if fault is None:
            self._ready.set_result(None)
        else:
            self._ready.set_exception(fault)


@asynccontextmanager
async def subscribed(
    topic: str, *, host: str, port: int, client_id: str, username: str = "", password: str = ""
) -> AsyncIterator[MqttLine]:
    """Give a connection that is subscribed to a topic, kept alive for as long as the block lasts.

    Raises:
        OSError: the broker cannot be reached, or it refuses.
    """
    line = MqttLine(client_id=client_id, topic=topic)
    try:
        await line.connect(host, port, username=username, password=password)
        yield line
    finally:
        line.close()
