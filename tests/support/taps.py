"""Taps in the memory of a test: the twin without antennas, behind the real client, and a fleet of them."""

from collections import deque
from pathlib import Path
from typing import ClassVar

from schemas.errors import TryAgain
from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.wire import Bounds, WireLost
from services.sandbox.tap.device import Device, PowerCut
from services.sandbox.tap.factory import Factory
from services.sandbox.tap.line import Line

SERIAL = "IOTZ00000000000042"
ITERATIONS = 20
"""Few, so that a test is quick."""


class MemoryWire:
    """A connection to a device in this process; a restart ends it."""

    whole: ClassVar[bool] = True

    def __init__(self, device: Device) -> None:
        self._device = device
        self._line: Line | None = Line(device, HostProtocol.WIFI)
        self._said: deque[bytes] = deque()

    def send(self, data: bytes) -> None:
        """Let the device hear."""
        if self._line is None:
            raise WireLost("the Tap hung up")
        try:
            for reply in self._line.hear(data):
                self._said.append(reply.data)
                if reply.errand is not None:
                    self._restart()
        except PowerCut:
            self._restart()

    def receive(self, patience: float) -> bytes:  # noqa: ARG002 - nothing takes time here
        """Give what the device said."""
        if self._said:
            return self._said.popleft()
        if self._line is None:
            raise WireLost("the Tap hung up")
        raise TimeoutError

    def close(self) -> None:
        """Hang up."""
        self._line = None

    def _restart(self) -> None:
        self._device.restart()
        self._line = None


class MemoryAddress:
    """Where a device of this process is reached, unless it is away."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.away = False

    def __str__(self) -> str:
        return "tcp://tap.test:2000"

    def dial(self, bounds: Bounds) -> MemoryWire:  # noqa: ARG002 - nothing takes time here
        """Open a connection."""
        if self.away:
            raise TryAgain(f"no connection to {self}", call="connect", sent=False)
        return MemoryWire(self.device)


def make_device(*, serial: str = SERIAL, firmware: str = "1.113", scram: bool = True) -> Device:
    """Make a Tap that has been put into service with the passwords of the factory."""
    return Device(Factory(serial=serial, firmware=firmware, iterations=ITERATIONS, scram=scram))


FULL = """\
version = "2.3.4"
name = "plant-7"
protocols = ["wifi", "mqtt", "ble"]
inactivity = 60
hash_iterations = 30

[wifi]
mode = "network"
ssid = "plant"
key = { file = "wifi-key" }
ip = "192.168.7.9"
mask = "255.255.255.0"
gateway = "192.168.7.1"
country = 250

[mqtt]
host = "broker.plant.test"
port = 8883
client_id = "plant-7"
user = "plant"
password = { file = "mqtt-password" }
net_key = { file = "net-key" }
certificate = { file = "broker.pem" }

[time]
ntp_server = "ntp.plant.test"
zone = "CET-1CEST"

[certificates]
public = { file = "public.pem" }
private = { file = "private.pem" }

[[users]]
name = "admin"
password = { file = "admin-password" }
lifetime = 600

[[users]]
name = "supervisor"
password = { file = "supervisor-password" }

[[users]]
name = "night"
group = 7
password = { file = "night-password" }
lifetime = 120
"""
"""A configuration with one of everything."""

SECRETS = {
    "wifi-key": "wifi-Secret-1",
    "mqtt-password": "mqtt-Secret-2",
    "net-key": "net-Secret-3",
    "admin-password": "admin-Secret-4",
    "supervisor-password": "supervisor-Secret-5",
    "night-password": "night-Secret-6",
    "login": "admin",
    "broker.pem": "-----BEGIN CERTIFICATE-----\n" + "broker" * 50,
    "public.pem": "-----BEGIN CERTIFICATE-----\n" + "public" * 60,
    "private.pem": "-----BEGIN PRIVATE KEY-----\n" + "hidden" * 50,
}


def write_fleet(
    folder: Path, *, configuration: str = FULL, address: str = "tcp://127.0.0.1:2000", more: str = ""
) -> Path:
    """Write a document of the inventory with one Tap, its configuration and its secrets."""
    for name, secret in SECRETS.items():
        (folder / name).write_text(secret)
    (folder / "tap.toml").write_text(configuration)
    fleet = folder / "fleet.toml"
    fleet.write_text(
        f"""\
version = 1

[[sites]]
name = "lyon"
devices = ["135700008928c093"]

[[sites.taps]]
serial = "{SERIAL}"
address = "{address}"
password = {{ file = "login" }}
configuration = "tap.toml"
{more}
"""
    )
    return fleet
