"""The conversation with one device: look, compare, write, look again. What it finds is never an exception."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from schemas.errors import Busy, ConfigurationError, InputError, TryAgain, UpstreamError
from schemas.fleet import TwonDevice
from services.clients.twon.keys import PrivateKey
from services.operations.rotate_lists import KeyList, Unfit, told
from services.operations.twon_access import Log, SeenList, TwonAccess, TwonSession

Want = Callable[[KeyList], KeyList | Unfit | None]
"""From what a device has to what it should have; None leaves it alone for now."""

_TRIES: Final = 2
"""How often a list is written that the device accepts and does not show."""


_LATER: Final = "left for the next attempt"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sight:
    """What came of a conversation.

    Attributes:
        seen: what the device has, after whatever was written.
        silent: why nothing is known now; waiting may help.
        refused: why a person is needed, and what to do.
        ours: whether the fault is in the inventory, not in the device.
        log: which phones were let in, where that was asked for.
    """

    serial: str
    seen: SeenList | None = None
    silent: str = ""
    refused: str = ""
    ours: bool = False
    log: Log | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Talk:
    """How to speak with the devices of a location.

    Attributes:
        set_location: whether a device that tells phones another location is corrected.
        may_go_on: asked from any thread before a conversation and before a write; where it says no, nothing is done.
    """

    twon: TwonAccess
    location: str
    set_location: bool
    may_go_on: Callable[[], bool]

    def look(self, device: TwonDevice) -> Sight:
        """See what a device is and has; one that must not be written to is refused now."""
        if reason := _managed(device):
            return Sight(serial=device.serial, refused=reason)

        def ask(session: TwonSession) -> Sight:
            seen = session.identify()
            return Sight(serial=device.serial, seen=seen, refused=seen.doubt or self._stray(seen))

        return self._converse(device, ask)

    def bring(self, device: TwonDevice, want: Want, privates: Mapping[str, PrivateKey]) -> Sight:
        """Bring a device to what is wanted of it, and see that it has it.

        Args:
            device: one that `look` did not refuse.
            want: asked with what the device has now.
            privates: private halves at hand, by the public ones.
        """

        def ask(session: TwonSession) -> Sight:
            seen = session.identify()
            if reason := seen.doubt or self._stray(seen):
                return Sight(serial=device.serial, seen=seen, refused=reason)
            return self._brought(session, device.serial, seen, want, privates)

        return self._converse(device, ask)

    def log(self, device: TwonDevice) -> Sight:
        """Ask a device's log for the phones that it let in."""
        return self._converse(device, lambda session: Sight(serial=device.serial, log=session.phones()))

    def _brought(
        self, session: TwonSession, serial: str, seen: SeenList, want: Want, privates: Mapping[str, PrivateKey]
    ) -> Sight:
        wanted = want(seen.publics)
        if isinstance(wanted, Unfit):
            return Sight(serial=serial, seen=seen, refused=wanted.reason)
        tries = _TRIES
        while wanted is not None and (seen.publics, seen.location) != (wanted, self.location):
            if not tries:
                return Sight(serial=serial, seen=seen, refused=_untrue(wanted, seen, self.location))
            location = self.location if seen.location != self.location else None
            if not self.may_go_on():
                return Sight(serial=serial, silent=_LATER)
            session.write([privates[key] for key in wanted], location=location)
            seen, tries = session.look(), tries - 1
        return Sight(serial=serial, seen=seen)

    def _converse(self, device: TwonDevice, ask: Callable[[TwonSession], Sight]) -> Sight:
        if not self.may_go_on():
            return Sight(serial=device.serial, silent=_LATER)
        try:
            with self.twon.open(device) as session:
                return ask(session)
        except (TryAgain, Busy) as error:
            return Sight(serial=device.serial, silent=str(error))
        except UpstreamError as error:
            return Sight(serial=device.serial, refused=str(error))
        except (InputError, ConfigurationError) as error:
            return Sight(serial=device.serial, refused=f"cannot be spoken to: {error}", ours=True)

    def _stray(self, seen: SeenList) -> str:
        if seen.location == self.location or self.set_location:
            return ""
        return (
            f"tells phones the location {seen.location!r}, the inventory says {self.location!r}: correct one of them;"
            " set_location = true writes the inventory's to the device"
        )


def _managed(device: TwonDevice) -> str:
    if device.managed_by == "keyturn" or device.may_write:
        return ""
    return (
        f"managed by {device.managed_by}, which owns its mobile keys and would write them again: rotate them there,"
        " or set may_write = true for this device in the inventory"
    )


def _untrue(wanted: KeyList, seen: SeenList, location: str) -> str:
    missing = [told(key) for key in wanted if key not in seen.publics]
    if missing:
        return (
            f"accepts the list and does not have {', '.join(missing)}: it drops a key that it does not like in silence"
        )
    where = f" and the location {seen.location!r}, not {location!r}" if seen.location != location else ""
    return f"accepts the list and has another one, of {len(seen.publics)} keys in another order{where}"
