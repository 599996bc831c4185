"""The keyturn command. Each command imports what it needs, so that none pays for another."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from schemas.errors import KeyturnError
from services.cli import (
    ages,
    approve,
    audit,
    catchup,
    doctor,
    events,
    fleet,
    forecast,
    jobs,
    keys,
    playbook,
    redrive,
    sandbox,
    schedules,
    tap,
    trigger,
    triggers,
    vault,
    webhook_tokens,
    webhooks,
)
from services.cli.output import AsJson, write_json

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Keyturn turns u-blox security notifications into finished, verified key and certificate work.",
)
app.add_typer(sandbox.app, name="sandbox")
app.add_typer(playbook.app, name="playbook")
app.add_typer(tap.app, name="tap")
app.add_typer(events.app, name="events")
app.add_typer(jobs.app, name="jobs")
app.add_typer(redrive.parked_app, name="parked")
app.add_typer(redrive.faults_app, name="faults")
app.add_typer(keys.app, name="keys")
app.add_typer(audit.app, name="audit")
app.add_typer(triggers.app, name="triggers")
app.add_typer(schedules.app, name="schedules")
app.add_typer(catchup.app, name="catchup")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(fleet.app, name="fleet")
app.add_typer(vault.app, name="vault")
app.command("doctor")(doctor.doctor)
app.add_typer(webhook_tokens.app, name="webhook-tokens")
app.command("forecast")(forecast.forecast)
app.command("keys-and-certificates")(ages.keys_and_certificates)
app.command("trigger")(trigger.trigger)
app.command("approve")(approve.approve)
app.command("reject")(approve.reject)


@app.command("up")
def _up(
    *,
    demo: Annotated[bool, typer.Option(help="Fire a bootstrap and an expiration at the sandbox.")] = True,
    until_verified: Annotated[bool, typer.Option(help="Stop when the demonstration has ended.")] = False,
) -> None:
    """Run everything on this machine; with simulated upstreams when none is configured."""
    from services.cli.up import up

    raise typer.Exit(up(demo=demo, until_verified=until_verified))


@app.command()
def web(
    *,
    host: Annotated[str | None, typer.Option(help="Instead of KEYTURN_HOST.")] = None,
    port: Annotated[int | None, typer.Option(help="Instead of KEYTURN_PORT.", min=0, max=65535)] = None,
) -> None:
    """Run the webhook receiver. On SQLite run one; on PostgreSQL as many as there are cores."""
    from infra.logs import configure_logs
    from infra.sentry import configure_sentry
    from infra.settings import load_settings
    from services.web.serve import serve_site

    settings = load_settings()
    configure_logs(settings)
    configure_sentry(settings)
    serve_site(settings, host=host or settings.host, port=settings.port if port is None else port)


@app.command()
def worker(
    *,
    queues: Annotated[
        str, typer.Option("--queues", "-Q", help="Comma-separated; one process may serve several.")
    ] = "control,ublox",
) -> None:
    """Run a Celery worker for some queues: control plans and sweeps, every outside system has its own."""
    _become("worker", *(name.strip() for name in queues.split(",") if name.strip()))


@app.command()
def beat() -> None:
    """Run the heartbeat of the sweep. Several may run at once."""
    _become("beat")


@app.command("migrate")
def _migrate(*, as_json: AsJson = False) -> None:
    """Bring the ledger to the schema that this version needs."""
    from infra.ledger import Ledger, migrate
    from infra.ledger.schema import HEAD
    from infra.settings import load_settings

    ledger = Ledger(load_settings().database_url.get_secret_value())
    migrate(ledger.database)
    ledger.close()
    if as_json:
        write_json({"ok": True, "schema": HEAD})
    else:
        typer.echo("The ledger is up to date.")


def _become(*words: str) -> None:
    """Workers know services, never the reverse: so this process becomes one instead of importing it."""
    house = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, (house, os.environ.get("PYTHONPATH"))))
    os.execve(sys.executable, [sys.executable, "-P", "-m", "workers", *words], {**os.environ, "PYTHONPATH": path})  # noqa: S606 - our own module


def main() -> None:
    """Run the command; what we foresaw is told in a sentence, not as a traceback."""
    os.umask(0o077)  # the ledger holds raw notices, the logs speak of them: they are their owner's alone
    try:
        app()
    except KeyturnError as error:
        typer.echo(str(error), err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
