"""``keyturn tap``: look at one Tap, read and write its resources, by hand."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from schemas.errors import InputError, TryAgain, UpstreamError
from services.cli import tap_plan
from services.cli.output import AsJson, Reason, opened
from services.cli.recording import recorded
from services.cli.tap_faults import told
from services.cli.tap_options import PLACE, visiting
from services.cli.tap_visit import Visit, fetch

if TYPE_CHECKING:
    from services.clients.tap.client import TapClient

app = typer.Typer(name="tap", help="Look at an IoTize Tap, read and write its resources.", no_args_is_help=True)

Resource = Annotated[str, typer.Argument(metavar="PATH", help="Such as /1024//9, or /scram/hash-iteration.")]
AsType = Annotated[str | None, typer.Option("--as", metavar="TYPE", help="Type of the value, where it must be said.")]

LOOKS: Final = {
    "firmware": "/3//3",
    "name": "/1024//9",
    "configuration": "/1024//10",
    "reached_by": "/1024//3",
    "may_be_reached_by": "/1024//17",
    "lock_bits": "/1024//6",
    "frame_sizes": "/1024//88",
    "group": "/1024//7",
}
"""What ``info`` reads besides the serial number."""


@app.command()
@visiting
def info(
    visit: Visit,
    *,
    as_json: AsJson = False,
) -> None:
    """Show what a Tap says of itself. Exit codes: 0 done, 1 refused, 2 wrong input, 3 try again later."""
    with told(as_json=as_json), visit.client() as client:
        facts, missing = _look(client)
    if as_json:
        _write_json({"ok": True, "tap": facts, "not_told": missing})
        return
    for name, fact in facts.items():
        typer.echo(f"{name.replace('_', ' '):18} {_line(fact)}")
    for name, why in missing.items():
        typer.echo(f"{name.replace('_', ' '):18} not told: {why}")


@app.command()
@visiting
def read(
    visit: Visit,
    path: Resource,
    *,
    as_type: AsType = None,
    show_secret: Annotated[bool, typer.Option(help="Show the value even where it is a secret.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read one resource. Exit codes: 0 done, 1 refused, 2 wrong input, 3 try again later."""
    from services.cli.tap_values import show_value, text_of

    with told(as_json=as_json):
        _check_path(path, show_secret=show_secret)
        with visit.client() as client:
            value = client.read(path, as_type=as_type)
            shown = {"ok": True, "tap": client.serial, "path": path, "value": show_value(value)}
    if as_json:
        _write_json(shown)
    else:
        typer.echo(text_of(value))


@app.command()
@visiting
def write(
    visit: Visit,
    path: Resource,
    value: Annotated[
        str,
        typer.Argument(metavar="VALUE", help=f"Text, number, name, hex digits, @FILE or JSON; of a secret {PLACE}."),
    ],
    *,
    as_type: AsType = None,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Write one resource. Exit codes: 0 done, 1 refused, 2 wrong input, 3 try again later; the Tap may have acted.

    The audit of the ledger records it: without a ledger nothing is written.
    """
    with told(as_json=as_json), opened() as ledger:
        meant = _meant(path, value, as_type)
        with visit.client() as client, recorded(ledger, "tap.write", f"tap/{client.serial}", reason=reason) as deed:
            deed.note(path=path)
            try:
                client.write(path, meant, as_type=as_type)
            except UpstreamError as error:
                deed.begun = error.sent
                raise
            done = {"ok": True, "tap": client.serial, "path": path}
    if as_json:
        _write_json(done)
    else:
        typer.echo(f"Tap {done['tap']} has taken {path}.")


def _look(client: "TapClient") -> tuple[dict[str, Any], dict[str, str]]:
    from services.cli.tap_values import show_value

    facts: dict[str, Any] = {"serial": client.serial, "sealed": client.in_session}
    missing: dict[str, str] = {}
    for name, path in LOOKS.items():
        try:
            facts[name] = show_value(client.read(path))
        except TryAgain:
            raise
        except UpstreamError as error:
            missing[name] = str(error)
    if client.in_session:
        facts["calls_per_iv"] = client.period
    return facts, missing


def _check_path(path: str, *, show_secret: bool) -> None:
    from services.clients.tap import Method, TapError, calls_at, resolve

    try:
        calls = calls_at(Method.GET, resolve(path))
    except TapError as error:
        raise InputError([str(error)]) from None
    if any(call.secret for call in calls) and not show_secret:
        raise InputError([f"{path} is a secret: say --show-secret to have it shown"])


def _meant(path: str, text: str, as_type: str | None) -> Any:
    """Give the value that is meant; a secret is fetched from its place."""
    from services.cli.tap_values import parse_value
    from services.clients.tap import Method, TapError, calls_at, resolve
    from services.clients.tap.registry import body_type

    try:
        calls = calls_at(Method.PUT, resolve(path))
        types = {call.request.rstrip("?") for call in calls if call.request} or {"bytes"}
        if as_type is None and len(types) > 1:
            raise InputError([f"{path} has several meanings: say --as and one of {', '.join(sorted(types))}"])
        codec = body_type(as_type or types.pop())
    except TapError as error:
        raise InputError([str(error)]) from None
    if any(call.secret for call in calls):
        text = fetch(text, f"The secret for {path}").get_secret_value()
        return text.encode() if codec.takes is bytes else parse_value(codec, text)
    return parse_value(codec, text)


def _line(fact: object) -> str:
    from services.cli.tap_values import text_of

    return text_of(fact)


def _write_json(document: object) -> None:
    print(orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode())


app.command("plan")(tap_plan.plan)
app.command("apply")(tap_plan.apply)
