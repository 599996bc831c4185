"""Reads what a Tap holds, as far as there are wishes about it."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from services.clients.tap import BoundCall, DeviceRefusal, Status, Tap, find
from services.operations.tap_access import TapSession
from services.operations.tap_plan import Actual
from services.operations.tap_settings import Wish

T = TypeVar("T")

_UNTOLD: Final = frozenset(
    {
        Status.UNAUTHORIZED,
        Status.NOT_FOUND,
        Status.METHOD_NOT_ALLOWED,
        Status.RESOURCE_LOCKED,
        Status.NOT_IMPLEMENTED,
    }
)
"""Codes by which a Tap says that it does not tell this, or does not have it; any other is trouble (notes §4)."""


def introduce(session: TapSession) -> Actual:
    """What a Tap says to strangers: enough to know whether it can be as we want it."""
    tap = Tap(session)
    options = tap.interface.get_security_options()
    return Actual(
        firmware=tap.device.get_firmware_version(),
        version=_told(tap.interface.get_config_version) or "",
        scram=options.scram_activated,
    )


def look(session: TapSession, wishes: Iterable[Wish]) -> Actual:
    """What a Tap says to an administrator, save which passwords it has."""
    tap, known = Tap(session), list(wishes)
    first = introduce(session)
    groups = {wish.group for wish in known if wish.group is not None}
    present = frozenset(group for group in groups if _told(tap.group.get_name, group) is not None)
    readable = [wish for wish in known if _can_be_read(wish, present, first.firmware)]
    return Actual(
        firmware=first.firmware,
        version=tap.interface.get_config_version(),
        scram=first.scram,
        transport=_told(tap.interface.get_current_host_protocol),
        available=_told(tap.interface.get_available_host_protocols),
        values={label: value for label, value in _values(session, readable) if value is not None},
        groups=present,
    )


def _values(session: TapSession, wishes: list[Wish]) -> Iterable[tuple[str, Any]]:
    for wish in wishes:
        call = BoundCall(find(wish.get or ""), session)
        yield wish.label, _told(call, *wish.numbers)


def _can_be_read(wish: Wish, groups: frozenset[int], firmware: str) -> bool:
    if wish.get is None or not find(wish.get).is_in(firmware):
        return False
    return wish.group is None or wish.group in groups


def _told(call: Callable[..., T], *numbers: int) -> T | None:
    try:
        return call(*numbers)
    except DeviceRefusal as error:
        if error.status not in _UNTOLD:
            raise
        return None
