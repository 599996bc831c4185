"""What one attempt knows of a location: its keys, what each device has, and how far the key has come."""

import base64
import binascii
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from schemas.fleet import TwonDevice
from schemas.mobile_keys import HeldKey
from services.clients.twon.keys import PrivateKey, is_published
from services.operations.rotate_choice import standing
from services.operations.rotate_device import Sight
from services.operations.rotate_lists import KeyList, Wish, secondaries, unknown, with_first
from services.operations.rotate_progress import Place, Progress

if TYPE_CHECKING:
    from services.operations.twon_access import SeenList


class Picture:
    """Grows with every conversation.

    Attributes:
        devices: all of the location, by serial number.
        work: those that are to be written to.
        keys: every key that the location ever had, the newest first.
        closed: the public halves of those keys whose private half does not open.
        seen: what devices have, as seen in this attempt and not in doubt since.
        silent: why nothing is known of a device now.
        refused: why a device needs a person.
        ours: those of them whose fault is in the inventory.
    """

    def __init__(
        self, location: str, devices: Sequence[TwonDevice], *, work: frozenset[str], progress: Progress
    ) -> None:
        self.location = location
        self.devices = {device.serial: device for device in devices}
        self.work = work
        self.progress = progress
        self.keys: Sequence[HeldKey] = ()
        self.closed: frozenset[str] = frozenset()
        self.wish: Wish | None = None
        self.seen: dict[str, SeenList] = {}
        self.silent: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self.ours: set[str] = set()

    @property
    def whole(self) -> bool:
        """Whether all devices of the location are to be written to."""
        return len(self.work) == len(self.devices)

    @property
    def lists(self) -> Mapping[str, KeyList]:
        """The lists of the devices that were seen."""
        return {serial: seen.publics for serial, seen in self.seen.items()}

    @property
    def held(self) -> Mapping[str, HeldKey]:
        """The keys at hand, by their public halves; those that were dropped, too."""
        return {key.public: key for key in self.keys if key.public not in self.closed}

    @property
    def complete(self) -> bool:
        """Whether every device was seen in this attempt, and none is silent since or refuses."""
        return not self.devices.keys() - self.seen.keys() and not self.refused

    def everywhere(self, public: str, *, besides: Collection[str] = ()) -> bool:
        """Whether every device was seen in this attempt with a key, and none is in doubt.

        No device may hand a key to phones before: they would be strangers where it is not known.
        """
        return self.complete and all(public in keys for serial, keys in self.lists.items() if serial not in besides)

    def nowhere(self, public: str) -> bool:
        """Whether every device was seen in this attempt, none of them with this key, and none without any.

        One without any was replaced or reset, and phones have what it had; so that says nothing.
        """
        return self.complete and all(keys and public not in keys for keys in self.lists.values())

    def lacking(self) -> set[str]:
        """The devices on which the key was not seen."""
        return self.devices.keys() - self.progress.devices.keys()

    def unfinished(self) -> set[str]:
        """The devices to be written to that were not seen as they should be."""
        return {serial for serial in self.work if self.progress.devices.get(serial) is not Place.PRIMARY}

    def able(self, serials: Iterable[str]) -> list[TwonDevice]:
        """Those of them that answered in this attempt and may be written to."""
        return [
            self.devices[serial] for serial in sorted(serials) if serial in self.seen and serial not in self.refused
        ]

    def add(self, sight: Sight) -> None:
        """Take in what came of a conversation."""
        serial = sight.serial
        self.silent.pop(serial, None)
        if sight.seen is not None:
            self.seen[serial] = sight.seen
        if sight.silent:
            self.fall_silent({serial: sight.silent})
        if sight.refused:
            self.refused[serial] = sight.refused
            self.ours |= {serial} if sight.ours else set()
        self._place(serial)

    def fall_silent(self, reasons: Mapping[str, str]) -> None:
        """Nothing is known of these any more: neither what an earlier attempt saw nor what this one did."""
        self.silent |= reasons
        for serial in reasons:
            self.seen.pop(serial, None)
            self.progress.devices.pop(serial, None)

    def remember(self) -> None:
        """Note what the devices have that were seen."""
        ids = {key.public: key.id for key in standing(self.keys) if key.public in self.held}
        lists = {serial: tuple(ids.get(public, "") for public in keys) for serial, keys in self.lists.items()}
        known = self.progress.lists | lists
        self.progress.lists = {serial: known[serial] for serial in self.devices if serial in known}

    def wish_for(self, first: HeldKey, *, delete_unknown: bool) -> Wish:
        """Settle what every device should have, and hold what was seen against it."""
        at_hand = [key.public for key in standing(self.keys) if key.public in self.held]
        newest_first = [public for public in at_hand if public == first.public or not self.nowhere(public)]
        by_id = {key.id: key.public for key in self.keys}
        leaves = {by_id[key] for key in self.progress.leaves if key in by_id}
        leaves |= {key.public for key in self.keys if key.dropped_at is not None}
        leaves.discard(first.public)
        others = secondaries(
            first.public,
            newest_first,
            standing={by_id[key] for key in self.progress.seen if key in by_id},
            leaves=leaves,
            alone=set(filter(published, newest_first)),
        )
        self.wish = Wish(
            first=first.public,
            others=others,
            leaves=frozenset(leaves),
            held=frozenset(key.public for key in self.needed()) - self.closed,
            delete_unknown=delete_unknown,
        )
        for serial in self.seen:
            self._place(serial)
        return self.wish

    def refuse_unknown(self) -> None:
        """Refuse the devices that have keys which nobody could write back."""
        for serial, keys in self.lists.items():
            if unfit := unknown(keys, self.held):
                self.refused.setdefault(serial, unfit.reason)

    def needed(self) -> list[HeldKey]:
        """The keys whose private halves a write may need."""
        shown = self.shown
        return [key for key in self.keys if key.dropped_at is None or key.public in shown]

    @property
    def shown(self) -> set[str]:
        """The keys of the devices that were seen."""
        return {key for keys in self.lists.values() for key in keys}

    def strangers(self, now: datetime) -> list[tuple[PrivateKey, datetime]]:
        """The keys that devices tell and that are not held yet, each with the time of its making, newest first.

        A device's order says more than its times, which may be missing: no key is newer than the one before it.
        """
        found: dict[str, tuple[PrivateKey, datetime]] = {}
        for serial in sorted(self.seen):
            latest = now
            for key in self.seen[serial].keys:
                latest = min(latest, key.made_at or latest) - timedelta(microseconds=1)
                if key.private is not None and key.public not in self.held:
                    found.setdefault(key.public, (key.private, latest))
        return list(found.values())

    def _place(self, serial: str) -> None:
        """Note where the key stands on a device that was seen."""
        seen, wish, places = self.seen.get(serial), self.wish, self.progress.devices
        if serial in self.refused:
            places.pop(serial, None)
        elif seen is None or wish is None:
            return
        elif wish.first not in seen.publics:
            places.pop(serial, None)
        elif seen.location == self.location and with_first(seen.publics, wish) == seen.publics:
            places[serial] = Place.PRIMARY
        else:
            places[serial] = Place.SECONDARY


def published(public: str) -> bool:
    """Whether everybody can read the private half of a key in the manual."""
    try:
        return is_published(base64.b64decode(public, validate=True))
    except (binascii.Error, ValueError):
        return False
