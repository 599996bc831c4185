"""What ``ublox.roll_root_ca`` says to a person: of what it asks for, and of what it refuses."""

from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import ValidationError

from schemas.jobs import Child
from schemas.ublox import AuthorityLook, RootCaCreate
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
        f" billed; their certificates {_lives(new)}; whoever verifies them must trust it first: its certificate is in"
        f" this job's progress, and the proof of possession where a registration_code was given; for a code that they"
        f" give only now, reject this, and trigger the roll anew with the same parameters, new_ca={new.name} and that"
        f" registration_code"
    )
    return said + (f"; new devices still get {old} by the profile {some(profiles)}" if profiles else "")


def of_deletion(old: str, new: str, found: Survey) -> str:
    """What agreeing to the deletion means."""
    said = (
        f"no device and no profile needs the root CA {old} any more, {devices(found.moved)} have certificates of {new}"
    )
    others = f" and {found.elsewhere} of others" if found.elsewhere else ""
    return f"{said}{others}; it would be deleted"


def of_stuck(transfers: Iterable[Child]) -> str:
    """Which transfers wait for a person, and what is to be done about them."""
    named = some(f"{one.target} (job {one.id}, {one.state})" for one in transfers)
    remedy = "do what a parked job says and retry it, transfer by hand what is cancelled"
    return f"a person must look at {named}: {remedy}"


def taken(there: AuthorityLook, wanted: RootCaCreate, *, readable: bool) -> str:
    """Why a root CA that has the name of the new one already is not used."""
    what = (
        f"other validities than {wanted.ca_validity_days} days, and {wanted.device_validity_days} of its certificates"
        if readable
        else "a certificate that cannot be read"
    )
    return f"the account has a root CA {there.name} already, with {what}: name another, or delete that one"


def unfit(old: str, new: str, error: ValidationError) -> str:
    """Why a root CA cannot be what is asked for."""
    faults = "; ".join(": ".join([*map(str, fault["loc"]), fault["msg"]]) for fault in error.errors())
    return f"{new} cannot be as asked for, and as u-blox tells of {old} where nothing was asked for: {faults}"


def devices(count: int) -> str:
    """A number of devices."""
    return "1 device" if count == 1 else f"{count} devices"


def some(names: Iterable[str]) -> str:
    """The first of many names."""
    known = list(names)
    rest = len(known) - _NAMED
    return ", ".join(known) if rest <= 0 else f"{', '.join(known[:_NAMED])} and {rest} more"


def _lives(ca: AuthorityLook) -> str:
    days = "an untold time" if ca.device_validity_days is None else f"{ca.device_validity_days} days"
    lead = ca.renew_before_days
    return f"live for {days}, " + ("with no automatic renewal" if not lead else f"renewed {lead} days before their end")
