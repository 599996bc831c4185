"""``keyturn forecast``: which certificates and root CAs end when, and what their renewals take."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from services.cli.output import AsJson, console, now, opened, show_table, write_json

if TYPE_CHECKING:
    from schemas.forecast import Forecast, ForecastDay

By = Literal["day", "week"]


def forecast(
    *,
    days: Annotated[int, typer.Option(min=1, max=1_100, help="How far to look ahead.")] = 90,
    by: Annotated[By, typer.Option(help="What a row of the table stands for.")] = "week",
    as_json: AsJson = False,
) -> None:
    """Tell what comes of certificates, from what the scan saw last; nobody is asked."""
    from infra.settings import load_settings
    from services.forecast import forecast as look_ahead
    from services.wiring import active_playbook

    with opened() as ledger:
        found = look_ahead(ledger, active_playbook(load_settings(), ledger)(), now(), days)
    if as_json:
        write_json(found.model_dump(mode="json"))
        return
    _show(found, by)


def _show(found: "Forecast", by: By) -> None:
    out = console()
    if found.seen_since is None:
        out.print("nothing is known of certificates yet: 'keyturn schedules run certificate-scan' looks")
        return
    out.print(
        f"{found.known} certificates, {found.unknown} devices without a known one; seen since"
        f" {found.seen_since:%d %b %Y %H:%M} UTC"
    )
    under_way = found.under_way
    out.print(
        f"renewals: {under_way.waiting} wait for their time, {under_way.asked} for their device,"
        f" {under_way.parked} for a person"
    )
    out.print(_budget(found))
    if found.authorities:
        out.print()
        show_table(("root CA", "ends", "days left", "devices", "move by", "calls to move"), _authorities(found))
    out.print()
    show_table(
        (by, "end", "due", "asked for (billed)", "wait for the budget", "calls"),
        [*_rows(found.series, by), _sum(found)],
    )
    if found.too_late:
        some = ", ".join(found.too_late_devices[:5]) + (", …" if found.too_late > 5 else "")  # noqa: PLR2004 - a line
        out.print(f"{found.too_late} certificates end before their device can act: {some}", soft_wrap=True)


def _budget(found: "Forecast") -> str:
    if found.budget is None:
        return "budget: the playbook sets none for renewals"
    enough = "is not enough" if found.too_late else "is enough"
    return f"budget: {found.budget.jobs} renewals per {found.budget.per}, {found.spent} of them spent; it {enough}"


def _authorities(found: "Forecast") -> Iterator[tuple[str, ...]]:
    for one in found.authorities:
        ends = "" if one.expires_at is None else f"{one.expires_at:%Y-%m-%d}"
        move = "" if one.move_by is None else f"{one.move_by:%Y-%m-%d}"
        left = "" if one.days_left is None else str(one.days_left)
        yield one.name, ends, left, str(one.devices), move, str(one.transfer_calls)


def _rows(series: "Sequence[ForecastDay]", by: By) -> Iterator[tuple[str, ...]]:
    size = 7 if by == "week" else 1
    for _, group in groupby(enumerate(series), key=lambda numbered: numbered[0] // size):
        part = [day for _, day in group]
        yield (
            f"{part[0].day:%Y-%m-%d}",
            str(sum(day.ends for day in part)),
            str(sum(day.due for day in part)),
            str(sum(day.asked for day in part)),
            str(part[-1].waiting),
            str(sum(day.calls for day in part)),
        )


def _sum(found: "Forecast") -> tuple[str, ...]:
    ends, due = sum(day.ends for day in found.series), sum(day.due for day in found.series)
    return "all", str(ends), str(due), str(found.billed), str(found.series[-1].waiting), str(found.calls)
