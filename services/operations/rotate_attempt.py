"""One attempt of a rotation: a round of looks, a round that adds the key, a round that makes it the primary.

The next round begins only when the one before has reached every device; until then the job waits, in the safe state
that some devices have one key more than they need. Each round leaves out what an earlier attempt has done and seen.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any, Final

from schemas.fleet import TwonDevice
from schemas.jobs import Again, Awaiting, Done, Job, Outcome, Parked, ParkedBecause
from schemas.mobile_keys import HeldKey
from schemas.twon import KeyType
from services.clients.twon.keys import PrivateKey
from services.operations.contract import Tools
from services.operations.rotate_choice import chosen, for_one_device, standing
from services.operations.rotate_device import Sight, Talk, Want
from services.operations.rotate_lists import Wish, with_first, with_secondary
from services.operations.rotate_parameters import RotateMobileKeyParameters
from services.operations.rotate_picture import Picture, published
from services.operations.rotate_progress import Phase, Progress
from services.operations.rotate_room import Rule, make_room
from services.operations.rotate_words import finished, named, no_room, refusals, stand, waiting, warning
from services.operations.twon_access import Phones

LAST_CALL: Final = timedelta(minutes=8)
"""An attempt older than this begins no further conversation: soon its lease ends, and another may have the job."""

NOTE_EVERY: Final = 5.0
"""Seconds between two notes of how far a long round has come."""


class TakenOver(Exception):
    """Another worker has the job now."""


class Attempt:
    """See the module."""

    def __init__(
        self,
        job: Job,
        tools: Tools,
        *,
        location: str,
        devices: Sequence[TwonDevice],
        work: frozenset[str],
        parameters: RotateMobileKeyParameters,
    ) -> None:
        self._job = job
        self._tools = tools
        self._given = parameters
        self._progress = Progress.read(job.progress)
        self._picture = Picture(location, devices, work=work, progress=self._progress)
        self._talk = Talk(twon=tools.twon, location=location, set_location=parameters.set_location)
        self._now = tools.clock()
        self._late = False
        self._noted = time.monotonic()
        self._opened: Mapping[str, PrivateKey] | None = None
        self._heard: Phones | None = None

    def perform(self) -> Outcome:
        """Go as far as the devices let us."""
        self._read_keys()
        first = self._present()
        if first is not None:
            self._progress.turn_to(first.id)
        self._look(self._open_ends(first), hurry=not self._job.progress)
        if not self._picture.able(self._picture.devices):
            return self._unfinished()
        self._keep_what_was_read()
        if not self._picture.able(self._picture.devices):
            return self._unfinished()
        found = first or self._agreed()
        if (outcome := self._make_room(found)) is not None:
            return outcome
        if found is None:
            found = self._made()
        self._progress.turn_to(found.id)
        return self._rotate(found)

    def _rotate(self, first: HeldKey) -> Outcome:
        picture = self._picture
        wish = picture.wish_for(first, delete_unknown=self._given.delete_unknown)
        if self._progress.phase is Phase.ADD:
            self._add(wish)
            keyless = {serial for serial, keys in picture.lists.items() if with_secondary(keys, wish) is None}
            if not self._everywhere(first, besides=keyless):
                return self._unfinished()
            self._lead(keyless & picture.lacking(), wish)
            self._look(self._long_unseen())
            if not self._everywhere(first):
                return self._unfinished()
            self._progress.phase = Phase.LEAD
        self._lead(picture.unfinished(), wish)
        if not picture.unfinished():
            self._look(self._long_unseen())
            self._lead(picture.unfinished(), wish)
        return self._unfinished() if picture.unfinished() else self._done(first)

    def _long_unseen(self) -> set[str]:
        """The devices that were as they should be when an earlier attempt looked; they may have changed since."""
        picture = self._picture
        return picture.devices.keys() - picture.seen.keys() - picture.silent.keys() if picture.whole else set()

    # What is known beforehand

    def _read_keys(self) -> None:
        self._picture.keys = self._tools.twon.keys.of_location(self._picture.location)

    def _present(self) -> HeldKey | None:
        """The key that is or becomes the primary, as far as our own book says."""
        keys = self._picture.keys
        if not self._picture.whole:
            return for_one_device(keys)
        return chosen(
            keys,
            job_id=self._job.id,
            begun_with=self._progress.key,
            at_most_every=self._given.at_most_every,
            now=self._now,
        )

    def _open_ends(self, first: HeldKey | None) -> set[str]:
        """The devices of which something must be known now."""
        picture = self._picture
        everybody = set(picture.devices)
        if first is None or (not picture.whole and first.primary_since is None):
            return everybody
        adding = picture.whole and self._progress.phase is Phase.ADD
        return (picture.lacking() if adding else picture.unfinished()) or everybody

    def _keep_what_was_read(self) -> None:
        if strangers := self._picture.strangers(self._now):
            self._tools.twon.keys.keep(self._picture.location, strangers)
            self._read_keys()
        if not self._given.delete_unknown:
            self._picture.refuse_unknown()
        ids = {key.public: key.id for key in standing(self._picture.keys)}
        for keys in self._picture.lists.values():
            self._progress.seen |= {ids[public] for public in keys if public in ids}
            self._progress.heads |= {ids[public] for public in keys[:1] if public in ids}

    def _agreed(self) -> HeldKey | None:
        """For one device of a location that was never rotated: what the others agree on as their primary key."""
        picture = self._picture
        if picture.whole:
            return None
        primaries = {keys[0] for serial, keys in picture.lists.items() if keys and serial not in picture.work}
        return picture.held.get(primaries.pop()) if len(primaries) == 1 else None

    # The key, and the room for it

    def _make_room(self, first: HeldKey | None) -> Outcome | None:
        """Decide which keys go; a person must where the rule does not."""
        picture, progress = self._picture, self._progress
        if first is None and not picture.whole:
            if picture.silent:
                return self._unfinished()
            return self._parked(f"the other devices of {picture.location} agree on no primary key: rotate the location")
        if first is None and KeyType(self._given.type) is KeyType.ECC and (reason := self._not_for_ecc()):
            return self._parked(reason)
        rule = Rule(
            drop_after=self._given.drop_after,
            drop_oldest=self._given.drop_oldest,
            published=set(filter(published, picture.held)),
            phones=self._phones,
            now=self._now,
        )
        room = make_room(
            first, picture.keys, seen=progress.seen, heads=progress.heads, leaves=progress.leaves, rule=rule
        )
        if room.lacking:
            return self._parked(no_room(picture.location, room.lacking))
        if room.by_rule and picture.silent:
            return self._unfinished()  # a log that cannot be read now may show a phone that has that key
        progress.leaves = set(room.leaves)
        return None

    def _not_for_ecc(self) -> str:
        without = [
            serial
            for serial, seen in self._picture.seen.items()
            if not any(key.kind is KeyType.ECC for key in seen.keys)
        ]
        return f"{named(without)} show no ECC key: make one of type rsa" if without else ""

    def _made(self) -> HeldKey:
        """Make the key; committed before any device hears of it."""
        self._note()
        kind = KeyType(self._given.type)
        made = self._tools.twon.keys.make(self._picture.location, kind, job_id=self._job.id, now=self._now)
        self._read_keys()
        return made

    def _phones(self) -> Phones:
        """When each phone was let in, by the logs of all devices that tell."""
        if self._heard is None:
            heard: dict[str, list[datetime]] = defaultdict(list)
            with closing(self._tools.twon.spread(self._talk.phones, self._everyone(), hurry=False)) as sights:
                for sight in sights:
                    for phone, times in (sight.phones or {}).items():
                        heard[phone].extend(times)
            self._heard = heard
        return self._heard

    def _everyone(self) -> list[TwonDevice]:
        return self._picture.able(self._picture.devices)

    # The rounds

    def _look(self, serials: Collection[str], *, hurry: bool = False) -> None:
        devices = [self._picture.devices[serial] for serial in sorted(serials)]
        self._round(self._talk.look, devices, hurry=hurry)

    def _add(self, wish: Wish) -> None:
        self._bring(self._picture.lacking(), lambda keys: with_secondary(keys, wish))

    def _lead(self, serials: Collection[str], wish: Wish) -> None:
        self._bring(serials, lambda keys: with_first(keys, wish))

    def _bring(self, serials: Collection[str], want: Want) -> None:
        devices = self._picture.able(self._picture.work & set(serials))
        if devices:
            self._note()
            privates = self._privates()
            self._round(lambda device: self._talk.bring(device, want, privates), devices)

    def _privates(self) -> Mapping[str, PrivateKey]:
        if self._opened is None:
            self._opened = self._tools.twon.keys.reveal(self._picture.needed())
        return self._opened

    def _round(
        self, work: Callable[[TwonDevice], Sight], devices: Sequence[TwonDevice], *, hurry: bool = False
    ) -> None:
        """Converse with each; take in what came of it, and note it now and then."""
        asked = {device.serial for device in devices}
        if self._is_late():
            return
        with closing(self._tools.twon.spread(work, devices, hurry=hurry)) as sights:
            for sight in sights:
                asked.discard(sight.serial)
                self._picture.add(sight)
                if self._is_late():
                    return
                if time.monotonic() - self._noted > NOTE_EVERY:
                    self._note()
        self._picture.silent |= dict.fromkeys(asked, "takes much longer than the others")

    def _is_late(self) -> bool:
        self._late = self._late or self._tools.clock() - self._job.claimed_at > LAST_CALL
        return self._late

    def _note(self) -> None:
        """Commit how far the work has come.

        Raises:
            TakenOver: the job is no longer ours.
        """
        if self._job.id not in self._tools.note([(self._job, self._written())]):
            raise TakenOver
        self._noted = time.monotonic()

    def _written(self) -> dict[str, Any]:
        self._progress.fell_silent(self._picture.silent, self._now)
        return self._progress.write()

    def _everywhere(self, first: HeldKey, besides: Collection[str] = ()) -> bool:
        """Whether every device of the location has the key, as seen by this job, or by an earlier one to its end."""
        if not self._picture.whole and first.primary_since is not None:
            return True
        return not self._picture.lacking() - set(besides)

    # The end

    def _unfinished(self) -> Outcome:
        if self._picture.refused:
            return self._parked(refusals(self._picture), ours=not self._picture.refused.keys() - self._picture.ours)
        progress = self._written()
        if self._late:
            return Again(reason=f"{stand(self._picture)}; the rest follows", after=0.0, counts=False, progress=progress)
        look_at = self._progress.next_look(self._now)
        return Awaiting(reason=waiting(self._picture, look_at), look_at=look_at, progress=progress)

    def _parked(self, reason: str, *, ours: bool = False) -> Outcome:
        self._note()
        because = ParkedBecause.OUR_FAULT if ours else ParkedBecause.REFUSED
        return Parked(reason=f"{reason}{warning(self._picture)}", because=because)

    def _done(self, first: HeldKey) -> Outcome:
        picture = self._picture
        if not picture.whole:
            return Done(
                note=f"{named(picture.work)} has the keys of {picture.location}, looked again{warning(picture)}"
            )
        dropped = [key for key in standing(picture.keys) if key.id in self._progress.leaves]
        self._tools.twon.keys.settle(primary=first, dropped=dropped, now=self._now)
        return Done(note=finished(picture, first, dropped))
