"""``keyturn webhooks``: the registrations at u-blox, as the settings want them. No token is ever shown."""

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated, Final

import typer

from schemas.secret import MASK
from services.cli.output import AsJson, Reason, console, fail, now, opened, show_table, write_json
from services.cli.recording import recorded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from infra.ledger import Ledger
    from services.clients.ublox import Ublox
    from services.schedules.registration import Registration, Step

app = typer.Typer(name="webhooks", help="Register the webhooks at u-blox as the settings say.", no_args_is_help=True)

CHANGES: Final = 1
"""Exit code of `plan` and `status` where something is not as the settings say."""


@app.command("plan")
def show_plan(*, as_json: AsJson = False) -> None:
    """Show what `sync` would do, and do nothing. Exit codes: 0 nothing to do, 1 something, 2 wrong settings."""
    with _planned() as (_ledger, _ublox, wanted, steps):
        _show(wanted, steps, as_json=as_json)
        _end_with(steps)


@app.command("status")
def status(*, as_json: AsJson = False) -> None:
    """Show what is registered at u-blox. Exit codes as of `plan`."""
    with _planned() as (_ledger, _ublox, wanted, steps):
        _show(wanted, [step for step in steps if step.action != "create"], as_json=as_json)
        _end_with(steps)


@app.command("sync")
def sync(
    *,
    probe: Annotated[bool, typer.Option(help="Ask the public address first whether it takes the token.")] = True,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Bring the registrations to what the settings say; to do it again changes nothing.

    The first line of KEYTURN_WEBHOOK_TOKENS is registered. To change tokens, put the new one above the old one, restart
    the web process, run this, and take the old line away when no notice carries it any more.
    """
    from services.schedules.registration import changes, shown
    from services.schedules.registration import sync as do

    with _planned() as (ledger, ublox, wanted, steps):
        wrong = changes(steps)
        if wrong:
            if probe:
                _probe(wanted, as_json=as_json)
            with recorded(ledger, "webhooks.sync", "webhooks", reason=reason) as deed:

                def told(done: int) -> None:
                    deed.note(steps=shown(wrong[:done]), not_done=shown(wrong[done:]))

                do(wanted, wrong, ublox=ublox, ledger=ledger, now=now(), told=told)
        _show(wanted, wrong or steps, as_json=as_json)
        if not as_json:
            console().print(f"{len(wrong)} done" if wrong else "Everything is as the settings say.")


def _probe(wanted: "Registration", *, as_json: bool) -> None:
    """Refuse a token that the receiver would refuse: what u-blox sent with it would be lost."""
    from services.clients.transport import Transport
    from services.schedules.registration import admits

    with closing(Transport(wanted.base)) as transport:
        admitted = admits(wanted, transport)
    if admitted is False:
        fail(
            f"{wanted.base} does not take the first token of KEYTURN_WEBHOOK_TOKENS yet: restart the web process first",
            as_json=as_json,
        )
    if admitted is None:
        console(stderr=True).print(f"note: {wanted.base} cannot be asked from here whether it takes the token")


@contextmanager
def _planned() -> "Iterator[tuple[Ledger, Ublox, Registration, list[Step]]]":
    from infra.logs import configure_logs
    from infra.settings import load_settings
    from services.schedules.registration import Registration, known_tokens, plan
    from services.wiring import make_ublox

    settings = load_settings()
    configure_logs(settings)  # to standard error: what is printed here is for reading
    wanted = Registration.of(settings.public_url, settings.webhook_tokens)
    with closing(make_ublox(settings)) as ublox, opened() as ledger:
        yield ledger, ublox, wanted, plan(wanted, ublox.webhooks.walk(), known_tokens(ledger))


def _end_with(steps: "Sequence[Step]") -> None:
    from services.schedules.registration import changes

    if changes(steps):
        raise typer.Exit(CHANGES)


def _show(wanted: "Registration", steps: "Sequence[Step]", *, as_json: bool) -> None:
    from services.schedules.registration import shown

    if as_json:
        write_json({"base": wanted.base, "steps": shown(steps)})
        return
    token = f"first of KEYTURN_WEBHOOK_TOKENS {MASK}"
    rows = [
        (
            step.action,
            ", ".join(step.types),
            step.url,
            token if step.action in {"create", "new token"} else "",
            step.why,
        )
        for step in steps
    ]
    show_table(("do", "type", "address", "token", "because it"), rows)
