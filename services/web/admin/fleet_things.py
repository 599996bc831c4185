"""One thing of the inventory, as the API takes it and shows it."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from infra.ledger.inventory import Stamped
from schemas.admin import Fault
from schemas.fleet_views import FleetPath, FleetThing, Imported, ImportedChange, PutThing
from services.fleet.csv_form import KIND_NAMES
from services.fleet.entries import TABLES
from services.fleet.importing import Change, ImportResult
from services.fleet.written import Written, column_of
from services.web.admin.problems import Problem

_SITE_FIELDS: Final = frozenset({"tags", "skip_rules"})


def document_of(path: FleetPath, asked: PutThing) -> Written:
    """A document with nothing but this thing in it."""
    kind, named = KIND_NAMES[path.kind], _names(path)
    faults = [
        Fault(at=f"body/fields/{name}", detail=f"expected {value}, as the address has it, or nothing")
        for name, value in named.items()
        if asked.fields.get(name, value) != value
    ]
    if (kind == "site") == (asked.site is not None):
        told = "has no meaning for a site" if kind == "site" else "is missing: the site that it belongs to"
        faults.append(Fault(at="body/site", detail=told))
    known = {"site": _SITE_FIELDS, "device": frozenset[str]()}.get(kind)
    unknown = [] if known is None else sorted(set(asked.fields) - known)
    faults += [Fault(at=f"body/fields/{name[:100]}", detail=f"has no meaning for a {kind}") for name in unknown]
    if faults:
        raise Problem(422, "the thing has faults", faults=faults)
    fields: dict[str, Any] = json.loads(json.dumps(asked.fields))  # it is taken apart, and the request is not
    if kind == "site":
        document: dict[str, Any] = {"version": 1, "sites": [{**fields, "name": path.key}]}
        return Written(path=Path("fields"), document=document, lines={}, key_of=column_of, remote=True)
    things = [path.key] if kind == "device" else [{**fields, **named}]
    site = {"name": asked.site, TABLES.get(kind, "devices"): things}
    return Written(
        path=Path("fields"),
        document={"version": 1, "sites": [site]},
        lines={},
        key_of=column_of,
        implied={str(asked.site): ("sites", 0)},
        remote=True,
    )


def _names(path: FleetPath) -> Mapping[str, str]:
    """The fields of a thing that its key says."""
    match path.kind:
        case "2n" | "tap":
            return {"serial": path.key}
        case "token":
            username, _, kind = path.key.rpartition("/")
            return {"username": username, "type": kind}
        case _:
            return {}


def revision(found: Stamped) -> str:
    """What changes with the thing and with each of its secrets."""
    content = json.dumps([found.entry.site, found.entry.fields], sort_keys=True).encode()
    return f"{int(found.updated_at.timestamp() * 1e6):x}-{hashlib.sha256(content).hexdigest()[:16]}"


def view(found: Stamped) -> FleetThing:
    """Show one thing; its secrets stand as places of the vault."""
    entry = found.entry
    return FleetThing.model_validate(
        {
            "kind": word(entry.id.kind),
            "key": entry.id.key,
            "site": entry.site,
            "fields": dict(entry.fields),
            "updated_at": found.updated_at,
        }
    )


def imported(result: ImportResult, *, dry_run: bool) -> Imported:
    """Tell what a document changes."""

    def told(changes: tuple[Change, ...]) -> list[ImportedChange]:
        return [
            ImportedChange.model_validate(
                {"kind": word(one.id.kind), "name": one.id.key, "site": one.site, "details": list(one.details)}
            )
            for one in changes
        ]

    return Imported(
        dry_run=dry_run,
        added=told(result.added),
        changed=told(result.changed),
        removed=told(result.removed),
        unchanged=result.unchanged,
    )


def word(kind: str) -> str:
    """What the API calls a kind of thing."""
    return "2n" if kind == "twon" else kind
