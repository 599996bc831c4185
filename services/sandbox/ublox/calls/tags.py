"""Tag APIs. Tags know no case."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from services.sandbox.ublox import shapes
from services.sandbox.ublox.bodies import Body, Json, Paged, Refusal, Request, Texts, Uids, page, read
from services.sandbox.ublox.registers import Profile
from services.sandbox.ublox.twin import Twin

WILDCARDS: Final = frozenset({"*", "{*}"})
"""The document prints ``{*}`` and does not say whether the braces are part of it."""

TAG_IN_USE: Final = "Request aborted. This tag is currently assigned to ROTPublicUID(s)"


class OneTag(Body):
    """``/tag/delete``."""

    TagName: str


class NewTag(Body):
    """``/tag/create``; the blank entry of the list of forbidden symbols is taken for a backslash."""

    TagName: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[^\^`~<>\"{}|\\,]+$")]


class Assignment(Body):
    """``/tag/assign`` and ``/tag/remove``."""

    TagNames: Texts
    ROTPublicUIDs: Uids | None = None
    DeviceProfileUIDs: Texts | None = None
    SyncRequired: bool = False


def create_tag(twin: Twin, body: Request) -> Json:
    """``/tag/create``."""
    if not twin.fleet.tags.create(read(NewTag, body).TagName, twin.clock()):
        raise Refusal(400, shapes.TAG_TAKEN)
    return shapes.DONE


def delete_tag(twin: Twin, body: Request) -> Json:
    """``/tag/delete``: not while a device has it; profiles do not hinder it."""
    (key,) = _keys(twin, [read(OneTag, body).TagName])
    if any(key in device.tags for device in twin.fleet.devices.values()):
        raise Refusal(400, TAG_IN_USE)
    for profile in twin.fleet.profiles.values():
        profile.tags.discard(key)
    del twin.fleet.tags.known[key]
    return shapes.DONE


def tags(twin: Twin, body: Request) -> Json:
    """``/tag/get``."""
    found = [shapes.tag(name, created_at) for name, created_at in twin.fleet.tags.known.values()]
    return page("Tags", found, read(Paged, body).PageNumber)


def assign_tags(twin: Twin, body: Request) -> Json:
    """``/tag/assign``: every tag to every device, or to every profile."""
    wish = read(Assignment, body)
    keys = _keys(twin, wish.TagNames)
    _one_way(wish)
    if wish.DeviceProfileUIDs is None:
        for device in twin.named(wish.ROTPublicUIDs or []):
            device.tags |= keys
        return shapes.DONE
    for profile in _profiles(twin, wish.DeviceProfileUIDs):
        profile.tags |= keys
        if wish.SyncRequired:
            _sync(twin, profile, keys, frozenset())
    return shapes.DONE


def remove_tags(twin: Twin, body: Request) -> Json:
    """``/tag/remove``: combinations that are not there do not matter; a wildcard stands for all of its kind.

    A wildcard on both sides would strip everything, which nobody means: refused.
    """
    wish = read(Assignment, body)
    _one_way(wish)
    every_tag = WILDCARDS.issuperset(wish.TagNames)
    every_holder = WILDCARDS.issuperset(wish.ROTPublicUIDs or wish.DeviceProfileUIDs or ())
    if every_tag and every_holder:
        raise Refusal
    keys = frozenset(twin.fleet.tags.known) if every_tag else _keys(twin, wish.TagNames)
    if wish.DeviceProfileUIDs is None:
        for device in twin.fleet.devices.values() if every_holder else twin.named(wish.ROTPublicUIDs or []):
            device.tags -= keys
        return shapes.DONE
    for profile in twin.fleet.profiles.values() if every_holder else _profiles(twin, wish.DeviceProfileUIDs):
        profile.tags -= keys
        if wish.SyncRequired:
            _sync(twin, profile, frozenset(), keys)
    return shapes.DONE


def _one_way(wish: Assignment) -> None:
    if (wish.ROTPublicUIDs is None) == (wish.DeviceProfileUIDs is None):
        raise Refusal


def _keys(twin: Twin, names: Iterable[str]) -> frozenset[str]:
    keys = twin.fleet.tags.keys(names)
    if keys is None:
        raise Refusal(400, shapes.INVALID_TAGS)
    return keys


def _profiles(twin: Twin, uids: Iterable[str]) -> list[Profile]:
    found = [twin.fleet.profiles.get(uid) for uid in uids]
    if not all(found):
        raise Refusal(400, shapes.INVALID_PROFILES)
    return [profile for profile in found if profile]


def _sync(twin: Twin, profile: Profile, added: frozenset[str], removed: frozenset[str]) -> None:
    """Invented: ``SyncRequired`` carries the change of a profile to its devices."""
    for device in twin.fleet.by_profile(profile.uid) or []:
        device.tags = (device.tags | added) - removed
