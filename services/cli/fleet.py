"""``keyturn fleet``: take the inventory in, write it out, look at it."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import orjson
import typer

from schemas.errors import InputError
from services.cli import fleet_removal
from services.cli.output import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from infra.ledger import Entry, Ledger
    from infra.settings import Settings
    from services.fleet import ImportResult
    from services.fleet.importing import Change

app = typer.Typer(
    name="fleet",
    help="Keep the inventory: sites, their u-blox and 2N devices, CENTAGATE tokens and Taps.",
    no_args_is_help=True,
)

FAULTS: Final = 1
"""Exit code where the input has faults; nothing was changed."""

MOST_SHOWN: Final = 200
"""Changes that a person is shown; --json has all."""

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
KindOption = Annotated[
    str | None, typer.Option("--kind", metavar="KIND", help="Only one of site, device, 2n, token, tap.")
]


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The inventory, .toml or .csv.")],
    *,
    dry_run: Annotated[bool, typer.Option(help="Only say what would change.")] = False,
    prune: Annotated[bool, typer.Option(help="Remove what the file does not name, with its secrets.")] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Let --prune empty the inventory where FILE names nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Take a file into the inventory, all of it or nothing. Exit codes: 0 done, 1 faults, 2 wrong settings."""
    from services.cli.output import actor
    from services.fleet import Importer
    from services.wiring import load_active_playbook, now, open_vault

    with _ledger() as (ledger, settings):
        importer = Importer(
            ledger,
            lambda: open_vault(settings, ledger),
            clock=now,
            rules=lambda: {rule.name for rule in load_active_playbook(settings).document.rules},
        )
        try:
            result = importer.take(file, prune=prune, everything=yes, dry_run=dry_run, actor=actor())
        except InputError as error:
            _fail(error, as_json=as_json)
    if as_json:
        _write_json({"ok": True, "dry_run": dry_run, **_as_json(result)})
    else:
        _show(result, dry_run=dry_run)


@app.command("export")
def export_file(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to, .toml or .csv; TOML to standard output without.")
    ] = None,
) -> None:
    """Write the inventory; of secrets it has the names in the vault. Exit codes: 0 done, 1 not written."""
    from services.fleet.exporting import export_csv, export_toml

    form = ".toml" if file is None else file.suffix.lower()
    if form not in {".toml", ".csv"}:
        _fail(InputError([f"{file}: expected the name of a file that ends in .toml or .csv"]), as_json=False)
    with _ledger() as (ledger, _):
        entries = ledger.inventory.snapshot().entries
    text = export_csv(entries) if form == ".csv" else export_toml(entries)
    if file is None:
        print(text, end="")
    else:
        _write(file, text)


