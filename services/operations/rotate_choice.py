"""Which key is to be the primary one, decided from what is known of the location's keys, without a device."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from schemas.mobile_keys import HeldKey, Origin


def standing(keys: Iterable[HeldKey]) -> list[HeldKey]:
    """The keys that were not dropped, the newest first."""
    return [key for key in keys if key.dropped_at is None]


def waiting_key(keys: Iterable[HeldKey]) -> HeldKey | None:
    """The key that was made to become the primary one and has not been everywhere yet."""
    return next((key for key in standing(keys) if key.waits), None)


def newest_primary(keys: Iterable[HeldKey]) -> HeldKey | None:
    """The key that was the last to become the primary one of every device."""
    were = [(key.primary_since, key) for key in standing(keys) if key.primary_since is not None]
    return max(were, key=lambda pair: pair[0])[1] if were else None


def chosen(
    keys: Sequence[HeldKey], *, job_id: int, begun_with: str, at_most_every: timedelta, now: datetime
) -> HeldKey | None:
    """Give the key that is to be the primary one; None where a new one must be made.

    One that waits to become primary goes on, whoever made it: so a location never has two new ones. A job whose key
    has been everywhere makes no second, and does not put its key back before a newer one.

    Args:
        keys: those of the location, the newest first.
        job_id: the job that asks.
        begun_with: id of the key that it has worked with so far; empty for none.
        at_most_every: how old the primary key must be before there is a new one.
        now: the time.
    """
    newest = newest_primary(keys)
    if (waiting := waiting_key(keys)) is not None or newest is None or newest.primary_since is None:
        return waiting
    if begun_with or any(key.job_id == job_id for key in keys):
        return newest
    young = newest.origin is Origin.MADE and now - newest.primary_since < at_most_every
    return newest if young else None


def for_one_device(keys: Sequence[HeldKey]) -> HeldKey | None:
    """Give the key that one device of many is to have as its primary one: nothing is made for its sake."""
    return waiting_key(keys) or newest_primary(keys)
