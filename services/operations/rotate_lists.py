"""The arithmetic of key lists: what a device has and what its location should have make what is written next.

Why two steps. A phone holds one key, and a device that knows it hands the phone its own primary key instead. So a
device may have a key as its primary only when every device of the location knows that key. First, therefore, the
coming key is added to each list as it stands, behind the primary, where no phone gets it; only when all have it, it
becomes the first, and the lists become one: the union of what the devices had. No other key is added before that: with
``[A]`` here and ``[B]`` there, a list ``[A, B]`` would hand phones of B the key A, which is a stranger there.

Keys are named by their public halves. Source: 2N HTTP API manual 5.15.1: at most four keys, the first is the primary,
what a written list leaves out is deleted; 2N FAQ: the newest goes first.
"""

import base64
import binascii
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from schemas.twon import MOST_KEYS

KeyList = tuple[str, ...]
"""Public halves in the order of a device's list, the primary first."""

UNREADABLE: Final = "?"
"""How the name of a key begins that a device shows and that nobody can read; Base64 has no such letter."""


_NAMED: Final = 10
"""Serial numbers in a sentence about devices that only need time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What the devices of a location should have in the end.

    Attributes:
        first: the primary key.
        others: the secondary keys, newest first.
        leaves: keys that no device keeps.
        held: keys whose private half is at hand; no other can be written.
        delete_unknown: whether keys that are not at hand may be deleted.
    """

    first: str
    others: KeyList = ()
    leaves: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    delete_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why no list can be written, and what to do."""

    reason: str


def with_secondary(current: KeyList, wish: Wish) -> KeyList | Unfit | None:
    """Give the list with the coming key behind the primary; None where the others must have it before.

    That is a device that cannot keep its primary key: what it gets is its primary at once. No other key of its own is
    moved up, for what it hands to phones then, other devices may not know.
    """
    if wish.first in current:
        return current
    if unfit := _unknown(current, wish):
        return unfit
    kept = [key for key in current if key in wish.held]
    if not kept or kept[0] != current[0]:
        return None
    spare = [key for key in kept[1:] if key in wish.leaves]
    while len(kept) >= MOST_KEYS and spare:
        kept.remove(spare.pop())
    if len(kept) >= MOST_KEYS and kept[0] in wish.leaves:
        return None
    return _within((kept[0], wish.first, *kept[1:]))


def with_first(current: KeyList, wish: Wish) -> KeyList | Unfit:
    """Give the list that the device should end with. Only for a key that every device has."""
    if unfit := _unknown(current, wish):
        return unfit
    own = [key for key in current if key in wish.held and key not in {wish.first, *wish.others, *wish.leaves}]
    return _within((wish.first, *wish.others, *own))


def surplus(first: str, standing: Collection[str], leaves: Collection[str]) -> int:
    """How many keys too many the devices have between them, for one list with `first`."""
    return len({*standing} - {first, *leaves}) + 1 - MOST_KEYS


def secondaries(
    first: str,
    newest_first: Sequence[str],
    *,
    standing: Collection[str],
    leaves: Collection[str],
    alone: Collection[str],
) -> KeyList:
    """Give the secondary keys of the location, newest first.

    All that some device has; then, as far as there is room, those that no device shows: one may be silent now, another
    was reset, and phones have them still.

    Args:
        first: the primary key.
        newest_first: the keys at hand.
        standing: those that some device has.
        leaves: keys that no device keeps.
        alone: keys that stay where they are and are given to no other device.
    """
    stay = {*standing} - {first, *leaves}
    room = MOST_KEYS - 1 - len(stay)
    absent = [key for key in newest_first if key not in {first, *leaves, *alone, *stay}]
    chosen = (stay - {*alone}) | {*absent[: max(0, room)]}
    return tuple(key for key in newest_first if key in chosen)


def named(serials: Collection[str], most: int = _NAMED) -> str:
    """Name devices, the first few of many."""
    known = sorted(serials)
    more = len(known) - most
    return ", ".join(known[:most]) + (f" and {more} more" if more > 0 else "")


def told(public: str) -> str:
    """Name a key for a person: the beginning of the SHA-256 of its public half."""
    if public.startswith(UNREADABLE):
        return "unreadable"
    try:
        return hashlib.sha256(base64.b64decode(public, validate=True)).hexdigest()[:12]
    except (binascii.Error, ValueError):
        return "unreadable"


def unknown(current: KeyList, held: Collection[str]) -> Unfit | None:
    """Say why a list with keys that are not at hand cannot be written, if it has any."""
    names = [told(key) for key in current if key not in held]
    if not names:
        return None
    return Unfit(
        f"the private half of {', '.join(names)} is not held, so a write would delete that key and lock out the phones"
        " that have it; delete_unknown = true does that"
    )


def _unknown(current: KeyList, wish: Wish) -> Unfit | None:
    return None if wish.delete_unknown else unknown(current, wish.held)


def _within(keys: KeyList) -> KeyList | Unfit:
    if len(keys) <= MOST_KEYS:
        return keys
    return Unfit(f"needs {len(keys)} keys, a device has room for {MOST_KEYS}; drop_oldest = true drops the oldest")
