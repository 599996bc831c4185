"""Tags, by which devices and profiles are gathered."""

from collections.abc import Collection, Iterator
from typing import Any

from schemas.ublox import TagAssign, TagCreate, TagDelete, TagGet, TagRemove, read_tag
from services.clients.ublox.caller import Caller


class Tags:
    """The calls under ``/tag``; upper and lower case are the same in a tag."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def walk(self) -> Iterator[str]:
        """Walk through the account's tags (``/tag/get``)."""
        return self._caller.walk(self._caller.ask(TagGet), read_tag, str)

    def create(self, name: str) -> str:
        """Create a tag (``/tag/create``)."""
        return self._caller.write(TagCreate, tag_name=name)

    def delete(self, name: str) -> str:
        """Delete a tag (``/tag/delete``).

        Raises:
            Refused: a device bears it.
        """
        return self._caller.write(TagDelete, tag_name=name)

    def assign(
        self,
        tags: Collection[str],
        *,
        uids: Collection[str] = (),
        profile_uids: Collection[str] = (),
        sync: bool | None = None,
    ) -> str:
        """Give every one of the tags to every one of up to 100 devices, or of the profiles (``/tag/assign``).

        Args:
            tags: what they shall bear.
            uids: the devices, or
            profile_uids: the profiles; never both.
            sync: what the document calls SyncRequired, and does not explain.
        """
        return self._caller.write(TagAssign, **_sides(tags, uids, profile_uids), sync_required=sync)

    def remove(
        self,
        tags: Collection[str],
        *,
        uids: Collection[str] = (),
        profile_uids: Collection[str] = (),
        sync: bool | None = None,
    ) -> str:
        """Take every one of the tags from every one of the devices or profiles (``/tag/remove``).

        `schemas.ublox.EVERY` alone stands for everything on its side, but not on both. What does not exist is passed
        over in silence by u-blox.
        """
        return self._caller.write(TagRemove, **_sides(tags, uids, profile_uids), sync_required=sync)


def _sides(tags: Collection[str], uids: Collection[str], profile_uids: Collection[str]) -> dict[str, Any]:
    return {
        "tag_names": tuple(tags),
        "rot_public_uids": tuple(uids) or None,
        "device_profile_uids": tuple(profile_uids) or None,
    }
