"""``keyturn webhook-tokens``: what a webhook may carry, beside the tokens of the settings."""

from datetime import timedelta
from typing import Annotated

import typer

from services.cli.output import AsJson, Reason, actor, console, fail, now, opened, read_as, show_table, write_json

app = typer.Typer(name="webhook-tokens", help="Make, list and end webhook tokens.", no_args_is_help=True)


@app.command("list")
def list_tokens(*, as_json: AsJson = False) -> None:
    """List the tokens of the ledger, without what they are."""
    with opened() as ledger:
        found = ledger.hook_tokens.list()
    if as_json:
        write_json({"items": found})
        return
    rows = [(one.id, one.name, "lives" if one.lives(now()) else "ended", one.created_at, one.ends_at) for one in found]
    show_table(("id", "name", "", "made", "ends"), rows)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what uses it.")],
    *,
    hours: Annotated[
        float | None, typer.Option(min=0.01, max=87_600, help="Hours until it ends; never without.")
    ] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make a token: the whole value of the Authorization header, shown only now; receivers know it within a second."""
    from schemas.rules import NewWebhookToken
    from services.hook_tokens import TokenDesk

    ends_at = None if hours is None else now() + timedelta(hours=hours)
    asked = read_as(NewWebhookToken, name=name, ends_at=ends_at, reason=reason)
    with opened() as ledger, ledger.database.writing() as connection:
        desk = TokenDesk(ledger, clock=now)
        token, header = desk.make(
            connection, name=asked.name, ends_at=asked.ends_at, actor=actor(), reason=asked.reason
        )
    if as_json:
        write_json({"authorization": header.get_secret_value(), "token": token})
        return
    console(stderr=True).print(f"token {token.id} for {token.name}; it is not shown again")
    print(header.get_secret_value())


@app.command("end")
def end(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As 'keyturn webhook-tokens list' shows it.")],
    *,
    after: Annotated[int, typer.Option(min=0, max=31_536_000, help="Seconds from now, for senders to change.")] = 0,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """End a token now or later; an end is never put off."""
    from services.hook_tokens import TokenDesk

    with opened() as ledger, ledger.database.writing() as connection:
        desk = TokenDesk(ledger, clock=now)
        token = desk.end(connection, token_id, after=timedelta(seconds=after), actor=actor(), reason=reason)
    if token is None:
        fail(f"there is no webhook token {token_id}", as_json=as_json)
    if as_json:
        write_json({"token": token})
    else:
        console().print(f"token {token.id} ends {token.ends_at:%Y-%m-%d %H:%M:%S}Z")
