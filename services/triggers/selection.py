"""From what a person names to the targets of an operation, each once and in the order of the inventory."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from infra.ledger import Ledger
from schemas.authorities import ON_ROOT_CAS, ROOT_CA
from schemas.errors import InputError
from schemas.events import canonical_uid
from schemas.fleet import DEVICE, LOCATION, Fleet, Site
from schemas.triggers import MOST_TARGETS, Aim, Query, Targets

_MOST_FAULTS: Final = 20

_OF_SITE: Final[Mapping[str, Callable[[Site], Iterable[str]]]] = {
    "ublox": lambda site: site.devices,
    "tap": lambda site: (tap.key for tap in site.taps),
    "twon": lambda site: (LOCATION + name for name in site.locations),
    "centagate": lambda site: (token.key for token in site.tokens),
}
"""What an outside system's operations work on, of one site."""


def aims_of(operation: str, targets: Targets, fleet: Fleet, ledger: Ledger) -> list[Aim]:
    """The targets that are asked for.

    Args:
        operation: its name; the outside system tells what its targets are.
        targets: what was asked for.
        fleet: what belongs to which site.
        ledger: what a query asks.

    Raises:
        InputError: every name that is nothing; or nothing is left; or there are too many.
    """
    if operation in ON_ROOT_CAS:
        return _authorities(operation, targets, ledger)
    system = operation.partition(".")[0]
    of_site = _OF_SITE.get(system, _nothing)
    sites = fleet.sites
    home = {target: site.name for site in sites for target in of_site(site)}
    if system == "twon":
        home |= {DEVICE + device.key: site.name for site in sites for device in site.twon}
    faults = [f"targets.cas: {operation} does not work on root CAs"] if targets.cas else []
    names = list(_named(system, targets.devices, home, faults))
    names += _of_sites(targets, sites, of_site, faults)
    if targets.query is not None:
        names += _asked(operation, targets.query, ledger, faults)
    found = dict.fromkeys(names)
    if not found and not faults:
        faults.append(_why_none(targets, fleet, system))
    if len(found) > MOST_TARGETS:
        faults.append(f"targets: a trigger may have {MOST_TARGETS} targets, these are more")
    if faults:
        raise InputError(_told(faults))
    return [Aim(name, home.get(name), fleet.lock_of(operation, name)) for name in found]


def _authorities(operation: str, targets: Targets, ledger: Ledger) -> list[Aim]:
    """The root CAs that are asked for; they are of the account, and no site of the inventory has any."""
    given = {"devices": targets.devices, "sites": targets.sites, "tags": targets.tags, "all": targets.all}
    faults = [
        f"targets.{name}: {operation} works on root CAs: name them in targets.cas"
        for name, value in given.items()
        if value
    ]
    names = [ROOT_CA + name for name in targets.cas]
    if targets.query is not None:
        names += _asked(operation, targets.query, ledger, faults)
    if not names and not faults:
        faults.append("targets.query: nothing in the ledger fits")
    if faults:
        raise InputError(_told(faults))
    return [Aim(name) for name in dict.fromkeys(names)]


def targets_of(operation: str, site: Site) -> Iterable[str]:
    """What an operation works on, of one site."""
    return _OF_SITE.get(operation.partition(".")[0], _nothing)(site)


def _nothing(_site: Site) -> Iterable[str]:
    return ()


def _named(system: str, names: Iterable[str], home: Mapping[str, str], faults: list[str]) -> Iterator[str]:
    """What was named; a u-blox device need not be in the inventory, whatever else must be, to be reached at all."""
    for name in names:
        if system == "ublox":
            try:
                yield canonical_uid(name)
            except ValueError as error:
                faults.append(f"targets.devices: {error}")
        elif name in home:
            yield name
        else:
            faults.append(f"targets.devices: the inventory has no {name!r} for operations of {system}")


def _of_sites(
    targets: Targets, sites: Iterable[Site], of_site: Callable[[Site], Iterable[str]], faults: list[str]
) -> Iterator[str]:
    known = {site.name for site in sites}
    tags = {tag for site in sites for tag in site.tags}
    faults += [f"targets.sites: the inventory has no site {name}" for name in targets.sites if name not in known]
    faults += [f"targets.tags: no site of the inventory has the tag {tag}" for tag in targets.tags if tag not in tags]
    wanted, tagged = set(targets.sites), set(targets.tags)
    for site in sites:
        if targets.all or site.name in wanted or not tagged.isdisjoint(site.tags):
            yield from of_site(site)


def _asked(operation: str, query: Query, ledger: Ledger, faults: list[str]) -> list[str]:
    system = operation.partition(".")[0]
    if query.events is not None:
        if system != "ublox" or operation in ON_ROOT_CAS:
            faults.append(f"targets.query.events: events name u-blox devices, and {operation} works on others")
            return []
        events = query.events
        return ledger.history.devices_of_events(str(events.type), events.since, events.until, MOST_TARGETS + 1)
    jobs = query.jobs
    alike = jobs is not None and (jobs.operation in ON_ROOT_CAS) == (operation in ON_ROOT_CAS)
    if jobs is None or jobs.operation.partition(".")[0] != system or not alike:
        faults.append(f"targets.query.jobs: expected an operation that works on what {operation} does")
        return []
    return ledger.history.targets_of_jobs(jobs.operation, jobs.state, jobs.since, jobs.until, MOST_TARGETS + 1)


def _why_none(targets: Targets, fleet: Fleet, system: str) -> str:
    if targets.query is not None:
        return "targets.query: nothing in the ledger fits"
    if not fleet.sites:
        return "targets: the inventory has no sites; name devices"
    return f"targets: these sites have nothing that operations of {system} work on"


def _told(faults: list[str]) -> list[str]:
    rest = len(faults) - _MOST_FAULTS
    return faults if rest <= 0 else [*faults[:_MOST_FAULTS], f"and {rest} more"]
