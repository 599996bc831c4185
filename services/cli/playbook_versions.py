"""``keyturn playbook list|show|diff|activate``: versions of the playbook in the ledger."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from schemas.admin import LARGEST_ID
from services.cli.output import (
    AsJson,
    Before,
    Limit,
    Reason,
    actor,
    console,
    fail,
    now,
    opened,
    show_table,
    words,
    write_json,
)

if TYPE_CHECKING:
    from infra.ledger import Ledger
    from services.playbook import Playbook

Which = Annotated[str, typer.Argument(metavar="FILE|VERSION", help="A playbook, or the number of a version.")]

_VERSION: Final = re.compile("[0-9]{1,18}")
"""What may be the number of a version; a longer one can only name a file."""


def list_versions(*, before: Before = None, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List versions, the newest first; one of them is in force, or else the settings' own playbook."""
    with opened() as ledger:
        found = ledger.playbooks.page(before, limit)
        active = ledger.playbooks.active()
    if as_json:
        write_json({"items": found, "active": active})
        return
    rows = [
        (
            one.version,
            "in force" if one.version == active else "",
            one.created_at,
            one.created_by,
            one.activated_at,
            one.note,
        )
        for one in found
    ]
    show_table(("version", "", "made", "by", "activated", "note"), rows)
    if active is None:
        console().print("none was activated: KEYTURN_PLAYBOOK_FILE, or else the shipped playbook, is in force")


def show(
    version: Annotated[
        int | None,
        typer.Argument(metavar="[VERSION]", min=1, max=LARGEST_ID, help="Its number; without it, what is in force."),
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Show the text of a playbook."""
    from services.operations import PARAMETERS
    from services.playbook.versions import view

    with opened() as ledger:
        active = ledger.playbooks.active()
        wanted = version or active
        text = _text_of(ledger, wanted, as_json=as_json)
    if as_json:
        write_json(view(text, wanted, active=wanted == active, operations=PARAMETERS))
    else:
        print(text, end="" if text.endswith("\n") else "\n")


def diff(
    which: Which,
    *,
    against: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_ID, help="A version, instead of what is in force.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how a playbook differs from the one in force, rule by rule."""
    from services.playbook.versions import differences

    with opened() as ledger:
        base = against or ledger.playbooks.active()
        before = _load(_text_of(ledger, base, as_json=as_json))
        after = _load(_text(ledger, which, as_json=as_json)[0])
    changes = differences(before.document, after.document)
    if as_json:
        write_json({"before": base, "changes": changes})
        return
    if not changes:
        console().print("no rule differs")
    for change in changes:
        console().print(f"{change.change}: {change.rule}", soft_wrap=True)
        for name in change.fields:
            console().print(f"  - {name} = {words((change.before or {}).get(name))}", soft_wrap=True)
            console().print(f"  + {name} = {words((change.after or {}).get(name))}", soft_wrap=True)


def activate(which: Which, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Keep a playbook as a new version and put it in force, or put an older version in force again."""
    from infra.ledger import AuditEntry
    from infra.ledger.audit import write

    with opened() as ledger:
        text, version = _text(ledger, which, as_json=as_json)
        _load(text)
        with ledger.database.writing() as connection:
            if version is None:
                version = ledger.playbooks.add(connection, text, by=actor(), note=reason, now=now())
            ledger.playbooks.activate(connection, version, now())
            entry = AuditEntry(
                at=now(), actor=actor(), action="playbook.activate", subject=f"playbook/{version}", reason=reason
            )
            write(connection, entry)
    if as_json:
        write_json({"version": version})
    else:
        console().print(f"version {version} is in force; workers take it up with their next events")


def _text(ledger: "Ledger", which: str, *, as_json: bool) -> tuple[str, int | None]:
    """The text of a file or of a version, and which version it is."""
    from services.playbook import read_text

    if _VERSION.fullmatch(which) and not Path(which).exists():
        return _text_of(ledger, int(which), as_json=as_json), int(which)
    return read_text(Path(which)), None


def _text_of(ledger: "Ledger", version: int | None, *, as_json: bool) -> str:
    from infra.settings import load_settings
    from services.wiring import settings_text

    if version is None:
        return settings_text(load_settings())
    text = ledger.playbooks.text(version)
    if text is None:
        fail(f"there is no version {version} of the playbook", as_json=as_json)
    return text


def _load(text: str) -> "Playbook":
    from services.operations import PARAMETERS
    from services.playbook import load_playbook

    return load_playbook(text, operations=PARAMETERS)
