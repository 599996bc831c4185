"""``keyturn vault``: make ring keys, see what they seal, have the newest seal everything."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import typer

from services.cli.output import AsJson, Reason, counted, write_json
from services.cli.recording import recorded

if TYPE_CHECKING:
    from rich.table import Table

    from infra.ledger import Ledger
    from infra.vault import KeyUse, Vault

app = typer.Typer(name="vault", help="Keep the key ring of the vault.", no_args_is_help=True)

NOT_ALL: Final = 1
"""Exit code where something does not open, or stays with an old ring key."""

NEXT: Final = """\
This line is a new ring key; nobody else has it, and Keyturn does not keep it.
1. Put it above the other lines of KEYTURN_VAULT_KEYS, or of the file that KEYTURN_VAULT_KEYS_FILE names.
   With several machines, add it below the others everywhere first, and restart: so each can open what another seals.
2. Restart Keyturn. Where there was a ring before, run 'keyturn vault reseal', and take an old line away
   when 'keyturn vault status' says that it seals nothing.
3. Keep a copy apart from the backups of the ledger: whoever loses the ring loses every secret in the vault."""


@app.command("new-key")
def new_key(*, as_json: AsJson = False) -> None:
    """Make a ring key: its line on standard output, and on standard error what to do with it."""
    from infra.vault import new_ring_line

    line = new_ring_line()
    if as_json:
        write_json({"line": line})
        return
    print(line)
    typer.echo(NEXT, err=True)


@app.command()
def status(*, as_json: AsJson = False) -> None:
    """Show how much each ring key seals. Exit codes: 0 every value opens, 1 some do not, 2 wrong settings."""
    from rich.console import Console

    with _vault() as (_ledger, vault):
        uses = vault.uses()
    closed = sum(use.closed for use in uses)
    if as_json:
        write_json({"ok": not closed, "items": uses})
    else:
        Console(highlight=False, emoji=False).print(_table(uses))
    if closed:
        typer.echo(f"{counted(closed, 'value')} cannot be opened.", err=True)
        raise typer.Exit(NOT_ALL)


@app.command()
def reseal(*, reason: Reason = "", as_json: AsJson = False) -> None:
    """Have the newest ring key seal every value. Exit codes: 0 done, 1 some are left, 2 wrong settings."""
    with (
        _vault() as (ledger, vault),
        recorded(ledger, "vault.reseal", "vault", reason=reason) as deed,
        _bar() as progress,
    ):

        def told(behind: int, total: int) -> None:
            deed.note(behind=behind, of=total)
            progress(behind, total)

        resealed = vault.reseal(told)
        if deed.begun:
            deed.note(resealed=resealed.done, left=dict(resealed.left))
    if as_json:
        write_json({"ok": not resealed.left, "resealed": resealed.done, "left": resealed.left})
    else:
        typer.echo(f"{counted(resealed.done, 'value')} sealed again with the newest ring key.")
    for key_id, count in sorted(resealed.left.items()):
        typer.echo(
            f"{counted(count, 'value')} still sealed by {key_id!r}: see 'keyturn vault status' for what does not open;"
            " what a process with an older ring has put meanwhile needs another run once that process is restarted.",
            err=True,
        )
    if resealed.left:
        raise typer.Exit(NOT_ALL)


@contextmanager
def _vault() -> "Iterator[tuple[Ledger, Vault]]":
    from infra.settings import load_settings
    from services.wiring import open_ledger, open_vault

    settings = load_settings()
    ledger = open_ledger(settings)
    try:
        yield ledger, open_vault(settings, ledger)
    finally:
        ledger.close()


@contextmanager
def _bar() -> Iterator[Callable[[int, int], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("sealing again"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _table(uses: "list[KeyUse]") -> "Table":
    from rich.table import Column, Table
    from rich.text import Text

    table = Table("ring key", Column("seals", justify="right"), Column("do not open", justify="right"), "what it is")
    for use in uses:
        table.add_row(Text(use.key_id), str(use.values), str(use.closed), _what(use))
    return table


def _what(use: "KeyUse") -> str:
    if not use.in_ring:
        return "missing: not in KEYTURN_VAULT_KEYS"
    if use.closed:
        return "another key of this id has sealed them, or they were changed"
    if use.newest:
        return "newest: seals what is put now"
    return "old: 'keyturn vault reseal' relieves it" if use.values else "old, seals nothing: can be taken away"
