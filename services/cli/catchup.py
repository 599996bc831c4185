"""``keyturn catchup``: what catching up brought that never came by webhook."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.cli.output import AsJson, console, fail, opened, show_fields, show_table, write_json

if TYPE_CHECKING:
    from schemas.schedules import Firing

app = typer.Typer(name="catchup", help="See which notices never came by webhook.", no_args_is_help=True)

DEFAULT: Final = "notification-catch-up"


@app.callback()
def catchup() -> None:
    """See which notices never came by webhook."""


@app.command("report")
def report(
    *,
    schedule: Annotated[str, typer.Option(help="The schedule that catches up.")] = DEFAULT,
    runs: Annotated[int, typer.Option(min=1, max=1000, help="How many of its latest runs are added up.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Tell what the latest runs found: periods, counts, and each notice that never came by webhook."""
    with opened() as ledger:
        found = [one for one in ledger.firings.of(schedule, runs) if "never_pushed" in one.detail]
    if not found:
        fail(f"no finished run of {schedule} yet", as_json=as_json)
    if as_json:
        write_json({"runs": [_fields(one) for one in found]})
        return
    named = [notice for one in found for notice in one.detail["notices_never_pushed"]]
    show_fields(
        {
            "runs": len(found),
            "from": found[-1].detail["since"],
            "until": found[0].detail["until"],
            "notices": sum(one.detail["notices"] for one in found),
            "never pushed": str(sum(one.detail["never_pushed"] for one in found)),
            "silent": [words for one in found for words in one.detail["silent"]],
        }
    )
    if named:
        show_table(("receipt", "type", "device", "happened"), [tuple(notice.values()) for notice in _ordered(named)])
    left = sum(one.detail["never_pushed"] for one in found) - len(named)
    if left:
        console().print(f"and {left} more: 'keyturn events list --source poll' has them")


def _ordered(named: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: notice[key] for key in ("receipt", "type", "device", "at")} for notice in named]


def _fields(firing: "Firing") -> dict[str, object]:
    return {"schedule": firing.schedule, "due_at": firing.due_at, "outcome": firing.state, **firing.detail}
