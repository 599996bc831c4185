"""One attempt of a rotation: looks, a round that adds the key, a round that makes it the primary.

The key becomes the primary of a device only when every device of the location was seen with it in this attempt. What
an earlier attempt saw says whom to ask first, never that a device has a key: it may have been replaced or restored
since. Until all have it the job waits, in the safe state that some devices have one key more than they need.
"""

from collections.abc import Collection, Sequence
from typing import Any

from schemas.fleet import TwonDevice
from schemas.jobs import Again, Awaiting, Done, Job, Outcome, Parked, ParkedBecause
from schemas.mobile_keys import HeldKey
from schemas.twon import KeyType
from services.operations.contract import Tools
from services.operations.rotate_choice import chosen, for_one_device, standing
from services.operations.rotate_claim import Claim
from services.operations.rotate_doubts import against, against_making, useless
from services.operations.rotate_lists import Wish, named, with_secondary
from services.operations.rotate_parameters import RotateMobileKeyParameters
from services.operations.rotate_picture import Picture, published
from services.operations.rotate_progress import Progress
from services.operations.rotate_room import Heard, Rule, make_room
from services.operations.rotate_rounds import Rounds
from services.operations.rotate_words import finished, no_room, refusals, stand, waiting, warning


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
        self._keys = tools.twon.keys
        self._given = parameters
        self._progress = Progress.read(job.progress)
        self._picture = Picture(location, devices, work=work, progress=self._progress)
        self._claim = Claim(job, tools)
        self._rounds = Rounds(
            self._picture, tools.twon, self._claim, set_location=parameters.set_location, note=self._note
        )
        self._now = tools.clock()
        self._heard: Heard | None = None

    def perform(self) -> Outcome:
        """Go as far as the devices let us.

        Raises:
            TakenOver: another worker has the job.
            LedgerUnavailable: nobody knows, or nothing can be noted.
        """
        picture = self._picture
        self._read_keys()
        first = self._present()
        if first is not None:
            self._progress.turn_to(first.id)
        self._look(first)
        if not picture.able(picture.devices):
            return self._unfinished()
        self._take_in()
        if not picture.able(picture.devices):
            return self._unfinished()
        if first is not None and useless(first, picture, self._given, job_id=self._job.id):
            self._settle(None, [first])
            self._read_keys()
            first = None
        if first is not None and (reason := against(first, picture, self._given)):
            return self._parked(reason)
        found = first or self._agreed()
        if (outcome := self._make_room(found)) is not None:
            return outcome
        if found is None:
            found = self._made()
        self._progress.turn_to(found.id)
        return self._rotate(found)

    def _look(self, first: HeldKey | None) -> None:
        """Look at those of which something must be known; if all of them answer, at all the others too."""
        picture = self._picture
        self._rounds.look(self._open_ends(first), hurry=not self._job.progress)
        if picture.whole and not picture.silent and not picture.refused:
            self._rounds.look(picture.devices.keys() - picture.seen.keys())

    def _rotate(self, first: HeldKey) -> Outcome:
        picture = self._picture
        wish = picture.wish_for(first, delete_unknown=self._given.delete_unknown)
        privates = self._keys.reveal(picture.needed())
        self._rounds.add(wish, privates)
        if self._is_shared(first):
            keyless = self._keyless(wish)
            if not picture.everywhere(first.public, besides=keyless):
                return self._unfinished()
            self._rounds.lead(keyless, wish, privates)
            if not picture.everywhere(first.public):
                return self._unfinished()
        self._rounds.lead(picture.unfinished(), wish, privates)
        return self._unfinished() if picture.unfinished() else self._done(first)

    def _is_shared(self, first: HeldKey) -> bool:
        """Whether the key must be seen on all devices first: not if it was the primary of all, and one asks for it."""
        return self._picture.whole or first.primary_since is None

    def _keyless(self, wish: Wish) -> set[str]:
        """The devices for which the key can be nothing but the primary one."""
        lists = self._picture.lists
        return {serial for serial, keys in lists.items() if with_secondary(keys, wish) is None}

    # What is known beforehand

    def _read_keys(self) -> None:
        self._picture.keys = self._keys.of_location(self._picture.location)

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

    def _open_ends(self, first: HeldKey | None) -> Collection[str]:
        picture = self._picture
        if first is None or (not picture.whole and first.primary_since is None):
            return picture.devices
        return (picture.lacking() if picture.whole else set()) or picture.unfinished() or picture.devices

    def _take_in(self) -> None:
        """Keep what the devices told, find out which keys are at hand, and refuse the devices that have others."""
        picture = self._picture
        self._keys.adopt(picture.location, picture.shown - picture.held.keys())
        if strangers := picture.strangers(self._now):
            self._keys.keep(picture.location, strangers)
        self._read_keys()
        needed = picture.needed()
        picture.closed = frozenset(key.public for key in needed) - self._keys.reveal(needed).keys()
        if not self._given.delete_unknown:
            picture.refuse_unknown()
        picture.remember()

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
        if first is None and not picture.whole and picture.silent:
            return self._unfinished()
        if first is None and (reason := against_making(picture, self._given)):
            return self._parked(reason)
        rule = Rule(
            drop_after=self._given.drop_after,
            drop_oldest=self._given.drop_oldest,
            published=set(filter(published, picture.held)),
            hear=self._hear,
            now=self._now,
        )
        room = make_room(
            first, picture.keys, seen=progress.seen, heads=progress.heads, leaves=progress.leaves, rule=rule
        )
        if self._heard is not None and self._heard.silent:
            picture.fall_silent(self._heard.silent)
            return self._unfinished()
        if room.lacking:
            return self._parked(no_room(picture.location, room.lacking))
        if room.by_rule and picture.silent:
            return self._unfinished()  # it may have as its primary key what is to go
        progress.leaves = set(room.leaves)
        return None

    def _made(self) -> HeldKey:
        """Make the key; committed before any device hears of it."""
        self._note()
        kind = KeyType(self._given.type)
        made = self._keys.make(self._picture.location, kind, job_id=self._job.id, now=self._now)
        self._read_keys()
        return made

    def _hear(self) -> Heard:
        if self._heard is None:
            self._heard = self._rounds.hear()
        return self._heard

    # The end

    def _note(self) -> None:
        self._claim.note(self._written())

    def _written(self) -> dict[str, Any]:
        self._picture.remember()
        self._progress.fell_silent(self._picture.silent, self._now)
        return self._progress.write()

    def _unfinished(self) -> Outcome:
        if self._picture.refused:
            return self._parked(refusals(self._picture), ours=not self._picture.refused.keys() - self._picture.ours)
        progress = self._written()
        if self._claim.late:
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
        if not picture.everywhere(first.public):
            return self._unfinished()
        gone = [key for key in standing(picture.keys) if key.public not in picture.shown]
        self._settle(first, gone)
        return Done(note=finished(picture, first, gone))

    def _settle(self, primary: HeldKey | None, dropped: Sequence[HeldKey]) -> None:
        self._claim.may_go_on()  # late or not, it must be ours
        self._keys.settle(primary=primary, dropped=dropped, now=self._now)
