"""``keyturn trigger``: ask for an operation by hand, straight in the ledger; see what would follow, wait, follow it."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import orjson
import typer
from pydantic import ValidationError
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from schemas.diffs import MOST_DIFFS, Diff
from schemas.errors import InputError
from schemas.jobs import State
from schemas.limits import Approval, Budget, Table, Window
from schemas.triggers import NewTrigger, TriggerPreview, TriggerState, TriggerView
from services.cli.output import (
    AsJson,
    Reason,
    actor,
    console,
    fail,
    logs_aside,
    opened,
    read_as,
    show_fields,
    show_table,
    write_json,
)

if TYPE_CHECKING:
    from infra.ledger import Ledger

LOOK_EVERY: Final = 0.3
"""Seconds between two looks at a trigger that is waited for."""

SHOWN: Final = 20
"""Targets that a dry run shows on a terminal; --json has them all."""

_UNFINISHED: Final = (State.HELD, State.DUE, State.RUNNING, State.AWAITING)
_WAITS: Final = (State.HELD, State.AWAITING)
_MOST_DIGITS: Final = 18  # what JSON and the ledger take as a number

Many = list[str]

Limit = TypeVar("Limit", bound=Table)


def trigger(  # noqa: PLR0913 - each choice is an option
    operation: Annotated[
        str, typer.Argument(metavar="OPERATION|rule", help="Such as ublox.rotate_e2e_key; or the word rule.")
    ],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="After rule: that of a manual rule.")] = None,
    *,
    device: Annotated[Many | None, typer.Option(help="What it works on, by name; again for each.")] = None,
    site: Annotated[Many | None, typer.Option(help="Whatever belongs to this site; again for each.")] = None,
    tag: Annotated[Many | None, typer.Option(help="Whatever belongs to sites with this tag.")] = None,
    authority: Annotated[
        Many | None, typer.Option("--ca", help="A root CA, for operations that work on those; again for each.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Whatever the inventory has.")] = False,
    query: Annotated[
        str | None, typer.Option(help='JSON, such as {"events": {"type": "DEVICE_ERRORS_EVENT"}}.')
    ] = None,
    given: Annotated[Many | None, typer.Option("--with", metavar="NAME=VALUE", help="A parameter.")] = None,
    window: Annotated[str | None, typer.Option(metavar="02:00-05:00@ZONE", help="Hours in which jobs may run.")] = None,
    approval: Annotated[str | None, typer.Option(help="Who must agree first: operator or admin.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="100/day", help="Jobs of a day or month.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would follow, and do nothing.")] = False,
    diff: Annotated[
        int | None, typer.Option(min=1, max=MOST_DIFFS, help="Of so many targets, what would change; with --dry-run.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end; 1 unless all its jobs succeeded.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Ask for an operation, or fire a manual rule, on devices, sites, tags, root CAs, or what a query finds."""
    asked = read_as(
        NewTrigger,
        **_verb(operation, name),
        parameters=dict(_parameter(words, operation) for words in given or ()),
        targets=_targets(device, site, tag, authority, every=every, query=query),
        dry_run=dry_run,
        diffs=diff,
        reason=reason,
        window=None if window is None else _as(Window, "--window", _hours(window)),
        approval=None if approval is None else _as(Approval, "--approval", {"role": approval}),
        budget=None if budget is None else _as(Budget, "--budget", _sum(budget)),
    )
    with opened() as ledger:
        _ask(ledger, asked, wait=wait, as_json=as_json)


def _ask(ledger: "Ledger", asked: NewTrigger, *, wait: bool, as_json: bool) -> None:
    from infra.settings import load_settings
    from services.wiring import make_desk

    logs_aside()
    desk = make_desk(load_settings(), ledger)
    try:
        order = desk.check(asked)
    except InputError as error:
        fail("\n".join(error.faults), as_json=as_json)
    if asked.dry_run:
        preview = desk.preview(order, diffs=asked.diffs)
        desk.close()
        write_json(preview) if as_json else _show_preview(preview)
        return
    with ledger.database.writing() as connection:
        made = desk.take(connection, order, actor=actor())
    if wait:
        _wait(ledger, made, as_json=as_json)
    elif as_json:
        write_json(ledger.triggers.show(made))
    else:
        console().print(f"trigger {made}: {len(order.aims)} targets; the planner makes the jobs", soft_wrap=True)


