"""The twins that `keyturn up` runs where no upstream is configured, and the inventory of what they play."""

import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from services.sandbox.centagate import twin as centagate
from services.sandbox.twon.device import PASSWORD, USER

SITE: Final = "sandbox"
USERS: Final = 1
DOORS: Final = 2
TAP: Final = "IOTZ00000000000042"

_TAP_CONFIGURATION: Final = """\
version = "2.0.0"
name = "simulated-tap"
inactivity = 30

[[users]]
name = "admin"
password = { file = "tap-admin" }

[[users]]
name = "supervisor"
password = { file = "tap-supervisor" }
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """Free ports for the twins; a control port is where a twin's dials are."""

    ublox: int
    centagate: int
    tap: int
    twon_control: int
    tap_control: int


class Twins:
    """The four twins of one machine."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    @property
    def ublox_url(self) -> str:
        """Where the twin of u-blox answers."""
        return _local(self._ports.ublox)

    def commands(self, location: str) -> dict[str, list[str]]:
        """The processes by name. The 2N devices are of one location, one of them too new to show its private keys."""
        doors = ("--port", "0", "--devices", str(DOORS), "--location", location, "--https", "--firmware", "mixed")
        return {
            "sandbox-ublox": _sandbox("ublox", "--port", self._ports.ublox),
            "sandbox-twon": _sandbox("twon", *doors, "--algorithm", "mixed", "--dials", self._ports.twon_control),
            "sandbox-centagate": _sandbox("centagate", "--port", self._ports.centagate, "--users", USERS),
            "sandbox-tap": _sandbox("tap", "--port", self._ports.tap, "--dials", self._ports.tap_control),
        }

    def control(self) -> dict[str, str]:
        """An address of each twin that answers once it is there."""
        return {
            "sandbox-ublox": f"{self.ublox_url}/_twin/dials",
            "sandbox-twon": f"{_local(self._ports.twon_control)}/_twin/devices",
            "sandbox-centagate": f"{_local(self._ports.centagate)}/_twin/dials",
            "sandbox-tap": f"{_local(self._ports.tap_control)}/_twin/dials",
        }

    def centagate_environ(self) -> dict[str, str]:
        """The variables that point Keyturn at the twin of CENTAGATE."""
        return {
            "KEYTURN_CENTAGATE_BASE_URL": _local(self._ports.centagate),
            "KEYTURN_CENTAGATE_ADMIN_USERNAME": centagate.ADMIN_USERNAME,
            "KEYTURN_CENTAGATE_ADMIN_PASSWORD": centagate.ADMIN_PASSWORD,
            "KEYTURN_CENTAGATE_INTEGRATION_KEY": centagate.INTEGRATION_KEY,
            "KEYTURN_CENTAGATE_SECRET_KEY": centagate.SECRET_KEY,
        }

    def write_inventory(self, folder: Path, device: str) -> Path:
        """Write what belongs to a u-blox device here: two doors, two tokens and a Tap; give the file to import."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tap.toml").write_text(_TAP_CONFIGURATION)
        for user in ("admin", "supervisor"):
            (folder / f"tap-{user}").write_text(secrets.token_urlsafe(12))
        doors = httpx.get(self.control()["sandbox-twon"], timeout=10, trust_env=False).json()["devices"]
        lines = ["version = 1", *_table("sites", name=SITE, devices=[device])]
        for door in doors:
            lines += _table("sites.twon", **_door(door))
        for number in range(1, USERS + 1):
            lines += _table("sites.tokens", username=f"user-{number:04}", type="sms", phone=f"+9990000000{number:02}")
            lines += _table("sites.tokens", username=f"user-{number:04}", type="otp", serial=f"SN{number:08}")
        address = f"tcp://127.0.0.1:{self._ports.tap}"
        lines += _table("sites.taps", serial=TAP, address=address, password="admin", configuration="tap.toml")  # noqa: S106 - the twin's
        path = folder / "fleet.toml"
        path.write_text("\n".join(lines) + "\n")
        return path


def ports_from(free: Iterator[int]) -> Ports:
    """Take a free port for each."""
    return Ports(
        ublox=next(free), centagate=next(free), tap=next(free), twon_control=next(free), tap_control=next(free)
    )


def _door(door: Mapping[str, Any]) -> dict[str, str]:
    known = {"serial": door["serial"], "address": door["url"], "location": door["location"]}
    return {**known, "user": USER, "password": PASSWORD, "fingerprint": door["fingerprint"]}


def _table(table: str, /, **fields: str | Sequence[str]) -> list[str]:
    return ["", f"[[{table}]]", *(f"{key} = {_toml(value)}" for key, value in fields.items())]


def _toml(value: str | Sequence[str]) -> str:
    return f'"{value}"' if isinstance(value, str) else f"[{', '.join(map(_toml, value))}]"


def _sandbox(*words: object) -> list[str]:
    return keyturn("sandbox", *map(str, words))


def keyturn(*words: str) -> list[str]:
    """The command line of a part of Keyturn; `-P`: no code from the folder we stand in."""
    return [sys.executable, "-P", "-m", "services.cli.main", *words]


def _local(port: int) -> str:
    return f"http://127.0.0.1:{port}"
