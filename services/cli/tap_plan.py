"""``keyturn tap plan`` and ``keyturn tap apply``: what a Tap would get, and giving it. Secrets are masked."""

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from schemas.errors import InputError, Refused, TryAgain
from services.cli.output import AsJson, Reason, write_json
from services.cli.recording import Deed, recorded
from services.cli.tap_faults import told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infra.ledger import Ledger
    from services.operations.tap_plan import Plan
    from services.operations.tap_work import TapWork

BACK_WITHIN: Final = 180.0
"""Seconds in which a Tap should be back after a restart; no document names a figure."""

_LOOK_EVERY: Final = 1.0

Which = Annotated[str, typer.Argument(metavar="SERIAL|ADDRESS", help="A Tap of the inventory.")]


def plan(which: Which, *, as_json: AsJson = False) -> None:
    """Show what a Tap would get. Exit codes: 0 done, 1 refused, 2 wrong input, 3 try again later."""
    with told(as_json=as_json), _work(which) as (_ledger, serial, work):
        todo = work.look()
        _show(_console(as_json=as_json), todo)
        if as_json:
            write_json(_fields(serial, todo))


def apply(
    which: Which,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; --json needs it.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Give a Tap its wanted configuration and look again. Exit codes: as of plan."""
    console = _console(as_json=as_json)
    with told(as_json=as_json):
        if as_json and not yes:
            raise InputError(["--json needs --yes: nobody is asked"])
        with _work(which) as (ledger, serial, work):
            todo = work.look()
            _show(console, todo)
            if todo.steps and not yes:
                typer.confirm("Write this?", abort=True)
            if todo.steps:
                with recorded(ledger, "tap.apply", f"tap/{serial}", reason=reason) as deed:
                    _carry_out(console, work, todo, deed)
            if as_json:
                write_json(_fields(serial, todo))


def _console(*, as_json: bool) -> Console:
    """Where a person reads; beside JSON nobody does."""
    return Console(highlight=False, quiet=as_json)


def _fields(serial: str, todo: "Plan") -> dict[str, object]:
    steps = [{"setting": step.wish.label, "now": step.before, "wished": step.after} for step in todo.steps]
    return {"ok": True, "tap": serial, "steps": steps, "restarts": todo.restarts}


@contextmanager
def _work(which: str) -> "Iterator[tuple[Ledger, str, TapWork]]":
    from infra.settings import load_settings
    from services.clients.tap.faults import told_as_upstream
    from services.operations.tap_work import TapWork
    from services.wiring import make_taps, open_ledger

    settings = load_settings()
    ledger = open_ledger(settings)
    try:
        with told_as_upstream("tap"):
            taps = make_taps(settings, ledger)
            order = taps.order(taps.find(which).serial)
            yield ledger, order.serial, TapWork(order, taps)
    finally:
        ledger.close()


def _show(console: Console, todo: "Plan") -> None:
    if todo.refusals:
        raise Refused("; ".join(todo.refusals), call="plan", sent=False)
    if not todo.steps:
        console.print("Nothing to do: the Tap is as wished.")
        return
    table = Table("setting", "now", "wished")
    for step in todo.steps:
        table.add_row(*(Text(cell, overflow="fold") for cell in (step.wish.label, step.before, step.after)))
    console.print(table)
    console.print(f"{len(todo.steps)} writes{', then a restart' if todo.restarts else ''}")


def _carry_out(console: Console, work: "TapWork", todo: "Plan", deed: Deed) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("write")

        def advance(done: int, of: int, what: str) -> None:
            progress.update(bar, completed=done, total=of, description=what)

        def told_of_writes(done: int, of: int, what: str) -> None:
            deed.note(written=[step.wish.label for step in todo.but_version[:done]], began=what)
            advance(done, of, what)

        deed.note(version=work.target.version, wanted=[step.wish.label for step in todo.steps], written=[])
        work.write(todo, told_of_writes)
        deed.note(written=[step.wish.label for step in todo.but_version])
        work.prove(todo, advance)
        progress.update(bar, completed=0, total=1, description="version")
        work.settle(todo)
        deed.note(written=[step.wish.label for step in todo.steps])
        deed.detail.pop("began", None)
        progress.update(bar, completed=1)
    if todo.restarts:
        console.print("The Tap restarts …")
        work.restart()
    left = _look_again(work)
    if left.steps:
        _show(console, left)
        raise TryAgain("the Tap has other values than were written: say apply again", call="look again")
    console.print(f"Done and looked again: the Tap has version {work.target.version}.")


def _look_again(work: "TapWork") -> "Plan":
    deadline = time.monotonic() + BACK_WITHIN
    while True:
        try:
            return work.look()
        except TryAgain:
            if time.monotonic() > deadline:
                raise
            time.sleep(_LOOK_EVERY)
