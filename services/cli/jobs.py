"""``keyturn jobs``: what is to be done, where it stands and why; and to retry, cancel or force a job."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Final

import typer

from schemas.jobs import State
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
    from schemas.views import JobLine

app = typer.Typer(name="jobs", help="List jobs, show one, and steer it.", no_args_is_help=True)

_COLUMNS: Final[Mapping[str, Callable[["JobLine"], object]]] = {
    "id": lambda job: job.id,
    "operation": lambda job: job.operation,
    "target": lambda job: job.target,
    "is": lambda job: job.state,
    "tries": lambda job: job.attempts,
    "not before": lambda job: job.not_before,
    "why": lambda job: job.reason,
}


@app.command("list")
def list_jobs(  # noqa: PLR0913 - each filter is an option
    *,
    state: Annotated[State | None, typer.Option(help="Where they stand.")] = None,
    operation: Annotated[str | None, typer.Option(help="Such as ublox.renew_certificate.")] = None,
    target: Annotated[str | None, typer.Option(help="Such as a ROTPublicUID.")] = None,
    site: Annotated[str | None, typer.Option(help="Name of a site.")] = None,
    event: Annotated[int | None, typer.Option(help="The event that they have to do with.")] = None,
    trigger: Annotated[str | None, typer.Option(help="The manual trigger that asked for them.")] = None,
    parent: Annotated[int | None, typer.Option(help="The job whose children they are.")] = None,
    since: Since = None,
    until: Until = None,
    before: Before = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    from schemas.views import JobQuery

    asked = read_as(
        JobQuery,
        state=state,
        operation=operation,
        target=target,
        site=site,
        event=event,
        trigger=trigger,
        parent=parent,
        since=moment(since),
        until=moment(until),
        limit=limit,
    )
    with opened() as ledger:
        found, below = ledger.admin.jobs(asked, before)
    show_page(found, below, columns=_COLUMNS, as_json=as_json)


@app.command("show")
def show_job(job_id: RowId, *, as_json: AsJson = False) -> None:
    """Show a job with every try; secrets are masked."""
    with opened() as ledger:
        found = ledger.admin.job(job_id)
    if found is None:
        fail(f"there is no job {job_id}", as_json=as_json)
    if as_json:
        write_json(found)
        return
    fields = {name: value for name, value in found if name not in {"tries", "events"}}
    show_fields(fields | {"children": ", ".join(f"{count} {state}" for state, count in found.children.items())})
    if found.events:
        show_table(("event", "was", "type", "came"), [(e.id, e.role, e.type, e.received_at) for e in found.events])
    if found.tries:
        rows = [(t.number, t.started_at, t.ended_at, t.outcome, t.upstream_status, t.reason) for t in found.tries]
        show_table(("try", "begun", "ended", "led to", "status", "why"), rows)


@app.command()
def retry(job_id: RowId, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Give a parked job new tries."""
    _steer(job_id, "retry", reason, as_json=as_json)


@app.command()
def cancel(job_id: RowId, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Cancel a job that does not run."""
    _steer(job_id, "cancel", reason, as_json=as_json)


@app.command()
def force(job_id: RowId, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Let a due job run now, whatever its back-off; the next sweep finds it."""
    _steer(job_id, "force", reason, as_json=as_json)


def _steer(job_id: int, what: str, reason: str, *, as_json: bool) -> None:
    from infra.ledger.steering import Order, Steer, Unlawful, steer
    from schemas.admin import Why

    why = read_as(Why, reason=reason)
    order = Order(job=job_id, steer=Steer(what), actor=actor(), reason=why.reason)
    try:
        with opened() as ledger, ledger.database.writing() as connection:
            moved = steer(connection, order, now())
    except Unlawful as error:
        fail(str(error), as_json=as_json)
    if moved is None:
        fail(f"there is no job {job_id}", as_json=as_json)
    job, changed = moved
    if as_json:
        write_json({"changed": changed, "job": job})
        return
    console().print(f"job {job.id} is {job.state}: {job.reason}" if changed else f"job {job.id} is {job.state} already")
