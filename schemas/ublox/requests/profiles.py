"""Requests about device profiles: what a device gets when it bootstraps."""

from typing import Any, ClassVar

from pydantic import Field

from schemas.ublox.provisioning import Provisioning
from schemas.ublox.requests.base import UbloxRequest
from schemas.ublox.words import ProfileUid, TagNames


class ProfileGet(UbloxRequest):
    """One page of the account's device profiles: all, those with one of the tags, or one by its name."""

    path: ClassVar[str] = "/deviceprofile/get"
    at_most_one_of: ClassVar[tuple[str, ...]] = ("tag_names", "profile_name")
    listed: ClassVar[str] = "DeviceProfiles"

    tag_names: TagNames | None = Field(default=None, alias="TagNames")
    profile_name: str | None = Field(default=None, alias="ProfileName", min_length=1)
    page_number: int = Field(default=1, alias="PageNumber", ge=1)


class BootstrapProvisioningSet(UbloxRequest):
    """What new devices of a profile get; those that have bootstrapped are not touched."""

    path: ClassVar[str] = "/deviceprofile/bootstrapprovisioning/set"

    device_profile_uid: ProfileUid = Field(alias="DeviceProfileUID")
    provisioning: Provisioning = Field(alias="Provisioning")

    def body(self) -> dict[str, Any]:
        """As `UbloxRequest.body`."""
        return {**super().body(), "Provisioning": self.provisioning.written()}


class BootstrapProvisioningGet(UbloxRequest):
    """What new devices of a profile would get."""

    path: ClassVar[str] = "/deviceprofile/bootstrapprovisioning/get"

    device_profile_uid: ProfileUid = Field(alias="DeviceProfileUID")


class BootstrapProvisioningDelete(UbloxRequest):
    """Nothing for new devices of a profile, as if nothing had been set."""

    path: ClassVar[str] = "/deviceprofile/bootstrapprovisioning/delete"

    device_profile_uid: ProfileUid = Field(alias="DeviceProfileUID")
