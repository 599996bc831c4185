"""Rounds of conversations: the same with many devices at a time, taken in as the answers come."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from typing import Final

from schemas.fleet import TwonDevice
from services.clients.twon.keys import PrivateKey
from services.operations.rotate_claim import Claim
from services.operations.rotate_device import Sight, Talk, Want
from services.operations.rotate_lists import Wish, with_first, with_secondary
from services.operations.rotate_picture import Picture
from services.operations.rotate_room import Heard
from services.operations.twon_access import Log, TwonAccess

NOTE_EVERY: Final = 5.0
"""Seconds between two notes of how far a long round has come."""


class Rounds:
    """Speaks with the devices of a picture, and keeps it.

    Args:
        note: commits how far the work has come.
    """

    def __init__(
        self,
        picture: Picture,
        twon: TwonAccess,
        claim: Claim,
        *,
        set_location: bool,
        note: Callable[[], None],
    ) -> None:
        self._picture = picture
        self._twon = twon
        self._claim = claim
        self._note = note
        self._talk = Talk(twon=twon, location=picture.location, set_location=set_location, may_go_on=claim.may_go_on)
        self._noted = time.monotonic()

    def look(self, serials: Collection[str], *, hurry: bool = False) -> None:
        """See what devices have."""
        devices = [self._picture.devices[serial] for serial in sorted(serials)]
        self._round(self._talk.look, devices, hurry=hurry)

    def add(self, wish: Wish, privates: Mapping[str, PrivateKey]) -> None:
        """Give the key to all that lack it, where no phone gets it."""
        self._bring(self._picture.lacking(), lambda keys: with_secondary(keys, wish), privates)

    def lead(self, serials: Collection[str], wish: Wish, privates: Mapping[str, PrivateKey]) -> None:
        """Give devices the list that they are to have in the end."""
        self._bring(serials, lambda keys: with_first(keys, wish), privates)

    def hear(self) -> Heard:
        """Ask all devices which phones they have let in."""
        logs: dict[str, Log] = {}
        silent = dict.fromkeys(self._picture.devices, "no answer in this attempt")
        mute: dict[str, str] = {}
        devices = list(self._picture.devices.values())
        with closing(self._twon.spread(self._talk.log, devices, hurry=False)) as sights:
            for sight in sights:
                silent.pop(sight.serial)
                if sight.log is not None:
                    logs[sight.serial] = sight.log
                elif sight.refused:
                    mute[sight.serial] = sight.refused
                else:
                    silent[sight.serial] = sight.silent
        return Heard(logs=logs, silent=silent, mute=mute)

    def _bring(self, serials: Collection[str], want: Want, privates: Mapping[str, PrivateKey]) -> None:
        devices = self._picture.able(self._picture.work & set(serials))
        if devices:
            self._note()
            self._round(lambda device: self._talk.bring(device, want, privates), devices)

    def _round(
        self, work: Callable[[TwonDevice], Sight], devices: Sequence[TwonDevice], *, hurry: bool = False
    ) -> None:
        """Converse with each; take in what came of it, and note it now and then."""
        asked = {device.serial for device in devices}
        with closing(self._twon.spread(work, devices, hurry=hurry)) as sights:
            for sight in sights:
                asked.discard(sight.serial)
                self._picture.add(sight)
                if time.monotonic() - self._noted > NOTE_EVERY:
                    self._note()
                    self._noted = time.monotonic()
        self._picture.fall_silent(dict.fromkeys(asked, "takes much longer than the others"))
