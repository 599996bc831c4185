"""The inventory: which u-blox and 2N devices, CENTAGATE tokens and Taps belong together, and how each is reached."""

from schemas.fleet.centagate import CentagateToken
from schemas.fleet.known import Unreadable
from schemas.fleet.site import DEVICE, LOCATION, Fleet, FleetDocument, Site, SiteTargets, cross_faults
from schemas.fleet.tables import UNFIT
from schemas.fleet.tap import SCHEMES, FleetTap, Relay
from schemas.fleet.things import Thing, Things, faults_between, things_of
from schemas.fleet.twon import LONGEST_LOCATION, TwonDevice

__all__ = [
    "DEVICE",
    "LOCATION",
    "LONGEST_LOCATION",
    "SCHEMES",
    "UNFIT",
    "CentagateToken",
    "Fleet",
    "FleetDocument",
    "FleetTap",
    "Relay",
    "Site",
    "SiteTargets",
    "Thing",
    "Things",
    "TwonDevice",
    "Unreadable",
    "cross_faults",
    "faults_between",
    "things_of",
]
