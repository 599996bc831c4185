"""Sites, and the whole inventory as one picture that never changes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from schemas.events import canonical_uid
from schemas.fleet.centagate import CentagateToken, token_faults
from schemas.fleet.known import Known, Unreadable
from schemas.fleet.tables import Table, no_flag, refuse
from schemas.fleet.tap import FleetTap, tap_faults
from schemas.fleet.things import faults_between, things_of
from schemas.fleet.twon import TwonDevice, twon_faults
from schemas.playbook import RULE_NAME
from schemas.tap import CrossFault

T = TypeVar("T")

SITE_NAME: Final = r"^[a-z][a-z0-9-]{0,62}$"

LOCATION: Final = "location:"
"""How the job target of a 2N location begins; the name follows."""

DEVICE: Final = "device:"
"""How the job target of one 2N device begins; its serial number follows."""

Tag = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:=/-]{0,62}$")]


class Site(Table):
    """What belongs together."""

    name: str = Field(description="lower case letters, digits and hyphens, unique", pattern=SITE_NAME)
    tags: tuple[Tag, ...] = Field(default=(), description="words of your own, such as floor-2")
    skip_rules: tuple[Annotated[str, Field(pattern=RULE_NAME)], ...] = Field(
        default=(), description="names of the playbook's rules that are not applied to this site"
    )
    devices: tuple[Annotated[str, BeforeValidator(canonical_uid)], ...] = Field(
        default=(), description="the ROTPublicUIDs of its u-blox devices"
    )
    twon: tuple[TwonDevice, ...] = Field(default=(), description="its 2N devices")
    tokens: tuple[CentagateToken, ...] = Field(default=(), description="the CENTAGATE tokens of its users")
    taps: tuple[FleetTap, ...] = Field(default=(), description="its Taps")

    @property
    def locations(self) -> tuple[str, ...]:
        """The names of its 2N locations, each once."""
        return tuple(dict.fromkeys(device.location for device in self.twon))


@dataclass(frozen=True, slots=True)
class SiteTargets:
    """The job targets that belong with a device, or why there are none.

    Attributes:
        stray: true where the device belongs to no site although there are some.
    """

    targets: tuple[str, ...] = ()
    why_none: str = ""
    stray: bool = False


class FleetDocument(Table):
    """Sites as a document has them; what is wrong between them is asked of it afterwards."""

    version: Annotated[Literal[1], BeforeValidator(no_flag)] = Field(description="1")
    sites: tuple[Site, ...] = ()


class Fleet(FleetDocument):
    """All sites. It fits together, and never changes.

    Attributes:
        unreadable: entries of the ledger that had to be left out of it.
    """

    version: Annotated[Literal[1], BeforeValidator(no_flag)] = Field(default=1, description="1")
    unreadable: tuple[Unreadable, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse(faults_between(things_of(dict(self))))
        return self

    @cached_property
    def taps(self) -> Known[FleetTap]:
        """Every Tap by its serial number."""
        return self._known("tap", {tap.key: tap for site in self.sites for tap in site.taps})

    @cached_property
    def twon(self) -> Known[TwonDevice]:
        """Every 2N device by its serial number."""
        return self._known("twon", {device.key: device for site in self.sites for device in site.twon})

    @cached_property
    def tokens(self) -> Known[CentagateToken]:
        """Every CENTAGATE token by its key, such as ``alice/sms``."""
        return self._known("token", {token.key: token for site in self.sites for token in site.tokens})

    @cached_property
    def locations(self) -> Known[tuple[TwonDevice, ...]]:
        """The devices of every 2N location, by its name; one that lacks a device counts as unreadable itself."""
        found: dict[str, list[TwonDevice]] = {}
        for device in self.twon.values():
            found.setdefault(device.location, []).append(device)
        devices = [entry for entry in self.unreadable if entry.kind == "twon"]
        lacking = {entry.location: str(entry) for entry in devices if entry.location}
        for entry in devices:
            if not entry.location:  # it may belong to any location of its site
                names = (name for site in self.sites if site.name == entry.site for name in site.locations)
                lacking |= dict.fromkeys(names, str(entry))
        return Known({name: tuple(devices) for name, devices in found.items()}, lacking)

    @cached_property
    def _sites_of(self) -> dict[str, Site]:
        return {device: site for site in self.sites for device in site.devices}

    def site_of(self, uid: str) -> Site | None:
        """Give the site of a u-blox device, where it has one."""
        return self._sites_of.get(uid)

    def unreadable_of(self, uid: str) -> tuple[Unreadable, ...]:
        """Give what had to be left out of the site of a u-blox device, or the device itself."""
        if not self.unreadable:
            return ()
        site = self.site_of(uid)
        name = None if site is None else site.name
        return tuple(entry for entry in self.unreadable if name == entry.site or entry.key == uid)

    def taps_of(self, uid: str) -> SiteTargets:
        """Give the Taps of the site of a u-blox device, by their serial numbers."""
        return self._targets_of(uid, "Taps", lambda site: [tap.key for tap in site.taps])

    def locations_of(self, uid: str) -> SiteTargets:
        """Give the 2N locations of the site of a u-blox device, such as ``location:Lobby``."""
        return self._targets_of(uid, "2N locations", lambda site: [LOCATION + name for name in site.locations])

    def tokens_of(self, uid: str) -> SiteTargets:
        """Give the CENTAGATE tokens of the site of a u-blox device, such as ``alice/sms``."""
        return self._targets_of(uid, "CENTAGATE tokens", lambda site: [token.key for token in site.tokens])

    def lock_of(self, operation: str, target: str) -> str:
        """Give the lock of a job where it is not its target: a 2N device carries the lock of its location."""
        if not operation.startswith("twon.") or not target.startswith(DEVICE):
            return ""
        device = self.twon.get(target.removeprefix(DEVICE))
        return "" if device is None else LOCATION + device.location

    def _known(self, kind: str, entries: Mapping[str, T]) -> Known[T]:
        return Known(entries, {entry.key: str(entry) for entry in self.unreadable if entry.kind == kind})

    def _targets_of(self, uid: str, kind: str, pick: Callable[[Site], Sequence[str]]) -> SiteTargets:
        if not self.sites:
            return SiteTargets(why_none="the inventory has no sites")
        site = self.site_of(uid)
        if site is None:
            return SiteTargets(why_none=f"{uid} belongs to no site of the inventory", stray=True)
        targets = tuple(pick(site))
        return SiteTargets(targets, "" if targets else f"its site {site.name} has no {kind}")


def cross_faults(document: Mapping[str, Any]) -> list[CrossFault]:
    """What is wrong between the keys and tables of a document, each with its place, whatever else is wrong."""
    things = things_of(document)
    found = list(faults_between(things))
    for kind, faults_of in ((things.twon, twon_faults), (things.token, token_faults), (things.tap, tap_faults)):
        found += [((*thing.path, *at), text) for thing in kind for at, text in faults_of(thing.table)]
    return found
