"""What the commands on the ledger share: how it is opened, who acts, and how answers are written."""

import getpass
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.admin import LARGEST_ID
from schemas.errors import InputError

if TYPE_CHECKING:
    from infra.ledger import Ledger

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON instead of text.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]
Limit = Annotated[int, typer.Option(min=1, max=200, help="Entries at most.")]
RowId = Annotated[int, typer.Argument(metavar="ID", min=1, max=LARGEST_ID)]
Before = Annotated[int | None, typer.Option(metavar="ID", min=1, max=LARGEST_ID, help="Go on below this number.")]
Since = Annotated[str | None, typer.Option(metavar="TIME", help="Not before: 2026-05-10T12:00Z, or 30m, 2h, 7d ago.")]
Until = Annotated[str | None, typer.Option(metavar="TIME", help="Before; as --since.")]

_AGO: Final = re.compile(r"([0-9]{1,6})([smhd])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

_LEAST_OF_LAST: Final = 24
"""Characters that the last column of a table needs at least to be read."""

_CONTROLS: Final = dict.fromkeys([*range(9), *range(11, 32), *range(127, 160)], "\N{REPLACEMENT CHARACTER}")
"""What would steer the terminal of who reads it: texts come from strangers too. New lines and tabs may stay."""

_BARE: Final = 4
"""Cells that need no heading to be understood: the first ones name a thing and tell how it is."""

Model = TypeVar("Model", bound=BaseModel)
Item = TypeVar("Item")


@contextmanager
def opened() -> Iterator["Ledger"]:
    """The ledger that the settings name.

    Raises:
        ConfigurationError: a setting is wrong, or the ledger has another schema.
    """
    from infra.ledger import Ledger, check_schema
    from infra.settings import load_settings

    ledger = Ledger(load_settings().database_url.get_secret_value())
    try:
        check_schema(ledger.database)
        yield ledger
    finally:
        ledger.close()


def actor() -> str:
    """Who acts, as the audit names it."""
    try:
        return f"cli:{getpass.getuser()}"
    except (OSError, KeyError):  # a container's user may have no name
        return "cli:unknown"


def now() -> datetime:
    """The time of this machine, with its zone."""
    return datetime.now(UTC)


def moment(words: str | None) -> datetime | str | None:
    """A time as somebody wrote it; what is no span before now is left to the model that takes it.

    Raises:
        InputError: it is longer ago than time goes back.
    """
    ago = _AGO.fullmatch(words or "")
    try:
        return words if ago is None else now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    except OverflowError:
        raise InputError(
            [f"{words} ago was before the year 1; expected a time, or a span such as 30m, 2h, 7d"]
        ) from None


def read_as(model: type[Model], **values: Any) -> Model:
    """Options as the model that the admin API takes for the same.

    Raises:
        InputError: every option that is wrong.
    """
    try:
        return model.model_validate({name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        told = [f"--{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in faults]
        raise InputError(told) from None


def logs_aside() -> None:
    """Send log lines to standard error: what is printed is for reading, or for a program."""
    import structlog

    if not structlog.is_configured():
        structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))


def write_json(value: object) -> None:
    """Write models, or what holds them, as JSON."""
    print(to_json(value, indent=2).decode())


def console(*, stderr: bool = False) -> Console:
    """A console that takes what it is given as plain text: names and reasons may hold brackets."""
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table; a long cell goes on in its next line.

    Where the terminal is so narrow that names would be broken, each row is written as a few lines instead.
    """
    texts = [[words(cell) for cell in row] for row in rows]
    output = console()
    if not _fits(columns, texts, output.width):
        for row in texts:
            _show_lines(columns, row, output)
        return
    table = Table(*columns)
    for row in texts:
        table.add_row(*(Text(cell, overflow="fold") for cell in row))
    output.print(table)


def _fits(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> bool:
    """Whether a table would break none of its cells but those of the last column."""
    *widest, last = (max(map(cell_len, cells)) for cells in zip(columns, *rows, strict=True))
    return sum(widest) + min(last, _LEAST_OF_LAST) + 3 * len(columns) + 1 <= width


def _show_lines(columns: Sequence[str], row: Sequence[str], output: Console) -> None:
    """What the row is about, then what else is known of it by name, then its last cell, mostly the longest."""
    bare = min(_BARE, len(columns) - 1)
    named = [f"{name} {cell}" for name, cell in zip(columns[bare:-1], row[bare:-1], strict=True) if cell]
    output.print(Text("  ".join(filter(None, row[:bare])).replace("\n", " "), overflow="fold"))
    for line in filter(None, ("  ".join(named), row[-1] and f"{columns[-1]}: {row[-1]}")):
        output.print(Padding(Text(line, overflow="fold"), (0, 0, 0, 4), expand=False))


def show_page(
    items: Sequence[Item],
    below: int | None,
    *,
    columns: Mapping[str, Callable[[Item], object]],
    as_json: bool,
) -> None:
    """Write one page of a list, and how to ask for the next.

    Args:
        items: the page.
        below: the number before which the next page begins, where there is one.
        columns: what to show of an item, by heading.
        as_json: whole items instead.
    """
    if as_json:
        write_json({"items": items, "next": below})
        return
    show_table(tuple(columns), [[shown(one) for shown in columns.values()] for one in items])
    if below is not None:
        console().print(f"there may be more: --before {below}")


def show_fields(fields: Mapping[str, object]) -> None:
    """Write names with their values, a line each; what is not there is left out."""
    width = max(map(len, fields), default=0) + 2
    for name, value in fields.items():
        if value not in (None, "", {}, []):
            console().print(f"{name:{width}}{words(value)}", soft_wrap=True)


def words(value: object) -> str:
    """One value for a person."""
    match value:
        case None:
            return ""
        case str():
            return value.translate(_CONTROLS)
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}Z"
        case dict() | list():
            return to_json(value).decode()
        case _:
            return str(value)


def counted(count: int, thing: str) -> str:
    """A number of things, such as "1 site"."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def fail(message: str, *, as_json: bool = False) -> NoReturn:
    """Tell why it was not done, and end with 1."""
    if as_json:
        write_json({"ok": False, "faults": [message]})
    else:
        console(stderr=True).print(message, soft_wrap=True)
    raise typer.Exit(1)
