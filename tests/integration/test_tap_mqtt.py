"""The relay transport through brokers of both versions: login, calls, late and foreign answers, refusals, TLS."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path as FilePath
from typing import Any, get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import SecretStr

from schemas.errors import ConfigurationError, OurFault, TryAgain
from services.clients.tap import Form, Path
from services.clients.tap.client import TapClient
from services.clients.tap.mqtt import RelayAddress, Version, trust
from services.clients.tap.relay import RelayPacket, Topics
from services.clients.tap.terms import Terms
from services.clients.tap.wire import Bounds
from tests.integration.small_broker import SmallBroker
from tests.integration.tap_device import SERIAL, Device, TapState

ADMIN = SecretStr("admin")
NET_KEY = "plant-net-key"
TOPICS = Topics.of(SERIAL, NET_KEY)
BOUNDS = Bounds(connect=3, answer=2, echo=0.15)
NAME = Path.parse("/1024//9")

Deliver = Callable[[RelayPacket, bytes], list[RelayPacket]]
"""Gives what a Tap publishes on a request, from the request's packet and the answer."""


def echo(asked: RelayPacket, answer: bytes) -> list[RelayPacket]:
    """Answer under the ids of the request."""
    return [RelayPacket(asked.sender, asked.reference, answer)]


class OwnCount:
    """Answers under a number of its own, as the vendor's relay does."""

    def __init__(self, sender: int | None = None) -> None:
        self.sender = sender
        self.count = 0

    def __call__(self, asked: RelayPacket, answer: bytes) -> list[RelayPacket]:
        """Give the one answer."""
        self.count += 1
        return [RelayPacket(asked.sender if self.sender is None else self.sender, self.count, answer)]


