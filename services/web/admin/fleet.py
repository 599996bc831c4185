"""The inventory over the API: list it, see, put and remove one thing, and take whole documents in.

Somebody on another machine names no place on this one: a secret is written out, or stands where it stood; a file is one
that the inventory names already. What is written goes into the vault and never comes back.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from starlette.responses import Response

from infra.ledger import AuditEntry, Connection, EntryId, InventoryChange
from infra.ledger.audit import write
from infra.ledger.inventory import find
from schemas.access import Role
from schemas.admin import Page
from schemas.errors import ConfigurationError
from schemas.fleet_views import (
    FleetPath,
    FleetQuery,
    FleetThing,
    Imported,
    ImportQuery,
    ImportText,
    PutThing,
    RemoveThing,
)
from services.fleet.csv_form import KIND_NAMES
from services.fleet.importing import MOST_TRIES, Draft, Importer, recorded, refuse_to_empty
from services.fleet.removing import obstacle
from services.fleet.written import parse_written
from services.web.admin.changes import change, etag, must_be_seen, must_match, written
from services.web.admin.contract import Answer, Call, Route, not_found
from services.web.admin.cursors import mark, sealed
from services.web.admin.fleet_things import document_of, imported, revision, view, word
from services.web.admin.problems import Problem
from services.wiring import open_vault

BODY_LIMIT: Final = 8 * 1024 * 1024
"""Bytes of a document: some forty thousand rows. A larger one is imported on the machine."""


class _Moved(Exception):
    """Another change came first: nothing was done, and it has to be worked out again."""


def list_fleet(call: Call) -> Answer:
    """Give a page of the inventory."""
    query = call.of(FleetQuery)
    kind = None if query.kind is None else KIND_NAMES[query.kind]
    after = mark(call, query)
    begin = None if after is None else EntryId(*after.decode().split("\0", 1))
    found = call.ledger.inventory.page(kind, query.site, begin, query.limit + 1)
    shown = found[: query.limit]
    last = "\0".join(shown[-1].entry.id).encode() if len(found) > query.limit else None
    following = None if last is None else sealed(call, query, last)
    return Answer(body=Page[FleetThing](items=[view(one) for one in shown], next=following))


def show_thing(call: Call) -> Answer:
    """Show one thing."""
    with call.ledger.database.reading() as connection:
        found = find(connection, _id(call))
    if found is None:
        raise _nothing(call)
    return Answer(body=view(found), headers=etag(revision(found)))


def put_thing(call: Call) -> Response:
    """Put one thing as it is to be: a new one, or in the place of the one that was seen."""
    asked, wanted = call.of(PutThing), _id(call)

    def work(connection: Connection, draft: Draft, ready: InventoryChange) -> Answer:
        before = find(connection, wanted)
        must_be_seen(call, None if before is None else revision(before))
        result = draft.result()
        if not result.is_empty:
            _store(call, connection, ready)
            details = [detail for one in result.changed for detail in one.details]
            write(connection, _entry(call, "fleet.put", wanted, asked.reason, site=asked.site, details=details))
        after = find(connection, wanted)
        if after is None:  # the document had another key than the address
            raise _nothing(call)
        return Answer(body=view(after), status=201 if before is None else 200, headers=etag(revision(after)))

    return _changed(call, lambda importer: importer.draft(document_of(call.of(FleetPath), asked)), work)


def remove_thing(call: Call) -> Response:
    """Remove one thing with its secrets."""
    wanted, reason = _id(call), call.of(RemoveThing).reason

    def work(connection: Connection, draft: Draft, ready: InventoryChange) -> Answer:
        before = find(connection, wanted)
        if before is None:
            raise _nothing(call)
        must_match(call, revision(before))
        if (told := obstacle(draft, wanted)) is not None:
            raise Problem(409, told)
        _store(call, connection, ready)
        write(connection, _entry(call, "fleet.remove", wanted, reason, site=before.entry.site))
        return Answer(status=204)

    return _changed(call, lambda importer: importer.removal(wanted), work)


def import_document(call: Call) -> Response:
    """Take a document in, all of it or nothing; or say what would change."""
    query, given = call.of(ImportQuery), call.of(ImportText)

    def drafted(importer: Importer) -> Draft:
        name = Path(f"the {given.form.upper()} document")
        draft = importer.draft(parse_written(name, given.text, f".{given.form}", remote=True), prune=query.prune)
        if query.prune and not query.dry_run:
            refuse_to_empty(name, draft)
        return draft

    if query.dry_run:
        return written(Answer(body=imported(_in_words(drafted, _importer(call)).result(), dry_run=True)), 200)

    def work(connection: Connection, draft: Draft, ready: InventoryChange) -> Answer:
        result = draft.result()
        if not result.is_empty:
            _store(call, connection, ready)
            write(connection, recorded(result, actor=call.actor, at=call.means.clock(), reason=query.reason))
        return Answer(body=imported(result, dry_run=False))

    return _changed(call, drafted, work)


def _changed(
    call: Call, drafted: Callable[[Importer], Draft], work: Callable[[Connection, Draft, InventoryChange], Answer]
) -> Response:
    """Work a change out without a lock, and store it in one transaction; again where another change came first."""
    importer = _importer(call)
    for _ in range(MOST_TRIES):
        draft = _in_words(drafted, importer)
        try:
            return change(call, _with(work, draft, importer.change_of(draft)))
        except _Moved:
            continue
    raise Problem(409, "the inventory is being changed by somebody else: try again")


def _with(
    work: Callable[[Connection, Draft, InventoryChange], Answer], draft: Draft, ready: InventoryChange
) -> Callable[[Connection], Answer]:
    return lambda connection: work(connection, draft, ready)


def _in_words(drafted: Callable[[Importer], Draft], importer: Importer) -> Draft:
    try:
        return drafted(importer)
    except ConfigurationError as error:
        raise Problem(409, f"the vault does not open: {error}") from None


def _store(call: Call, connection: Connection, ready: InventoryChange) -> None:
    if not call.ledger.inventory.store_in(connection, ready, call.means.clock()):
        raise _Moved


def _importer(call: Call) -> Importer:
    return Importer(call.ledger, lambda: open_vault(call.means.settings, call.ledger), clock=call.means.clock)


def _id(call: Call) -> EntryId:
    path = call.of(FleetPath)
    return EntryId(KIND_NAMES[path.kind], path.key)


def _nothing(call: Call) -> Problem:
    path = call.of(FleetPath)
    return not_found(f"{path.kind} {path.key} in the inventory")


def _entry(call: Call, action: str, entry_id: EntryId, reason: str, **detail: Any) -> AuditEntry:
    return call.entry(action, f"fleet/{word(entry_id.kind)}/{entry_id.key}", reason=reason, **detail)


_PLACES: Final = (
    'A secret is written out, or stands as `{"vault": name}` where it is kept already; `{"file": …}` and'
    ' `{"env": …}` are refused, and of files only those are taken that the inventory names already.'
)

ROUTES: Final = (
    Route(
        method="GET",
        path="/fleet",
        role=Role.VIEWER,
        handler=list_fleet,
        summary="List the inventory, in order of kind and key",
        query=FleetQuery,
        response=Page[FleetThing],
        tag="fleet",
    ),
    Route(
        method="POST",
        path="/fleet/import",
        role=Role.ADMIN,
        handler=import_document,
        summary="Take a TOML or CSV document in, all of it or nothing; or see what would change",
        description=_PLACES,
        query=ImportQuery,
        request=ImportText,
        response=Imported,
        problems={409: "The vault does not open, or the inventory is being changed by somebody else."},
        once=True,
        body_limit=BODY_LIMIT,
        texts={"text/csv": "csv", "application/toml": "toml"},
        tag="fleet",
    ),
    Route(
        method="GET",
        path="/fleet/{kind}/{key}",
        role=Role.VIEWER,
        handler=show_thing,
        summary="Show one thing; its ETag names what you have seen",
        place=FleetPath,
        response=FleetThing,
        slashes=True,
        tag="fleet",
    ),
    Route(
        method="PUT",
        path="/fleet/{kind}/{key}",
        role=Role.ADMIN,
        handler=put_thing,
        summary="Put one thing: If-Match what you have seen, or If-None-Match: * to make it",
        description=_PLACES,
        place=FleetPath,
        request=PutThing,
        response=FleetThing,
        others={201: FleetThing},
        problems={409: "The vault does not open, or the inventory is being changed by somebody else."},
        once=True,
        matched=True,
        fresh=True,
        slashes=True,
        tag="fleet",
    ),
    Route(
        method="DELETE",
        path="/fleet/{kind}/{key}",
        role=Role.ADMIN,
        handler=remove_thing,
        summary="Remove one thing with its secrets",
        place=FleetPath,
        request=RemoveThing,
        status=204,
        problems={409: "Things belong to this site, or the inventory is being changed by somebody else."},
        once=True,
        matched=True,
        slashes=True,
        tag="fleet",
    ),
)
