"""The way to every 2N device of the inventory: addresses, passwords, lines, many devices at once."""

import base64
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Final, TypeVar

from pydantic import SecretStr

from schemas.errors import InputError, TryAgain
from schemas.fleet import Fleet, TwonDevice
from schemas.references import SecretReference
from schemas.twon import Generation, LogEvent, MobileKey, MobileKeyConfig, MobKeyEntered
from services.clients.guard import Guard
from services.clients.transport import Bounds
from services.clients.twon import BOUNDS, PrivateKey, TwonAddress, TwonClient, keys
from services.fleet.spread import Spread
from services.operations.rotate_lists import UNREADABLE
from services.operations.twon_access import Log, MobileKeyStore, Phones, SeenKey, SeenList

R = TypeVar("R")

_ENTERED: Final = "MobKeyEntered"
_MOST_PULLS: Final = 100
"""Of 128 events each: more than the 10 000 that a device keeps."""


_FIRST_MOBILE_KEYS: Final = datetime(2015, 1, 1, tzinfo=UTC)
"""No device of 2N had mobile keys before; a clock that says so was not set."""


class FleetTwon:
    """Opens lines to the 2N devices of an inventory; all threads of a process share it.

    Args:
        fleet: gives the inventory as it is now.
        reveal: fetches a password.
        store: the keys of the locations.
        threads: how many devices are spoken with at a time.
        bounds: how long to wait for a device.
        guard: what every conversation passes.
    """

    def __init__(
        self,
        fleet: Callable[[], Fleet],
        reveal: Callable[[SecretReference], SecretStr],
        store: MobileKeyStore,
        *,
        threads: int = 128,
        bounds: Bounds = BOUNDS,
        guard: Guard | None = None,
    ) -> None:
        self.keys = store
        self._fleet = fleet
        self._reveal = reveal
        self._bounds = bounds
        self._spread = Spread(threads)
        self._silent: set[str] = set()
        self._guard = guard

    def location(self, name: str) -> Sequence[TwonDevice]:
        """Give the devices of a location, as they are written down now.

        Raises:
            InputError: the inventory knows none.
        """
        devices = self._fleet().locations.get(name, ())
        if not devices:
            raise InputError([f"the inventory has no 2N device of the location {name}"])
        return devices

    def device(self, serial: str) -> TwonDevice:
        """Give a device.

        Raises:
            InputError: the inventory does not know it.
        """
        found = self._fleet().twon.get(serial)
        if found is None:
            raise InputError([f"the inventory has no 2N device {serial}"])
        return found

    @contextmanager
    def open(self, device: TwonDevice) -> Iterator["ClientSession"]:
        """Open a line to a device.

        Raises:
            InputError: its password is not where the inventory says, or its address is wrong.
            NotYet: the guard holds the conversation back.
        """
        address = TwonAddress(
            url=device.address,
            user=device.user,
            password=None if device.password is None else self._reveal(device.password),
            auth=device.auth,
            fingerprint=device.fingerprint,
            ca_file=device.ca_file,
            in_clear=device.in_clear,
        )
        try:
            passing = self._guard.call("connect", device.serial) if self._guard else nullcontext()
            with passing, TwonClient(address, self._bounds) as client:
                yield ClientSession(client, device.serial)
            self._silent.discard(device.serial)
        except TryAgain as error:
            if error.status is None:
                self._silent.add(device.serial)
            raise

    def spread(
        self, work: Callable[[TwonDevice], R], devices: Sequence[TwonDevice], *, hurry: bool
    ) -> Generator[R, None, None]:
        """Do the same with many devices; see `Spread.each`. Those that were silent of late are begun first."""
        begun = sorted(devices, key=lambda device: device.serial not in self._silent)
        return self._spread.each(work, begun, hurry=hurry)

    def close(self) -> None:
        """Begin nothing more with any device."""
        self._spread.close()


class ClientSession:
    """A client as the rotation sees it: lists of public halves, and the private ones that a device told."""

    def __init__(self, client: TwonClient, serial: str) -> None:
        self._client = client
        self._serial = serial
        self._version: tuple[int, ...] = ()
        self._shown: frozenset[str] = frozenset()

    def identify(self) -> SeenList:
        """Ask the device what it is and what it has."""
        info = self._client.system_info()
        self._version = info.version
        seen = self.look()
        if info.serial_number != self._serial:
            who = info.serial_number or "one that tells no serial number"
            doubt = f"another device answers at its address: {who}; correct the inventory"
            return SeenList(location=seen.location, keys=seen.keys, doubt=doubt)
        return seen

    def look(self) -> SeenList:
        """Ask the device what it has."""
        config = self._client.mobilekey_config()
        seen = tuple(_seen(key, slot) for slot, key in enumerate(config.keys))
        self._shown = frozenset(key.public for key in seen)
        return SeenList(location=config.location, keys=seen, doubt=_doubt(config, self._version))

    def write(self, wanted: Sequence[PrivateKey], *, location: str | None = None) -> None:
        """Replace the whole list, and the location when one is given."""
        standing = frozenset(key.public for key in wanted if key.public_text in self._shown)
        self._client.put_mobilekey_config(location, [key.dated(key.ctime) for key in wanted], standing=standing)

    def phones(self) -> Log:
        """Read from the device's log which phones it has let in, and how far back it reaches."""
        everything = self._client.log_subscribe(include="all")
        oldest = list(filter(None, map(_moment, self._client.log_pull(everything))))
        self._client.log_unsubscribe(everything)
        return Log(phones=self._entered(), begins=min(oldest, default=None))

    def _entered(self) -> Phones:
        found: dict[str, list[datetime]] = {}
        subscription = self._client.log_subscribe([_ENTERED], include="all")
        for _ in range(_MOST_PULLS):
            events = self._client.log_pull(subscription)
            if not events:
                break
            for event in events:
                entered = MobKeyEntered.read(event.params)
                at = _moment(event)
                if event.event == _ENTERED and entered.valid and entered.authid and at is not None:
                    found.setdefault(entered.authid, []).append(at)
        self._client.log_unsubscribe(subscription)
        return found


def _seen(key: MobileKey, slot: int) -> SeenKey:
    """Read a key of a list; one that cannot be read is named by its slot."""
    made_at = None if not key.ctime else datetime.fromtimestamp(key.ctime, UTC)
    try:
        public = keys.public_half(key)
    except InputError:
        return SeenKey(public=f"{UNREADABLE}{slot}", kind=key.type, made_at=made_at)
    private = None if key.key is None else PrivateKey(type=key.type, text=key.key, public=public)
    return SeenKey(public=base64.b64encode(public).decode(), kind=key.type, private=private, made_at=made_at)


def _moment(event: LogEvent) -> datetime | None:
    """When an event happened; None where its time is none, or of a clock that was not set."""
    try:
        at = None if event.utc_time is None else datetime.fromtimestamp(event.utc_time, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None if at is None or at < _FIRST_MOBILE_KEYS else at


def _doubt(config: MobileKeyConfig, version: tuple[int, ...]) -> str:
    """Why nothing must be written: with keys that may or may not be hidden, a write may delete what nobody holds."""
    if config.generation(version) is not Generation.AMBIGUOUS or not (config.keys or version):
        return ""
    number = ".".join(map(str, version)) or "unknown"
    return f"does not clearly show or hide its private keys (firmware {number}): is its firmware supported?"