def _wait(ledger: "Ledger", trigger_id: str, *, as_json: bool) -> None:
    """Follow a trigger to its end, or to where only a person or time can bring it on."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console(stderr=True), transient=True) as bar:
        view = _seen(ledger, trigger_id)
        task = bar.add_task(view.operation, total=view.total)
        while not _is_over(view):
            time.sleep(LOOK_EVERY)
            view = _seen(ledger, trigger_id)
            left = sum(view.jobs.get(state, 0) for state in _UNFINISHED) + view.total - view.planned
            bar.update(task, completed=view.total - left)
    if as_json:
        write_json(view)
    else:
        show_view(view)
    wishes = view.made + view.served
    if elsewhere := wishes - sum(view.jobs.values()):
        told = "wish is served by a job" if elsewhere == 1 else "wishes are served by jobs"
        why = "whose end a trigger does not know: 'keyturn jobs list' tells it"
        console(stderr=True).print(f"{elsewhere} {told} of others, {why}", soft_wrap=True)
    if wishes != view.jobs.get(State.SUCCEEDED, 0):
        raise typer.Exit(1)


def _is_over(view: TriggerView) -> bool:
    if view.state in {TriggerState.FINISHED, TriggerState.CANCELLED}:
        return True
    moves = any(view.jobs.get(state) for state in _UNFINISHED if state not in _WAITS)
    return view.state is TriggerState.RUNNING and not moves


def _seen(ledger: "Ledger", trigger_id: str) -> TriggerView:
    found = ledger.triggers.show(trigger_id)
    if found is None:
        raise InputError([f"there is no trigger {trigger_id}"])
    return found


def show_view(view: TriggerView) -> None:
    """Write a trigger for a person."""
    fields: dict[str, Any] = {
        "trigger": view.id,
        "operation": view.operation,
        "rule": view.rule,
        "is": view.state.value,
        "asked by": view.actor,
        "reason": view.reason,
        "targets": view.total,
        "planned": view.planned,
        "jobs": ", ".join(f"{count} {state}" for state, count in view.jobs.items()),
        "served": f"{view.served} by jobs that were there" if view.served else "",
        "approved by": view.approved_by,
    }
    show_fields(fields)
    for held in view.holds:
        console().print(f"{held.jobs} held: {held.why}", soft_wrap=True)


def _show_preview(preview: TriggerPreview) -> None:
    for step in preview.steps:
        console().print(f"{step.operation} {orjson.dumps(step.parameters).decode()}", soft_wrap=True)
    console().print(
        f"of {preview.total}: {preview.due} would run, {preview.held} would be held,"
        f" {preview.served} are served already",
        soft_wrap=True,
    )
    for held in preview.holds:
        console().print(f"{held.jobs} held: {held.why}", soft_wrap=True)
    console().print(f"batches: {preview.calls.batches} of at most {preview.calls.largest}", soft_wrap=True)
    console().print(f"devices or users: {preview.calls.devices}", soft_wrap=True)
    for call in preview.calls.each:
        console().print(f"  each: {call}", soft_wrap=True)
    for note in preview.notes:
        console().print(f"note: {note}", soft_wrap=True)
    rows = [(one.target, one.operation, one.site, one.then, one.why) for one in preview.targets[:SHOWN]]
    show_table(("target", "operation", "site", "then", "why"), rows)
    if preview.total > SHOWN:
        console().print(f"and {preview.total - SHOWN} more: --json")
    for diff in preview.diffs:
        _show_diff(diff)


def _show_diff(diff: Diff) -> None:
    console().print(f"{diff.operation} of {diff.target}: {diff.then}: {diff.why}", soft_wrap=True)
    if diff.changes:
        show_table(("what", "now", "then"), [(one.what, one.now, one.then) for one in diff.changes])


def _verb(operation: str, name: str | None) -> dict[str, str]:
    """`keyturn trigger rule NAME` names a rule, anything else is an operation."""
    if operation == "rule":
        if name is None:
            raise InputError(["expected the name of a manual rule after the word rule"])
        return {"rule": name}
    if name is not None:
        raise InputError([f"expected one operation, not also {name!r}"])
    return {"operation": operation}


def _targets(
    device: Iterable[str] | None,
    site: Iterable[str] | None,
    tag: Iterable[str] | None,
    authority: Iterable[str] | None,
    *,
    every: bool,
    query: str | None,
) -> dict[str, Any]:
    found: dict[str, Any] = {"devices": device, "sites": site, "tags": tag, "cas": authority, "all": every}
    if query is not None:
        try:
            found["query"] = orjson.loads(query)
        except orjson.JSONDecodeError as error:
            raise InputError([f"--query: not JSON: {error}"]) from None
    return {name: value for name, value in found.items() if value}


def _parameter(words: str, operation: str) -> tuple[str, Any]:
    """`days=7` is a number, `serial=77` a text, as the operation has it; beside that, what is JSON is read as that."""
    name, equals, value = words.partition("=")
    if not (name and equals):
        raise InputError([f"--with: expected NAME=VALUE, not {words!r}"])
    if _is_text(operation, name):
        return name, None if value == "null" else value.removeprefix('"').removesuffix('"')
    try:
        return name, orjson.loads(value)
    except orjson.JSONDecodeError:
        return name, value


def _is_text(operation: str, name: str) -> bool:
    """Whether a parameter takes texts and nothing else, such as a serial number that has only digits."""
    from services.operations import PARAMETERS

    parameters = PARAMETERS.get(operation)
    schema = parameters.model_json_schema()["properties"].get(name, {}) if parameters else {}
    kinds = {kind.get("type") for kind in schema.get("anyOf", [schema])}
    return "string" in kinds and kinds <= {"string", "null"}


def _hours(words: str) -> dict[str, object]:
    hours, _, zone = words.partition("@")
    opens, _, closes = hours.partition("-")
    return {"opens": opens, "closes": closes, "timezone": zone}


def _sum(words: str) -> dict[str, object]:
    jobs, _, per = words.partition("/")
    return {"jobs": int(jobs) if jobs.isdecimal() and len(jobs) <= _MOST_DIGITS else jobs, "per": per}


def _as(model: type[Limit], option: str, values: dict[str, object]) -> Limit:
    """A limit as somebody wrote it.

    Raises:
        InputError: every fault of it.
    """
    try:
        return model.model_validate_json(orjson.dumps(values))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"{option}: {' '.join([*map(str, fault['loc']), fault['msg']])}" for fault in faults]
        raise InputError(told) from None
