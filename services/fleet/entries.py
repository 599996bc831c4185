"""Sites as entries of the ledger and back, and where in an entry secrets are named."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError

from infra.ledger import Entry, EntryId
from schemas.fleet import LOCATION, Fleet, FleetDocument, Site, Thing, Things, Unreadable, faults_between, things_of
from services.playbook.positions import Path

TABLES: Final[Mapping[str, str]] = {"twon": "twon", "token": "tokens", "tap": "taps"}
"""The kinds of entries that are tables of a site, with the key that a document has them under."""

KINDS: Final = ("site", "device", *TABLES)
"""Every kind of entry, in the order in which they are written."""

_LISTS: Final = tuple(name for name in Site.model_fields if name != "name")
"""What a site has besides its name."""

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

    An entry that another version of Keyturn has written otherwise, or that contradicts one before it, stands in
    `Fleet.unreadable` instead of its site.
    """
    read: list[tuple[Entry, Site]] = []
    unreadable: list[Unreadable] = []
    for entry in in_order(entries):
        part, fault = _read(entry)
        if part is not None:
            read.append((entry, part))
        if fault:
            unreadable.append(_left_out(entry, fault))
    things = replace(things_of({"sites": [part for _, part in read]}), site=[])
    clashes = {path[1]: f"{path[-1]} {text}" for path, text in faults_between(things)}
    sites: defaultdict[str, defaultdict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for number, (entry, part) in enumerate(read):
        if number in clashes:
            unreadable.append(_left_out(entry, clashes[number]))
            continue
        for key in _LISTS:
            sites[part.name][key] += getattr(part, key)
    whole = tuple(Site.model_validate({"name": name, **lists}) for name, lists in sites.items())
    return Fleet(sites=whole, unreadable=tuple(unreadable))


def things_in(entries: Iterable[Entry]) -> Things:
    """Entries as things without a place, to be held against those of a document."""
    things = Things()
    for entry in entries:
        if entry.id.kind not in KINDS:
            continue
        own = {"site": {"name": entry.id.key}, "device": {"uid": entry.id.key}}.get(entry.id.kind, entry.fields)
        getattr(things, entry.id.kind).append(Thing((), entry.site, own))
    return things


def names_in(entries: Iterable[Entry]) -> set[str]:
    """The names of all secrets that entries name."""
    return {
        name
        for entry in entries
        for place in secret_places(*entry.id)
        if (name := at(entry.fields, (*place, "vault"))) is not None
    }


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries as a person reads them: site by site, in each kind by kind."""
    return sorted(entries, key=lambda entry: (entry.site, rank(entry.id.kind), entry.id))


def rank(kind: str) -> int:
    """The place of a kind in `KINDS`; a kind of another version comes last."""
    return KINDS.index(kind) if kind in KINDS else len(KINDS)


def find(entries: Iterable[Entry], name: str) -> list[Entry]:
    """The entries that a name means: of a site all that belongs to it, of a location its devices, else the thing."""
    everything = list(entries)
    named = [entry for entry in everything if entry.id.key in {name, name.lower()}]
    if any(entry.id.kind == "site" for entry in named):
        named = [entry for entry in everything if entry.site == name or entry in named]
    location = name.removeprefix(LOCATION)
    here = [entry for entry in everything if entry.id.kind == "twon" and entry.fields.get("location") == location]
    return named + [entry for entry in here if entry not in named]


def _read(entry: Entry) -> tuple[Site | None, str]:
    """A site with nothing but this entry, and what of the entry is wrong. Of a site, the keys that are right stay."""
    own: dict[str, Any]
    match entry.id.kind:
        case "site":
            own = dict(entry.fields)
        case "device":
            own = {"devices": [entry.id.key]}
        case kind if kind in TABLES:
            own = {TABLES[kind]: [entry.fields]}
        case _:
            return None, "its kind"
    try:
        return Site.model_validate({**own, "name": entry.site}), ""
    except ValidationError as error:
        places = [found["loc"] for found in error.errors(include_url=False, include_input=False)]
    rest = {key: value for key, value in own.items() if (key,) not in {place[:1] for place in places}}
    salvaged = entry.id.kind == "site" and ("name",) not in places
    begins = 2 if entry.id.kind in TABLES else 0  # of a thing's places, its table and number in our site of one
    words = ("site" if place == ("name",) else ".".join(map(str, place[begins:])) or "it" for place in places)
    where = ", ".join(dict.fromkeys(words))
    return Site.model_validate({**rest, "name": entry.site}) if salvaged else None, where


def _left_out(entry: Entry, fault: str) -> Unreadable:
    location = entry.fields.get("location") if entry.id.kind == "twon" else None
    return Unreadable(
        kind=entry.id.kind,
        key=entry.id.key,
        site=entry.site,
        fault=fault,
        location=location if isinstance(location, str) else "",
    )
