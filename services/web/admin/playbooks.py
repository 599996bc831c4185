"""The playbook over the API: see it, check one, compare two, keep a new version, put one in force."""

from typing import Final

from starlette.responses import Response

from infra.ledger import Connection
from infra.ledger.audit import write
from infra.ledger.playbooks import Version, active, show
from schemas.access import Role
from schemas.admin import Page, Why
from schemas.errors import InputError
from schemas.rules import (
    DiffQuery,
    NewPlaybook,
    PlaybookCheck,
    PlaybookDiff,
    PlaybookLine,
    PlaybookPath,
    PlaybookQuery,
    PlaybookText,
    PlaybookView,
)
from services.operations import PARAMETERS
from services.playbook import Playbook, load_playbook
from services.playbook.versions import as_written, differences, view
from services.web.admin.changes import change
from services.web.admin.contract import Answer, Call, Route, not_found
from services.web.admin.cursors import cursor, position
from services.wiring import settings_text

BODY_LIMIT: Final = 2 * 1024 * 1024
"""Bytes of a body: a playbook of the largest size, written as JSON."""


def list_versions(call: Call) -> Answer:
    """Give a page of versions."""
    query = call.of(PlaybookQuery)
    found = call.ledger.playbooks.page(position(call, query), query.limit + 1)
    shown = found[: query.limit]
    below = shown[-1].version if len(found) > query.limit else None
    current = call.ledger.playbooks.active()
    items = [_line(version, current) for version in shown]
    return Answer(body=Page[PlaybookLine](items=items, next=cursor(call, query, below)))


def show_active(call: Call) -> Answer:
    """Show the playbook in force."""
    return Answer(body=_view(call, call.ledger.playbooks.active(), active_too=True))


def show_version(call: Call) -> Answer:
    """Show one version."""
    version = call.of(PlaybookPath).version
    return Answer(body=_view(call, version, active_too=version == call.ledger.playbooks.active()))


def validate(call: Call) -> Answer:
    """Check a playbook without keeping it."""
    try:
        playbook = _load(call.of(PlaybookText).text)
    except InputError as error:
        return Answer(body=PlaybookCheck(ok=False, faults=list(error.faults), warnings=[], rules=[]))
    rules = [as_written(rule) for rule in playbook.document.rules]
    return Answer(body=PlaybookCheck(ok=True, faults=[], warnings=list(playbook.warnings), rules=rules))


def diff_text(call: Call) -> Answer:
    """Compare a playbook with what is in force, or with a version."""
    return _diff(call, call.of(PlaybookText).text)


def diff_version(call: Call) -> Answer:
    """Compare a version with what is in force, or with another one."""
    return _diff(call, _text(call, call.of(PlaybookPath).version))


def new_version(call: Call) -> Response:
    """Keep a playbook that has no fault, and put it in force where that is asked for."""
    asked = call.of(NewPlaybook)
    _load(asked.text)

    def work(connection: Connection) -> Answer:
        now = call.means.clock()
        version = call.ledger.playbooks.add(connection, asked.text, by=call.actor, note=asked.note, now=now)
        if asked.activate:
            call.ledger.playbooks.activate(connection, version, now)
        action = "playbook.activate" if asked.activate else "playbook.new"
        write(connection, call.entry(action, f"playbook/{version}", reason=asked.note))
        return _told(connection, version)

    return change(call, work)


def activate(call: Call) -> Response:
    """Put a version in force; the planners take it up with their next events."""
    version = call.of(PlaybookPath).version
    _load(_text(call, version))

    def work(connection: Connection) -> Answer:
        before = active(connection)
        if before != version:
            call.ledger.playbooks.activate(connection, version, call.means.clock())
            reason = call.of(Why).reason
            write(connection, call.entry("playbook.activate", f"playbook/{version}", reason=reason, before=before))
        return _told(connection, version)

    return change(call, work)


def _diff(call: Call, text: str) -> Answer:
    against = call.of(DiffQuery).against or call.ledger.playbooks.active()
    before = _load(_text(call, against))
    return Answer(body=PlaybookDiff(before=against, changes=differences(before.document, _load(text).document)))


def _view(call: Call, version: int | None, *, active_too: bool) -> PlaybookView:
    return view(_text(call, version), version, active=active_too, operations=PARAMETERS)


def _text(call: Call, version: int | None) -> str:
    if version is None:
        return settings_text(call.means.settings)
    text = call.ledger.playbooks.text(version)
    if text is None:
        raise not_found(f"version {version} of the playbook")
    return text


def _load(text: str) -> Playbook:
    return load_playbook(text, operations=PARAMETERS)


def _told(connection: Connection, version: int) -> Answer:
    found = show(connection, version)
    if found is None:
        raise not_found(f"version {version} of the playbook")
    return Answer(body=_line(found, active(connection)))


def _line(version: Version, current: int | None) -> PlaybookLine:
    return PlaybookLine(
        version=version.version,
        created_at=version.created_at,
        created_by=version.created_by,
        activated_at=version.activated_at,
        active=version.version == current,
        note=version.note,
    )


ROUTES: Final = (
    Route(
        method="GET",
        path="/playbooks",
        role=Role.VIEWER,
        handler=list_versions,
        summary="List versions of the playbook, the newest first",
        query=PlaybookQuery,
        response=Page[PlaybookLine],
        tag="playbooks",
    ),
    Route(
        method="POST",
        path="/playbooks",
        role=Role.ADMIN,
        handler=new_version,
        summary="Keep a new version of the playbook, and put it in force where that is asked for",
        request=NewPlaybook,
        response=PlaybookLine,
        status=201,
        once=True,
        body_limit=BODY_LIMIT,
        tag="playbooks",
    ),
    Route(
        method="GET",
        path="/playbook",
        role=Role.VIEWER,
        handler=show_active,
        summary="Show the playbook in force",
        response=PlaybookView,
        tag="playbooks",
    ),
    Route(
        method="POST",
        path="/playbook/validate",
        role=Role.VIEWER,
        handler=validate,
        summary="Check a playbook: every fault at once; nothing is kept",
        request=PlaybookText,
        response=PlaybookCheck,
        body_limit=BODY_LIMIT,
        tag="playbooks",
    ),
    Route(
        method="POST",
        path="/playbook/diff",
        role=Role.VIEWER,
        handler=diff_text,
        summary="Compare a playbook with the one in force, or with a version, rule by rule",
        query=DiffQuery,
        request=PlaybookText,
        response=PlaybookDiff,
        problems={404: "There is no such version."},
        body_limit=BODY_LIMIT,
        tag="playbooks",
    ),
    Route(
        method="GET",
        path="/playbooks/{version}",
        role=Role.VIEWER,
        handler=show_version,
        summary="Show a version of the playbook",
        place=PlaybookPath,
        response=PlaybookView,
        tag="playbooks",
    ),
    Route(
        method="GET",
        path="/playbooks/{version}/diff",
        role=Role.VIEWER,
        handler=diff_version,
        summary="Compare a version with the one in force, or with another one, rule by rule",
        place=PlaybookPath,
        query=DiffQuery,
        response=PlaybookDiff,
        tag="playbooks",
    ),
    Route(
        method="POST",
        path="/playbooks/{version}/activate",
        role=Role.ADMIN,
        handler=activate,
        summary="Put a version of the playbook in force",
        description="Workers take it up with their next events, without a restart.",
        place=PlaybookPath,
        request=Why,
        response=PlaybookLine,
        once=True,
        tag="playbooks",
    ),
)
