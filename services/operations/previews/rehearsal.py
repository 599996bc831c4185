"""The devices and keys of a location for a rehearsal: read for real, and written in memory only.

The rotation itself runs on this, line by line as a job would. So what is told of it cannot differ from what the job
does, unless the world differs by then. Each device is looked at once.
"""

import secrets
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from schemas.fleet import TwonDevice
from schemas.mobile_keys import HeldKey, Origin
from schemas.twon import KeyType
from services.clients.twon.keys import PrivateKey, generate
from services.operations.twon_access import Log, MobileKeyStore, SeenKey, SeenList, TwonAccess

R = TypeVar("R")


class RehearsedKeys:
    """The keys of locations; what is made or changed stays here."""

    def __init__(self, book: MobileKeyStore) -> None:
        self._book = book
        self._rows: dict[str, HeldKey] = {}
        self._privates: dict[str, PrivateKey] = {}
        self.made: set[str] = set()

    def of_location(self, location: str) -> Sequence[HeldKey]:
        """As of `MobileKeyStore`, with what was made since."""
        known = {key.id: key for key in self._book.of_location(location)}
        known |= {key.id: key for key in self._rows.values() if key.location == location}
        return sorted(known.values(), key=lambda key: (-key.created_at.timestamp(), key.id))

    def elsewhere(self, publics: Collection[str]) -> Sequence[HeldKey]:
        """As of `MobileKeyStore`."""
        return self._book.elsewhere(publics)

    def make(self, location: str, kind: KeyType, *, job_id: int, now: datetime) -> HeldKey:
        """Make a key that is forgotten afterwards; give the one there is where the location has a new one."""
        waiting = next((key for key in self.of_location(location) if key.waits), None)
        if waiting is not None:
            return waiting
        made = self._add(location, generate(kind), Origin.MADE, now, job_id)
        self.made.add(made.public)
        return made

    def keep(self, location: str, keys: Sequence[tuple[PrivateKey, datetime]]) -> None:
        """Keep keys that devices told, for the rehearsal."""
        known = {key.public for key in self.of_location(location)}
        for private, at in keys:
            if private.public_text not in known:
                self._add(location, private, Origin.READ, at)

    def adopt(self, location: str, publics: Collection[str]) -> None:
        """Keep other locations' keys for the rehearsal."""
        found = {key.public: key for key in self.elsewhere(publics)}
        opened = self._book.reveal(list(found.values()))
        self.keep(location, [(private, found[public].created_at) for public, private in opened.items()])

    def reveal(self, keys: Sequence[HeldKey]) -> Mapping[str, PrivateKey]:
        """As of `MobileKeyStore`."""
        here = {key.public: self._privates[key.public] for key in keys if key.public in self._privates}
        return {**self._book.reveal([key for key in keys if key.public not in here]), **here}

    def settle(self, *, primary: HeldKey | None, dropped: Sequence[HeldKey], now: datetime) -> None:
        """Note what would be written."""
        for key in dropped:
            self._rows[key.id] = replace(key, dropped_at=key.dropped_at or now)
        if primary is not None:
            self._rows[primary.id] = replace(primary, primary_since=primary.primary_since or now)

    def _add(
        self, location: str, private: PrivateKey, origin: Origin, at: datetime, job_id: int | None = None
    ) -> HeldKey:
        key = HeldKey(
            id=secrets.token_hex(16),
            location=location,
            kind=private.type,
            public=private.public_text,
            origin=origin,
            created_at=at,
            job_id=job_id,
        )
        self._rows[key.id] = key
        self._privates[key.public] = private
        return key


class RehearsedTwon:
    """The devices; what is written to them stays here.

    Attributes:
        keys: the keys of the locations.
        before: what each device had when it was looked at.
        after: what it would have.
    """

    def __init__(self, access: TwonAccess) -> None:
        self._access = access
        self.keys = RehearsedKeys(access.keys)
        self.before: dict[str, SeenList] = {}
        self.after: dict[str, SeenList] = {}

    def location(self, name: str) -> Sequence[TwonDevice]:
        """As of `TwonAccess`."""
        return self._access.location(name)

    def device(self, serial: str) -> TwonDevice:
        """As of `TwonAccess`."""
        return self._access.device(serial)

    @contextmanager
    def open(self, device: TwonDevice) -> Iterator["RehearsedSession"]:
        """Give a line that is opened when something must be read."""
        yield RehearsedSession(self, self._access, device)

    def spread(
        self, work: Callable[[TwonDevice], R], devices: Sequence[TwonDevice], *, hurry: bool
    ) -> Generator[R, None, None]:
        """As of `TwonAccess`."""
        return self._access.spread(work, devices, hurry=hurry)


class RehearsedSession:
    """A line to one device."""

    def __init__(self, stage: RehearsedTwon, access: TwonAccess, device: TwonDevice) -> None:
        self._stage = stage
        self._access = access
        self._device = device

    def identify(self) -> SeenList:
        """Ask the device once; afterwards tell what it would have."""
        serial = self._device.serial
        if serial not in self._stage.after:
            with self._access.open(self._device) as session:
                seen = session.identify()
            self._stage.before[serial] = self._stage.after[serial] = seen
        return self._stage.after[serial]

    def look(self) -> SeenList:
        """As of `identify`."""
        return self.identify()

    def write(self, keys: Sequence[PrivateKey], *, location: str | None = None) -> None:
        """Note what would be written."""
        seen = self.identify()
        listed = tuple(SeenKey(public=key.public_text, kind=key.type) for key in keys)
        self._stage.after[self._device.serial] = replace(seen, keys=listed, location=location or seen.location)

    def phones(self) -> Log:
        """Read the device's log; that is a subscription which ends with the reading."""
        with self._access.open(self._device) as session:
            return session.phones()
