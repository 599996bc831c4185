"""Sites as entries of the ledger and back, and where in an entry secrets are named."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from infra.ledger import Entry, EntryId
from schemas.errors import InputError
from schemas.fleet import LOCATION, CentagateToken, Fleet, FleetDocument, FleetTap, Site, Thing, Things, TwonDevice
from services.playbook.positions import Path

TABLES: Final[Mapping[str, str]] = {"twon": "twon", "token": "tokens", "tap": "taps"}
"""The kinds of entries that are tables of a site, with the key that a document has them under."""

KINDS: Final = ("site", "device", *TABLES)
"""Every kind of entry, in the order in which they are written."""

_MODELS: Final[Mapping[str, type[BaseModel]]] = {"twon": TwonDevice, "token": CentagateToken, "tap": FleetTap}

_SECRETS: Final[Mapping[str, Mapping[tuple[str, ...], str]]] = {
    "twon": {("password",): "twon/{key}/password"},
    "token": {("phone",): "token/{key}", ("serial",): "token/{key}"},
    "tap": {
        ("password",): "tap/{key}/password",
        ("relay", "net_key"): "tap/{key}/net-key",
        ("relay", "password"): "tap/{key}/broker-password",
    },
}


def secret_places(kind: str, key: str) -> dict[tuple[str, ...], str]:
    """The keys of an entry under which a secret is named, each with the secret's name in the vault."""
    return {place: name.format(key=key) for place, name in _SECRETS.get(kind, {}).items()}


def at(fields: Mapping[str, Any], place: tuple[str, ...]) -> Any:
    """What stands at a place of a table and its inner tables, or None."""
    value: Any = fields
    for key in place:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def put(fields: dict[str, Any], place: tuple[str, ...], value: object) -> None:
    """Put a value at a place that is there."""
    for key in place[:-1]:
        fields = fields[key]
    fields[place[-1]] = value


def entries_of(document: FleetDocument) -> Iterator[tuple[Path, Entry]]:
    """Every entry of a document with its place there."""
    for index, site in enumerate(document.sites):
        path: Path = ("sites", index)
        own = {key: list(getattr(site, key)) for key in ("tags", "skip_rules") if getattr(site, key)}
        yield path, Entry(id=EntryId("site", site.name), site=site.name, fields=own)
        for number, uid in enumerate(site.devices):
            yield (*path, "devices", number), Entry(id=EntryId("device", uid), site=site.name, fields={})
        for kind, key in TABLES.items():
            for number, thing in enumerate(getattr(site, key)):
                fields = thing.model_dump(mode="json", exclude_defaults=True)
                yield (*path, key, number), Entry(id=EntryId(kind, thing.key), site=site.name, fields=fields)


def fleet_of(entries: Iterable[Entry]) -> Fleet:
    """Put the sites together.

    Raises:
        InputError: an entry is not what this version of Keyturn writes; every such entry is named.
    """
    sites: dict[str, dict[str, Any]] = {}
    faults = []
    for entry in in_order(entries):
        site = sites.setdefault(entry.site, {"name": entry.site, "devices": [], "twon": [], "tokens": [], "taps": []})
        try:
            _add(entry, site)
        except ValidationError as error:
            where = ", ".join(".".join(map(str, found["loc"])) or "it" for found in error.errors(include_input=False))
            faults.append(f"the inventory's {entry.id.kind} {entry.id.key} cannot be read ({where}): import it again")
    if faults:
        raise InputError(faults)
    return Fleet(sites=tuple(Site.model_validate(site) for site in sites.values()))


def things_in(entries: Iterable[Entry]) -> Things:
    """Entries as things without a place, to be held against those of a document."""
    things = Things()
    for entry in entries:
        own = {"site": {"name": entry.id.key}, "device": {"uid": entry.id.key}}.get(entry.id.kind, entry.fields)
        getattr(things, entry.id.kind).append(Thing((), entry.site, own))
    return things


def names_in(entries: Iterable[Entry]) -> set[str]:
    """The names of all secrets that entries name."""
    return {
        reference["vault"]
        for entry in entries
        for place in secret_places(*entry.id)
        if (reference := at(entry.fields, place)) is not None
    }


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries as a person reads them: site by site, in each kind by kind."""
    return sorted(entries, key=lambda entry: (entry.site, KINDS.index(entry.id.kind), entry.id.key))


def find(entries: Iterable[Entry], name: str) -> list[Entry]:
    """The entries that a name means: of a site all that belongs to it, of a location its devices, else the thing."""
    everything = list(entries)
    named = [entry for entry in everything if entry.id.key in {name, name.lower()}]
    if any(entry.id.kind == "site" for entry in named):
        named = [entry for entry in everything if entry.site == name or entry in named]
    location = name.removeprefix(LOCATION)
    here = [entry for entry in everything if entry.id.kind == "twon" and entry.fields.get("location") == location]
    return named + [entry for entry in here if entry not in named]


def _add(entry: Entry, site: dict[str, Any]) -> None:
    match entry.id.kind:
        case "site":
            site.update(entry.fields)
        case "device":
            site["devices"].append(entry.id.key)
        case kind:
            site[TABLES[kind]].append(_MODELS[kind].model_validate(entry.fields))
