"""``keyturn parked`` and ``keyturn faults``: what stands until a person says so, and to redrive it."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer
from pydantic import BaseModel

from schemas.admin import LARGEST_ID
from schemas.errors import InputError
from schemas.jobs import ParkedBecause
from services.cli.events import COLUMNS
from services.cli.output import (
    AsJson,
    Before,
    Limit,
    Reason,
    Since,
    Until,
    actor,
    console,
    counted,
    moment,
    now,
    opened,
    read_as,
    show_page,
    write_json,
)

if TYPE_CHECKING:
    from infra.ledger.redriving import By
    from schemas.redrive import Redriven
    from schemas.views import JobLine

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item", bound=BaseModel)

_PARKED: Final[Mapping[str, Callable[["JobLine"], object]]] = {
    "id": lambda job: job.id,
    "operation": lambda job: job.operation,
    "target": lambda job: job.target,
    "is": lambda job: job.state,
    "because": lambda job: job.parked_because,
    "why": lambda job: job.reason,
}

parked_app = typer.Typer(
    name="parked", help="Jobs that wait for a person: list and redrive them.", no_args_is_help=True
)
faults_app = typer.Typer(name="faults", help="Events that Keyturn failed to plan.", no_args_is_help=True)

Ids = Annotated[
    list[int] | None,
    typer.Argument(metavar="[ID]…", min=1, max=LARGEST_ID, help="Numbers; or --all with a filter."),
]
All = Annotated[bool, typer.Option("--all", help="Whatever the filter finds, the oldest first.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say which it would be.")]
AtOnce = Annotated[int, typer.Option(min=1, max=1_000, help="At most so many of what a filter finds.")]
Because = Annotated[ParkedBecause | None, typer.Option(help="Why they are parked.")]
Operation = Annotated[str | None, typer.Option(help="Such as ublox.renew_certificate.")]
Target = Annotated[str | None, typer.Option(help="Such as a ROTPublicUID.")]
Site = Annotated[str | None, typer.Option(help="Name of a site.")]
Type = Annotated[str | None, typer.Option("--type", help="Such as DEVICE_BOOTSTRAP_EVENT.")]
Device = Annotated[str | None, typer.Option(help="ROTPublicUID.")]


@parked_app.command("list")
def list_parked(  # noqa: PLR0913 - each filter is an option
    *,
    because: Because = None,
    operation: Operation = None,
    target: Target = None,
    site: Site = None,
    since: Since = None,
    until: Until = None,
    before: Before = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List parked jobs, the newest first."""
    from schemas.jobs import State
    from schemas.views import JobQuery

    terms = {"because": because, "operation": operation, "target": target, "site": site}
    asked = read_as(JobQuery, state=State.PARKED, limit=limit, since=moment(since), until=moment(until), **terms)
    with opened() as ledger:
        found, below = ledger.admin.jobs(asked, before)
    show_page(found, below, columns=_PARKED, as_json=as_json)


@parked_app.command("redrive")
def redrive_parked(  # noqa: PLR0913 - each filter is an option
    ids: Ids = None,
    *,
    every: All = False,
    because: Because = None,
    operation: Operation = None,
    target: Target = None,
    site: Site = None,
    since: Since = None,
    until: Until = None,
    limit: AtOnce = 200,
    dry_run: DryRun = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Give parked jobs new tries; the next sweep finds them."""
    from infra.ledger.redriving import redrive_parked as redrive
    from schemas.redrive import RedriveParked

    terms = {"because": because, "operation": operation, "target": target, "site": site}
    times = {"since": moment(since), "until": moment(until)}
    asked = _asked(RedriveParked, ids, {**terms, **times}, every=every, limit=limit, dry_run=dry_run, reason=reason)
    with opened() as ledger, ledger.database.reading() if dry_run else ledger.database.writing() as connection:
        done = redrive(connection, asked, _by())
    _tell(done, _PARKED, "job", "would be given new tries" if dry_run else "given new tries", as_json=as_json)


@faults_app.command("list")
def list_faults(
    *,
    kind: Type = None,
    device: Device = None,
    since: Since = None,
    until: Until = None,
    before: Before = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List events that could not be planned, the newest first."""
    from schemas.views import EventQuery, EventState

    times = {"since": moment(since), "until": moment(until)}
    asked = read_as(EventQuery, state=EventState.FAULT, type=kind, device=device, limit=limit, **times)
    with opened() as ledger:
        found, below = ledger.admin.events(asked, before)
    show_page(found, below, columns=COLUMNS, as_json=as_json)


@faults_app.command("redrive")
def redrive_faults(  # noqa: PLR0913 - each filter is an option
    ids: Ids = None,
    *,
    every: All = False,
    kind: Type = None,
    device: Device = None,
    since: Since = None,
    until: Until = None,
    limit: AtOnce = 200,
    dry_run: DryRun = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Let events be planned again; the next sweep finds them."""
    from infra.ledger.redriving import redrive_faults as redrive
    from schemas.redrive import RedriveFaults

    terms = {"type": kind, "device": device, "since": moment(since), "until": moment(until)}
    asked = _asked(RedriveFaults, ids, terms, every=every, limit=limit, dry_run=dry_run, reason=reason)
    with opened() as ledger, ledger.database.reading() if dry_run else ledger.database.writing() as connection:
        done = redrive(connection, asked, _by())
    _tell(done, COLUMNS, "event", "would be planned again" if dry_run else "will be planned again", as_json=as_json)


def _asked(model: type[Model], ids: list[int] | None, terms: dict[str, Any], *, every: bool, **rest: Any) -> Model:
    """Numbers or a filter as the admin API takes them; a slip of the hand is not to redrive everything."""
    given = {name: value for name, value in terms.items() if value is not None}
    if bool(ids) == every or (ids and given):
        raise InputError(["expected numbers, or --all with or without a filter, and not both"])
    return read_as(model, **({"ids": ids} if ids else {"filter": given}), **rest)


def _by() -> "By":
    from infra.ledger.redriving import By

    return By(actor=actor(), now=now())


def _tell(
    done: "Redriven[Item]", columns: Mapping[str, Callable[[Item], object]], thing: str, what: str, *, as_json: bool
) -> None:
    if as_json:
        write_json(done)
        return
    show_page(done.items, None, columns=columns, as_json=False)
    for passed in done.passed:
        console().print(f"{thing} {passed.id} is passed over: {passed.why}", soft_wrap=True)
    said = "Nothing was changed (dry run): " if done.dry_run else ""
    console().print(f"{said}{counted(len(done.items), thing)} {what}")
    if done.more:
        console().print("there are more: say it again")
