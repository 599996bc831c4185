"""Writes the inventory as a document that can be imported again; of secrets it has the names in the vault."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from infra.ledger import Entry
from services.fleet.csv_form import COLUMNS, write_csv
from services.fleet.entries import KINDS, TABLES, in_order

_ORDER: Final = {key: number for number, key in enumerate(("name", *COLUMNS, "devices", "relay"))}


def export_toml(entries: Iterable[Entry]) -> str:
    """Write a TOML document: sites in the order of their names, each with its things."""
    return "\n".join(["version = 1\n", *(_site(name, things) for name, things in _by_site(entries))])


def export_csv(entries: Iterable[Entry]) -> str:
    """Write a CSV document: a row for each thing, every site followed by what belongs to it."""
    return write_csv(
        (entry.id.kind, name, {"uid": entry.id.key} if entry.id.kind == "device" else entry.fields)
        for name, things in _by_site(entries)
        for kind in KINDS
        for entry in things[kind]
    )


def _by_site(entries: Iterable[Entry]) -> Iterator[tuple[str, Mapping[str, list[Entry]]]]:
    sites: defaultdict[str, defaultdict[str, list[Entry]]] = defaultdict(lambda: defaultdict(list))
    for entry in in_order(entries):
        sites[entry.site][entry.id.kind].append(entry)
    yield from sites.items()


def _site(name: str, things: Mapping[str, list[Entry]]) -> str:
    own = {"name": name, **{key: value for entry in things["site"] for key, value in entry.fields.items()}}
    if things["device"]:
        own["devices"] = [entry.id.key for entry in things["device"]]
    tables = [_table("sites", own)]
    for kind, key in TABLES.items():
        tables += [_table(f"sites.{key}", entry.fields) for entry in things[kind]]
    return "\n".join(tables)


def _table(name: str, fields: Mapping[str, Any]) -> str:
    keys = sorted(fields, key=_ORDER.__getitem__)
    return "".join([f"[[{name}]]\n", *(f"{key} = {_value(fields[key])}\n" for key in keys)])


def _value(value: object) -> str:
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in sorted(value.items())) + " }"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case _:  # what JSON writes is TOML, but for DEL
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