@app.command("list")
def list_entries(*, kind: KindOption = None, as_json: AsJson = False) -> None:
    """List what the inventory has. Exit codes: 0 done, 1 there is no such kind."""
    from rich.table import Table
    from rich.text import Text

    from services.fleet.csv_form import KIND_NAMES
    from services.fleet.entries import in_order

    if kind is not None and kind not in KIND_NAMES:
        _fail(InputError([f"expected one of {', '.join(KIND_NAMES)}, not {kind}"]), as_json=as_json)
    with _ledger() as (ledger, _):
        entries = in_order(ledger.inventory.snapshot().entries)
    wanted = [entry for entry in entries if kind is None or entry.id.kind == KIND_NAMES[kind]]
    if as_json:
        _write_json([_entry(entry) for entry in wanted])
        return
    table = Table("kind", "name", "site", "what it is")
    for entry in wanted:
        cells = (_kind(entry.id.kind), entry.id.key, entry.site, _in_short(entry))
        table.add_row(*(Text(cell, overflow="fold") for cell in cells))
    _console().print(table)
    _console().print(f"{len(wanted)} {'entry' if len(wanted) == 1 else 'entries'}")


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A site, a device's UID, a 2N serial number or location, a token, a Tap's serial number.",
        ),
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Show everything that has a name. Exit codes: 0 done, 1 there is nothing of that name."""
    from services.fleet.entries import find, in_order

    with _ledger() as (ledger, _):
        found = find(in_order(ledger.inventory.snapshot().entries), name)
    if not found:
        _fail(InputError([f"the inventory has no site, device, location, token or Tap {name}"]), as_json=as_json)
    if as_json:
        _write_json([_entry(entry) for entry in found])
        return
    console = _console()
    for entry in found:
        console.print(f"{_kind(entry.id.kind)} {entry.id.key}", soft_wrap=True)
        own = {} if entry.id.kind == "site" else {"site": entry.site}
        for key, value in {**own, **entry.fields}.items():
            console.print(f"  {key:14} {value if isinstance(value, str) else _json(value)}", soft_wrap=True)


@contextmanager
def _ledger() -> "Iterator[tuple[Ledger, Settings]]":
    from infra.settings import load_settings
    from services.wiring import open_ledger

    settings = load_settings()
    ledger = open_ledger(settings)
    try:
        yield ledger, settings
    finally:
        ledger.close()


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8", newline="")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        _fail(InputError([f"{file} cannot be written: {reason}"]), as_json=False)


def _show(result: "ImportResult", *, dry_run: bool) -> None:
    from rich.table import Table
    from rich.text import Text

    console = _console()
    words = {"add": result.added, "change": result.changed, "remove": result.removed}
    lines = [(word, change) for word, changes in words.items() for change in changes]
    if lines:
        table = Table("what", "kind", "name", "site", "details")
        for word, change in lines[:MOST_SHOWN]:
            cells = (word, _kind(change.id.kind), change.id.key, change.site, ", ".join(change.details))
            table.add_row(*(Text(cell, overflow="fold") for cell in cells))
        console.print(table)
    if len(lines) > MOST_SHOWN:
        console.print(f"… and {len(lines) - MOST_SHOWN} more; --json has all")
    counts = f"{len(result.added)} added, {len(result.changed)} changed, {len(result.removed)} removed"
    for remark in result.remarks:
        console.print(f"note: {remark}", soft_wrap=True)
    said = "Nothing was changed (dry run): " if dry_run else ""
    console.print(f"{said}{counts}, {result.unchanged} unchanged")


def _as_json(result: "ImportResult") -> dict[str, Any]:
    def lines(changes: "tuple[Change, ...]") -> list[dict[str, Any]]:
        return [
            {"kind": _kind(one.id.kind), "name": one.id.key, "site": one.site, "details": one.details}
            for one in changes
        ]

    return {
        "added": lines(result.added),
        "changed": lines(result.changed),
        "removed": lines(result.removed),
        "unchanged": result.unchanged,
        "notes": result.remarks,
    }


def _entry(entry: "Entry") -> dict[str, Any]:
    return {"kind": _kind(entry.id.kind), "name": entry.id.key, "site": entry.site, "fields": entry.fields}


def _in_short(entry: "Entry") -> str:
    shown = ("location", "address", "managed_by", "tags", "skip_rules")
    values = [entry.fields[key] for key in shown if key in entry.fields]
    return ", ".join(value if isinstance(value, str) else " ".join(value) for value in values)


def _kind(kind: str) -> str:
    return "2n" if kind == "twon" else kind


def _fail(error: InputError, *, as_json: bool) -> NoReturn:
    if as_json:
        _write_json({"ok": False, "faults": error.faults})
    else:
        for fault in error.faults:
            typer.echo(fault, err=True)
        typer.echo(counted(len(error.faults), "fault"), err=True)
    raise typer.Exit(FAULTS)


def _console() -> "Console":
    """A console that takes what it is given as plain text: names may hold brackets."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def _write_json(value: object) -> None:
    print(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


app.command("remove")(fleet_removal.remove)
