"""Which devices a call is about."""

from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, model_validator

from schemas.ublox.words import Names, ProfileUid, TagNames, Uids

_AS_REQUESTED: Final = {
    "uids": "rot_public_uids",
    "tags": "tag_names",
    "profile_uid": "device_profile_uid",
    "serials": "device_serial_numbers",
}


class Selector(BaseModel):
    """Devices by exactly one of these; which of them a call takes is its own affair.

    Attributes:
        uids: ROTPublicUIDs.
        tags: all devices that bear one of them.
        profile_uid: all devices of the profile.
        serials: DeviceSerialNumbers, which are not those of certificates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    uids: Uids | None = None
    tags: TagNames | None = None
    profile_uid: ProfileUid | None = None
    serials: Names | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(getattr(self, name) is not None for name in _AS_REQUESTED) != 1:
            raise ValueError(f"exactly one of {', '.join(_AS_REQUESTED)} is needed")
        return self

    def fields(self) -> dict[str, Any]:
        """Give the one field of a request that says the same."""
        given = ((field, getattr(self, name)) for name, field in _AS_REQUESTED.items())
        return {field: value for field, value in given if value is not None}
