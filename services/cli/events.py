"""``keyturn events``: what was delivered, and what came of it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from services.cli.output import (
    AsJson,
    Before,
    Limit,
    Reason,
    RowId,
    Since,
    Until,
    actor,
    console,
    fail,
    moment,
    now,
    opened,
    read_as,
    show_fields,
    show_page,
    show_table,
    write_json,
)

if TYPE_CHECKING:
    from schemas.views import EventLine

COLUMNS: Final[Mapping[str, Callable[["EventLine"], object]]] = {
    "id": lambda one: one.id,
    "came": lambda one: one.received_at,
    "type": lambda one: one.type or "?",
    "device": lambda one: one.device,
    "is": lambda one: one.state,
    "verdict": lambda one: one.verdict,
}
"""What a list shows of an event."""

app = typer.Typer(name="events", help="List events, show one, and replay it.", no_args_is_help=True)


@app.command("list")
def list_events(  # noqa: PLR0913 - each filter is an option
    *,
    kind: Annotated[str | None, typer.Option("--type", help="Such as DEVICE_BOOTSTRAP_EVENT.")] = None,
    device: Annotated[str | None, typer.Option(help="ROTPublicUID.")] = None,
    state: Annotated[str | None, typer.Option(help="new, planned, malformed or fault.")] = None,
    source: Annotated[str | None, typer.Option(help="webhook or poll.")] = None,
    hook: Annotated[
        str | None, typer.Option(help="The name of the address that it came to; if polled, SCHEDULE@MOMENT.")
    ] = None,
    since: Since = None,
    until: Until = None,
    before: Before = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List events, the newest first."""
    from schemas.views import EventQuery

    times = {"since": moment(since), "until": moment(until)}
    asked = read_as(EventQuery, type=kind, device=device, state=state, source=source, hook=hook, limit=limit, **times)
    with opened() as ledger:
        found, below = ledger.admin.events(asked, before)
    show_page(found, below, columns=COLUMNS, as_json=as_json)


@app.command("show")
def show_event(
    event_id: RowId,
    *,
    as_json: AsJson = False,
) -> None:
    """Show an event with what was delivered and the jobs that came of it."""
    with opened() as ledger:
        found = ledger.admin.event(event_id)
    if found is None:
        fail(f"there is no event {event_id}", as_json=as_json)
    if as_json:
        write_json(found)
        return
    show_fields({name: value for name, value in found if name != "jobs"})
    if found.jobs:
        rows = [(job.id, job.role, job.operation, job.target, job.state, job.reason) for job in found.jobs]
        show_table(("job", "was", "operation", "target", "is", "why"), rows)


@app.command()
def replay(
    event_id: RowId,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether it would be planned again.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let an event be planned again; the next sweep finds it. What its wishes come to is the planner's."""
    from infra.ledger.redriving import By, replay
    from infra.ledger.steering import Unlawful
    from schemas.admin import Why

    why = read_as(Why, reason=reason)
    try:
        with opened() as ledger, ledger.database.writing() as connection:
            found = replay(connection, event_id, By(actor=actor(), now=now()), reason=why.reason)
            if dry_run:
                connection.rollback()
    except Unlawful as error:
        fail(str(error), as_json=as_json)
    if found is None:
        fail(f"there is no event {event_id}", as_json=as_json)
    event, changed = found
    if as_json:
        write_json({"dry_run": dry_run, "changed": changed, "event": event})
        return
    said = "Nothing was changed (dry run): " if dry_run else ""
    verb = "would wait" if dry_run and changed else "waits"
    console().print(f"{said}event {event_id} {verb} for its plan{'' if changed else ' already'}")
