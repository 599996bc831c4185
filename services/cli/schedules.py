"""``keyturn schedules``: what Keyturn does by itself and when, straight in the ledger."""

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import orjson
import typer

from schemas.errors import InputError
from services.cli.output import (
    AsJson,
    Reason,
    actor,
    console,
    fail,
    now,
    opened,
    read_as,
    show_fields,
    show_table,
    write_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from infra.ledger import Connection, Ledger
    from schemas.schedules import Firing, Schedule, Spec

app = typer.Typer(name="schedules", help="See and steer what Keyturn does by itself.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As 'keyturn schedules list' shows it.")]

SHOWN: Final = 20
"""Firings that `show` tells of."""


@app.command("list")
def list_all(*, as_json: AsJson = False) -> None:
    """List every schedule with its next moment, in its own zone, and what came of its last one."""
    with _ready() as ledger:
        found = [
            (schedule, next(iter(ledger.firings.of(schedule.name, 1)), None)) for schedule in ledger.schedules.all()
        ]
    if as_json:
        write_json({"items": [_fields(schedule, last) for schedule, last in found]})
        return
    rows = [
        (one.name, one.kind, _rhythm(one.spec), _next(one), _outcome(last), last.reason if last else "")
        for one, last in found
    ]
    show_table(("name", "does", "when", "next", "last", ""), rows)


@app.command("show")
def show(name: Name, *, as_json: AsJson = False) -> None:
    """Show one schedule and its latest firings."""
    with _ready() as ledger:
        schedule = ledger.schedules.find(name) or _missing(ledger, name, as_json=as_json)
        firings = ledger.firings.of(name, SHOWN)
    if as_json:
        write_json({**_fields(schedule, None), "firings": [_firing(firing) for firing in firings]})
        return
    show_fields(
        {
            "name": schedule.name,
            "does": schedule.kind,
            "when": _rhythm(schedule.spec),
            "next": _next(schedule),
            "missed": f"policy {schedule.spec.catch_up}",
            "jitter": f"{schedule.spec.jitter_seconds} s",
            "with": schedule.spec.parameters,
            "revision": schedule.revision,
        }
    )
    show_table(("due", "is", "why"), [(_local(one.due_at, schedule.spec), one.state, one.reason) for one in firings])


