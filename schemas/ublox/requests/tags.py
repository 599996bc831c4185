"""Requests about tags, by which devices and profiles are gathered."""

from typing import Annotated, ClassVar, Final, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from schemas.events import canonical_uid
from schemas.ublox.requests.base import UbloxRequest
from schemas.ublox.words import EVERY, ProfileUid, TagName, TagNames, Uids, check_tag

_STAR: Final = "*"
"""How people write `EVERY`."""


def _tag_or_every(value: str) -> str:
    return EVERY if value in {_STAR, EVERY} else check_tag(value)


def _uid_or_every(value: object) -> object:
    return EVERY if value in (_STAR, EVERY) else canonical_uid(value)


def _profile_or_every(value: str) -> str:
    return EVERY if value == _STAR else value


_TagOrEvery = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_tag_or_every)]
_UidOrEvery = Annotated[str, BeforeValidator(_uid_or_every)]
_ProfileOrEvery = Annotated[ProfileUid, AfterValidator(_profile_or_every)]


class TagCreate(UbloxRequest):
    """A new tag."""

    path: ClassVar[str] = "/tag/create"

    tag_name: TagName = Field(alias="TagName")


class TagDelete(UbloxRequest):
    """The end of a tag; refused while a device bears it."""

    path: ClassVar[str] = "/tag/delete"

    tag_name: TagName = Field(alias="TagName")


class TagGet(UbloxRequest):
    """One page of the account's tags."""

    path: ClassVar[str] = "/tag/get"
    listed: ClassVar[str] = "Tags"

    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class TagAssign(UbloxRequest):
    """Every one of the tags for every one of the devices or profiles."""

    path: ClassVar[str] = "/tag/assign"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "device_profile_uids")

    tag_names: TagNames = Field(alias="TagNames")
    rot_public_uids: Uids | None = Field(default=None, alias="ROTPublicUIDs")
    device_profile_uids: tuple[ProfileUid, ...] | None = Field(default=None, alias="DeviceProfileUIDs", min_length=1)
    sync_required: bool | None = Field(default=None, alias="SyncRequired")


class TagRemove(UbloxRequest):
    """None of the tags for any of the devices or profiles; what does not exist is passed over in silence.

    Its texts say of either list that it is not required when the other is *not* given, the reverse of all their like;
    one is given. `EVERY` stands for everything on its side; on both sides it would strip the whole account.
    """

    path: ClassVar[str] = "/tag/remove"
    one_of: ClassVar[tuple[str, ...]] = ("rot_public_uids", "device_profile_uids")

    tag_names: tuple[_TagOrEvery, ...] = Field(alias="TagNames", min_length=1)
    rot_public_uids: tuple[_UidOrEvery, ...] | None = Field(default=None, alias="ROTPublicUIDs", min_length=1)
    device_profile_uids: tuple[_ProfileOrEvery, ...] | None = Field(
        default=None, alias="DeviceProfileUIDs", min_length=1
    )
    sync_required: bool | None = Field(default=None, alias="SyncRequired")

    @model_validator(mode="after")
    def _not_everything(self) -> Self:
        others = self.rot_public_uids or self.device_profile_uids or ()
        if EVERY in self.tag_names and EVERY in others:
            raise ValueError("a wildcard on both sides would remove every tag from everything")
        if any(EVERY in side and len(side) > 1 for side in (self.tag_names, others)):
            raise ValueError("a wildcard goes alone")
        return self
