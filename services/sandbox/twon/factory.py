"""How the devices of a park leave the factory: serial numbers that count up, locations with keys, firmware, logins."""

import re
from dataclasses import dataclass, field
from functools import cache
from itertools import cycle
from typing import Final, Literal

from schemas.errors import InputError
from services.sandbox.twon.device import NEW_FIRMWARE, OLD_FIRMWARE, PASSWORD, USER, Auth, Model
from services.sandbox.twon.digest import Algorithm
from services.sandbox.twon.keys import SLOTS, AccessKey, new_key

FIRST_SERIAL: Final = "54-1046-0745"
MOST_DEVICES: Final = 5000

_SERIAL: Final = re.compile(r"([0-9]{2})-([0-9]{4})-([0-9]{4})")
_LAST_NUMBER: Final = 99_999_999
_FIRMWARES: Final = {"2.49": (OLD_FIRMWARE,), "2.50": (NEW_FIRMWARE,), "mixed": (OLD_FIRMWARE, NEW_FIRMWARE)}
_ALGORITHMS: Final = {
    "md5": (Algorithm.MD5,),
    "sha-256": (Algorithm.SHA_256,),
    "mixed": (Algorithm.MD5, Algorithm.MD5, Algorithm.SHA_256, Algorithm.SHA_256),
}
_POOL: Final = 16
_BORN: Final = 1_608_047_606
"""``ctime`` of the keys that devices begin with: the manual's first sample."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Factory:
    """What a park is made of.

    Attributes:
        devices: how many.
        location: all are of this one; empty: each is of its own, named by its serial number.
        location_size: so many are of a location, whose name is counted: lyon-1, lyon-2; 0: all are of the one.
        firmware: a version, or every other device the older one.
        algorithm: of the Digest login, or two devices by MD5 and two by SHA-256.
        keys: how many keys a location begins with. Devices of one location have the same ones.
    """

    devices: int = 1
    serial: str = FIRST_SERIAL
    location: str = ""
    location_size: int = 0
    firmware: Literal["2.49", "2.50", "mixed"] = "2.50"
    algorithm: Literal["md5", "sha-256", "mixed"] = "md5"
    auth: Auth = "digest"
    user: str = USER
    password: str = field(default=PASSWORD, repr=False)
    keys: int = 1

    def models(self) -> list[Model]:
        """Give the devices to be made.

        Raises:
            InputError: the serial number has another form, or there are too many devices or keys.
        """
        faults = [f"devices: {self.devices} is not within 1 to {MOST_DEVICES}"] * (
            not 1 <= self.devices <= MOST_DEVICES
        )
        faults += ["location_size: a number below 0"] * (self.location_size < 0)
        faults += [f"keys: {self.keys} is not within 0 to {SLOTS}"] * (not 0 <= self.keys <= SLOTS)
        if faults:
            raise InputError(faults)
        firmwares, algorithms = cycle(_FIRMWARES[self.firmware]), cycle(_ALGORITHMS[self.algorithm])
        return [
            Model(
                serial=counted(self.serial, step),
                location=self._location(step),
                firmware=next(firmwares),
                algorithm=next(algorithms),
                auth=self.auth,
                user=self.user,
                password=self.password,
                keys=first_keys(self._group(step), self.keys),
            )
            for step in range(self.devices)
        ]

    def _group(self, step: int) -> int:
        if not self.location:
            return step
        return step // self.location_size if self.location_size else 0

    def _location(self, step: int) -> str:
        numbered = self.location and self.location_size
        return f"{self.location}-{self._group(step) + 1}" if numbered else self.location


def counted(serial: str, step: int) -> str:
    """Count a serial number up.

    Raises:
        InputError: it has not the form 54-1046-0745, or the numbers run out.
    """
    form = _SERIAL.fullmatch(serial)
    if form is None:
        raise InputError([f"serial: {serial} has not the form {FIRST_SERIAL}"])
    family, high, low = form.groups()
    number = int(high + low) + step
    if number > _LAST_NUMBER:
        raise InputError([f"serial: no serial number is left {step} after {serial}"])
    return f"{family}-{number // 10_000:04d}-{number % 10_000:04d}"


def first_keys(location: int, count: int) -> tuple[AccessKey, ...]:
    """Give the keys that a location begins with, newest first.

    They come from a small pool, for a thousand keys would take half a minute: far locations share some. Nobody compares
    the keys of two locations.
    """
    return tuple(_key((location * SLOTS + place) % _POOL) for place in range(count))


@cache
def _key(number: int) -> AccessKey:
    return new_key(_BORN - number)
