"""The web site on a real port with a real ledger, and a client that sends exactly the bytes that it is told."""

import gc
import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pytest
from celery import Celery
from sqlalchemy import text

from infra.broker import make_celery
from infra.ledger import Ledger, migrate
from infra.ledger.tables import from_us
from infra.settings import Settings, load_settings
from infra.settings.environ import variable_of
from services.sandbox.server import Address, running
from services.web.app import Site
from services.web.hooks import BODY_SECONDS
from services.wiring import now

TOKEN: Final = "Bearer hook-token-0123456789"
SECOND_TOKEN: Final = "Basic aG9vazpzZWNvbmQtdG9rZW4="
HOOK: Final = "/webhooks/ublox"
UID: Final = "135700008928c093"


def notification(**changes: Any) -> dict[str, Any]:
    """A bootstrap notification; a change to None leaves the field out."""
    document = {
        "ROTPublicUID": UID,
        "Timestamp": "2020-05-07T11:23:32",
        "EventType": "DEVICE_BOOTSTRAP_EVENT",
        "Payload": {"IMEI": "862618583984360", "IsBlacklisted": False},
        **changes,
    }
    return {name: value for name, value in document.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def receipt(self) -> str:
        """The receipt that was given."""
        return str(self.document["receipt"])


@dataclass(frozen=True, kw_only=True)
class Row:
    """An event as the ledger has it."""

    id: int
    receipt: str
    source: str
    hook: str
    event_type: str | None
    device: str | None
    occurred_at: datetime | None
    body: bytes
    state: str
    verdict: str | None


class Wire:
    """One connection, byte by byte."""

    def __init__(self, address: Address) -> None:
        self._socket = socket.create_connection((address.host, address.port), timeout=60)
        self._stream = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        """Send these bytes and nothing else."""
        self._socket.sendall(data)

    def answer(self) -> Answer:
        """Read the next answer."""
        status = int(self._stream.readline().split()[1])
        headers: dict[str, str] = {}
        while line := self._stream.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        body = self._stream.read(int(headers.get("content-length", 0)))
        return Answer(status=status, headers=headers, body=body)

    def is_closed(self) -> bool:
        """Whether the server has nothing more to say; waits for its end of the connection."""
        return self._stream.read(1) == b""

    def close(self) -> None:
        """Hang up."""
        self._stream.close()
        self._socket.close()


@contextmanager
def wired(address: Address) -> Iterator[Wire]:
    """Hold a connection for as long as the block lasts."""
    wire = Wire(address)
    try:
        yield wire
    finally:
        wire.close()


def request(
    body: object = b"",
    *,
    method: str = "POST",
    path: str = HOOK,
    headers: Mapping[str, str | None] | None = None,
    more: bytes = b"",
) -> bytes:
    """Write a request; a header of None is left out, `more` is put among the headers as it is."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given: dict[str, str | None] = {
        "Host": "keyturn.test",
        "Authorization": TOKEN,
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **(headers or {}),
    }
    lines = [f"{name}: {value}\r\n".encode() for name, value in given.items() if value is not None]
    return b"".join([f"{method} {path} HTTP/1.1\r\n".encode(), *lines, more, b"\r\n", content])


class Receiver:
    """A running site, and its ledger seen past the site's own code."""

    def __init__(self, address: Address, settings: Settings, ledger: Ledger) -> None:
        self.address = address
        self.settings = settings
        self.ledger = ledger

    def wire(self) -> AbstractContextManager[Wire]:
        """Open a connection, as a context manager."""
        return wired(self.address)

    def post(self, body: object = b"", **how: Any) -> Answer:
        """Send one request on a connection of its own; see `request`."""
        with wired(self.address) as wire:
            wire.send(request(body, **how))
            return wire.answer()

    def get(self, path: str, **headers: str | None) -> Answer:
        """Ask for a page."""
        given = {"Content-Length": None, "Content-Type": None, **headers}
        return self.post(method="GET", path=path, headers=given)

    def rows(self, body: bytes | None = None) -> list[Row]:
        """The events with this raw body, or all of them, oldest first."""
        return [row for row in events(self.ledger) if body is None or row.body == body]

    def row(self, body: bytes) -> Row:
        """The one event with this raw body."""
        (row,) = self.rows(body)
        return row


def events(ledger: Ledger) -> list[Row]:
    """Every event of a ledger, oldest first."""
    with ledger.database.reading() as connection:
        return [_row(row) for row in connection.execute(text("SELECT * FROM events ORDER BY id"))]


def _row(row: Any) -> Row:
    return Row(
        id=row.id,
        receipt=row.receipt,
        source=row.source,
        hook=row.hook,
        event_type=row.event_type,
        device=row.device,
        occurred_at=None if row.occurred_at is None else from_us(row.occurred_at),
        body=bytes(row.body),
        state=row.state,
        verdict=row.verdict,
    )


def settings_for(database_url: str, **variables: object) -> Settings:
    """Settings of a web process; `body_limit_bytes=1024` sets KEYTURN_BODY_LIMIT_BYTES."""
    environ = {
        "DATABASE_URL": database_url.replace("postgresql+psycopg://", "postgresql://", 1),
        "KEYTURN_WEBHOOK_TOKENS": f"{TOKEN}\n{SECOND_TOKEN}",
    }
    environ |= {variable_of(name): str(value) for name, value in variables.items()}
    return load_settings(environ, env_file=None)


def new_database(request: pytest.FixtureRequest, folder: pytest.TempPathFactory) -> str:
    """The address of an empty database of the kind that a fixture's parameter names."""
    if request.param == "sqlite":
        return f"sqlite:///{folder.mktemp('ledger')}/keyturn.db"
    return str(request.getfixturevalue("postgres").new_database())


@contextmanager
def serving(
    database_url: str, *, broker: Celery | None = None, body_seconds: float = BODY_SECONDS, **variables: object
) -> Iterator[Receiver]:
    """Run the site on a migrated ledger; without a broker its doorbell rings in a void of this process."""
    thresholds = gc.get_threshold()
    settings = settings_for(database_url, **variables)
    looking = Ledger(settings.database_url.get_secret_value())
    migrate(looking.database)
    celery = broker or make_celery("memory://", sweep_every=2)
    site = Site(
        settings, Ledger(settings.database_url.get_secret_value()), celery, clock=now, body_seconds=body_seconds
    )
    try:
        with running(site) as address:
            yield Receiver(address, settings, looking)
    finally:
        looking.close()
        celery.close()
        gc.unfreeze()
        gc.set_threshold(*thresholds)
