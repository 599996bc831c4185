"""How a Tap leaves the factory: what it is, and what it holds before anybody has changed anything."""

import secrets
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.layouts import SecurityOptions
from services.clients.tap.paths import Path
from services.clients.tap.relay import DEFAULT_NET_KEY
from services.clients.tap.scram import SALT_SIZE, Verifier

ANONYMOUS: Final = 0
SUPERVISOR: Final = 65534
ADMIN: Final = 65535
TECHNICIAN: Final = 1

DEFAULT_SERIAL: Final = "IOTZ00000000000042"
DEFAULT_FIRMWARE: Final = "1.113"
DEFAULT_ITERATIONS: Final = 5000
"""What the vendor's configurator writes (notes §8.4)."""

DEFAULT_LIFETIME: Final = 3600
"""Seconds of a session of a user that nobody has configured; the vendor's configurator writes 30."""

UNCONFIGURED: Final = bytes(4)
"""Configuration version 0.0.0: this Tap is as the factory made it (notes §10.3)."""

OPENED: Final = b"\xff\xff\xff\xff"
"""Configuration version 255.255.65535: a configuration is under way (notes §10.3)."""

ALL_PROTOCOLS: Final = HostProtocol.NFC | HostProtocol.WIFI | HostProtocol.BLE | HostProtocol.MQTT


@dataclass(frozen=True, slots=True)
class User:
    """A user from the beginning; `salt` is drawn where none is given."""

    group: int
    name: str
    password: str = field(repr=False)
    salt: bytes | None = field(default=None, repr=False)
    lifetime: int = DEFAULT_LIFETIME


MASTERS: Final = (User(ADMIN, "admin", "admin"), User(SUPERVISOR, "supervisor", "supervisor"))
"""The two users that every Tap has; their factory passwords are their names (notes §10.1)."""

STAFF: Final = (*MASTERS, User(TECHNICIAN, "tech", "tech"))
"""The users of a Tap that has been put into service."""


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the relay of a Tap goes, and the net key from which its topics are derived (notes §5.2)."""

    host: str
    port: int
    net_key: str = field(default=DEFAULT_NET_KEY, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Factory:
    """One Tap, as delivered.

    Attributes:
        configured: whether it has been put into service: then strangers may not write, and there is a technician.
        scram: SCRAM login; otherwise the login by hashed password.
        iterations: with which verifiers are made.
        broker: the MQTT broker of its relay, None for no relay.
    """

    serial: str = DEFAULT_SERIAL
    firmware: str = DEFAULT_FIRMWARE
    configured: bool = True
    scram: bool = True
    iterations: int = DEFAULT_ITERATIONS
    users: tuple[User, ...] = STAFF
    broker: Broker | None = None
    settings: dict[str, bytes] = field(default_factory=dict)

    def numbered(self, step: int) -> "Factory":
        """Give the same Tap with a serial number so many steps on; the digits at its end count."""
        stem = self.serial.rstrip("0123456789")
        digits = self.serial[len(stem) :]
        return replace(self, serial=f"{stem}{int(digits or '0') + step:0{len(digits)}d}")

    def values(self) -> dict[Path, bytes]:
        """Give what stands in the memory at first, by path."""
        locks = SecurityOptions(scram_activated=self.scram, hash_password=True, disable_login_with_uid=True)
        texts = {
            "/1024//6": locks.encode(),
            "/1024//9": self.serial.encode(),
            "/1024//10": b"\x01\x00\x00\x00" if self.configured else UNCONFIGURED,
            "/1024//15": b"\x01",
            "/1024//17": int(ALL_PROTOCOLS).to_bytes(2, "big"),
            "/1024//25": b"keyturn-plant",
            "/1024//42": self.iterations.to_bytes(4, "big"),
            "/1024//55": DEFAULT_NET_KEY.encode(),
            "/1024//96": b"\x07",
        }
        return {Path.parse(place): body for place, body in {**texts, **self._relay(), **self.settings}.items()}

    def _relay(self) -> dict[str, bytes]:
        if self.broker is None:
            return {}
        broker = {"50": self.broker.host, "51": str(self.broker.port), "55": self.broker.net_key}
        return {f"/1024//{resource}": text.encode() for resource, text in broker.items()}


def verifier_of(user: User, iterations: int) -> Verifier:
    """Give the verifier of a user, drawn once in a process: a thousand Taps must not cost a thousand derivations."""
    if user.salt is None:
        return _drawn(user.password, user.name, iterations)
    return Verifier.make(user.password, salt=user.salt, iterations=iterations)


@lru_cache(maxsize=64)
def _drawn(password: str, _name: str, iterations: int) -> Verifier:
    return Verifier.make(password, salt=b"\x01" + secrets.token_bytes(SALT_SIZE - 1), iterations=iterations)
