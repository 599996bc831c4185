"""What a person should know of an inventory although it is no fault."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

from infra.ledger import Entry
from schemas.errors import InputError

RuleNames = Callable[[], Collection[str]]
"""Gives the names of the playbook's rules; it raises `InputError` where the playbook has faults."""

_MOST_NAMED: Final = 3


def idle_skips(site: str, skipped: Iterable[str], rules: Collection[str]) -> Iterator[str]:
    """What a slip in a site's skip_rules looks like: the playbook has no such rule."""
    for name in skipped:
        if name not in rules:
            yield f"the site {site} skips the rule {name}, which the playbook does not have"


def skip_remarks(entries: Iterable[Entry], rules: RuleNames) -> Iterator[str]:
    """As `idle_skips`, for entries. The playbook is looked at only where some site skips rules."""
    skipping = [entry for entry in entries if entry.id.kind == "site" and entry.fields.get("skip_rules")]
    if not skipping:
        return
    try:
        names = rules()
    except InputError:
        yield "the playbook in force has faults, so whether it has the rules of skip_rules was not looked at"
        return
    for entry in skipping:
        yield from idle_skips(entry.site, entry.fields["skip_rules"], names)


def moves(pairs: Iterable[tuple[Entry, Entry]]) -> Iterator[str]:
    """What happens to the mobile keys of 2N devices that change their location.

    Args:
        pairs: entries as they were and as they are to be.
    """
    moved: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for before, after in pairs:
        old, new = before.fields.get("location"), after.fields.get("location")
        if after.id.kind == "twon" and old != new:
            moved[str(old), str(new)].append(after.id.key)
    for (old, new), serials in moved.items():
        rest = len(serials) - _MOST_NAMED
        named = ", ".join(serials[:_MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
        yield (
            f"{named}: mobile keys stay known under the location {old}; the next rotation of {new} takes over those"
            " that it knows by their public half"
        )
