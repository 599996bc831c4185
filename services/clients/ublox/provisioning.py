"""What devices are provisioned with: authorizations and the security heartbeat."""

from schemas.ublox import (
    Provisioning,
    ProvisioningDelete,
    ProvisioningGet,
    ProvisioningLook,
    ProvisioningSet,
    read_provisioning,
)
from services.clients.ublox.caller import Caller, Which


class DeviceProvisioning:
    """The calls under ``/device/provisioning``, by ROTPublicUIDs or tags; devices take it at their next heartbeat."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def set(self, which: Which, provisioning: Provisioning) -> str:
        """Say what devices shall have (``/device/provisioning/set``); what is applied of it is billed.

        A device that has applied it sends a DEVICE_PROPERTIES_CHANGE_EVENT: whoever answers that with this call loops.
        """
        return self._caller.write(ProvisioningSet, which, provisioning=provisioning)

    def get(self, which: Which) -> dict[str, ProvisioningLook]:
        """Ask what devices shall have (``/device/provisioning/get``), by ROTPublicUID."""
        return read_provisioning(self._caller.call(self._caller.ask(ProvisioningGet, which)).json())

    def delete(self, which: Which) -> str:
        """Let devices that have not called in yet get nothing (``/device/provisioning/delete``)."""
        return self._caller.write(ProvisioningDelete, which)
