"""What the rotation of mobile keys needs from outside: devices, lines to them, the keys of a location, many at once."""

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from schemas.fleet import TwonDevice
from schemas.mobile_keys import HeldKey
from schemas.twon import KeyType
from services.clients.twon.keys import PrivateKey

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenKey:
    """One key of a device's list.

    Attributes:
        public: its public half in Base64, or a name that begins with a question mark where it cannot be read.
        kind: what the device says that it is.
        private: the key itself where the device tells it.
        made_at: when it was made, as the device says.
    """

    public: str
    kind: KeyType = KeyType.UNKNOWN
    private: PrivateKey | None = field(default=None, repr=False)
    made_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenList:
    """What a device has.

    Attributes:
        location: the name that it tells phones.
        keys: the primary key first.
        doubt: why nothing must be written to it; empty where it is clear what it is.
    """

    location: str
    keys: tuple[SeenKey, ...] = ()
    doubt: str = ""

    @property
    def publics(self) -> tuple[str, ...]:
        """The keys by their public halves; one that the device shows twice is one key."""
        return tuple(dict.fromkeys(key.public for key in self.keys))


Phones = Mapping[str, Sequence[datetime]]
"""When each phone, by its mobile key identity, was let in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Log:
    """What a device's log tells of phones. A device keeps 500 or 10 000 events and forgets older ones.

    Attributes:
        phones: those that were let in.
        begins: when the oldest event of any kind happened; None where no event has a time.
    """

    phones: Phones
    begins: datetime | None


class TwonSession(Protocol):
    """A line to one device, logged in."""

    def identify(self) -> SeenList:
        """Ask the device what it is and what it has.

        Raises:
            UpstreamError: no answer that can be trusted.
        """

    def look(self) -> SeenList:
        """Ask the device what it has; without a doubt of what it is.

        Raises:
            UpstreamError: no answer that can be trusted.
        """

    def write(self, keys: Sequence[PrivateKey], *, location: str | None = None) -> None:
        """Replace the whole list, and the location when one is given; the device does not tell what it has taken.

        Raises:
            UpstreamError: it refuses, or nobody knows.
        """

    def phones(self) -> Log:
        """Read from the device's log which phones it has let in, and how far back it reaches.

        Raises:
            UpstreamError: it does not tell.
        """


class MobileKeyStore(Protocol):
    """The keys of every location; their private halves are sealed."""

    def of_location(self, location: str) -> Sequence[HeldKey]:
        """Every key that a location ever had, the newest first; the dropped ones too."""

    def make(self, location: str, kind: KeyType, *, job_id: int, now: datetime) -> HeldKey:
        """Make a key for a job, committed with its private half; give the one there is where it has a new one.

        Raises:
            LedgerUnavailable: nothing was made.
        """

    def keep(self, location: str, keys: Sequence[tuple[PrivateKey, datetime]]) -> None:
        """Keep keys that devices told, each with the time of its making.

        Raises:
            LedgerUnavailable: nothing was kept.
        """

    def elsewhere(self, publics: Collection[str]) -> Sequence[HeldKey]:
        """The keys of any location that have these public halves, the oldest first."""

    def adopt(self, location: str, publics: Collection[str]) -> None:
        """Keep for a location what other locations' keys are at hand of these: a device was moved, a place renamed.

        Raises:
            LedgerUnavailable: nothing was kept.
        """

    def reveal(self, keys: Sequence[HeldKey]) -> Mapping[str, PrivateKey]:
        """Open private halves, by the public ones; one that is missing or does not open is left out."""

    def settle(self, *, primary: HeldKey | None, dropped: Sequence[HeldKey], now: datetime) -> None:
        """Write that every device has `primary`, if given, as its primary key, and none has those that were dropped.

        Raises:
            LedgerUnavailable: nothing was written.
        """


class TwonAccess(Protocol):
    """The way to every 2N device of the inventory."""

    @property
    def keys(self) -> MobileKeyStore:
        """The keys of the locations."""

    def location(self, name: str) -> Sequence[TwonDevice]:
        """Give the devices of a location, as they are written down now.

        Raises:
            InputError: the inventory knows none.
        """

    def device(self, serial: str) -> TwonDevice:
        """Give a device.

        Raises:
            InputError: the inventory does not know it.
        """

    def open(self, device: TwonDevice) -> AbstractContextManager[TwonSession]:
        """Open a line to a device.

        Raises:
            InputError: its password is not where the inventory says, or its address is wrong.
        """

    def spread(
        self, work: Callable[[TwonDevice], R], devices: Sequence[TwonDevice], *, hurry: bool
    ) -> Generator[R, None, None]:
        """Do the same with many devices, as many at a time as this process has threads; results come as they are ready.

        What is under way when the caller stops listening is waited for; what is not begun is left out.

        Args:
            work: called once for each, from any thread.
            devices: those that were silent of late are begun first.
            hurry: leave the last few to themselves when they take much longer than the others; they give no result.
        """