class RelayDevice:
    """A Tap that listens at a broker."""

    def __init__(self, tap: TapState, port: int, deliver: Deliver = echo) -> None:
        self.deliver = deliver
        self.tap = tap
        self._devices: dict[int, Device] = {}
        self._ready = threading.Event()
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=f"{SERIAL}_{port}", reconnect_on_failure=False)
        self.client.on_connect = lambda client, *_: client.subscribe(TOPICS.command)
        self.client.on_subscribe = lambda *_: self._ready.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._ready.wait(60)

    def close(self) -> None:
        """Leave the broker."""
        self.client.disconnect()
        self.client.loop_stop()

    def _on_message(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        asked = RelayPacket.decode(bytes(message.payload))
        device = self._devices.setdefault(asked.sender, Device(self.tap))
        for answer in device.take(asked.payload):
            for packet in self.deliver(asked, answer):
                self.client.publish(TOPICS.answer, packet.encode())


@contextlib.contextmanager
def amqtt() -> Iterator[int]:
    """Run the broker amqtt in a thread."""
    from services.sandbox.tap.broker import brokering

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    ready, loop, stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with brokering("127.0.0.1", port):
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    yield port
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()


@contextlib.contextmanager
def small(**options: Any) -> Iterator[int]:
    """Run the broker of these tests."""
    broker = SmallBroker(**options)
    try:
        yield broker.port
    finally:
        broker.close()


@contextlib.contextmanager
def relayed(deliver: Deliver = echo, tap: TapState | None = None) -> Iterator[tuple[SmallBroker, RelayDevice]]:
    """Run the small broker with a Tap behind it."""
    broker = SmallBroker()
    device = RelayDevice(tap or TapState(), broker.port, deliver)
    try:
        yield broker, device
    finally:
        device.close()
        broker.close()


def client_of(port: int, version: Version = "3.1.1", bounds: Bounds = BOUNDS, **options: Any) -> TapClient:
    address = RelayAddress(
        host="127.0.0.1", port=port, serial=SERIAL, net_key=SecretStr(NET_KEY), version=version, **options
    )
    return TapClient(address, terms=Terms(serial=SERIAL, bounds=bounds))


@pytest.mark.parametrize(("broker", "version"), [(amqtt, "3.1.1"), (small, "3.1.1"), (small, "5")])
def test_login_and_calls_through_a_broker(broker: Callable[[], Any], version: Version) -> None:
    with broker() as port:
        device = RelayDevice(TapState(), port)
        with client_of(port, version) as client:
            client.login("admin", ADMIN)
            client.write("/1024//9", "gate-3")
            assert client.read("/1024//9") == "gate-3"
        assert device.tap.forms(Path.parse("/1024//1")) == [Form.SEALED_WITH_IV]
        device.close()


@pytest.mark.parametrize("sender", [None, 1])
def test_a_tap_that_numbers_its_answers_itself_is_understood(sender: int | None) -> None:
    with relayed(OwnCount(sender)) as (broker, _), client_of(broker.port) as client:
        start = time.monotonic()
        client.login("admin", ADMIN)
        for _ in range(5):
            client.write("/1024//9", "gate-3")
        assert time.monotonic() - start < 1.5


def test_late_answers_are_not_taken_for_the_next_one() -> None:
    """The answer of a visit that timed out arrives in the middle of the next visit."""
    late: list[RelayPacket] = []

    def deliver(asked: RelayPacket, answer: bytes) -> list[RelayPacket]:
        packets = echo(asked, answer)
        if device.tap.asked[-1][1].path == NAME and not late:
            late.extend(packets)
            return []
        return [*late, *packets]

    with relayed(deliver) as (broker, device):
        client = client_of(broker.port, bounds=Bounds(connect=3, answer=0.3, echo=0.1))
        client.connect()
        client.login("admin", ADMIN)
        with pytest.raises(TryAgain, match="no answer within") as caught:
            client.write("/1024//9", "gate-3")
        assert caught.value.sent
        with pytest.raises(TryAgain, match="is over"):
            client.read("/1024//9")
        client.connect()
        client.login("admin", ADMIN)
        assert client.read("/1024//9") == "gate-3"
        client.close()


def test_a_late_serial_number_is_recognised_by_its_ids() -> None:
    """A first answer without our ids is held back, and the one with them wins."""

    def deliver(asked: RelayPacket, answer: bytes) -> list[RelayPacket]:
        stale = RelayPacket(asked.sender ^ 5, asked.reference, bytes.fromhex("45") + b"IOTZ00000000000077\x90\x00")
        return [stale, *echo(asked, answer)]

    with relayed(deliver) as (broker, _), client_of(broker.port) as client:
        assert client.serial == SERIAL
        client.login("admin", ADMIN)


def test_retained_messages_noise_and_damaged_packets_are_passed_over() -> None:
    def deliver(asked: RelayPacket, answer: bytes) -> list[RelayPacket]:
        good = RelayPacket(asked.sender, asked.reference, answer).encode()
        broker.publish(
            TOPICS.answer, RelayPacket(asked.sender, asked.reference, b"\x81\x90\x00").encode(), retained=True
        )
        broker.publish(TOPICS.answer, b"hello?")
        broker.publish(TOPICS.answer, good[:-2] + (b"00" if good[-2:] != b"00" else b"11"))
        return echo(asked, answer)

    with relayed(deliver) as (broker, _), client_of(broker.port) as client:
        client.login("admin", ADMIN)
        assert client.read("/3//2") == SERIAL


def test_messages_that_came_unasked_are_dropped() -> None:
    with relayed(OwnCount()) as (broker, _), client_of(broker.port) as client:
        client.login("admin", ADMIN)
        broker.publish(TOPICS.answer, RelayPacket(7, 7, b"\x44\x90\x00").encode())
        time.sleep(0.1)
        assert client.read("/3//2") == SERIAL


def test_a_tap_that_is_not_there() -> None:
    with small() as port, pytest.raises(TryAgain, match="no answer within") as caught:
        client_of(port, bounds=Bounds(connect=2, answer=0.3)).connect()
    assert not caught.value.sent


@pytest.mark.parametrize("number", [0, 1])
def test_a_broker_that_goes_away_ends_the_session(number: int) -> None:
    """Before the request it is known that nothing was sent; after it nobody knows."""

    def deliver(asked: RelayPacket, answer: bytes) -> list[RelayPacket]:
        if device.tap.asked[-1][1].path == NAME:
            broker.hang_up()
            return []
        return echo(asked, answer)

    with relayed(deliver) as (broker, device):
        client = client_of(broker.port)
        client.connect()
        client.login("admin", ADMIN)
        if number == 0:
            broker.hang_up()
            time.sleep(0.2)
        with pytest.raises(TryAgain, match="the broker") as caught:
            client.write("/1024//9", "gate-3")
        assert caught.value.sent is bool(number)
        client.close()


def test_nobody_at_the_brokers_address() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TryAgain, match="no connection to the broker") as caught:
        client_of(port).connect()
    assert not caught.value.sent


