"""A visit to one Tap from the command line: its address, the secrets it takes, and a client that is logged in.

Secrets never stand on the command line. An option says where one is, ``env:NAME`` or ``file:PATH``; ``-`` asks for it.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

import typer
from pydantic import SecretStr, ValidationError

from infra.references import resolve
from schemas.errors import InputError
from schemas.references import EnvironmentReference, FileReference

if TYPE_CHECKING:
    from services.clients.tap.client import TapClient
    from services.clients.tap.wire import Address

PORTS: Final = {"tcp": 2000, "mqtt": 1883, "mqtts": 8883}
ASK: Final = "-"

_FORMS: Final = "tcp://HOST[:PORT], mqtt://BROKER[:PORT]/SERIAL or mqtts://BROKER[:PORT]/SERIAL"


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """Everything that the options of a command say about the way to a Tap; places of secrets, not secrets.

    Attributes:
        address: of the Tap.
        user: who logs in, None for nobody.
        password: where the password stands; asked for where nothing is said.
        serial: that the Tap must have; over the relay it stands in the address.
        clear: whether the Tap may be spoken to in clear.
        net_key: where the key of the relay's topics stands; the vendor's default where nothing is said.
        broker_user: at the broker.
        broker_password: where the password for that stands.
        ca_file: trust only these CAs, PEM.
        mqtt: the version of MQTT.
    """

    address: str
    user: str | None = None
    password: str | None = None
    serial: str | None = None
    clear: bool = False
    net_key: str | None = None
    broker_user: str | None = None
    broker_password: str | None = None
    ca_file: Path | None = None
    mqtt: str = "3.1.1"

    @contextmanager
    def client(self) -> Iterator["TapClient"]:
        """Open a connection, log in where a user is named, log out at the end.

        Raises:
            InputError: the address or the place of a secret is wrong.
            UpstreamError: the Tap or its broker did not do what was asked.
        """
        from services.clients.tap.client import TapClient
        from services.clients.tap.terms import Terms

        address, serial = self.place()
        password = None if self.user is None else fetch(self.password or ASK, f"Password of {self.user}")
        with TapClient(address, terms=Terms(serial=self.serial or serial, clear=self.clear)) as client:
            if self.user is not None and password is not None:
                client.login(self.user, password)
            yield client

    def place(self) -> tuple["Address", str | None]:
        """Give the address, and the serial number where the address tells it.

        Raises:
            InputError: it is no address, or the place of a secret is wrong.
        """
        from services.clients.tap.tcp import TcpAddress

        parts, port = _split(self.address)
        if parts.scheme == "tcp":
            return TcpAddress(parts.hostname or "", port), None
        return self._relay(parts, port), parts.path.strip("/")

    def _relay(self, parts: SplitResult, port: int) -> "Address":
        from services.clients.tap.mqtt import RelayAddress
        from services.clients.tap.relay import DEFAULT_NET_KEY

        if self.mqtt not in {"3.1.1", "5"}:
            raise InputError(["--mqtt takes 3.1.1 or 5"])
        return RelayAddress(
            host=parts.hostname or "",
            port=port,
            serial=parts.path.strip("/"),
            net_key=SecretStr(DEFAULT_NET_KEY) if self.net_key is None else fetch(self.net_key, "Net key"),
            user=self.broker_user,
            password=None if self.broker_password is None else fetch(self.broker_password, "Password at the broker"),
            tls=parts.scheme == "mqtts",
            ca_file=self.ca_file,
            version="5" if self.mqtt == "5" else "3.1.1",
        )


def fetch(place: str, what: str) -> SecretStr:
    """Fetch a secret from ``env:NAME`` or ``file:PATH``, or ask for it at ``-``.

    Raises:
        InputError: it is not there, or the option is no place; what was written is not repeated.
    """
    kind, _, name = place.partition(":")
    try:
        if kind == "env" and name:
            return resolve(EnvironmentReference(env=name))
        if kind == "file" and name:
            return resolve(FileReference(file=Path(name)))
    except ValidationError:
        raise InputError([f"{what}: env: is followed by the name of a variable"]) from None
    if place != ASK:
        raise InputError([f"{what}: write env:NAME, file:PATH or -, never the secret itself"])
    if not sys.stdin.isatty():
        raise InputError([f"{what}: nobody is there to ask; use env:NAME or file:PATH"])
    return SecretStr(typer.prompt(what, hide_input=True, err=True))


def _split(address: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(address)
        port = parts.port or PORTS[parts.scheme]
        relay = parts.scheme != "tcp"
        good = parts.hostname and bool(parts.path.strip("/")) == relay and not (parts.query or parts.fragment)
    except (ValueError, KeyError):
        raise InputError([f"the address has the form {_FORMS}"]) from None
    if "@" in parts.netloc:
        raise InputError(["the address takes no user or password: use --broker-user and --broker-password"])
    if not good:
        raise InputError([f"the address has the form {_FORMS}"])
    return parts, port
