"""``keyturn playbook``: check a playbook, and see what it would do, without doing it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, Final, NoReturn

import orjson
import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from schemas.errors import ConfigurationError, InputError
from schemas.events import Notification, read_notification
from schemas.jobs import NewJob
from schemas.limits import Limits
from services.cli import playbook_versions
from services.cli.output import counted

if TYPE_CHECKING:
    from schemas.fleet import Fleet
    from schemas.playbook import Decision, Rule
    from services.playbook import Playbook

LARGEST_EVENT: Final = 1024 * 1024
"""Bytes of an event; the samples have a few hundred."""

app = typer.Typer(
    name="playbook", help="Check a playbook, try an event against it, and put it in force.", no_args_is_help=True
)
app.command("list")(playbook_versions.list_versions)
app.command("show")(playbook_versions.show)
app.command("diff")(playbook_versions.diff)
app.command("activate")(playbook_versions.activate)

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]


@app.command()
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The playbook, a TOML file.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Check a playbook and list every fault of it."""
    try:
        playbook = _load(file)
        warnings = [*playbook.warnings, *_skips_of_nothing(playbook, _fleet())]
    except InputError as error:
        _fail(error, as_json=as_json)
    if as_json:
        rules = [rule.model_dump(mode="json", by_alias=True, exclude_defaults=True) for rule in playbook.document.rules]
        _write_json({"ok": True, "rules": rules, "warnings": warnings})
        return
    console = _console()
    console.print(f"ok, {counted(len(playbook.document.rules), 'rule')}")
    console.print(_table_of(playbook))
    for warning in warnings:
        console.print(f"note: {warning}", soft_wrap=True)


