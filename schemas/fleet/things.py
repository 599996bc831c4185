"""The things of an inventory side by side, of a document or of the ledger, and what is wrong between them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from schemas.fleet.tables import Path
from schemas.tap import CrossFault


@dataclass(frozen=True, slots=True)
class Thing:
    """One table as it was written, the name of its site, and its place."""

    path: Path
    site: str
    table: Mapping[str, Any]

    def text(self, key: str) -> str:
        """The text of a key; empty where there is none."""
        value = self.table.get(key)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True)
class Things:
    """All things, kind by kind. A device of u-blox is a table with its ``uid``."""

    site: list[Thing] = field(default_factory=list)
    device: list[Thing] = field(default_factory=list)
    twon: list[Thing] = field(default_factory=list)
    token: list[Thing] = field(default_factory=list)
    tap: list[Thing] = field(default_factory=list)

    def __add__(self, other: "Things") -> "Things":
        return Things(*(getattr(self, kind) + getattr(other, kind) for kind in self.__slots__))


def things_of(document: Mapping[str, Any]) -> Things:
    """The things of a document, read or only parsed: it may have other faults."""
    things = Things()
    for path, site in _tables(document.get("sites"), ("sites",)):
        name = str(site.get("name"))
        things.site.append(Thing(path, name, site))
        devices = site.get("devices")
        things.device.extend(
            Thing((*path, "devices", index), name, {"uid": str(uid).lower()})
            for index, uid in enumerate(devices if isinstance(devices, list | tuple) else ())
        )
        for key, kind in (("twon", things.twon), ("tokens", things.token), ("taps", things.tap)):
            kind.extend(Thing(at, name, table) for at, table in _tables(site.get(key), (*path, key)))
    return things


def faults_between(things: Things) -> Iterator[CrossFault]:
    """What is wrong between things that may be right one by one.

    No value of a document is repeated: where columns are shifted any of them may be a secret. What has no place stands
    in the ledger, and may be named.
    """
    yield from _repeats("site", "name", things.site)
    yield from _repeats("device", "uid", things.device)
    yield from _repeats("2N device", "serial", things.twon)
    yield from _repeated_tokens(things.token)
    yield from _repeats("Tap", "serial", things.tap)
    yield from _shared_addresses("2N device", things.twon)
    yield from _shared_addresses("Tap", (tap for tap in things.tap if tap.text("address").startswith("tcp:")))
    yield from _spread_locations(things.twon)


def _tables(value: object, at: Path) -> list[tuple[Path, Mapping[str, Any]]]:
    entries = value if isinstance(value, list | tuple) else ()
    return [
        ((*at, index), dict(entry)) for index, entry in enumerate(entries) if isinstance(entry, Mapping | BaseModel)
    ]


def _repeats(kind: str, key: str, things: Iterable[Thing]) -> Iterator[CrossFault]:
    first: dict[str, Thing] = {}
    for thing in things:
        name = thing.text(key)
        if name and first.setdefault(name, thing) is not thing:
            where = "" if first[name].site == thing.site else ", in two sites"
            yield _at(thing, key), f"this {kind} is there twice{where}"


def _repeated_tokens(tokens: Iterable[Thing]) -> Iterator[CrossFault]:
    first: dict[tuple[str, str], Thing] = {}
    for token in tokens:
        name = token.text("username"), token.text("type")
        if all(name) and first.setdefault(name, token) is not token:
            yield (*token.path, "username"), "this user has two tokens of this type"


def _shared_addresses(kind: str, things: Iterable[Thing]) -> Iterator[CrossFault]:
    first: dict[str, Thing] = {}
    for thing in things:
        address = thing.text("address")
        other = first.setdefault(address, thing) if address else thing
        if other.text("serial") != thing.text("serial"):
            whose = f"another {kind}" if other.path else other.text("serial")
            yield (*thing.path, "address"), f"is the address of {whose} too"


def _spread_locations(devices: Iterable[Thing]) -> Iterator[CrossFault]:
    first: dict[str, Thing] = {}
    for device in devices:
        location = device.text("location")
        other = first.setdefault(location, device) if location else device
        if other.site != device.site:
            whose = "another site" if other.path else f"the site {other.site}"
            yield (*device.path, "location"), f"is a location of {whose}; it belongs to one site"


def _at(thing: Thing, key: str) -> Path:
    return thing.path if key == "uid" else (*thing.path, key)
