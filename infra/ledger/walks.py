"""Pages of a long table, the newest first, in bounded time whatever is asked for.

A page goes on below an id, so rows that come meanwhile move nothing. Times are turned into ids by bisection over the
primary key: rows come in order of their times, give or take the clocks of several machines (`SKEW`), so no index on a
time has to be kept by those who write. The ids are walked window by window, each larger than the last while they cost
little, until the page is full or the time is up; then the page is short, and says where to go on.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, text

from infra.ledger.tables import to_us

SKEW: Final = timedelta(minutes=10) // timedelta(microseconds=1)
"""Microseconds by which the clocks of the machines that write may differ."""

WINDOW: Final = 50_000
"""Ids that the first step of a walk looks at."""

QUICK: Final = 0.03
"""A step that takes fewer seconds may be followed by one of four times as many ids."""

PATIENCE: Final = 1.0
"""Seconds after which a walk gives what it has found."""


_ENDS: Final = "SELECT (SELECT min(id) FROM {table}) AS low, (SELECT max(id) FROM {table}) AS high"
"""Apart, because SQLite reads the whole table for both at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Walk:
    """What is asked of a table.

    Attributes:
        columns: what to select; `at` is the column of the time.
        where: conditions; their values are in `bound`.
        before: go on below this id.
    """

    table: str
    columns: str
    at: str
    where: Sequence[str]
    bound: Mapping[str, Any]
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """Rows, and the id below which there may be more; None at the end."""

    rows: list[Any]
    next: int | None


def walk(connection: Connection, asked: Walk, *, window: int = WINDOW, patience: float = PATIENCE) -> Found:
    """Give one page."""
    low, high = _span(connection, asked)
    rows: list[Any] = []
    begun = time.monotonic()
    while high > low:
        step = time.monotonic()
        floor = max(low, high - window)
        rows += _step(connection, asked, (floor, high), asked.limit - len(rows))
        if len(rows) == asked.limit:
            last = rows[-1].id
            return Found(rows=rows, next=last if last > low else None)
        high = floor
        if time.monotonic() - step < QUICK:
            window *= 4
        if time.monotonic() - begun > patience:
            break
    return Found(rows=rows, next=high if high > low else None)


def first_at(connection: Connection, table: str, at: str, moment: datetime) -> int:
    """The id below which are all rows of a table whose time is before a moment; few others are there."""
    asked = Walk(table=table, columns="id", at=at, where=(), bound={}, until=moment)
    return _span(connection, asked)[1]


def _step(connection: Connection, asked: Walk, span: tuple[int, int], limit: int) -> Sequence[Any]:
    where = ["id >= :floor", "id < :ceiling", *asked.where]
    bound = {**asked.bound, "floor": span[0], "ceiling": span[1], "limit": limit}
    for name, moment, sign in (("since", asked.since, ">="), ("until", asked.until, "<")):
        if moment is not None:
            where.append(f"{asked.at} {sign} :{name}")
            bound[name] = to_us(moment)
    query = f"SELECT {asked.columns} FROM {asked.table} WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT :limit"  # noqa: S608 - values are bound, the rest is our own
    return connection.execute(text(query), bound).all()


def _span(connection: Connection, asked: Walk) -> tuple[int, int]:
    """The ids that can match: from the first, up to below the second."""
    ends = connection.execute(text(_ENDS.format(table=asked.table))).one()
    if ends.low is None:
        return 0, 0
    low, high = ends.low, ends.high + 1
    if asked.before is not None:
        high = min(high, asked.before)
    if asked.until is not None:
        high = min(high, _first_at(connection, asked, (low, high), to_us(asked.until) + SKEW))
    if asked.since is not None:
        low = _first_at(connection, asked, (low, high), to_us(asked.since) - SKEW)
    return low, high


def _first_at(connection: Connection, asked: Walk, span: tuple[int, int], moment: int) -> int:
    """The first id of the span whose time is not before a moment; the span's end where there is none."""
    query = text(
        f"SELECT id, {asked.at} AS at FROM {asked.table} WHERE id >= :middle AND id < :high ORDER BY id LIMIT 1"  # noqa: S608 - constants only
    )
    low, high = span
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(query, {"middle": middle, "high": high}).one_or_none()
        if row is None or row.at >= moment:
            high = middle
        else:
            low = row.id + 1
    return low
