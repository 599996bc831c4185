"""What ``ublox.roll_root_ca`` says of its work to a person who must agree to it."""

from collections.abc import Iterable, Sequence
from typing import Final

from schemas.ublox import AuthorityLook
from services.operations.root_ca_needs import Survey
from services.operations.root_ca_proof import end_of

_NAMED: Final = 5


def of_transfers(old: str, new: AuthorityLook, count: int, profiles: Sequence[str]) -> str:
    """What agreeing to the transfers means.

    Args:
        old: the root CA that is rolled.
        new: its successor.
        count: how many devices are to be transferred.
        profiles: device profiles that refer to the old one.
    """
    said = (
        f"the root CA {new.name} is there, until {end_of(new)}; {devices(count)} would be transferred to it, each"
        f" billed; whoever verifies them must trust it first: its certificate is in this job's progress"
    )
    return said + (f"; new devices still get {old} by the profile {some(profiles)}" if profiles else "")


def of_deletion(old: str, new: str, found: Survey) -> str:
    """What agreeing to the deletion means."""
    said = (
        f"no device and no profile needs the root CA {old} any more, {devices(found.moved)} have certificates of {new}"
    )
    others = f" and {found.elsewhere} of others" if found.elsewhere else ""
    return f"{said}{others}; it would be deleted"


def devices(count: int) -> str:
    """A number of devices."""
    return "1 device" if count == 1 else f"{count} devices"


def some(names: Iterable[str]) -> str:
    """The first of many names."""
    known = list(names)
    rest = len(known) - _NAMED
    return ", ".join(known) if rest <= 0 else f"{', '.join(known[:_NAMED])} and {rest} more"
