"""2N devices in a thread of a test: the twin's devices at their ports, its dials, its phones."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpx

from services.sandbox.server import running
from services.sandbox.twon.app import build
from services.sandbox.twon.device import PASSWORD, USER, Model
from services.sandbox.twon.dials import Dials
from services.sandbox.twon.factory import Factory
from services.sandbox.twon.park import Park

__all__ = ["PASSWORD", "USER", "TwonPark", "UnixClock", "twon_park"]

PATIENCE = 10.0


class UnixClock:
    """Unix time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


class TwonPark:
    """A running twin: where its devices are, and its own face."""

    def __init__(self, park: Park, url: str) -> None:
        self.park = park
        self.http = httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False)

    @property
    def serials(self) -> list[str]:
        """The serial numbers, in order."""
        return [station.device.serial for station in self.park.stations]

    @property
    def addresses(self) -> list[str]:
        """The root URL of each device, in order."""
        return [station.url for station in self.park.stations]

    @property
    def fingerprints(self) -> list[str]:
        """SHA-256 of each device's certificate; empty without HTTPS."""
        return [station.identity.fingerprint for station in self.park.stations if station.identity]

    @property
    def certificates(self) -> str:
        """All certificates as one PEM text, for a CA file."""
        return "".join(station.identity.pem for station in self.park.stations if station.identity)

    def turn(self, serial: str | None = None, **dials: object) -> None:
        """Turn dials of one device, or of all."""
        self._call("PATCH", "/dials", dials, serial)

    def stats(self, serial: str | None = None) -> Any:
        """Give the counts of one device, or of all."""
        return self._call("GET", "/stats", None, serial)

    def state(self, serial: str | None = None) -> Any:
        """Give what a device remembers; the serial number may be left out where there is one only."""
        return self._call("GET", "/state", None, serial)

    def keys(self, serial: str) -> list[str | None]:
        """Give the public halves in a device's four places."""
        return [key and key["publicKey"] for key in self.state(serial)["keys"]]

    def writes(self) -> list[dict[str, Any]]:
        """Give the writes of all devices in order: serial, at, location, and the keys held afterwards."""
        writes: list[dict[str, Any]] = self._call("GET", "/writes", None)["writes"]
        return writes

    def reboot(self, serial: str | None = None) -> None:
        """Restart, and wait until the devices are back."""
        self._call("POST", "/reboot", None, serial)

    def reset(self) -> None:
        """Be as at the very beginning."""
        self._call("POST", "/reset", None)

    def pair(self, location: str, count: int = 1) -> list[str]:
        """Pair phones with a location, and give their names."""
        names: list[str] = self._call("POST", "/phones", {"location": location, "count": count})["phones"]
        return names

    def step(self, visits: int) -> dict[str, int]:
        """Let phones visit doors at random, and say how the visits ended."""
        endings: dict[str, int] = self._call("POST", "/phones/step", {"visits": visits})
        return endings

    def tour(self) -> dict[str, int]:
        """Let every phone visit every door of its own."""
        endings: dict[str, int] = self._call("POST", "/phones/tour", None)
        return endings

    def walk(self, rate: float) -> None:
        """Let phones walk about, so many visits a second; 0 stops them."""
        self._call("POST", "/phones/walk", {"rate": rate})

    def lockouts(self) -> list[dict[str, Any]]:
        """Give every phone that was locked out: who, when, where, why."""
        lockouts: list[dict[str, Any]] = self._call("GET", "/phones/lockouts", None)["lockouts"]
        return lockouts

    def _call(self, method: str, path: str, body: object, serial: str | None = None) -> Any:
        query = {} if serial is None else {"serial": serial}
        answer = self.http.request(method, f"/_twin{path}", json=body, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def twon_park(
    devices: int | Sequence[Model] = 1, *, https: bool = False, dials: Dials | None = None, **options: Any
) -> Iterator[TwonPark]:
    """Run 2N devices in a thread of this process.

    Args:
        devices: how many, or which; the latter leave nothing to the options.
        https: each shows a certificate of its own.
        dials: how they behave at the start.
        options: those of `Factory`.
    """
    models = Factory(devices=devices, **options).models() if isinstance(devices, int) else devices
    park = Park(models, https=https, dials=dials or Dials(reboot_seconds=0.05))
    with running(build(park)) as address:
        twin = TwonPark(park, address.url)
        with twin.http:
            yield twin
