"""The command: looks at everything, in an order in which the first fault often explains the next."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from os import environ
from typing import TYPE_CHECKING, Annotated, Final

import typer

from schemas.errors import ConfigurationError
from services.cli.examination.findings import Finding, Verdict, fault, looked, ok
from services.cli.output import AsJson, counted, logs_aside, show_table, write_json

if TYPE_CHECKING:
    from services.cli.examination.inside import Patient

NEW_LEDGER: Final = "run: keyturn migrate; or correct DATABASE_URL"


def doctor(
    *,
    as_json: AsJson = False,
    offline: Annotated[bool, typer.Option("--offline", help="Leave out what does not belong to us.")] = False,
) -> None:
    """Look at settings, ledger, Redis, clocks, playbook, vault, workers and outside systems, and say what to do.

    Exit codes: 0 nothing is wrong, 1 something is.
    """
    logs_aside()
    findings = list(examine(dict(environ), offline=offline))
    faults = sum(finding.verdict is Verdict.FAULT for finding in findings)
    if as_json:
        write_json({"ok": not faults, "findings": [dataclasses.asdict(finding) for finding in findings]})
    else:
        columns = ("looked at", "verdict", "found", "what to do")
        show_table(columns, [(each.check, each.verdict, each.told, each.advice) for each in findings])
        typer.echo(f"{counted(faults, 'fault')}." if faults else "Nothing is wrong.")
    if faults:
        raise typer.Exit(1)


def examine(variables: Mapping[str, str], *, offline: bool = False) -> Iterator[Finding]:
    """Look at the installation that these variables describe."""
    from infra.ledger import Ledger
    from infra.settings import load_settings
    from services.cli.examination.inside import Patient as Examined
    from services.clients.guards import Guards

    try:
        settings = load_settings(variables)
    except ConfigurationError as error:
        yield fault("settings", str(error), "correct them first: nothing else can be looked at without")
        return
    yield ok("settings", "complete")
    ledger, guards = Ledger(settings.database_url.get_secret_value()), Guards(settings)
    with closing(ledger), closing(guards):
        yield from examined(Examined(settings, ledger, guards), offline=offline)


def examined(patient: "Patient", *, offline: bool = False) -> Iterator[Finding]:
    """Look at an installation whose settings are right; without a ledger of ours little can be said of it."""
    from services.cli.examination import inside, outside

    yield from looked("disk", partial(inside.disk, patient), "look at the disk")
    yield from looked("Redis", partial(inside.reach_redis, patient), "start Redis")
    schema = list(looked("ledger", partial(inside.schema, patient), NEW_LEDGER))
    yield from schema
    if any(finding.verdict is Verdict.FAULT for finding in schema):
        return
    checks: list[tuple[str, Callable[[inside.Patient], Iterator[Finding]], str]] = [
        ("ledger writable", inside.writable, inside.REACH),
        ("inventory", inside.inventory, "take it in again: keyturn fleet import"),
        ("playbook", inside.playbook, "correct KEYTURN_PLAYBOOK_FILE"),
        ("vault", inside.vault, "correct KEYTURN_VAULT_KEYS"),
        ("sweep", inside.swept, inside.REACH),
        ("workers", inside.workers, "start them"),
    ]
    if not offline:
        checks += [
            ("u-blox", outside.ublox, "correct the KEYTURN_UBLOX_… settings"),
            ("public address", outside.public_address, "correct KEYTURN_PUBLIC_URL"),
            ("CENTAGATE", outside.centagate, "correct the KEYTURN_CENTAGATE_… settings"),
            ("2N devices", outside.twon, "they need KEYTURN_VAULT_KEYS"),
            ("Taps", outside.taps, "correct the inventory"),
        ]
    for name, check, advice in checks:
        yield from looked(name, partial(check, patient), advice)
