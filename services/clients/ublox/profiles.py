"""Device profiles: what devices get when they bootstrap."""

from collections.abc import Collection, Iterator
from typing import Any

from schemas.ublox import (
    BootstrapProvisioningDelete,
    BootstrapProvisioningGet,
    BootstrapProvisioningSet,
    ProfileGet,
    ProfileLook,
    Provisioning,
    ProvisioningLook,
    read_profile,
    read_properties,
)
from schemas.ublox.reading import values_of
from services.clients.ublox.caller import Caller


class Profiles:
    """The calls under ``/deviceprofile``; devices that have bootstrapped are touched by none of them."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def walk(self, tags: Collection[str] | None = None, name: str | None = None) -> Iterator[ProfileLook]:
        """Walk through the profiles (``/deviceprofile/get``): all, those with one of the tags, or one by its name."""
        wanted = {"tag_names": tags if tags is None else tuple(tags), "profile_name": name}
        return self._caller.walk(self._caller.ask(ProfileGet, **wanted), read_profile, lambda look: look.uid)

    def bootstrap_provisioning(self, profile_uid: str) -> ProvisioningLook:
        """Ask what new devices of a profile get (``/deviceprofile/bootstrapprovisioning/get``)."""
        request = self._caller.ask(BootstrapProvisioningGet, device_profile_uid=profile_uid)
        return read_properties(next(values_of(self._caller.call(request).json(), "DesiredProperties"), None))

    def set_bootstrap_provisioning(self, profile_uid: str, provisioning: Provisioning) -> str:
        """Say what new devices of a profile get (``/deviceprofile/bootstrapprovisioning/set``)."""
        wanted: dict[str, Any] = {"device_profile_uid": profile_uid, "provisioning": provisioning}
        return self._caller.write(BootstrapProvisioningSet, **wanted)

    def delete_bootstrap_provisioning(self, profile_uid: str) -> str:
        """Let new devices of a profile get nothing (``/deviceprofile/bootstrapprovisioning/delete``)."""
        return self._caller.write(BootstrapProvisioningDelete, device_profile_uid=profile_uid)
