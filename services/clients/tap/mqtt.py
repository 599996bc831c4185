"""Where a Tap behind the MQTT relay is found, and how its broker is spoken to (Tap protocol notes §5.2)."""

import functools
import secrets
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from pydantic import SecretStr

from schemas.errors import ConfigurationError, OurFault, UpstreamError
from services.clients.tap.errors import LocalProtocolError
from services.clients.tap.relay import DEFAULT_NET_KEY, Topics
from services.clients.tap.relay_wire import CALL, RelayWire
from services.clients.tap.wire import Bounds

PORT: Final = 1883
TLS_PORT: Final = 8883

Version = Literal["3.1.1", "5"]

_VERSIONS: Final = {"3.1.1": MQTTProtocolVersion.MQTTv311, "5": MQTTProtocolVersion.MQTTv5}


@functools.cache
def trust(ca_file: Path | None) -> ssl.SSLContext:
    """Give the process's one verifying context that trusts the system's CAs, or only those of a PEM file.

    Raises:
        ConfigurationError: the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the CA file {ca_file} cannot be used: {type(error).__name__}") from None
    context.sslsocket_class = _TidySocket
    return context


class _TidySocket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - as the base class has it
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


@dataclass(frozen=True, kw_only=True, slots=True)
class RelayAddress:
    """A Tap behind a broker.

    Attributes:
        host: of the broker.
        serial: of the Tap.
        port: of the broker, usually 1883, with TLS 8883.
        net_key: of the relay, ``/1024//55``: with it anybody can find the topics, so it is a secret.
        user: at the broker.
        password: at the broker.
        tls: whether the broker is spoken to by TLS, which is then verified.
        ca_file: trust only the CAs in this PEM file.
        version: of MQTT.
    """

    host: str
    serial: str
    port: int = PORT
    net_key: SecretStr = field(default=SecretStr(DEFAULT_NET_KEY), repr=False)
    user: str | None = None
    password: SecretStr | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: Path | None = None
    version: Version = "3.1.1"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt{'s' if self.tls else ''}://{host}:{self.port}/{self.serial}"

    def dial(self, bounds: Bounds) -> "RelayWire":
        """Connect to the broker and listen to the Tap's answers.

        Raises:
            TryAgain: the broker does not answer, or not now.
            OurFault: its certificate is not trusted, or it does not let us in or listen.
            ConfigurationError: the CA file cannot be used.
        """
        try:
            topics = Topics.of(self.serial, self.net_key.get_secret_value())
        except LocalProtocolError as error:
            raise OurFault(f"{self}: {error}", call=CALL, sent=False) from None
        wire = RelayWire(self._client(bounds), topics, bounds)
        try:
            wire.open(self.host, self.port)
        except UpstreamError as error:
            wire.close()
            raise _named(error, str(self)) from None
        return wire

    def _client(self, bounds: Bounds) -> Client:
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"keyturn-{secrets.token_hex(6)}",  # 3.1.1 promises 23 characters; the Tap's serial is the Tap's
            protocol=_VERSIONS[self.version],
            reconnect_on_failure=False,
        )
        client.connect_timeout = bounds.connect
        if self.tls:
            client.tls_set_context(trust(self.ca_file))
        if self.user is not None or self.password is not None:
            password = None if self.password is None else self.password.get_secret_value()
            client.username_pw_set(self.user or "", password)
        return client


def _named(error: UpstreamError, where: str) -> UpstreamError:
    """Put the address before the text."""
    return type(error)(f"{where}: {error}", call=error.call, sent=error.sent)
