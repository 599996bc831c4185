"""``keyturn audit``: who changed what, and whether the record of it is as it was written."""

from typing import Annotated

import typer

from services.cli.output import AsJson, Before, Limit, console, opened, show_table, write_json

app = typer.Typer(name="audit", help="Read the audit, and hold it against its hash chain.", no_args_is_help=True)


@app.command("list")
def list_audit(
    *,
    actor: Annotated[str | None, typer.Option(help="Whole name, such as cli:ann.")] = None,
    action: Annotated[str | None, typer.Option(help="Such as job.cancel.")] = None,
    subject: Annotated[str | None, typer.Option(help="Such as job/17.")] = None,
    before: Before = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List changes, the newest first."""
    with opened() as ledger:
        found = ledger.audit.page(before=before, limit=limit, actor=actor, action=action, subject=subject)
    if as_json:
        write_json({"items": found})
        return
    entries = [(one.id, one.entry) for one in found]
    rows = [
        (number, entry.at, entry.actor, entry.action, entry.subject, entry.reason, dict(entry.detail))
        for number, entry in entries
    ]
    show_table(("id", "at", "who", "did", "on what", "why", "detail"), rows)


@app.command("verify")
def verify_audit(*, as_json: AsJson = False) -> None:
    """Walk the whole chain; ends with 1 when anything was changed since it was written."""
    with opened() as ledger:
        verdict = ledger.audit.verify()
    if as_json:
        write_json({"holds": verdict.holds, "rows": verdict.rows, "hash": verdict.hash, "faults": verdict.faults})
    else:
        for fault in verdict.faults:
            console().print(fault, soft_wrap=True)
        state = "the chain holds" if verdict.holds else "the chain is broken"
        console().print(f"{state}: {verdict.rows} rows, the last hash is {verdict.hash}", soft_wrap=True)
    if not verdict.holds:
        raise typer.Exit(1)
