"""``keyturn triggers``: what was asked for by hand and how far it has come; and to cancel what has not run."""

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.output import (
    AsJson,
    Limit,
    Reason,
    Since,
    Until,
    actor,
    console,
    fail,
    logs_aside,
    moment,
    now,
    opened,
    read_as,
    show_table,
    write_json,
)
from services.cli.trigger import show_view

if TYPE_CHECKING:
    from infra.ledger import Ledger

app = typer.Typer(name="triggers", help="List manual triggers, show one, and cancel it.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="As 'keyturn triggers list' shows it.")]


@app.command("list")
def list_triggers(
    *,
    since: Since = None,
    until: Until = None,
    before: Annotated[str | None, typer.Option(metavar="ID", help="Go on below this trigger.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List triggers, the newest first."""
    from schemas.triggers import TriggerQuery

    asked = read_as(TriggerQuery, since=moment(since), until=moment(until), limit=limit)
    with opened() as ledger:
        place = None if before is None else ledger.triggers.place(before)
        if before is not None and place is None:
            fail(f"there is no trigger {before}", as_json=as_json)
        found, below = ledger.triggers.page(asked, place)
    following = None if below is None else below.id
    if as_json:
        write_json({"items": found, "next": following})
        return
    rows = [
        (
            one.id,
            one.rule or one.operation,
            one.state,
            one.created_at,
            one.actor,
            f"{one.planned}/{one.total}",
            one.reason,
        )
        for one in found
    ]
    show_table(("id", "asks for", "is", "made", "by", "planned", "why"), rows)
    if following is not None:
        console().print(f"there are more: --before {following}")


@app.command("show")
def show(trigger: Id, *, as_json: AsJson = False) -> None:
    """Show a trigger and how far it has come."""
    with opened() as ledger:
        _show(ledger, trigger, as_json=as_json)


@app.command("cancel")
def cancel(trigger: Id, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Cancel what has not run of a trigger; what runs, and what an outside system has begun, goes on to its end."""
    from infra.settings import load_settings
    from schemas.admin import Why
    from services.wiring import make_desk

    why = read_as(Why, reason=reason)
    with opened() as ledger:
        if ledger.triggers.show(trigger) is None:
            fail(f"there is no trigger {trigger}", as_json=as_json)
        desk = make_desk(load_settings(), ledger)
        with ledger.database.writing() as connection:
            desk.cancel(connection, trigger, actor=actor(), reason=why.reason)
        finish(ledger, trigger)
        _show(ledger, trigger, as_json=as_json)


def finish(ledger: "Ledger", trigger: str) -> None:
    """Do now what is left to be done about a trigger; the planner goes on if we die here."""
    from services.triggers import Maker

    logs_aside()
    maker = Maker(ledger, ring=lambda _task, _ids: None, clock=now)  # the sweep rings
    while not maker.step_of(trigger).over:
        pass


def _show(ledger: "Ledger", trigger: str, *, as_json: bool) -> None:
    found = ledger.triggers.show(trigger)
    if found is None:
        fail(f"there is no trigger {trigger}", as_json=as_json)
    if as_json:
        write_json(found)
    else:
        show_view(found)