def test_a_broker_that_says_nothing() -> None:
    with small(deaf=True) as port, pytest.raises(TryAgain, match="did not answer within"):
        client_of(port, bounds=Bounds(connect=0.3)).connect()


@pytest.mark.parametrize(
    ("version", "code", "kind"),
    [
        ("3.1.1", 4, OurFault),
        ("3.1.1", 5, OurFault),
        ("3.1.1", 3, TryAgain),
        ("5", 0x86, OurFault),
        ("5", 0x88, TryAgain),
    ],
)
def test_a_broker_that_does_not_let_us_in(version: Version, code: int, kind: type[Exception]) -> None:
    with small(connack=code) as port, pytest.raises(kind, match="does not let us in"):
        client_of(port, version).connect()


def test_a_broker_that_does_not_let_us_listen() -> None:
    with small(suback=0x80) as port, pytest.raises(OurFault, match="does not let us listen"):
        client_of(port).connect()


def test_a_broker_of_another_version() -> None:
    with amqtt() as port, pytest.raises((OurFault, TryAgain)):
        client_of(port, "5").connect()


def test_every_connection_has_a_client_id_of_our_own() -> None:
    with relayed() as (broker, _):
        for _ in range(2):
            with client_of(broker.port, user="ops", password=SecretStr("broker-pw")):
                pass
        ours = broker.client_ids[1:]
        assert len(set(ours)) == 2
        assert all(name.startswith("keyturn-") and len(name) <= 23 for name in ours)
        assert broker.logins[1] == b"\x00\x03ops\x00\x09broker-pw"


def _certificate(folder: FilePath) -> tuple[FilePath, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / "broker.pem", folder / "broker.key"
    public.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    no_password = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(public, private)
    return public, context


@pytest.mark.parametrize("version", get_args(Version))
def test_the_brokers_certificate_is_verified(tmp_path: FilePath, version: Version) -> None:
    ca_file, context = _certificate(tmp_path)
    with small(tls=context) as port:
        silent = Bounds(connect=2, answer=0.2)

        def connect(host: str, ca: FilePath | None) -> None:
            address = RelayAddress(host=host, port=port, serial=SERIAL, tls=True, ca_file=ca, version=version)
            TapClient(address, terms=Terms(bounds=silent)).connect()

        with pytest.raises(TryAgain, match="no answer within"):  # TLS stands, and no Tap is there
            connect("localhost", ca_file)
        with pytest.raises(OurFault, match="not trusted"):
            connect("localhost", None)
        with pytest.raises(OurFault, match="not trusted"):
            connect("127.0.0.1", ca_file)


def test_a_ca_file_that_cannot_be_used(tmp_path: FilePath) -> None:
    with pytest.raises(ConfigurationError, match="CA file"):
        trust(tmp_path / "missing.pem")


def test_addresses_name_the_place_and_no_secret() -> None:
    address = RelayAddress(
        host="::1", serial=SERIAL, tls=True, port=8883, net_key=SecretStr("hush"), password=SecretStr("hush")
    )
    assert str(address) == f"mqtts://[::1]:8883/{SERIAL}"
    assert "hush" not in repr(address)
    with pytest.raises(OurFault, match="serial number"):
        RelayAddress(host="localhost", serial="a/b").dial(BOUNDS)