@app.command("enable")
def enable(name: Name, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Switch a schedule on; what passed while it was off is not made up for."""
    _switch(name, enabled=True, reason=reason, as_json=as_json)


@app.command("disable")
def disable(name: Name, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Switch a schedule off."""
    _switch(name, enabled=False, reason=reason, as_json=as_json)


@app.command("run")
def run(name: Name, *, reason: Reason = "", as_json: AsJson = False) -> None:
    """Fire a schedule now; a worker of its queue does it within seconds."""
    from services.schedules.steering import run as fire

    firing = _steered(name, lambda *given: fire(*given, now=now(), entry=_entry(reason)), as_json=as_json)
    if as_json:
        write_json(_firing(firing))
    else:
        console().print(f"{name} was fired; 'keyturn schedules show {name}' tells what comes of it")


@app.command("edit")
def edit(  # noqa: PLR0913 - a command line has as many options as it has
    name: Name,
    *,
    cron: Annotated[str | None, typer.Option(help="Five fields, such as '0 3 * * *'; instead of --every.")] = None,
    every: Annotated[int | None, typer.Option(metavar="SECONDS", help="Instead of --cron.")] = None,
    zone: Annotated[str | None, typer.Option("--timezone", help="An IANA zone, such as Europe/Paris.")] = None,
    catch_up: Annotated[str | None, typer.Option(help="What missed moments come to: skip, once or all.")] = None,
    jitter: Annotated[
        int | None, typer.Option(metavar="SECONDS", help="Spreads targets, or shifts the schedule.")
    ] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--with", metavar="KEY=VALUE", help="A parameter; null takes it away.")
    ] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Change when a schedule fires, or with what; what is not named stays."""
    from services.schedules.steering import edit as change

    def changed(connection: "Connection", ledger: "Ledger", schedule: "Schedule") -> "Schedule":
        spec = _edited(schedule, cron, every, timezone=zone, catch_up=catch_up, jitter_seconds=jitter, given=parameters)
        return change(connection, ledger, schedule, spec, now=now(), entry=_entry(reason))

    _tell(_steered(name, changed, as_json=as_json), as_json=as_json)


def _edited(
    schedule: "Schedule", cron: str | None, every: int | None, *, given: list[str] | None, **more: Any
) -> "Spec":
    from schemas.schedules import Spec

    before = schedule.spec.model_dump(mode="json")
    if cron is not None or every is not None:
        before |= {"cron": cron, "every_seconds": every}
    parameters = before.pop("parameters") | dict(map(_parameter, given or []))
    kept = {key: value for key, value in parameters.items() if value is not None}
    told = {key: value for key, value in more.items() if value is not None}
    return read_as(Spec, **{**before, **told, "parameters": kept})


def _parameter(words: str) -> tuple[str, Any]:
    key, equals, text = words.partition("=")
    if not (key and equals):
        raise InputError([f"--with: expected KEY=VALUE, not {words!r}"])
    try:
        return key, orjson.loads(text)
    except orjson.JSONDecodeError:
        return key, text


def _switch(name: str, *, enabled: bool, reason: str, as_json: bool) -> None:
    from services.schedules.steering import enable as switch

    def switched(connection: "Connection", ledger: "Ledger", schedule: "Schedule") -> "Schedule":
        return switch(connection, ledger, schedule, enabled=enabled, now=now(), entry=_entry(reason))

    _tell(_steered(name, switched, as_json=as_json), as_json=as_json)


def _steered(name: str, work: "Callable[[Connection, Ledger, Schedule], Any]", *, as_json: bool) -> Any:
    with _ready() as ledger:
        try:
            with ledger.database.writing() as connection:
                schedule = ledger.schedules.find_in(connection, name) or _missing(ledger, name, as_json=as_json)
                return work(connection, ledger, schedule)
        except InputError as error:
            fail(str(error), as_json=as_json)


@contextmanager
def _ready() -> "Iterator[Ledger]":
    """The ledger with the shipped schedules in it, also before any sweep."""
    from services.schedules import Wanted

    with opened() as ledger:
        known = {schedule.name: schedule for schedule in ledger.schedules.all()}
        ledger.schedules.add(Wanted(ledger)(known, now()))
        yield ledger


def _missing(ledger: "Ledger", name: str, *, as_json: bool) -> NoReturn:
    known = ", ".join(schedule.name for schedule in ledger.schedules.all())
    fail(f"there is no schedule {name}; there are {known}", as_json=as_json)


def _entry(reason: str) -> dict[str, str]:
    return {"actor": actor(), "reason": reason}


def _tell(schedule: "Schedule", *, as_json: bool) -> None:
    if as_json:
        write_json(_fields(schedule, None))
    else:
        console().print(f"{schedule.name}: next {_next(schedule)}")


def _fields(schedule: "Schedule", last: "Firing | None") -> dict[str, object]:
    return {
        "name": schedule.name,
        "kind": schedule.kind,
        "spec": schedule.spec.model_dump(mode="json", exclude_none=True),
        "enabled": schedule.enabled,
        "next_due": schedule.next_due if schedule.enabled else None,
        "next_local": _next(schedule),
        "revision": schedule.revision,
        "last": last and _firing(last),
    }


def _firing(firing: "Firing") -> dict[str, object]:
    return {
        "schedule": firing.schedule,
        "due_at": firing.due_at,
        "fired_at": firing.fired_at,
        "outcome": firing.state,
        "detail": firing.detail,
    }


def _rhythm(spec: "Spec") -> str:
    if spec.cron is not None:
        return f"{spec.cron} {spec.timezone}"
    seconds = spec.every_seconds or 0
    return f"every {seconds // 60} min" if seconds % 60 == 0 else f"every {seconds} s"


def _next(schedule: "Schedule") -> str:
    return _local(schedule.next_due, schedule.spec) if schedule.enabled else "switched off"


def _local(moment: datetime, spec: "Spec") -> str:
    """A moment in the schedule's own zone, with what that is ahead of UTC."""
    from zoneinfo import ZoneInfo

    return f"{moment.astimezone(ZoneInfo(spec.timezone)):%Y-%m-%d %H:%M:%S %z} {spec.timezone}"


def _outcome(last: "Firing | None") -> str:
    return f"{last.state} {last.due_at:%d %b %H:%M}Z" if last else "never"
