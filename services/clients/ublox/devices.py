"""The account's devices and its whitelist."""

from collections.abc import Collection, Iterable, Iterator

from schemas.ublox import (
    DeviceFilter,
    DeviceListGet,
    WhitelistAction,
    WhitelistAdd,
    WhitelistGet,
    WhitelistLook,
    WhitelistRow,
    WhitelistUpload,
    first_uid,
    read_whitelisted,
)
from services.clients.ublox.caller import Caller


class Devices:
    """The calls under ``/device/list`` and ``/device/whitelist``."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    def walk(self, which: DeviceFilter = DeviceFilter.ALL) -> Iterator[str]:
        """Walk through the account's devices (``/device/list/get``)."""
        return self._caller.walk(self._caller.ask(DeviceListGet, filter=which), first_uid, str)

    def whitelist(self) -> Iterator[WhitelistLook]:
        """Walk through the whitelist (``/device/whitelist/get``).

        A device that bootstraps without being on it gets no authorizations.
        """
        first = self._caller.ask(WhitelistGet)
        return self._caller.walk(first, read_whitelisted, lambda look: (look.uid, look.imei))

    def change_whitelist(self, uids: Collection[str], action: WhitelistAction, imeis: Collection[str] = ()) -> str:
        """Put up to 100 devices on the whitelist, or take them off it (``/device/whitelist/add``)."""
        named = {"rot_public_uids": tuple(uids), "imeis": tuple(imeis) or None}
        return self._caller.write(WhitelistAdd, **named, action=action)

    def upload_whitelist(self, rows: Iterable[WhitelistRow]) -> str:
        """Change the whitelist by a CSV file, which may be of any length (``/device/whitelist/add``)."""
        return self._caller.write(WhitelistUpload, rows=tuple(rows))
