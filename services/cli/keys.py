"""``keyturn keys``: the keys of the admin API, straight in the ledger."""

from typing import TYPE_CHECKING, Annotated

import typer

from schemas.access import Role
from schemas.errors import InputError
from services.cli.output import AsJson, Reason, actor, console, fail, now, opened, read_as, show_table, write_json

if TYPE_CHECKING:
    from schemas.access import ApiKey

app = typer.Typer(name="keys", help="Make, list and end the keys of the admin API.", no_args_is_help=True)


@app.command("new")
def new_key(
    name: Annotated[str, typer.Argument(help="Who or what will use it.")],
    *,
    role: Annotated[Role, typer.Option(help="What it may do; each role may do what the one before may.")],
    days: Annotated[int | None, typer.Option(help="Days until it expires; without it, it does not.")] = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, once."""
    from schemas.admin import NewKey
    from services.access import Access

    asked = read_as(NewKey, name=name, role=role, days=days, reason=reason)
    with opened() as ledger, ledger.database.writing() as connection:
        made, secret = Access(ledger, clock=now).make(
            connection, name=asked.name, role=asked.role, days=asked.days, actor=actor(), reason=asked.reason
        )
    if as_json:
        write_json({"key": secret.get_secret_value(), **_fields(made)})
        return
    print(secret.get_secret_value())
    console(stderr=True).print("This key is shown only now: keep it in a safe place.")


@app.command("list")
def list_keys(*, as_json: AsJson = False) -> None:
    """List every key, the newest first, without its secret."""
    with opened() as ledger:
        keys = ledger.keys.list()
    if as_json:
        write_json({"items": [_fields(key) for key in keys]})
        return
    rows = [(key.id, key.name, key.role, _standing(key), key.created_at, key.last_used_at) for key in keys]
    show_table(("id", "name", "role", "is", "made", "last used"), rows)


@app.command("end")
def end_key(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As 'keyturn keys list' shows it.")],
    *,
    even_the_last: Annotated[bool, typer.Option(help="Even the last living key of an admin.")] = False,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """End a key at once; to end it again changes nothing."""
    from services.access import Access

    with opened() as ledger:
        try:
            with ledger.database.writing() as connection:
                changed = Access(ledger, clock=now).end(
                    connection, key_id, actor=actor(), reason=reason, even_the_last=even_the_last
                )
        except InputError as error:
            fail(f"{error}, or say --even-the-last", as_json=as_json)
        found = ledger.keys.find(key_id)
    if found is None:
        fail(f"there is no key {key_id}", as_json=as_json)
    if as_json:
        write_json({"changed": changed, **_fields(found[0])})
    else:
        console().print(f"{key_id} has ended" if changed else f"{key_id} had ended before")


def _standing(key: "ApiKey") -> str:
    if key.lives(now()):
        return "living"
    return "ended" if key.ended_at else "expired"


def _fields(key: "ApiKey") -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "role": key.role,
        "living": key.lives(now()),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "ended_at": key.ended_at,
    }