@app.command("test")
def try_event(
    event: Annotated[str, typer.Argument(metavar="EVENT.json", help="A notification as u-blox sends it; - for stdin.")],
    *,
    playbook: Annotated[Path | None, typer.Option(help="A playbook; without it the shipped one.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what would happen on an event. Nothing is done."""
    try:
        loaded = _load(playbook)
        notification = _notification(event)
        fleet = _fleet()
    except InputError as error:
        _fail(error, as_json=as_json)
    if as_json:
        _write_json(_result(loaded, notification, fleet))
    else:
        _show(loaded, notification, fleet)


def _fleet() -> "Fleet":
    """The inventory of the ledger; none where there is no ledger, as a playbook can be tried anywhere."""
    from infra.settings import load_settings
    from schemas.fleet import Fleet
    from services.fleet import Inventory
    from services.wiring import open_ledger

    try:
        settings = load_settings()
    except ConfigurationError as error:
        typer.echo(f"The inventory is not read: {error}", err=True)
        return Fleet()
    if not _is_there(settings.database_url.get_secret_value()):
        return Fleet()
    ledger = open_ledger(settings)
    try:
        return Inventory(ledger).current()
    finally:
        ledger.close()


def _is_there(url: str) -> bool:
    """Opening SQLite makes the file; a look at a playbook leaves nothing behind."""
    kind, _, path = url.partition(":///")
    return not kind.startswith("sqlite") or Path(path.partition("?")[0]).exists()


def _skips_of_nothing(playbook: "Playbook", fleet: "Fleet") -> list[str]:
    """Slips in the skip_rules of sites."""
    from services.fleet.remarks import idle_skips

    known = {rule.name for rule in playbook.document.rules}
    return [text for site in fleet.sites for text in idle_skips(site.name, site.skip_rules, known)]


def _load(file: Path | None) -> "Playbook":
    """Load CEL and the operations here, so that no other command pays for them."""
    from services.operations import PARAMETERS
    from services.playbook import default_text, load_playbook, read_text

    text = default_text() if file is None else read_text(file)
    return load_playbook(text, operations=PARAMETERS)


def _notification(source: str) -> Notification:
    name = "standard input" if source == "-" else source
    try:
        if source == "-":
            content = _at_most(sys.stdin.buffer)
        else:
            with Path(source).open("rb") as file:
                content = _at_most(file)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError([f"{name} cannot be read: {reason}"]) from None
    if len(content) > LARGEST_EVENT:
        raise InputError([f"{name} is too large: an event has at most {LARGEST_EVENT // 1024} KiB"])
    return _understood(content, name)


def _at_most(file: BinaryIO) -> bytes:
    return file.read(LARGEST_EVENT + 1)


def _understood(content: bytes, name: str) -> Notification:
    try:
        return read_notification(orjson.loads(content))
    except orjson.JSONDecodeError as error:
        raise InputError([f"{name} is not JSON: {error}"]) from None
    except ValueError as error:
        raise InputError([f"{name} is not an event: {error}"]) from None


def _result(playbook: "Playbook", notification: Notification, fleet: "Fleet") -> dict[str, Any]:
    decision = playbook.decide(notification, fleet)
    return {
        "event": _as_understood(notification),
        "rules": playbook.explain(notification, fleet),
        "jobs": decision.jobs,
        "alerts": decision.alerts,
        "confirms": decision.confirms,
        "notes": decision.notes,
        "verdict": decision.verdict,
    }


def _as_understood(notification: Notification) -> dict[str, Any]:
    return {
        "type": notification.event_type,
        "device": notification.device,
        "occurred_at": notification.occurred_at,
        "payload": notification.payload,
    }


def _show(playbook: "Playbook", notification: Notification, fleet: "Fleet") -> None:
    console = _console()
    for key, value in _as_understood(notification).items():
        console.print(f"{key:12} {_json(value)}", soft_wrap=True)
    console.print()
    for view in playbook.explain(notification, fleet):
        mark = "match   " if view.matched else "no match"
        console.print(f"{mark}  {view.name}: {view.why}", soft_wrap=True)
    console.print()
    for line in _lines_of(playbook.decide(notification, fleet)):
        console.print(line, soft_wrap=True)


def _lines_of(decision: "Decision") -> list[str]:
    lines = [_job(job) for job in decision.jobs]
    lines += [f"alert    {_json(text)}" for text in decision.alerts]
    lines += [f"confirm  {operation}" for operation in decision.confirms]
    lines += [f"note     {note}" for note in decision.notes]
    return [*lines, f"verdict  {decision.verdict}"]


def _job(job: NewJob) -> str:
    unless = " unless under way" if job.unless_under_way else ""
    return f"job      {job.operation} on {job.target} with {_json(job.parameters)}{unless}{_terms(job.limits)}"


def _terms(limits: Limits | None) -> str:
    """For what a job will wait; a proposal must not read like a deed."""
    if limits is None:
        return ""
    window, approval, budget = limits.window, limits.approval, limits.budget
    terms = [
        f"once an {approval.role} agrees" if approval else "",
        f"between {window.opens:%H:%M} and {window.closes:%H:%M} {window.timezone}" if window else "",
        f"at most {budget.jobs} per {budget.per}" if budget else "",
    ]
    return "".join(f", {term}" for term in terms if term)


def _table_of(playbook: "Playbook") -> Table:
    table = Table(Column("rule", no_wrap=True), "on", "when", "then")
    for rule in playbook.document.rules:
        name = rule.name if rule.enabled else f"{rule.name} (disabled)"
        table.add_row(*(Text(cell, overflow="fold") for cell in (name, _trigger(rule), rule.when or "", _effect(rule))))
    return table


def _trigger(rule: "Rule") -> str:
    if rule.on.kind == "event":
        return "\n".join(rule.on.event)
    return f"schedule {rule.on.schedule} {rule.on.timezone}" if rule.on.schedule else "manual"


def _effect(rule: "Rule") -> str:
    if rule.alert is not None:
        return f"alert: {_json(rule.alert)}"
    if rule.confirm is not None:
        return f"confirm {', '.join(rule.confirm)}"
    terms = _terms(rule.limits)
    return "\n".join(f"{step.operation} {_json(step.parameters)}{terms}" for step in rule.do or ())


def _fail(error: InputError, *, as_json: bool) -> NoReturn:
    if as_json:
        _write_json({"ok": False, "faults": error.faults})
    else:
        console = _console(stderr=True)
        for fault in error.faults:
            console.print(fault, soft_wrap=True)
        console.print(counted(len(error.faults), "fault"))
    raise typer.Exit(1)


def _console(*, stderr: bool = False) -> Console:
    """A console that takes what it is given as plain text: names and faults may hold brackets."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()


def _write_json(value: object) -> None:
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode())
