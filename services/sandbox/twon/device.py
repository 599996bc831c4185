"""One 2N device: who it is, which keys it holds, what happens at its door. `station.py` adds the network.

Everything that changes happens on one event loop and without an await, so each call takes effect whole or not at all.
"""

import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from time import time
from typing import Any, Final, Literal

from services.sandbox.turning import turned
from services.sandbox.twon.dials import Dials, Privilege
from services.sandbox.twon.digest import Algorithm, Digest
from services.sandbox.twon.envelope import ApiError
from services.sandbox.twon.events import EventLog
from services.sandbox.twon.keys import NO_KEYS, SLOTS, AccessKey, Slots, installed, put_in_front
from services.sandbox.twon.open_points import FifthKey
from services.sandbox.twon.striking import Strikes
from services.sandbox.twon.tally import MOST_WRITES, Journal, Tally, Write
from services.sandbox.twon.terminals import Terminals

USER: Final = "admin"
PASSWORD: Final = "2n"  # noqa: S105 - the password that every 2N device leaves the factory with
MOST_LOCATION: Final = 127
OLD_FIRMWARE: Final = "2.49.0.75.3"
NEW_FIRMWARE: Final = "2.50.0.76.2"

_PUBLIC_HALVES: Final = (2, 50)
_EVENTS_OLD, _EVENTS_NEW = 500, 10_000
_EVENTS_OF: Final = {Privilege.ACCESS_CONTROL: frozenset({"MobKeyEntered"})}

Auth = Literal["digest", "basic", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """How a device leaves the factory and is set up.

    Attributes:
        serial: two digits, four, four: ``54-1046-0745``.
        location: what it broadcasts; the serial number when empty.
        firmware: from 2.50 on a GET shows public halves only.
        keys: the first is the primary one; at most four.
    """

    serial: str
    location: str = ""
    firmware: str = NEW_FIRMWARE
    auth: Auth = "digest"
    algorithm: Algorithm = Algorithm.MD5
    user: str = USER
    password: str = field(default=PASSWORD, repr=False)
    keys: tuple[AccessKey, ...] = ()


class Device:
    """A device and everything that it remembers.

    Args:
        model: what it is.
        dials: how it behaves at the start.
        clock: tells Unix time in seconds.
        journal: where its writes are noted, in order with those of other devices.
    """

    def __init__(
        self,
        model: Model,
        *,
        dials: Dials | None = None,
        clock: Callable[[], float] = time,
        journal: Journal | None = None,
    ) -> None:
        self.model = model
        self.clock = clock
        self._first_dials = dials or Dials()
        self.dials = self._first_dials
        self.random = Random(self.dials.seed)  # noqa: S311 - decides which faults strike; a run must be repeatable
        self.strikes = Strikes(self.dials.strikes, self.random)
        self.digest = Digest(model.user, model.password, model.algorithm)
        self.tally = Tally()
        self.journal: Journal = deque(maxlen=MOST_WRITES) if journal is None else journal
        version = tuple(int(part) for part in model.firmware.split(".")[:2])
        self.public_halves = version >= _PUBLIC_HALVES
        self.awake = True
        self.boot = str(uuid.uuid4())
        self.log = EventLog(clock, most=_EVENTS_NEW if self.public_halves else _EVENTS_OLD)
        self.location: str
        self.slots: Slots
        self.terminals: Terminals
        self._install()

    @property
    def serial(self) -> str:
        """The serial number."""
        return self.model.serial

    @property
    def primary(self) -> str | None:
        """The public half of the key to which phones are moved; None where there is none."""
        return self.slots[0].public if self.slots[0] else None

    @property
    def keys(self) -> tuple[str, ...]:
        """The public halves of all keys that a phone may come with."""
        return tuple(key.public for key in self.slots if key is not None)

    def config(self) -> dict[str, Any]:
        """Give the result of a GET of the mobile key configuration."""
        dials = self.dials
        shown = [key.shown(dials, publicly=self.public_halves) if key else {} for key in self.slots]
        return {"location": self.location, "keys": shown}

    def configure(self, document: Mapping[str, Any]) -> None:
        """Carry out a PUT of the mobile key configuration.

        Raises:
            ApiError: a member has the wrong shape (12), or two collide (17); nothing was changed.
        """
        location, slots = self._checked_location(document), self.slots
        if "key" in document and "keys" in document:
            raise ApiError(17, "key")
        if "key" in document:
            if not isinstance(document["key"], dict):
                raise ApiError(12, "key")
            slots = put_in_front(slots, document["key"], self.dials, ecc=self.public_halves)
        if "keys" in document:
            slots = installed(slots, self._checked_keys(document["keys"]), self.dials, ecc=self.public_halves)
        self.location, self.slots = location, slots
        self.tally.writes += 1
        self.journal.append(Write(self.serial, self.clock(), location, self.keys))
        self.note("ConfigurationChanged", {})

    def door(self, phone: str, *, valid: bool) -> None:
        """Note that a phone was let in or sent away."""
        params = {"ap": 0, "session": str(self.random.getrandbits(24)), "direction": "in"}
        self.note("MobKeyEntered", params | {"authid": phone, "uuid": "", "valid": valid})

    def note(self, kind: str, params: Mapping[str, Any]) -> None:
        """Write an event down."""
        self.log.note(kind, params, visible=self.sees(kind))

    def sees(self, kind: str) -> bool:
        """Whether the account may see events of a kind."""
        hidden = (kinds for privilege, kinds in _EVENTS_OF.items() if privilege not in self.dials.privileges)
        return not any(kind in kinds for kinds in hidden)

    def restart(self) -> None:
        """Restart: keys and location stay, events, channels and nonces do not."""
        self.tally.reboots += 1
        self.boot = str(uuid.uuid4())
        self.digest.forget()
        self.log.restart()

    def turn(self, changes: object) -> None:
        """Turn some dials and start the random generator afresh.

        Raises:
            InputError: a change is wrong; nothing was turned.
        """
        self._set(turned(self.dials, changes), anew=isinstance(changes, dict) and "strikes" in changes)

    def reset(self) -> None:
        """Be as at the very beginning: keys, location, events, dials, counts."""
        self._set(self._first_dials, anew=True)
        self._install()
        self.restart()
        self.tally.clear()

    def _install(self) -> None:
        self.location = self.model.location or self.model.serial
        self.terminals = Terminals()
        self.slots = (*self.model.keys, *NO_KEYS)[:SLOTS]

    def _set(self, dials: Dials, *, anew: bool) -> None:
        self.dials = dials
        self.random.seed(dials.seed)
        if anew:
            self.strikes = Strikes(dials.strikes, self.random)

    def _checked_location(self, document: Mapping[str, Any]) -> str:
        location = document.get("location", self.location)
        if not isinstance(location, str) or not 0 < len(location) <= MOST_LOCATION:
            raise ApiError(12, "location")
        return location

    def _checked_keys(self, keys: object) -> list[object]:
        if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
            raise ApiError(12, "keys")
        if len(keys) > SLOTS and self.dials.fifth_key is FifthKey.REFUSED:
            raise ApiError(12, "keys")
        return keys
