"""Room for one more key: which keys of the location go, which must stay, and why.

A device holds four keys. Access Commander drops the oldest for a fifth without a word, and a phone that did not come by
since it was followed is locked out. So a key goes only when a newer one has been the primary key everywhere for
`drop_after_days`, the log of every device reaches back to that day, and no phone that the logs show before it is
missing from those they show since: a phone that came by has been handed the primary key. Sources: 2N FAQ on location
keys; HTTP API manual, event MobKeyEntered.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from schemas.mobile_keys import HeldKey
from services.operations.rotate_choice import standing
from services.operations.rotate_lists import named, surplus, told
from services.operations.twon_access import Log, Phones

CLOCKS: Final = timedelta(days=1)
"""How wrong the clock of a device may be: what its log shows within that time of a moment may have been before it."""

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """What the logs of a location tell. What they do not tell is no proof that no phone is missing.

    Attributes:
        logs: by serial number.
        silent: why a device did not answer; waiting may help.
        mute: why a device does not tell.
    """

    logs: Mapping[str, Log] = field(default_factory=dict)
    silent: Mapping[str, str] = field(default_factory=dict)
    mute: Mapping[str, str] = field(default_factory=dict)

    def untold(self, since: datetime) -> str:
        """Say which logs tell nothing of the time before a moment."""
        if refusing := {**self.mute, **self.silent}:
            why = refusing[min(refusing)]
            return f"{named(refusing)} did not tell which phones they let in ({why})"
        short = [serial for serial, told in self.logs.items() if told.begins is None or told.begins > since]
        begins = [told.begins for told in self.logs.values() if told.begins is not None and told.begins > since]
        if not short:
            return ""
        when = f"begin on {max(begins):%d %b %Y}" if begins else "are empty"
        return f"the logs of {named(short)} {when}, and it was followed on {since:%d %b %Y}"

    def phones(self, now: datetime) -> Phones:
        """When each phone was let in, wherever it was; times that cannot be are left out."""
        found: dict[str, list[datetime]] = defaultdict(list)
        for log in self.logs.values():
            for phone, times in log.phones.items():
                found[phone] += [at for at in times if at <= now + CLOCKS]
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """When a key may go.

    Attributes:
        drop_after: how long its successor must have been the primary key of every device.
        drop_oldest: a person's word that the oldest may go anyhow.
        published: the public halves of keys that everybody can read: they go first, needed or not.
        hear: asks the logs of all devices; only when the age of a key lets it go.
    """

    drop_after: timedelta
    drop_oldest: bool
    published: Collection[str]
    hear: Callable[[], Heard]
    now: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """What was found.

    Attributes:
        leaves: ids of the keys that go.
        by_rule: whether a key goes that no person has given up.
        lacking: why there is no room; empty when there is.
    """

    leaves: frozenset[str] = frozenset()
    by_rule: bool = False
    lacking: tuple[str, ...] = ()


def make_room(
    first: HeldKey | None,
    keys: Sequence[HeldKey],
    *,
    seen: Collection[str],
    heads: Collection[str],
    leaves: Collection[str],
    rule: Rule,
) -> Room:
    """Decide which keys go, so that one list of four holds all others.

    Args:
        first: the key that is to be the primary one; None for one that is still to be made.
        keys: the keys of the location, the newest first.
        seen: ids of the keys that some device has.
        heads: ids of those that some device has as its primary key.
        leaves: ids of those that go already.
        rule: when a key may go.
    """
    over = surplus("" if first is None else first.id, seen, leaves)
    going, by_rule, reasons = set(leaves), False, []
    for key in _in_order(keys, heads, rule.published):
        if key.id not in seen or key.id in going or key == first or (over <= 0 and key.public not in rule.published):
            continue
        given_up = rule.drop_oldest and over > 0
        reason = "" if given_up else _must_stay(key, keys, heads, rule)
        if reason:
            reasons.append(reason)
        else:
            going.add(key.id)
            over, by_rule = over - 1, by_rule or not given_up
    return Room(leaves=frozenset(going), by_rule=by_rule, lacking=tuple(reasons) if over > 0 else ())


def left_since(key: HeldKey, keys: Sequence[HeldKey]) -> datetime | None:
    """Since when phones that come by are taken from this key: a newer one was the primary key everywhere then."""
    line = standing(keys)
    newer = line[: line.index(key)]
    return min((each.primary_since for each in newer if each.primary_since is not None), default=None)


def unseen(phones: Phones, since: datetime) -> Collection[str]:
    """The phones that the logs show before a moment, and not since."""
    return {phone for phone, times in phones.items() if times and max(times) <= since + CLOCKS}


def _in_order(keys: Sequence[HeldKey], heads: Collection[str], published: Collection[str]) -> list[HeldKey]:
    """Published ones first, the oldest next, and last those that some device hands to phones to this day."""
    oldest_first = standing(keys)[::-1]
    return sorted(oldest_first, key=lambda key: (key.id in heads, key.public not in published))


def _must_stay(key: HeldKey, keys: Sequence[HeldKey], heads: Collection[str], rule: Rule) -> str:
    """Hold a key against the rule; give why it stays, or nothing."""
    since = left_since(key, keys)
    name = f"{told(key.public)} (made {key.created_at:%d %b %Y})"
    if key.id in heads:
        return f"{name} is the primary key of a device"
    if since is None:
        return f"{name}: no newer key was yet the primary key of every device"
    if rule.now - since < rule.drop_after:
        days, needed = (rule.now - since) // _DAY, rule.drop_after // _DAY
        return f"{name} was followed {days} days ago, and phones are given {needed}"
    if untold := rule.hear().untold(since):
        return f"{name}: {untold}"
    if missing := unseen(rule.hear().phones(rule.now), since):
        return f"{name}: {len(missing)} of the phones that used a device before {since:%d %b %Y} did not since"
    return ""
